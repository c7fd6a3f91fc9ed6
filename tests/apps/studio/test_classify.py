"""What the Classify tab shows, without a page."""

import base64
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from studio_models import CONDITIONS, Brightness, tiny_generator

from morphoscope.apps.gallery import Gallery, cohort_gallery
from morphoscope.apps.morphing import Workbench
from morphoscope.apps.studio.actions import Actions
from morphoscope.apps.studio.classify import Classify
from morphoscope.apps.studio.explore import Explore
from morphoscope.apps.studio.uploads import Upload, Uploads
from morphoscope.apps.studio.words import MOST_PROBABLE
from morphoscope.cohort import Cohort, phantom
from morphoscope.cohort.marked_files import file_provenance
from morphoscope.configs import UserError

MAP = {"target": MOST_PROBABLE, "method": "Integrated gradients"}
SAMPLE = {"source": "explore", "kind": "sample", "a": "pale", "seed": 3, "psi": 0.7}


def grey(level: int) -> np.ndarray:
    return np.full((24, 24, 3), level, np.uint8)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    return Workbench(tiny_generator(tmp_path_factory.mktemp("classify"), CONDITIONS), Brightness())  # type: ignore[arg-type]


@pytest.fixture
def classify(bench: Workbench) -> Classify:
    levels = [20, 120, 240]
    gallery = Gallery(
        ["dark", "dark", "pale"], ["focused"] * 3, ["0"] * 3, lambda number: grey(levels[number])
    )
    return Classify(Actions(bench, Uploads()), Explore(bench), gallery)


def upload(classify: Classify, pixels: np.ndarray | bytes) -> str:
    """The token of an upload."""
    if isinstance(pixels, np.ndarray):
        buffer = BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        pixels = buffer.getvalue()
    with classify.actions.uploads.room("page") as token:
        assert token is not None
        classify.actions.uploads.put(token, Upload("arm.png", pixels))
    return token


def png(uri: str) -> bytes:
    return base64.b64decode(uri.partition(",")[2])


def halves() -> np.ndarray:
    """Black on the left and white on the right, 40 x 80 pixels."""
    return np.concatenate([np.zeros((40, 40, 3), np.uint8), np.full((40, 40, 3), 255, np.uint8)], axis=1)


class TestPhotograph:
    def test_is_classified_and_forgotten(self, classify: Classify) -> None:
        token = upload(classify, halves())
        answer = classify.classify({"photograph": token})
        assert (answer["name"], answer["width"], answer["height"], answer["mark"]) == ("arm.png", 80, 40, "")
        assert answer["probabilities"] == [[0.75, 0.25]]
        assert [row["state"] for row in answer["certainty"]] == ["unknown", "good", "unknown"]
        assert "central square" in answer["notes"][0]
        assert file_provenance(png(answer["picture"])) is None
        with pytest.raises(UserError, match="did not arrive"):
            classify.classify({"photograph": token})

    @pytest.mark.parametrize(("left", "first"), [(0.0, "dark"), (0.5, "pale")])
    def test_part_alone_is_classified(self, classify: Classify, left: float, first: str) -> None:
        box = {"left": left, "right": left + 0.5, "top": 0, "bottom": 1}
        answer = classify.classify({"photograph": upload(classify, halves()), **box})
        assert answer["verdicts"][0]["sentence"].startswith(f"Most probable condition: {first}")
        assert answer["width"] == 80 and answer["notes"] == []
        found = classify.explain({"photograph": upload(classify, halves()), **box, **MAP})
        assert Image.open(BytesIO(png(found["picture"]))).size == (512, 512)

    def test_large_photograph_is_made_small_for_the_page(self, classify: Classify) -> None:
        answer = classify.classify({"photograph": upload(classify, np.zeros((3000, 1500, 3), np.uint8))})
        assert answer["height"] == 3000
        assert Image.open(BytesIO(png(answer["picture"]))).size == (512, 1024)

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (b"not a picture", "arm.png: not an image"),
            (b"", "arm.png: empty file"),
            (b"\x89PNG\r\n", "image"),
        ],
    )
    def test_broken_file_is_named(self, classify: Classify, content: bytes, reason: str) -> None:
        with pytest.raises(UserError, match=reason):
            classify.classify({"photograph": upload(classify, content)})

    @pytest.mark.parametrize(
        ("values", "reason"),
        [
            ({"photograph": "too-large"}, "larger than 32 MB"),
            ({"photograph": "too-many"}, "Too many uploads"),
            ({"photograph": "/etc/passwd"}, "did not arrive"),
            ({"photograph": ["lost"]}, "did not arrive"),
            ({"source": "file:///etc"}, "did not arrive"),
            ({**SAMPLE, "left": 0.99}, "needs at least 8 x 8 pixels"),
            ({**SAMPLE, "left": 0.9, "right": 0.1}, "needs at least 8 x 8 pixels"),
            ({**SAMPLE, "top": -1}, "The field top is -1"),
            ({**SAMPLE, "bottom": float("nan")}, "The field bottom is nan"),
            ({**SAMPLE, "panoramic": "token"}, "takes single photographs, not pairs"),
            ({**SAMPLE, "a": "/etc/passwd"}, "Unknown condition"),
        ],
    )
    def test_unusable_values_are_refused_in_a_sentence(
        self, classify: Classify, values: dict[str, Any], reason: str
    ) -> None:
        with pytest.raises(UserError, match=reason):
            classify.classify(values)


