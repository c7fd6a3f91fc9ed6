"""grid_sample against its twin and against finite differences, to the second order."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck, gradgradcheck

from morphoscope.ops.grid_sample import grid_sample, grid_sample_reference


def _inputs(
    seed: int, n: int, c: int, size: tuple[int, int], out: tuple[int, int]
) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(n, c, *size, dtype=torch.float64, generator=generator)
    grid = torch.rand(n, *out, 2, dtype=torch.float64, generator=generator) * 3 - 1.5  # a third lies outside
    return images, grid


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 3), st.integers(1, 3), st.integers(1, 7), st.integers(1, 7))
def test_agrees_with_the_reference_twin(seed: int, n: int, c: int, h: int, w: int) -> None:
    images, grid = _inputs(seed, n, c, (h, w), (w, h + 1))
    torch.testing.assert_close(grid_sample(images, grid), grid_sample_reference(images, grid))


def test_gradients_of_first_and_second_order() -> None:
    images, grid = _inputs(0, 2, 2, (5, 4), (3, 6))
    images.requires_grad_(True)
    assert gradcheck(lambda x: grid_sample(x, grid), (images,))
    assert gradgradcheck(lambda x: grid_sample(x, grid), (images,))


def test_gradient_of_gradient_equals_the_twin_under_r1() -> None:
    images, grid = _inputs(1, 2, 3, (6, 6), (5, 5))
    weight = torch.ones((), dtype=torch.float64, requires_grad=True)
    results = []
    for sample in (grid_sample, grid_sample_reference):
        x = images.clone().requires_grad_(True)
        score = (weight * sample(x, grid).pow(3)).sum()
        (dx,) = torch.autograd.grad(score, x, create_graph=True)
        results.append(torch.autograd.grad(dx.square().sum(), (x, weight)))
    torch.testing.assert_close(results[0], results[1])


def test_identity_grid_returns_the_image_and_outside_is_zero() -> None:
    images = torch.arange(12.0).reshape(1, 1, 3, 4)
    theta = torch.tensor([[[1.0, 0, 0], [0, 1, 0]]])
    grid = torch.nn.functional.affine_grid(theta, [1, 1, 3, 4], align_corners=False)
    torch.testing.assert_close(grid_sample(images, grid), images)
    assert grid_sample(images, grid + 3).abs().max() == 0
    edge = grid_sample(images + 1, torch.tensor([[[[-1.0, 0.0]]]]))  # on the edge: half of it is outside
    torch.testing.assert_close(edge, images[:, :, 1:2, :1] / 2 + 0.5)


def test_refuses_a_grid_that_asks_for_a_gradient_and_wrong_shapes() -> None:
    images = torch.zeros(2, 1, 4, 4)
    with pytest.raises(ValueError, match="detach"):
        grid_sample(images, torch.zeros(2, 4, 4, 2, requires_grad=True))
    with pytest.raises(ValueError, match=r"\[N, h, w, 2\]"):
        grid_sample(images, torch.zeros(1, 4, 4, 2))
