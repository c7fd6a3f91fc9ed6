"""Pairs: which photographs belong together, and the array that a dual-view model sees."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from morphoscope.classify.inputs.pairs import PairedImages, form_pairs, photographs, present_halves, samples
from morphoscope.cohort import Cohort
from morphoscope.configs.classifier import EnsembleTraining

F, P = "focused", "panoramic"


def rows(*cells: tuple[str, str], **columns: list[str]) -> pd.DataFrame:
    """Rows of (group, view), of one condition and fold."""
    frame = pd.DataFrame(cells, columns=["group", "view"]).assign(condition="red", fold="0")
    return frame.assign(**columns)


def pairs_of(table: pd.DataFrame) -> list[list[int]]:
    return form_pairs(table, np.arange(len(table))).tolist()


def test_one_of_each_makes_a_pair_whatever_their_order() -> None:
    assert pairs_of(rows(("a", P), ("b", F), ("a", F), ("b", P))) == [[2, 0], [1, 3]]


def test_an_image_without_partner_is_half_a_pair() -> None:
    assert pairs_of(rows(("a", F), ("b", P), ("c", F), ("c", F))) == [[0, -1], [-1, 1], [2, -1], [3, -1]]


def test_the_view_with_fewer_images_starts_again() -> None:
    table = rows(("a", F), ("a", P), ("a", F), ("a", F), ("a", P))
    assert pairs_of(table) == [[0, 1], [2, 4], [3, 1]]
    assert pairs_of(rows(("a", P), ("a", P), ("a", F))) == [[2, 0], [2, 1]]  # the published test's rule


def test_other_views_are_left_out() -> None:
    assert pairs_of(rows(("a", "face"), ("a", F), ("a", "other"), ("a", P))) == [[1, 3]]
    assert pairs_of(rows(("a", "face"), ("a", "other"))) == []


def test_a_column_separates_lesions_of_one_patient() -> None:
    table = rows(("a", F), ("a", F), ("a", P), ("a", P), pair=["arm", "leg", "leg", "arm"])
    assert pairs_of(table) == [[0, 3], [1, 2]]
    assert pairs_of(table.assign(pair="")) == [[0, 2], [1, 3]]


def test_pairs_are_of_one_condition_and_one_fold() -> None:
    table = rows(("a", F), ("a", P))
    assert pairs_of(table.assign(condition=["red", "blue"])) == [[0, -1], [-1, 1]]
    assert pairs_of(table.assign(fold=["0", "1"])) == [[0, -1], [-1, 1]]


def test_only_the_given_rows_are_paired() -> None:
    table = rows(("a", F), ("a", P), ("b", F), ("b", P))
    assert form_pairs(table, np.array([0, 2, 3])).tolist() == [[0, -1], [2, 3]]
    assert form_pairs(table, np.array([], np.int64)).shape == (0, 2)


def test_every_image_is_in_a_pair_of_its_own_group() -> None:
    random = np.random.default_rng(0)
    table = rows(*((str(g), (F, P)[v]) for g, v in random.integers(0, [40, 2], (200, 2))))
    found = form_pairs(table, np.arange(200))
    assert set(found.ravel().tolist()) - {-1} == set(range(200))
    for left, right in found[(found >= 0).all(axis=1)]:
        assert table["group"][left] == table["group"][right]
        assert (table["view"][left], table["view"][right]) == (F, P)
    sizes = table.groupby(["group", "view"]).size().unstack(fill_value=0).max(axis=1)
    assert len(found) == sizes.sum()


def test_a_missing_half_is_black() -> None:
    images = np.random.default_rng(0).integers(1, 256, (3, 4, 4, 3), dtype=np.uint8)
    joined = PairedImages(images, np.array([[0, 2], [-1, 1], [2, -1]]))
    assert len(joined) == 3 and joined[0].shape == (4, 8, 3)
    np.testing.assert_array_equal(joined[0], np.hstack([images[0], images[2]]))
    np.testing.assert_array_equal(joined[1], np.hstack([np.zeros_like(images[0]), images[1]]))
    batch = joined[np.array([2, 0])]
    np.testing.assert_array_equal(batch[0], np.hstack([images[2], np.zeros_like(images[0])]))
    np.testing.assert_array_equal(batch[1], joined[0])
    np.testing.assert_array_equal(joined[1:], np.stack([joined[1], joined[2]]))

    pixels = torch.from_numpy(joined[:]).permute(0, 3, 1, 2)
    assert present_halves(pixels).tolist() == [[True, True], [False, True], [True, False]]
    left, right = photographs(pixels)
    assert torch.equal(torch.cat([left, right], dim=3), pixels) and left.shape == (3, 3, 4, 4)


@pytest.fixture
def paired(cohort: Cohort) -> Cohort:
    """Of each group's two images the first is focused, the second panoramic; of the last both are focused."""
    views = [F, P] * (len(cohort) // 2)
    views[-1] = F
    return Cohort.from_rows(cohort.root, cohort.rows.assign(view=views))


def test_samples_are_images_or_whole_pairs(paired: Cohort, config: EnsembleTraining, tmp_path: Path) -> None:
    mask = np.ones(len(paired), bool)
    mask[:10] = False
    single = samples(paired, config, mask)
    np.testing.assert_array_equal(single.rows, np.arange(10, 72))
    np.testing.assert_array_equal(single.images[0], paired.images(32)[10])
    dual = config.model_copy(update={"views": "dual"})
    whole, every = samples(paired, dual, mask), samples(paired, dual, mask, whole=False)
    np.testing.assert_array_equal(whole.members, [[i, i + 1] for i in range(10, 70, 2)])
    np.testing.assert_array_equal(every.members, [*whole.members.tolist(), [70, -1], [71, -1]])
    np.testing.assert_array_equal(every.rows, [*range(10, 70, 2), 70, 71])
    np.testing.assert_array_equal(whole.images[0], np.hstack(paired.images(32)[10:12]))
