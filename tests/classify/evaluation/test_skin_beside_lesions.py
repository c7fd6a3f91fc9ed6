"""Skin tone is measured beside the lesion where the cohort has a mask of it."""

from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

from morphoscope.classify import Ensemble, evaluate
from morphoscope.cohort import Cohort, write_image
from morphoscope.configs import UserError


@pytest.fixture
def masked(cohort: Cohort, tmp_path: Path) -> Cohort:
    """The toy cohort with one mask for all images: their right quarter."""
    whole = cohort.save_as(tmp_path / "masked")
    mask = np.zeros((40, 40), np.uint8)
    mask[:, 30:] = 255
    write_image(whole.root / "right.png", mask)
    return Cohort.from_rows(whole.root, whole.rows.assign(mask="right.png"))


def test_masks_are_read_only_where_skin_is_measured(ensemble: Ensemble, masked: Cohort) -> None:
    (masked.root / "right.png").write_bytes(b"damaged")
    for view, refused in (("panoramic", nullcontext()), ("focused", pytest.raises(UserError, match="right"))):
        seen = Cohort.from_rows(masked.root, masked.rows.assign(view=view))
        ensemble.metadata = ensemble.metadata.model_copy(update={"cohort_digest": seen.digest})
        with refused:
            evaluate(ensemble, seen, "test")


def test_skin_is_measured_beside_each_rows_own_lesion(
    ensemble: Ensemble, cohort: Cohort, tmp_path: Path
) -> None:
    whole = cohort.save_as(tmp_path / "painted")
    table = whole.rows.assign(view="focused", mask=[f"mask-{row}.png" for row in range(len(whole))])
    tones = [("light", "dark")[row % 5 % 2] for row in range(len(whole))]
    for row, (name, tone) in enumerate(zip(table["file"], tones, strict=True)):
        lesion = np.zeros((40, 40), bool)
        lesion[:, slice(0, 30) if row % 3 else slice(10, 40)] = True  # reaches the border on three sides
        skin, other = ((194, 150, 130), (60, 30, 20))[:: 1 if tone == "light" else -1]
        write_image(whole.root / name, np.where(lesion[..., None], other, skin).astype(np.uint8))
        write_image(whole.root / f"mask-{row}.png", lesion.astype(np.uint8) * 255)
    for rows, measured in (
        (table, "skin tone (measured on the non-lesion skin)"),
        (table.drop(columns="mask"), "skin tone (measured)"),
    ):
        painted = Cohort.from_rows(whole.root, rows)
        ensemble.metadata = ensemble.metadata.model_copy(update={"cohort_digest": painted.digest})
        found = evaluate(ensemble, painted, "test").attributes[measured]
        test = (rows["fold"] == "test").to_numpy()
        right = found.to_numpy() == np.array(tones)[test]
        assert set(found) == {"light", "dark"}
        assert right.all() if "mask" in rows else not right.any()  # else the lesion is taken for skin
