"""grid_sample against plain indexing and finite differences, to the second order, and its kernels."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck, gradgradcheck

from morphoscope.ops import backend
from morphoscope.ops.grid_sample import grid_sample, grid_sample_reference

DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16]
TOLERANCES = {torch.float32: 1e-5, torch.float64: 1e-12, torch.float16: 4e-3, torch.bfloat16: 4e-2}
LAYOUTS = ["contiguous", "channels last", "reversed axes", "sliced", "some channels", "expanded"]


def by_indexing(images: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
    """The definition: the weighted sum of those of the four neighbours that lie inside the image."""
    n, c, h, w = images.shape
    x = ((grid[..., 0] + 1) * w - 1) / 2
    y = ((grid[..., 1] + 1) * h - 1) / 2
    flat = images.reshape(n, c, h * w)
    result = images.new_zeros(n, c, *grid.shape[1:3])
    for column, weight_x in ((x.floor(), 1 - (x - x.floor())), (x.floor() + 1, (x - x.floor()))):
        for row, weight_y in ((y.floor(), 1 - (y - y.floor())), (y.floor() + 1, (y - y.floor()))):
            inside = (column >= 0) & (column < w) & (row >= 0) & (row < h)
            index = (row.clamp(0, h - 1) * w + column.clamp(0, w - 1)).long()
            values = flat.gather(2, index.flatten(1)[:, None].expand(-1, c, -1)).reshape(result.shape)
            result = result + values * (weight_x * weight_y * inside)[:, None]
    return result


def laid_out(x: torch.Tensor, layout: str) -> torch.Tensor:
    """The same images in another memory order, or as a view of a larger tensor."""
    if layout == "channels last":
        return x.contiguous(memory_format=torch.channels_last)
    if layout == "reversed axes":
        return x.permute(3, 2, 1, 0).contiguous().permute(3, 2, 1, 0)
    if layout == "sliced":
        return torch.nn.functional.pad(x, [1, 2, 2, 0])[:, :, 2:, 1:-2]
    if layout == "some channels":
        wide = torch.nn.functional.pad(x, [1, 0, 0, 1, 2, 1])
        return wide.contiguous(memory_format=torch.channels_last)[:, 2:-1, :-1, 1:]
    if layout == "expanded":
        return x[:1].expand(x.shape)
    return x.contiguous()


def _inputs(
    seed: int, n: int, c: int, size: tuple[int, int], out: tuple[int, int]
) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(n, c, *size, dtype=torch.float64, generator=generator)
    grid = torch.rand(n, *out, 2, dtype=torch.float64, generator=generator) * 3 - 1.5  # a third is outside
    return images, grid


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 3), st.integers(1, 3), st.integers(1, 7), st.integers(1, 7))
def test_both_executions_agree_with_plain_indexing(seed: int, n: int, c: int, h: int, w: int) -> None:
    images, grid = _inputs(seed, n, c, (h, w), (w, h + 1))
    for name in ("native", "reference"):
        with backend(name):
            torch.testing.assert_close(grid_sample(images, grid), by_indexing(images, grid))


@settings(max_examples=200, deadline=None)
@given(
    st.tuples(st.integers(1, 5), st.sampled_from([1, 2, 3, 4, 7, 8, 13, 16, 33])),
    st.tuples(st.integers(1, 20), st.integers(1, 20)),
    st.tuples(st.integers(1, 20), st.integers(1, 20)),
    st.floats(0.1, 2),
    st.sampled_from(DTYPES),
    st.sampled_from(LAYOUTS),
    st.sampled_from(LAYOUTS),
    st.integers(0, 1000),
)
def test_kernels_agree_with_the_reference(
    batch: tuple[int, int],
    size: tuple[int, int],
    out: tuple[int, int],
    spread: float,
    dtype: torch.dtype,
    layout: str,
    gradient_layout: str,
    seed: int,
) -> None:
    """Values, gradients and memory order; the reference computes in float64."""
    images, grid = _inputs(seed, *batch, size, out)
    images, grid = images.to(dtype), (grid * spread).to(dtype)
    x = laid_out(images, layout).detach().requires_grad_()
    exact = x.detach().double().requires_grad_()
    with backend("native"):
        y = grid_sample(x, grid)
    expected = by_indexing(exact, grid.double())
    tolerance = TOLERANCES[dtype]
    # Rounding of float32 positions by one ulp changes the weights of neighbouring pixels.
    torch.testing.assert_close(y.double(), expected, rtol=tolerance, atol=4 * tolerance)
    assert y.dtype == dtype
    if size != (1, 1) and layout != "reversed axes":  # the memory order of single pixels is ambiguous
        last = batch[1] > 1 and layout in ("channels last", "some channels")
        assert y.is_contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)
    u = laid_out(
        torch.randn(y.shape, generator=torch.Generator().manual_seed(seed)).to(dtype), gradient_layout
    )
    (dx,) = torch.autograd.grad(y, x, u)
    (expected_dx,) = torch.autograd.grad(expected, exact, u.double())
    scale = max(1.0, expected_dx.abs().max().item()) if expected_dx.numel() else 1.0
    torch.testing.assert_close(dx.double(), expected_dx, rtol=tolerance, atol=8 * tolerance * scale)


@pytest.mark.parametrize("execution", ["native", "reference"])
def test_gradients_of_first_and_second_order(execution: str) -> None:
    images, grid = _inputs(0, 2, 2, (5, 4), (3, 6))
    images.requires_grad_(True)
    with backend(execution):
        assert gradcheck(lambda x: grid_sample(x, grid), (images,))
        assert gradgradcheck(lambda x: grid_sample(x, grid), (images,))


@pytest.mark.parametrize("sample", [grid_sample, grid_sample_reference])
def test_gradient_of_gradient_equals_plain_indexing_under_r1(sample) -> None:
    images, grid = _inputs(1, 2, 3, (6, 6), (5, 5))
    weight = torch.ones((), dtype=torch.float64, requires_grad=True)
    results = []
    for execution in (sample, by_indexing):
        x = images.clone().requires_grad_(True)
        score = (weight * execution(x, grid).pow(3)).sum()
        (dx,) = torch.autograd.grad(score, x, create_graph=True)
        results.append(torch.autograd.grad(dx.square().sum(), (x, weight)))
    torch.testing.assert_close(results[0], results[1])


@pytest.mark.parametrize("execution", ["native", "reference"])
def test_identity_grid_returns_the_image_and_outside_is_zero(execution: str) -> None:
    images = torch.arange(12.0).reshape(1, 1, 3, 4)
    theta = torch.tensor([[[1.0, 0, 0], [0, 1, 0]]])
    grid = torch.nn.functional.affine_grid(theta, [1, 1, 3, 4], align_corners=False)
    with backend(execution):
        torch.testing.assert_close(grid_sample(images, grid), images)
        assert grid_sample(images, grid + 3).abs().max() == 0
        on_the_edge = torch.tensor([[[[-1.0, 0.0]]]])  # half of it is outside
        edge = grid_sample(images + 1, on_the_edge)
    torch.testing.assert_close(edge, images[:, :, 1:2, :1] / 2 + 0.5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("layout", ["contiguous", "channels last"])
@pytest.mark.parametrize("channels", [1, 3, 9])
def test_nan_and_infinities_give_what_they_give_in_the_reference(
    channels: int, layout: str, dtype: torch.dtype
) -> None:
    """In images they reach the samples around them; positions of NaN give NaN."""
    images, grid = _inputs(3, 2, channels, (9, 11), (20, 17))
    images[0, 0, 4, 5], images[1, 0, 0, 0], images[0, 0, 8, 10] = float("nan"), float("inf"), -float("inf")
    positions = [float("nan"), float("inf"), -float("inf"), 1e30, -1e30, 3e9, -3e9, 1.0, -1.0]
    for i, position in enumerate(positions):
        grid[1, i, 3, 0] = position
        grid[1, i, 5, 1] = position
        grid[1, i, 7] = position
    images, grid = laid_out(images.to(dtype), layout), grid.to(dtype)
    results = []
    for name in ("native", "reference"):
        with backend(name):
            results.append(grid_sample(images, grid))
    torch.testing.assert_close(results[0], results[1], equal_nan=True, rtol=1e-4, atol=1e-4)
    x = torch.zeros_like(images).requires_grad_()
    with backend("native"):
        (dx,) = torch.autograd.grad(grid_sample(x, grid).sum(), x)
    finite = grid.nan_to_num(nan=9, posinf=9, neginf=9)
    (expected,) = torch.autograd.grad(by_indexing(x, finite).sum(), x)
    torch.testing.assert_close(dx, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("execution", ["native", "reference"])
@pytest.mark.parametrize(("n", "out"), [(0, (3, 6)), (2, (0, 6)), (2, (3, 0))])
def test_empty_tensors(execution: str, n: int, out: tuple[int, int]) -> None:
    images, grid = _inputs(0, n, 2, (5, 4), out)
    images.requires_grad_()
    with backend(execution):
        y = grid_sample(images, grid)
    assert y.shape == (n, 2, *out)
    (dx,) = torch.autograd.grad(y.sum(), images)
    assert torch.equal(dx, torch.zeros_like(images))


@pytest.mark.parametrize("layout", ["contiguous", "channels last"])
@pytest.mark.parametrize("batch", [(1, 3), (1, 33), (3, 6), (9, 16)])
def test_the_same_bits_on_any_number_of_threads(batch: tuple[int, int], layout: str) -> None:
    images, grid = _inputs(5, *batch, (70, 60), (80, 77))
    x, threads, results = laid_out(images.float(), layout).requires_grad_(), torch.get_num_threads(), []
    for count in (1, 3):
        torch.set_num_threads(count)
        with backend("native"):
            y = grid_sample(x, grid.float())
        results.append((y, *torch.autograd.grad(y.square().sum(), x)))
    torch.set_num_threads(threads)
    for one, several in zip(*results, strict=True):
        assert torch.equal(one, several)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_dispatcher_accepts_both_operations(layout: str, dtype: torch.dtype) -> None:
    images, grid = _inputs(0, 2, 3, (5, 4), (3, 6))
    x, grid = laid_out(images.to(dtype), layout).detach().requires_grad_(), grid.to(dtype)
    torch.library.opcheck(torch.ops.morphoscope.grid_sample.default, (x, grid))
    u = laid_out(torch.randn(2, 3, 3, 6).to(dtype), layout).detach().requires_grad_()
    torch.library.opcheck(torch.ops.morphoscope.grid_sample_transposed.default, (u, grid, 5, 4))


def test_compiles_into_one_graph() -> None:
    images, grid = _inputs(0, 2, 3, (5, 4), (3, 6))
    images.requires_grad_()
    y = torch.compile(grid_sample, fullgraph=True, backend="aot_eager")(images, grid)
    expected = grid_sample(images, grid)
    torch.testing.assert_close(y, expected)
    gradients = [torch.autograd.grad(result.square().sum(), images) for result in (y, expected)]
    torch.testing.assert_close(gradients[0], gradients[1])


@pytest.mark.parametrize("execution", ["native", "reference"])
def test_autocast_leaves_the_precision_of_the_images(execution: str) -> None:
    images, grid = _inputs(0, 2, 3, (5, 4), (3, 6))
    with torch.autocast("cpu", dtype=torch.bfloat16), backend(execution):
        assert grid_sample(images.float(), grid.float()).dtype == torch.float32
        assert grid_sample(images.bfloat16(), grid.bfloat16()).dtype == torch.bfloat16


def test_errors() -> None:
    images = torch.zeros(2, 1, 4, 4)
    with pytest.raises(ValueError, match="detach"):
        grid_sample(images, torch.zeros(2, 4, 4, 2, requires_grad=True))
    with pytest.raises(ValueError, match=r"grid takes .* \[2, h, w, 2\], not .* \[1, 4, 4, 2\]"):
        grid_sample(images, torch.zeros(1, 4, 4, 2))
    with pytest.raises(ValueError, match=r"with channels and pixels, not Tensor float32 \[2, 1, 0, 4\]"):
        grid_sample(torch.zeros(2, 1, 0, 4), torch.zeros(2, 4, 4, 2))
    with pytest.raises(ValueError, match=r"images and grid are torch.float32 and torch.float64"):
        grid_sample(images, torch.zeros(2, 4, 4, 2, dtype=torch.float64))
