"""The lesion that a cohort knows, where the models see it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from morphoscope.classify import Ensemble, evaluate
from morphoscope.classify.lesions import lesion_mask
from morphoscope.cohort import Cohort


@pytest.fixture
def masked(cohort: Cohort, tmp_path: Path) -> Cohort:
    """The toy cohort; of the first image the mask covers the left quarter, of the others the right one."""
    whole = cohort.save_as(tmp_path / "masked")
    for name, columns in (("left.png", slice(0, 10)), ("right.png", slice(30, 40))):
        mask = np.zeros((40, 40), np.uint8)
        mask[:, columns] = 255
        Image.fromarray(mask).save(whole.root / name)
    return Cohort.from_rows(
        whole.root, whole.rows.assign(mask=["left.png", *["right.png"] * (len(whole) - 1)])
    )


def test_a_mask_lies_on_the_square_that_models_see(masked: Cohort) -> None:
    found = lesion_mask(masked, 0, 20, "crop")
    assert found is not None and found.shape == (20, 20) and found.dtype == bool
    assert found[:, :4].all() and not found[:, 6:].any()
    other = lesion_mask(masked, 1, 20, "crop")
    assert other is not None and np.array_equal(other, found[:, ::-1])


def test_without_mask_the_lesion_is_not_known(cohort: Cohort, masked: Cohort) -> None:
    assert lesion_mask(cohort, 0, 20, "crop") is None
    none = Cohort.from_rows(masked.root, masked.rows.assign(mask=""))
    assert lesion_mask(none, 0, 20, "crop") is None


def test_skin_is_measured_beside_known_lesions(ensemble: Ensemble, cohort: Cohort, masked: Cohort) -> None:
    for one, name in (
        (masked, "skin tone (measured on the non-lesion skin)"),
        (cohort, "skin tone (measured)"),
    ):
        close = Cohort.from_rows(one.root, one.rows.assign(view="focused"))
        ensemble.metadata["cohort_digest"] = close.digest
        assert name in evaluate(ensemble, close, "test").attributes.columns