def test_sent_image_keeps_its_mark(classify: Classify) -> None:
    answer = classify.classify(SAMPLE)
    assert answer["name"] == "Synthetic picture: 100% pale"
    assert answer["mark"].startswith("100% pale · seed 3")
    for picture in (answer["picture"], answer["seen"], classify.explain({**SAMPLE, **MAP})["picture"]):
        assert file_provenance(png(picture)) is not None
    morph = {"a": "dark", "b": "pale", "seed_a": 3, "seed_b": 3, "psi": 0.7, "ratio": 0.5, "source": "morph"}
    assert classify.classify(morph)["name"] == "Synthetic picture: 50% dark + 50% pale"


class TestSimilar:
    def test_nearest_first_and_generated_ones_are_marked(self, classify: Classify) -> None:
        answer = classify.similar({"photograph": upload(classify, grey(230))})
        assert [one["condition"] for one in answer["training"]] == ["pale", "dark", "dark"]
        similarities = [one["similarity"] for one in answer["training"]]
        assert similarities == sorted(similarities, reverse=True) and answer["reason"] == ""
        assert len(answer["generated"]) == 6
        for one in answer["generated"]:
            assert file_provenance(png(one["picture"])) is not None
        assert file_provenance(png(answer["training"][0]["picture"])) is None

    @pytest.mark.parametrize(("allowed", "reason"), [(True, "--gallery"), (False, "has not allowed")])
    def test_reason_without_training_images(self, bench: Workbench, allowed: bool, reason: str) -> None:
        bench.ensemble.metadata.may_show_training_images = allowed  # type: ignore[misc]
        without = Classify(Actions(bench, Uploads()), Explore(bench), None)
        answer = without.similar({"photograph": upload(without, grey(230))})
        assert answer["training"] == [] and reason in answer["reason"]


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    return phantom(tmp_path_factory.mktemp("gallery") / "cohort", per_condition=2, size=32)


class TestPermission:
    """Training images are shown only if the owner of the model allows it."""

    def ensemble(self, allowed: bool, digest: str) -> Any:
        def required(cohort: Cohort) -> None:
            if cohort.digest != digest:
                raise UserError("another cohort")

        metadata = SimpleNamespace(may_show_training_images=allowed)
        return SimpleNamespace(metadata=metadata, require_training_cohort=required)

    def test_without_it_no_cohort_is_read(self, cohort: Cohort) -> None:
        with pytest.raises(UserError, match="has not allowed"):
            cohort_gallery(cohort, self.ensemble(False, cohort.digest))

    def test_other_cohorts_are_refused(self, cohort: Cohort) -> None:
        with pytest.raises(UserError, match="another cohort"):
            cohort_gallery(cohort, self.ensemble(True, "0" * 16))

    def test_synthetic_images_are_left_out(self, cohort: Cohort, tmp_path: Path) -> None:
        rows = cohort.rows.copy()
        rows.loc[0, "source"] = "synthetic"
        mixed = SimpleNamespace(rows=rows, image=cohort.image, digest=cohort.digest)
        gallery = cohort_gallery(mixed, self.ensemble(True, cohort.digest))  # type: ignore[arg-type]
        assert len(gallery) == 13 and gallery.conditions[0] == rows["condition"][1]
        np.testing.assert_array_equal(gallery.image(0), cohort.image(1))
