"""Cohorts of aligned faces, and a generator trained on one."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from phantom_faces import photograph

from morphoscope.classify.gestalt import align_cohort, find_face
from morphoscope.classify.gestalt.aligned_cohort import head_template
from morphoscope.cohort import Cohort, write_image
from morphoscope.cohort.face_mesh import CHIN, FOREHEAD
from morphoscope.configs import UserError


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    """Four people in two folds, one of them inclined and one far away, and a wall; with further columns."""
    root = tmp_path_factory.mktemp("people")
    images = [photograph(person) for person in range(4)]
    images[1] = np.rot90(images[1])
    images[2] = np.pad(photograph(2, size=64), ((40, 40), (20, 60), (0, 0)), constant_values=128)
    images.append(np.full((64, 64, 3), 128, np.uint8))
    rows = []
    for number, image in enumerate(images):
        write_image(root / f"{number}.png", image)
        rows.append(
            {
                "file": f"{number}.png",
                "condition": f"s{number % 2}",
                "group": f"p{number}",
                "family": f"f{number // 2}",
                "fold": str(number // 2 % 2),
                "age": str(10 + number),
                "mask": "",
            }
        )
    Cohort.from_rows(root, pd.DataFrame(rows)).save()
    return Cohort.load(root)


def test_faces_are_upright_and_keep_their_rows(cohort: Cohort, tmp_path: Path) -> None:
    made = align_cohort(cohort, tmp_path / "aligned", 64, keep_flagged=True)
    assert list(made.left_out) == ["4.png"] and "No face" in made.left_out["4.png"]
    rows = made.cohort.rows
    assert rows["original"].tolist() == ["0.png", "1.png", "2.png", "3.png"]
    assert set(rows["view"]) == {"face"} and "mask" not in rows
    assert rows["group"].tolist() == ["p0", "p1", "p2", "p3"]
    assert rows["family"].tolist() == ["f0", "f0", "f1", "f1"]
    assert rows["fold"].tolist() == ["0", "0", "1", "1"]
    assert rows["age"].tolist() == ["10", "11", "12", "13"]
    assert made.enlarged == 1
    for index in range(4):
        image = made.cohort.image(index)
        assert image.shape == (64, 64, 3)
        points = find_face(image).landmarks.points
        top, bottom = points[FOREHEAD], points[CHIN]
        assert 5 < top[1] < 25 and 48 < bottom[1] < 64
        assert abs(top[0] - bottom[0]) < 8


def test_flagged_faces_are_left_out_unless_kept(cohort: Cohort, tmp_path: Path) -> None:
    made = align_cohort(cohort, tmp_path / "aligned", 64)
    assert "small" in made.left_out["2.png"]
    assert len(made.cohort) == 3


def test_wide_set_eyes_stay_wide_set() -> None:
    """The template rests on more than the eyes, whose distance would become the scale."""
    template = head_template(64)
    points = np.zeros((468, 3))
    points[[part for (part,) in template.parts], :2] = template.places
    eyes = [part for (part,) in template.parts[:4]]
    wide = points.copy()
    wide[eyes, 0] = 32 + 1.3 * (points[eyes, 0] - 32)
    moved = wide[:, :2] @ template.transform(wide)[:, :2].T
    before, after = np.ptp(points[eyes, 0]), np.ptp(moved[eyes, 0])
    assert after > 1.05 * before


def test_no_face_at_all(cohort: Cohort, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No usable face"):
        align_cohort(cohort.select([4]), tmp_path / "aligned", 64)
    assert not (tmp_path / "aligned").exists()


@pytest.mark.parametrize("size", [16, 2048, 64.5, "64"])
def test_sizes_out_of_range(cohort: Cohort, tmp_path: Path, size: object) -> None:
    with pytest.raises(UserError, match="size"):
        align_cohort(cohort, tmp_path / "aligned", size)  # type: ignore[arg-type]
