"""The audit of a design: its counts, its guarantee, and a detectable difference that is detected."""

import numpy as np
import pandas as pd
import pytest

from morphoscope.cohort.design import audit, detectable_difference
from morphoscope.cohort.manifest import normalise_rows
from morphoscope.configs import UserError
from morphoscope.configs.commands import Auditing


def rows(sizes: dict[str, list[int]], **columns: str) -> pd.DataFrame:
    """A row per image of each condition's groups of given sizes."""
    return normalise_rows(
        pd.DataFrame(
            {"file": f"{name}/{group}/{image}.png", "condition": name, "group": f"{name}{group}", **columns}
            for name, groups in sizes.items()
            for group, size in enumerate(groups)
            for image in range(size)
        )
    )


def test_counts_and_guarantees_are_those_of_the_folds() -> None:
    found = audit(rows({"common": [1, 2, 3] * 50, "rare": [2] * 30}), Auditing(folds=4, test=0.2))
    common, rare = found.conditions
    assert (common.name, common.evaluated.patients) == ("common", 30)
    assert (rare.evaluated.patients, rare.evaluated.images, rare.calibration) == (6, 12, 48)
    assert rare.guarantee == pytest.approx(0.8 - (2 / 48) ** 0.5)
    assert rare.evaluated.width > common.evaluated.width > found.intervals["accuracy"].width > 0
    assert min(rare.evaluated.covered, common.evaluated.covered, found.intervals["accuracy"].covered) > 0.92
    balanced = found.intervals["balanced accuracy"]
    assert (balanced.patients, balanced.images) == (36, 72)
    assert min(part.covered for part in found.intervals.values()) > 0.92
    # The rare condition decides: its recall counts half.
    assert balanced.width > 1.3 * found.intervals["accuracy"].width
    assert found.intervals["images called another kind of image"].width < found.intervals["accuracy"].width
    assert 0 < found.error_by_chance < found.error_limit < 0.2
    assert found.best_change == "every fold evaluated in turn"


def test_existing_folds_are_kept_and_without_a_test_fold_all_are_evaluated() -> None:
    table = rows({"a": [1] * 20, "b": [1] * 20})
    table["fold"] = [str(number % 4) for number in range(40)]
    found = audit(table, Auditing())
    assert found.rows == "out of fold" and found.intervals["accuracy"].images == 40
    table.loc[0, "fold"] = ""
    with pytest.raises(UserError, match="1 of 40 images have no fold"):
        audit(table, Auditing())


def test_a_condition_without_test_images_can_show_nothing() -> None:
    table = rows({"a": [1] * 20, "b": [1] * 20})
    table["fold"] = np.where((table["condition"] == "a") & (table.index % 4 == 0), "test", "0")
    found = audit(table, Auditing())
    assert found.conditions[1].evaluated.images == 0 and found.detectable["as it is"] == 1


def test_too_few_patients_are_named() -> None:
    with pytest.raises(UserError, match="'b' has 2"):
        audit(rows({"a": [1] * 20, "b": [9, 9]}), Auditing())


def test_seeds_help_where_trainings_vary_and_patients_where_they_do_not() -> None:
    sizes, steady = [np.full(200, 3), np.full(100, 3)], Auditing(seed_variation=0.0)
    assert detectable_difference(sizes, steady, seeds=5) == detectable_difference(sizes, steady)
    doubled = [np.tile(one, 2) for one in sizes]
    assert detectable_difference(doubled, steady) == pytest.approx(
        detectable_difference(sizes, steady) / 2**0.5
    )
    varying = Auditing(seed_variation=0.05)
    assert detectable_difference(sizes, varying, seeds=5) < detectable_difference(doubled, varying)


def test_the_detectable_difference_is_detected_in_80_percent() -> None:
    """Two classifiers that differ in 15% of images, patients correlated as the design assumes."""
    settings, random = Auditing(seed_variation=0.0, correlation=0.3), np.random.default_rng(0)
    images = np.tile([1, 2, 3, 4], 50)
    difference = detectable_difference([images], settings)
    share = 0.5 + difference / settings.disagreement / 2  # of the images that differ: the second is correct
    owner = np.repeat(np.arange(len(images)), images)
    found = []
    for _ in range(600):
        # An image shares its patient's outcome with probability sqrt(r): outcomes correlate by r.
        common = random.random((2, len(images)))[:, owner]
        own = random.random((2, len(owner)))
        differs, better = np.where(random.random(len(owner)) < 0.3**0.5, common, own)
        score = (differs < settings.disagreement) * np.where(better < share, 1, -1)
        sums = np.bincount(owner, weights=score)
        value = score.mean()
        error = np.sqrt(((sums - value * images) ** 2).sum()) / images.sum()
        found.append(value / error > 1.96)
    assert np.mean(found) == pytest.approx(0.8, abs=0.06)
