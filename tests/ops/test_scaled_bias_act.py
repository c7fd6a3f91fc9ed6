"""Scale, noise, bias and activation in one pass: values and derivatives against the reference's steps."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck, gradgradcheck

from morphoscope.ops import backend
from morphoscope.ops.activations import Activation, parse_activation
from morphoscope.ops.bias_act import bias_act_reference
from morphoscope.ops.scaled_bias_act import one_pass, scale_channels, scaled_bias_act

PIECEWISE_LINEAR = ["linear", "relu", "lrelu"]


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def images(*shape: int, seed: int = 0) -> torch.Tensor:
    return random(*shape, seed=seed).contiguous(memory_format=torch.channels_last)


def steps(
    x: torch.Tensor,
    scale: torch.Tensor | None,
    noise: torch.Tensor | None,
    b: torch.Tensor | None,
    activation: Activation,
) -> torch.Tensor:
    if scale is not None:
        x = x * scale[:, :, None, None]
    if noise is not None:
        x = x + noise.unsqueeze(-3)
    return bias_act_reference(x, b, 1, activation)


@settings(max_examples=100, deadline=None)
@given(
    st.tuples(st.integers(1, 3), st.sampled_from([1, 2, 3, 8, 16, 37]), *[st.integers(1, 33)] * 2),
    st.tuples(*[st.booleans()] * 3),
    st.sampled_from(["shared", "broadcast", "per sample"]),
    st.sampled_from(PIECEWISE_LINEAR),
    st.sampled_from([None, 0.8]),
    st.sampled_from([torch.float32, torch.float64]),
    st.integers(0, 1000),
)
def test_values_and_gradients_are_those_of_the_steps(
    size: tuple[int, int, int, int],
    given: tuple[bool, bool, bool],
    noise_of: str,
    act: str,
    clamp: float | None,
    dtype: torch.dtype,
    seed: int,
) -> None:
    n, c, height, width = size
    noise_shape = {
        "shared": (height, width),
        "broadcast": (1, height, width),
        "per sample": (n, height, width),
    }
    activation = parse_activation(act, None, None, clamp)
    operands = [images(*size, seed=seed).to(dtype)] + [
        random(*shape, seed=seed + 1).to(dtype) if wanted else None
        for shape, wanted in zip([(n, c), noise_shape[noise_of], (c,)], given, strict=True)
    ]
    u = random(*size, seed=seed + 2)
    found = []
    for run, of in (scaled_bias_act, dtype), (steps, torch.float64):
        inputs = [None if t is None else t.to(of).requires_grad_() for t in operands]
        y = run(*inputs, activation)
        wanted = [t for t in inputs if t is not None]
        found.append([y.double(), *(g.double() for g in torch.autograd.grad(y, wanted, u.to(of)))])
    tolerance = 1e-5 if dtype == torch.float32 else 1e-12
    for native, expected in zip(*found, strict=True):
        if dtype == torch.float32 and clamp is not None:  # a result may be rounded to the limit
            assert ((native - expected).abs() > 1e-3).double().mean() < 0.02
            continue
        torch.testing.assert_close(native, expected, rtol=tolerance, atol=tolerance * u.numel() ** 0.5)


@pytest.mark.parametrize("act", PIECEWISE_LINEAR)
@pytest.mark.parametrize("samples", [1, 2])
def test_derivatives_of_first_and_second_order(act: str, samples: int) -> None:
    activation = parse_activation(act, None, None, 2.0)
    operands = [images(2, 3, 3, 2), random(2, 3, seed=1), random(samples, 3, 2, seed=2), random(3, seed=3)]

    def run(*inputs: torch.Tensor) -> torch.Tensor:
        x, *others = inputs
        return scaled_bias_act(x.contiguous(memory_format=torch.channels_last), *others, activation)

    for t in operands:
        t.requires_grad_()
    assert gradcheck(run, operands)
    assert gradgradcheck(run, operands)


def test_gradients_that_nobody_asks_for_are_none() -> None:
    x, scale = images(2, 16, 4, 4), random(2, 16, seed=1).requires_grad_()
    (found,) = torch.autograd.grad(scale_channels(x, scale).sum(), scale)
    torch.testing.assert_close(found, x.sum(dim=[2, 3]))


def test_the_same_bits_on_any_number_of_threads() -> None:
    threads, found = torch.get_num_threads(), []
    for count in (1, 3):
        torch.set_num_threads(count)
        x, scale = images(3, 24, 65, 65).float().requires_grad_(), random(3, 24).float().requires_grad_()
        y = scaled_bias_act(x, scale, random(65, 65).float(), None, parse_activation("lrelu", None, None, 2))
        found.append((y, *torch.autograd.grad(y.square().sum(), [x, scale])))
    torch.set_num_threads(threads)
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_nan_and_infinities_give_what_they_give_in_the_steps(bad: float) -> None:
    x = images(1, 9, 6, 7)
    x[0, 4, 2, 3] = bad
    activation = parse_activation("lrelu", None, None, 2.0)
    operands = x, random(1, 9, seed=1), None, torch.ones(9, dtype=torch.float64)
    expected = steps(*operands, activation)
    torch.testing.assert_close(scaled_bias_act(*operands, activation), expected, equal_nan=True)


def test_one_pass_is_for_channels_last_on_a_cpu_and_piecewise_linear_activations() -> None:
    x = images(2, 3, 4, 4)
    assert one_pass(x)
    assert not one_pass(x.contiguous())
    assert not one_pass(x.half())
    assert not one_pass(x, parse_activation("swish", None, None, None))
    with backend("reference"):
        assert not one_pass(x)


def test_the_operations_keep_torchs_rules() -> None:
    x, scale, b = images(2, 5, 4, 3).requires_grad_(), random(2, 5).requires_grad_(), random(5)
    operations = torch.ops.morphoscope
    torch.library.opcheck(operations.scaled_bias_act, (x, scale, None, b, "lrelu", 0.2, 1.4, -1.0))
    torch.library.opcheck(operations.channel_products, (x, images(2, 5, 4, 3, seed=1).requires_grad_()))
    u = images(2, 5, 4, 3, seed=2)
    torch.library.opcheck(
        operations.scaled_bias_act_gradients, (u, x.detach(), None, scale.detach(), "linear", 0.0, 1.0, -1.0)
    )
