"""The CUDA kernels of grid_sample, run on a CPU, against the reference twin."""

from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from morphoscope.ops.cuda import launching
from morphoscope.ops.cuda.grid_sample import grid_sample_cuda, grid_sample_transposed_cuda
from morphoscope.ops.grid_sample import grid_sample_reference

DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16]
LAYOUTS = [torch.contiguous_format, torch.channels_last]
quickly = settings(
    deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def rand(*shape: int, seed: int, dtype: torch.dtype) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(shape, generator=generator, dtype=torch.float64).to(dtype)


@quickly
@given(
    size=st.tuples(st.integers(0, 3), st.integers(1, 4), st.integers(1, 9), st.integers(1, 9)),
    sampled=st.tuples(st.integers(0, 7), st.integers(0, 7)),
    dtype=st.sampled_from(DTYPES),
    layout=st.sampled_from(LAYOUTS),
)
def test_sampling_and_its_transpose(
    emulated_cuda: Any,
    size: tuple[int, int, int, int],
    sampled: tuple[int, int],
    dtype: torch.dtype,
    layout: torch.memory_format,
) -> None:
    n, c, h, w = size
    images = rand(*size, seed=0, dtype=dtype).to(memory_format=layout)
    grid = rand(n, *sampled, 2, seed=1, dtype=dtype) * 3 - 1.5
    wide = images.double().requires_grad_()
    expected = grid_sample_reference(wide, grid.double())
    result = grid_sample_cuda(images, grid)
    torch.testing.assert_close(result, expected.detach().to(dtype))

    u = rand(n, c, *sampled, seed=2, dtype=dtype).to(memory_format=layout)
    (gradient,) = torch.autograd.grad(expected, wide, u.double())
    torch.testing.assert_close(grid_sample_transposed_cuda(u, grid, h, w), gradient.to(dtype))


def test_many_samples_of_half_precision_on_one_pixel_are_summed_in_float32(emulated_cuda: Any) -> None:
    grid = torch.zeros(1, 100, 100, 2, dtype=torch.float16)
    u = torch.full([1, 1, 100, 100], 0.5, dtype=torch.float16)
    assert grid_sample_transposed_cuda(u, grid, 1, 1).item() == 5000


def test_nan_and_infinity_in_images_pass_and_positions_far_outside_give_zero(
    emulated_cuda: Any,
) -> None:
    inf, nan = float("inf"), float("nan")
    images = torch.tensor([[nan, 1.0], [inf, 2.0]]).reshape(1, 1, 2, 2)
    positions = [[-0.5, -0.5], [0.5, 0.5], [0.5, -0.4], [-0.5, 0.4]]
    grid = torch.tensor(positions).reshape(1, 1, 4, 2)
    result = grid_sample_cuda(images, grid)
    torch.testing.assert_close(result, grid_sample_reference(images, grid), equal_nan=True)
    outside = torch.tensor([[inf, 0.0], [-inf, 0.0], [0.0, 1e30], [nan, 0.0], [0.0, nan]]).reshape(1, 1, 5, 2)
    assert grid_sample_cuda(torch.ones(1, 1, 2, 2), outside).tolist() == [[[[0.0] * 5]]]


def test_strided_images_and_grids_and_a_small_grid_of_blocks(
    emulated_cuda: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launching, "_MOST_BLOCKS", 1)
    images = rand(4, 3, 12, 10, seed=0, dtype=torch.float32)[::2, :, 1:, ::3]
    grid = rand(2, 2, 31, 17, seed=1, dtype=torch.float32).permute(0, 2, 3, 1) * 2 - 1
    torch.testing.assert_close(grid_sample_cuda(images, grid), grid_sample_reference(images, grid))
    with pytest.raises(ValueError, match="move them to the same device"):
        grid_sample_cuda(images, grid.to("meta"))
