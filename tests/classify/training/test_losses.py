"""Class weights, and cross entropy with soft targets."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from morphoscope.classify.training.losses import SoftTargetLoss, class_weights

COUNTS = np.array([60, 30, 10])


def test_inverse_weights_balance() -> None:
    weights = class_weights(COUNTS, "inverse", 1.0, 0.0).numpy()
    np.testing.assert_allclose(weights * COUNTS, 100 / 3, rtol=1e-6)
    np.testing.assert_allclose(class_weights(COUNTS, "inverse", 0.0, 0.0).numpy(), 1)
    half = class_weights(COUNTS, "inverse", 0.5, 0.0).numpy()
    assert half[2] / half[0] == pytest.approx(6**0.5, rel=1e-5)
    assert (half * COUNTS).sum() == pytest.approx(100, rel=1e-5)


def test_effective_numbers_lie_between_equal_and_inverse_weights() -> None:
    # By hand, beta 0.9: (1 - 0.9^2) / 0.1 = 1.9 and (1 - 0.9^1) / 0.1 = 1.
    two, one = class_weights(np.array([2, 1]), "effective", 1.0, 0.9).tolist()
    assert one / two == pytest.approx(1.9, rel=1e-6)
    assert 2 * two + one == pytest.approx(3, rel=1e-6)
    np.testing.assert_allclose(class_weights(COUNTS, "effective", 1.0, 0.0).numpy(), 1)
    np.testing.assert_allclose(
        class_weights(COUNTS, "effective", 1.0, 1 - 1e-9).numpy(),
        class_weights(COUNTS, "inverse", 1.0, 0.0).numpy(),
        rtol=1e-5,
    )


@pytest.mark.parametrize(("smoothing", "weights"), [(0.0, [0.5, 1.0, 4.0]), (0.1, [1.0, 1.0, 1.0])])
def test_one_hot_targets_give_torchs_cross_entropy(smoothing: float, weights: list[float]) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(8, 3, generator=generator)
    labels = torch.randint(0, 3, (8,), generator=generator)
    ours = SoftTargetLoss(torch.tensor(weights), smoothing)(logits, nn.functional.one_hot(labels, 3).float())
    theirs = nn.CrossEntropyLoss(weight=torch.tensor(weights), label_smoothing=smoothing)(logits, labels)
    torch.testing.assert_close(ours, theirs)


def test_smoothing_leaves_a_certain_naevus_a_naevus() -> None:
    """The lowest loss of an image that is certainly of a frequent class is at (1 - s) of it, s/K of others.

    Weighted after smoothing, as by `nn.CrossEntropyLoss`, it would be at 0.29 of df and 0.26 of nv.
    """
    counts = np.array([183, 264, 583, 60, 491, 4323, 80])  # akiec, bcc, bkl, df, mel, nv, vasc of HAM10000
    loss = SoftTargetLoss(class_weights(counts, "inverse", 1.0, 0.0), 0.1)
    naevus = torch.eye(7)[5:6]
    lowest = torch.full((1, 7), 0.1 / 7)
    lowest[0, 5] += 0.9
    logits = lowest.log().requires_grad_()
    loss(logits, naevus).backward()
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad, torch.zeros(1, 7), atol=1e-6, rtol=0)
    assert loss(logits, naevus) < loss(torch.zeros(1, 7), naevus)


def test_smoothing_does_not_change_what_an_image_weighs() -> None:
    logits = torch.zeros(2, 3, requires_grad=True)
    SoftTargetLoss(torch.tensor([0.5, 1.0, 4.0]), 0.1)(logits, torch.eye(3)[[0, 2]]).backward()
    assert logits.grad is not None
    first, second = logits.grad.abs().sum(dim=1).tolist()
    assert second / first == pytest.approx(8, rel=1e-5)


def test_the_loss_of_a_mixture_is_the_mixture_of_its_classes_losses() -> None:
    logits = torch.tensor([[0.0, np.log(3.0)]])  # probabilities 1/4 and 3/4
    loss = SoftTargetLoss(torch.ones(2), 0.0)
    expected = 0.3 * np.log(4) + 0.7 * np.log(4 / 3)
    assert float(loss(logits, torch.tensor([[0.3, 0.7]]))) == pytest.approx(expected, rel=1e-6)
    # With class weights 2 and 1: each class's cost by its weight, over 0.3 x 2 + 0.7 x 1.
    weighted = SoftTargetLoss(torch.tensor([2.0, 1.0]), 0.0)(logits, torch.tensor([[0.3, 0.7]]))
    assert float(weighted) == pytest.approx((0.6 * np.log(4) + 0.7 * np.log(4 / 3)) / 1.3, rel=1e-6)


@given(cut=st.integers(1, 7), seed=st.integers(0, 1000))
def test_the_losses_of_a_batchs_parts_add_up(cut: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(8, 3, generator=generator)
    targets = torch.rand(8, 3, generator=generator).softmax(dim=1)
    loss = SoftTargetLoss(torch.tensor([0.5, 1.0, 4.0]), 0.1)
    weight = loss.weight(targets)
    parts = loss(logits[:cut], targets[:cut], weight) + loss(logits[cut:], targets[cut:], weight)
    torch.testing.assert_close(parts, loss(logits, targets))
