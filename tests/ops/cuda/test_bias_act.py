"""The CUDA kernels of bias_act, run on a CPU, against the reference twin."""

from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from morphoscope.ops.activations import ACTIVATIONS, Activation
from morphoscope.ops.bias_act import bias_act_reference
from morphoscope.ops.cuda import launching
from morphoscope.ops.cuda.bias_act import bias_act_cuda, bias_act_derivative_cuda

DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16]
PIECEWISE_LINEAR = ["linear", "relu", "lrelu"]
LAYOUTS = [torch.contiguous_format, torch.channels_last]
quickly = settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def randn(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


def reference(x: torch.Tensor, b: torch.Tensor | None, dim: int, *options: Any) -> torch.Tensor:
    y = bias_act_reference(x.double(), None if b is None else b.double(), dim, Activation(*options))
    return y.to(x.dtype)


def derivative(
    order: int, u: torch.Tensor, x: torch.Tensor, b: torch.Tensor, dim: int, *options: Any
) -> torch.Tensor:
    """u times the derivative of the twin, by autograd in float64."""
    wide = x.double().requires_grad_()
    y = bias_act_reference(wide, b.double(), dim, Activation(*options))
    for _ in range(order):
        (y,) = torch.autograd.grad(y.sum(), wide, create_graph=True, materialize_grads=True)
        y = y + 0 * wide  # so that a constant slope has a derivative too
    return (u.double() * y).detach().to(x.dtype)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("act", ACTIVATIONS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_activation_and_type(
    emulated_cuda: Any, dtype: torch.dtype, act: str, layout: torch.memory_format
) -> None:
    x = randn(2, 8, 4, 4, dtype=dtype).to(memory_format=layout)
    b = randn(8, seed=1)
    y = bias_act_cuda(x, b, 1, act, 0.3, 1.7, 1.1)
    assert y.stride() == x.stride()
    torch.testing.assert_close(y, reference(x, b, 1, act, 0.3, 1.7, 1.1))
    assert emulated_cuda.launched == [f"bias_act_0_{str(dtype).removeprefix('torch.')}"]


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("act", ACTIVATIONS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_derivatives_of_every_activation_and_type(
    emulated_cuda: Any, dtype: torch.dtype, act: str, order: int
) -> None:
    x, u, b = randn(2, 8, 4, 4, dtype=dtype) * 2, randn(2, 8, 4, 4, seed=1, dtype=dtype), randn(8, seed=2)
    for clamp in (-1.0, 1.25):  # exact in every dtype
        options = (1, act, 0.3, 1.7, clamp)
        result = bias_act_derivative_cuda(u, x, b, *options, order, False)
        torch.testing.assert_close(result, derivative(order, u, x, b, *options))


@pytest.mark.parametrize("act", PIECEWISE_LINEAR)
@pytest.mark.parametrize("dtype", DTYPES)
def test_derivative_from_the_output(emulated_cuda: Any, dtype: torch.dtype, act: str) -> None:
    x, u, b = randn(3, 8, 5, dtype=dtype), randn(3, 8, 5, seed=1, dtype=dtype), randn(8, seed=2)
    options = (1, act, 0.3, 1.7, 0.9)  # a clamp that half types round
    y = bias_act_cuda(x, b, *options)
    for order in (1, 2):
        result = bias_act_derivative_cuda(u, y, None, *options, order, True)
        torch.testing.assert_close(result, bias_act_derivative_cuda(u, x, b, *options, order, False))


@pytest.mark.parametrize("act", ACTIVATIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_nan_and_infinity_pass_as_in_the_reference(emulated_cuda: Any, dtype: torch.dtype, act: str) -> None:
    inf = float("inf")
    x = torch.tensor([0.0, -0.0, inf, -inf, float("nan"), 3.0, -3.0, 100.0, -100.0], dtype=dtype)
    for clamp in (-1.0, 2.0):
        activation = Activation(act, 0.2, 1.5, clamp)
        expected = bias_act_reference(x.float(), None, 0, activation).to(dtype)
        torch.testing.assert_close(bias_act_cuda(x, None, 0, *activation), expected, equal_nan=True)


def test_infinite_gradients_stop_where_an_activation_is_flat(emulated_cuda: Any) -> None:
    x = torch.tensor([-1.0, 1.0, 5.0])
    u = torch.full_like(x, float("inf"))
    result = bias_act_derivative_cuda(u, x, None, 0, "relu", 0.0, 1.0, 2.0, 1, False)
    assert result.tolist() == [0.0, float("inf"), 0.0]


@quickly
@given(
    shape=st.lists(st.integers(0, 7), min_size=1, max_size=4),
    dim=st.integers(0, 3),
    permuted=st.booleans(),
    shift=st.integers(0, 3),
    dtype=st.sampled_from(DTYPES),
)
def test_any_shape_axis_and_memory_order(
    emulated_cuda: Any, shape: list[int], dim: int, permuted: bool, shift: int, dtype: torch.dtype
) -> None:
    dim %= len(shape)
    count = torch.Size(shape).numel()
    x = randn(shift + count, dtype=dtype)[shift:].reshape(shape)  # with any alignment
    if permuted:
        x = x.permute(*reversed(range(len(shape))))
    b = randn(x.shape[dim] + shift, seed=1)[shift:]
    y = bias_act_cuda(x, b, dim, "lrelu", 0.2, 1.5, 1.0)
    torch.testing.assert_close(y, reference(x, b, dim, "lrelu", 0.2, 1.5, 1.0))
    result = bias_act_derivative_cuda(x, x, b, dim, "lrelu", 0.2, 1.5, 1.0, 1, False)
    torch.testing.assert_close(result, derivative(1, x, x, b, dim, "lrelu", 0.2, 1.5, 1.0))


def test_strided_tensors_and_a_gradient_in_another_memory_order(emulated_cuda: Any) -> None:
    x = randn(2, 6, 8, 10)[:, ::2, :, 1::3]
    u = randn(2, 3, 8, 3, seed=1).to(memory_format=torch.channels_last)
    b = randn(3, seed=2)
    options = (1, "swish", 0.0, 1.0, -1.0)
    torch.testing.assert_close(bias_act_cuda(x, b, *options), reference(x, b, *options))
    result = bias_act_derivative_cuda(u, x, b, *options, 1, False)
    torch.testing.assert_close(result, derivative(1, u, x, b, *options))


def test_a_small_grid_of_blocks_loops(emulated_cuda: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launching, "_MOST_BLOCKS", 1)
    x, b = randn(5, 3, 17, 11), randn(3, seed=1)
    options = (1, "lrelu", 0.2, 1.0, -1.0)
    torch.testing.assert_close(bias_act_cuda(x, b, *options), reference(x, b, *options))


def test_operands_on_different_devices_are_errors(emulated_cuda: Any) -> None:
    with pytest.raises(ValueError, match="One operand is on meta, the other on cpu"):
        bias_act_cuda(randn(2, 3), torch.empty(3, device="meta"), 1, "linear", 0.0, 1.0, -1.0)
