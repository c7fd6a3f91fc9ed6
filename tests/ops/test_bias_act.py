"""bias_act: known values, derivatives to the second order, and what it refuses."""

from math import exp, log, sqrt, tanh

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck, gradgradcheck

from morphoscope.ops import bias_act
from morphoscope.ops.bias_act import ACTIVATIONS

SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
# f(-1), f(2) and the default gain, by the activations' definitions.
KNOWN = {
    "linear": (-1, 2, 1),
    "relu": (0, 2, sqrt(2)),
    "lrelu": (-0.2, 2, sqrt(2)),
    "tanh": (tanh(-1), tanh(2), 1),
    "sigmoid": (1 / (1 + exp(1)), 1 / (1 + exp(-2)), 1),
    "elu": (exp(-1) - 1, 2, 1),
    "selu": (SELU_SCALE * SELU_ALPHA * (exp(-1) - 1), SELU_SCALE * 2, 1),
    "softplus": (log(1 + exp(-1)), log(1 + exp(2)), 1),
    "swish": (-1 / (1 + exp(1)), 2 / (1 + exp(-2)), sqrt(2)),
}


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    x = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return x + 0.1 * x.sign()  # away from the kink at 0, where finite differences fail


def test_the_activations_are_those_of_the_table() -> None:
    assert set(ACTIVATIONS) == set(KNOWN)


@pytest.mark.parametrize("act", KNOWN)
def test_known_values_and_default_gains(act: str) -> None:
    x = torch.tensor([[-1.0, 2.0]], dtype=torch.float64)
    *values, gain = KNOWN[act]
    expected = torch.tensor([values], dtype=torch.float64)
    torch.testing.assert_close(bias_act(x, act=act, gain=1), expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(bias_act(x, act=act), expected * gain, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("act", ["lrelu", "swish", "selu", "tanh"])
def test_the_gain_keeps_about_unit_variance(act: str) -> None:
    """For relu and its kin exactly 1 in mean square; none of them drifts by more than a factor of two."""
    y = bias_act(torch.randn(100_000, 1, generator=torch.Generator().manual_seed(0)), act=act)
    assert 0.35 < y.square().mean() < 1.15


@pytest.mark.parametrize("clamp", [None, 1.3])
@pytest.mark.parametrize("act", KNOWN)
def test_gradients_of_first_and_second_order(act: str, clamp: float | None) -> None:
    x, b = random(3, 4).requires_grad_(), 0.01 * random(4, seed=1).requires_grad_()

    def run(x: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return bias_act(x, b, act=act, clamp=clamp)

    assert gradcheck(run, (x, b))
    assert gradgradcheck(run, (x, b))


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 3),
    st.integers(0, 3),
    st.sampled_from(sorted(KNOWN)),
    st.floats(0.1, 4),
    st.one_of(st.none(), st.floats(0, 2)),
    st.integers(0, 1000),
)
def test_is_bias_then_activation_then_gain_then_clamp(
    ndim: int, dim: int, act: str, gain: float, clamp: float | None, seed: int
) -> None:
    dim %= ndim
    x = random(*range(2, 2 + ndim), seed=seed)
    b = random(x.shape[dim], seed=seed + 1)
    shape = [1] * ndim
    shape[dim] = -1
    activated = bias_act(x + b.reshape(shape), act=act, gain=1)
    expected = activated * gain
    if clamp is not None:
        expected = expected.clamp(-clamp, clamp)
    torch.testing.assert_close(bias_act(x, b, dim, act, gain=gain, clamp=clamp), expected)
    torch.testing.assert_close(bias_act(x, b, dim - ndim, act, gain=gain, clamp=clamp), expected)


def test_alpha_is_the_slope_of_lrelu() -> None:
    x = torch.tensor([-2.0, 3.0])
    assert bias_act(x, dim=0, act="lrelu", alpha=0.5, gain=1).tolist() == [-1, 3]
    assert bias_act(x, dim=0, act="lrelu", alpha=0.0, gain=1).tolist() == [0, 3]


def test_clamp_is_symmetric_and_passes_no_gradient_at_or_beyond_it() -> None:
    x = torch.tensor([-5.0, -3.0, -2.0, 2.0, 3.0, 5.0], requires_grad=True)
    y = bias_act(x, dim=0, gain=2, clamp=6)
    y.sum().backward()
    assert y.tolist() == [-6, -6, -4, 4, 6, 6]
    assert x.grad is not None
    assert x.grad.tolist() == [0, 0, 2, 2, 0, 0]
    assert bias_act(x, dim=0, clamp=-1).tolist() == x.tolist(), "a negative clamp is none"


@pytest.mark.parametrize("clamp", [None, 1.0])
@pytest.mark.parametrize("act", KNOWN)
def test_nan_passes_through(act: str, clamp: float | None) -> None:
    """A training that diverges must show it, not hide it behind the clamp."""
    y = bias_act(torch.tensor([[float("nan"), 0.1]]), torch.zeros(2), act=act, clamp=clamp)
    assert y.isnan().tolist() == [[True, False]]


def test_bias_takes_the_images_precision() -> None:
    y = bias_act(torch.ones(1, 2, dtype=torch.float16), torch.ones(2), act="linear")
    assert y.dtype == torch.float16
    assert y.tolist() == [[2, 2]]


def test_what_it_refuses() -> None:
    x = torch.zeros(2, 3, 4, 4)
    with pytest.raises(ValueError, match="Unknown activation 'gelu'; choose one of linear, relu, lrelu"):
        bias_act(x, act="gelu")
    with pytest.raises(ValueError, match=r"The bias has shape \(4,\); axis 1 of x needs \(3,\)"):
        bias_act(x, torch.zeros(4))
    with pytest.raises(ValueError, match=r"shape \(3, 1\)"):
        bias_act(x, torch.zeros(3, 1))
