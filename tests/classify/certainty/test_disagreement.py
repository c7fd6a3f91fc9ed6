"""Disagreement: none where models agree, the maximum where each is certain of something else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from morphoscope.classify.certainty.disagreement import mutual_information, votes


def test_known_values() -> None:
    same = np.tile([[0.7, 0.2, 0.1]], (4, 1, 1))
    opposed = np.array([[[1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]]])
    assert mutual_information(same)[0] == pytest.approx(0, abs=1e-12)
    assert mutual_information(opposed)[0] == pytest.approx(np.log(2))
    assert votes(same, np.array([0])).tolist() == [4]
    assert votes(opposed, np.array([1])).tolist() == [1]


@given(st.integers(1, 6), st.integers(0, 999))
def test_mutual_information_is_bounded_by_the_number_of_models(folds: int, seed: int) -> None:
    per_fold = np.random.default_rng(seed).dirichlet(np.full(5, 0.3), (folds, 8))
    found = mutual_information(per_fold)
    assert found.shape == (8,) and (found >= 0).all() and (found <= np.log(folds) + 1e-9).all()
