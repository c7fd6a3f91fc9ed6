"""Targets of training images, above all of synthetic mixtures."""

import json
from collections.abc import Callable

import numpy as np
import pytest

from morphoscope.classify.training.pool import ImagePool, class_targets
from morphoscope.cohort import Cohort
from morphoscope.configs import UserError


def test_real_images_have_their_condition_as_target(cohort: Cohort) -> None:
    targets = class_targets(cohort, cohort.conditions)
    assert targets.dtype == np.float32
    np.testing.assert_array_equal(targets, np.eye(3)[cohort.labels])
    # A column `label` of a real cohort means whatever its owner likes.
    own = Cohort.from_rows(cohort.root, cohort.rows.assign(label="3 of 7"))
    np.testing.assert_array_equal(class_targets(own, cohort.conditions), targets)


def test_a_synthetic_mixture_is_a_soft_target(cohort: Cohort, make_synthetic: Callable[..., Cohort]) -> None:
    extra = make_synthetic([], conditions=("red",), each=4)
    labels = ["", "{}", '{"red": 1.0}', '{"red": 0.25, "blue": 0.75}']
    extra = Cohort.from_rows(extra.root, extra.rows.assign(label=labels))
    expected = [[0, 0, 1], [0, 0, 1], [0, 0, 1], [0.75, 0, 0.25]]
    np.testing.assert_allclose(class_targets(extra, ["blue", "green", "red"]), expected)


def test_rounded_shares_add_up_to_one_again(make_synthetic: Callable[..., Cohort]) -> None:
    label = json.dumps({"red": 0.3333, "green": 0.3333, "blue": 0.3333})
    targets = class_targets(make_synthetic([], ("red",), 1, label=label), ["blue", "green", "red"])
    np.testing.assert_allclose(targets, 1 / 3, atol=1e-7)


@pytest.mark.parametrize(
    ("label", "problem"),
    [
        ("red", "no mixture"),
        ("[0.5, 0.5]", "no mixture"),
        ('{"red": "1"}', "no mixture"),
        ('{"red": 0.5, "blue": 0.4}', "no mixture"),
        ('{"red": 1.5, "blue": -0.5}', "no mixture"),
        ('{"red": NaN}', "no mixture"),
        ('{"red": 0.5, "purple": 0.5}', "names purple.*blue, green, red"),
        ('{"green": 1.0}', "gives its condition, red, no share"),
    ],
)
def test_labels_that_are_no_mixture_are_named(
    make_synthetic: Callable[..., Cohort], label: str, problem: str
) -> None:
    extra = make_synthetic([], ("red",), 2, label=label)
    with pytest.raises(
        UserError, match=rf"label of red-0\.png {problem.replace('no mixture', 'is no mixture')}"
    ):
        class_targets(extra, ["blue", "green", "red"])


def test_a_pool_numbers_images_of_several_arrays() -> None:
    arrays = [
        np.full((n, 2, 2, 3), start, np.uint8) + np.arange(n, dtype=np.uint8)[:, None, None, None]
        for n, start in ((3, 10), (2, 20))
    ]
    targets = [np.eye(3, dtype=np.float32), np.array([[0.4, 0.6, 0], [0, 0, 1]], np.float32)]
    chosen = [np.array([2, 0]), np.array([0])]
    pool = ImagePool.of(list(zip(arrays, targets, chosen, strict=True)))
    assert [int(pool.image(i)[0, 0, 0]) for i in range(len(pool))] == [12, 10, 20]
    assert pool.labels.tolist() == [2, 0, 1]
    np.testing.assert_array_equal(pool.targets[2], np.float32([0.4, 0.6, 0]))


def test_a_balanced_pool_repeats_the_images_of_smaller_classes_in_turn() -> None:
    targets = np.eye(2, dtype=np.float32)[[0, 1, 1, 1, 0, 1, 1]]
    images = np.arange(7, dtype=np.uint8).repeat(3).reshape(7, 1, 1, 3)
    pool = ImagePool.of([(images, targets, np.arange(7))]).balanced()
    shown = [int(pool.image(i)[0, 0, 0]) for i in range(len(pool))]
    assert shown == [0, 4, 0, 4, 0, 1, 2, 3, 5, 6]
    assert pool.targets.sum(axis=0).tolist() == [5, 5]
