"""Modulated convolution: both implementations, demodulation, half precision, gradients."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck, gradgradcheck

from morphoscope.ops import backend, modulated_conv2d, setup_filter
from morphoscope.ops.modulated_conv2d import demodulation, modulated_conv2d_grouped
from morphoscope.ops.modulation import weight_energy


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=50, deadline=None)
@given(
    st.integers(1, 3),
    st.integers(1, 4),
    st.integers(1, 4),
    st.sampled_from([1, 3]),
    st.sampled_from([(1, 1), (2, 1), (1, 2)]),
    st.booleans(),
    st.booleans(),
    st.integers(0, 1000),
)
def test_the_grouped_twin_gives_the_same(
    n: int, i: int, o: int, k: int, resampling: tuple[int, int], demodulate: bool, correlated: bool, seed: int
) -> None:
    x, w, s = random(n, i, 6, 5, seed=seed), random(o, i, k, k, seed=seed + 1), random(n, i, seed=seed + 2)
    options = {
        "f": setup_filter([1, 3, 3, 1]),
        "up": resampling[0],
        "down": resampling[1],
        "padding": k // 2,
        "demodulate": demodulate,
        "weight_is_correlated": correlated,
    }
    scaled = modulated_conv2d(x, w, s, **options)
    torch.testing.assert_close(scaled, modulated_conv2d_grouped(x, w, s, **options))
    with backend("reference"):
        torch.testing.assert_close(scaled, modulated_conv2d(x, w, s, **options))


def test_each_sample_has_its_own_weights() -> None:
    """The definition, sample by sample: w' = w · s, divided by its norm over inputs and taps."""
    x, w, s = random(3, 4, 5, 5), random(2, 4, 3, 3, seed=1), random(3, 4, seed=2)
    for demodulate in (False, True):
        y = modulated_conv2d(x, w, s, padding=1, demodulate=demodulate)
        for sample in range(3):
            weights = w * s[sample][None, :, None, None]
            if demodulate:
                weights = weights / (weights.square().sum(dim=[1, 2, 3], keepdim=True) + 1e-8).sqrt()
            torch.testing.assert_close(y[sample], F.conv2d(x[sample], weights, padding=1))


def test_demodulated_noise_has_unit_variance_whatever_the_style() -> None:
    x, w = random(1, 32, 64, 64), random(8, 32, 3, 3, seed=1)
    for scale in (0.01, 1.0, 100.0):
        y = modulated_conv2d(x, w, scale * random(1, 32, seed=2).abs())
        assert y.var().item() == pytest.approx(1, abs=0.1)


@settings(max_examples=20, deadline=None)
@given(st.floats(0.01, 100), st.integers(0, 1000))
def test_demodulation_undoes_the_scale_of_a_style(scale: float, seed: int) -> None:
    x, w, s = random(2, 3, 4, 4, seed=seed), random(5, 3, 3, 3, seed=seed + 1), random(2, 3, seed=seed + 2)
    s = s + s.sign()
    y, scaled = (modulated_conv2d(x, w, style, padding=1) for style in (s, scale * s))
    torch.testing.assert_close(
        y, scaled, rtol=1e-3, atol=1e-4
    )  # not exactly, because of the 1e-8 under the root
    plain, scaled = (modulated_conv2d(x, w, t, padding=1, demodulate=False) for t in (s, scale * s))
    torch.testing.assert_close(plain * scale, scaled)


def test_demodulation_of_a_known_weight() -> None:
    w, s = torch.full((2, 3, 1, 1), 2.0), torch.tensor([[1.0, 2.0, 2.0]])
    torch.testing.assert_close(
        demodulation(weight_energy(w), s), torch.full((1, 2), 1 / 6)
    )  # |w · s| = 2 · sqrt(1 + 4 + 4)
    assert torch.isfinite(demodulation(weight_energy(w), torch.zeros(1, 3))).all()


@pytest.mark.parametrize("execution", [modulated_conv2d, modulated_conv2d_grouped])
@pytest.mark.parametrize("demodulate", [True, False])
@pytest.mark.parametrize("up", [1, 2])
def test_gradients_of_first_and_second_order(execution, demodulate: bool, up: int) -> None:  # type: ignore[no-untyped-def]
    x, w, s = random(2, 2, 3, 2), random(2, 2, 3, 3, seed=1), random(2, 2, seed=2)
    f = setup_filter([1, 3, 3, 1])

    def run(x: torch.Tensor, w: torch.Tensor, s: torch.Tensor) -> torch.Tensor:
        return execution(x, w, s, f, up=up, padding=1, demodulate=demodulate)

    inputs = tuple(tensor.requires_grad_() for tensor in (x, w, s))
    assert gradcheck(run, inputs, fast_mode=True)
    assert gradgradcheck(run, inputs, fast_mode=True)


@pytest.mark.parametrize("scale", [1.0, 1e4, 1e-4])
def test_half_precision_neither_overflows_nor_drifts(scale: float) -> None:
    x, w, s = random(2, 64, 6, 6), random(8, 64, 3, 3, seed=1), scale * random(2, 64, seed=2)
    expected = modulated_conv2d(x, w, s, padding=1)
    y = modulated_conv2d(x.half(), w.float(), s.float(), padding=1)
    assert y.dtype == torch.float16
    torch.testing.assert_close(y.double(), expected, rtol=0.02, atol=0.02)


def test_half_precision_survives_a_style_and_a_filter_of_zeros() -> None:
    x, w, s = torch.ones(2, 4, 5, 5).half(), torch.ones(3, 4, 3, 3), torch.ones(2, 4)
    w[1], s[0] = 0, 0
    y = modulated_conv2d(x, w, s, padding=1)
    assert torch.isfinite(y).all()
    assert (y[0] == 0).all()
    assert (y[1, 1] == 0).all()


@pytest.mark.parametrize("up", [1, 2])
def test_second_derivatives_of_one_input_channel_are_as_exact_as_in_the_reference(up: int) -> None:
    """The style then scales what demodulation divides by: its gradients are differences that cancel."""
    f = setup_filter([1, 3, 3, 1]) if up == 2 else None

    def second_derivatives(dtype: torch.dtype, seed: int) -> list[torch.Tensor]:
        x, w, s = (
            random(2, 1, 6, 6, seed=seed),
            random(4, 1, 3, 3, seed=seed + 1),
            random(2, 1, seed=seed + 2),
        )
        inputs = [tensor.float().to(dtype).requires_grad_() for tensor in (x, w, s)]
        y = modulated_conv2d(*inputs, f, up=up, padding=1)
        weights = torch.arange(y.numel()).sin().reshape(y.shape).to(dtype).requires_grad_()
        first = torch.autograd.grad(y, inputs, weights, create_graph=True)
        positions = [torch.arange(g.numel()).cos().reshape(g.shape).to(dtype) for g in first]
        return list(torch.autograd.grad(first, [weights, *inputs], positions))

    errors = {}
    for name in ("auto", "reference"):
        worst = torch.zeros(4, dtype=torch.float64)
        for seed in range(0, 90, 3):
            with backend("reference"):
                truth = second_derivatives(torch.float64, seed)
            with backend(name):
                ours = second_derivatives(torch.float32, seed)
            pairs = zip(ours, truth, strict=True)
            worst += torch.stack([(a - b).abs().max() for a, b in pairs]) / 30
        errors[name] = worst
    assert (errors["auto"] < 1.5 * errors["reference"]).all(), errors
