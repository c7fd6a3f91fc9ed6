"""upfirdn2d: its definition, adjoint and gradients, its kernels against the reference, and its errors."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck, gradgradcheck

from morphoscope.ops import backend, downsample2d, filter2d, setup_filter, upfirdn2d, upsample2d
from morphoscope.ops.cpu.upfirdn2d import upfirdn2d_cpu

Four = tuple[int, int, int, int]
factors = st.integers(1, 3)
paddings = st.tuples(*[st.integers(-3, 4)] * 4)


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def by_loops(
    x: np.ndarray, f: np.ndarray, up: tuple[int, int], down: tuple[int, int], padding: Four, flip: bool
) -> np.ndarray:
    """The definition, one image channel [H, W] and a filter [fh, fw] at a time; up, down are (x, y)."""
    x0, x1, y0, y1 = padding
    height, width = x.shape[0] * up[1], x.shape[1] * up[0]
    spread = np.zeros((height, width))
    spread[:: up[1], :: up[0]] = x
    fh, fw = f.shape
    rows = []
    for row in range(0, height + y0 + y1 - fh + 1, down[1]):
        rows.append([])
        for column in range(0, width + x0 + x1 - fw + 1, down[0]):
            total = 0.0
            for i in range(fh):
                for j in range(fw):
                    source = row + i - y0, column + j - x0
                    if 0 <= source[0] < height and 0 <= source[1] < width:
                        tap = f[i, j] if flip else f[fh - 1 - i, fw - 1 - j]
                        total += spread[source] * tap
            rows[-1].append(total)
    return np.array(rows)


def left_by_cropping(size: int, up: int, before: int, after: int) -> int:
    """Pixels that negative padding leaves of an axis; it is an error to crop more than there are."""
    return size * up + min(before, 0) + min(after, 0)


def output_size(size: int, up: int, down: int, before: int, after: int, taps: int) -> int:
    return (size * up + before + after - taps) // down + 1


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.integers(1, 5), st.integers(1, 5)),
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
    st.tuples(factors, factors),
    st.tuples(factors, factors),
    paddings,
    st.booleans(),
    st.floats(0.5, 3),
    st.integers(0, 1000),
)
def test_against_loops(
    size: tuple[int, int],
    taps: tuple[int, int],
    up: tuple[int, int],
    down: tuple[int, int],
    padding: Four,
    flip: bool,
    gain: float,
    seed: int,
) -> None:
    x0, x1, y0, y1 = padding
    assume(left_by_cropping(size[0], up[1], y0, y1) >= 1 and left_by_cropping(size[1], up[0], x0, x1) >= 1)
    assume(output_size(size[0], up[1], down[1], y0, y1, taps[0]) >= 1)
    assume(output_size(size[1], up[0], down[0], x0, x1, taps[1]) >= 1)
    x, f = random(1, 2, *size, seed=seed), random(*taps, seed=seed + 1)
    y = upfirdn2d(x, f, up, down, padding, flip_filter=flip, gain=gain)
    expected = np.stack([gain * by_loops(c.numpy(), f.numpy(), up, down, padding, flip) for c in x[0]])
    np.testing.assert_allclose(y[0].numpy(), expected, rtol=1e-10, atol=1e-10)


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(st.integers(2, 7), st.integers(2, 7)),
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
    factors,
    factors,
    paddings,
    st.booleans(),
    st.integers(0, 1000),
)
def test_its_gradient_is_the_same_operation(
    size: tuple[int, int],
    taps: tuple[int, int],
    up: int,
    down: int,
    padding: Four,
    flip: bool,
    seed: int,
) -> None:
    """⟨upfirdn(x), v⟩ = ⟨x, adjoint(v)⟩, the adjoint being the same operation with exchanged factors."""
    (ih, iw), (fh, fw), (x0, x1, y0, y1) = size, taps, padding
    assume(left_by_cropping(ih, up, y0, y1) >= 1 and left_by_cropping(iw, up, x0, x1) >= 1)
    oh = output_size(ih, up, down, y0, y1, fh)
    ow = output_size(iw, up, down, x0, x1, fw)
    assume(oh >= 1 and ow >= 1)
    x, f = random(2, 1, ih, iw, seed=seed), random(fh, fw, seed=seed + 1)
    x.requires_grad_()
    y = upfirdn2d(x, f, up, down, padding, flip_filter=flip)
    v = random(*y.shape, seed=seed + 2)
    around = (
        fw - x0 - 1,
        iw * up - ow * down + x0 - up + 1,
        fh - y0 - 1,
        ih * up - oh * down + y0 - up + 1,
    )
    assume(left_by_cropping(oh, down, *around[2:]) >= 1 and left_by_cropping(ow, down, *around[:2]) >= 1)
    adjoint = upfirdn2d(v, f, down, up, around, flip_filter=not flip)
    torch.testing.assert_close(adjoint, torch.autograd.grad((y * v).sum(), x)[0])


@pytest.mark.parametrize("taps", [[1, 3, 3, 1], list(range(1, 9))])
@pytest.mark.parametrize(("up", "down", "padding"), [(2, 1, (1, 2, 3, 0)), (1, 2, (4, 3, 5, 4)), (1, 1, 4)])
def test_gradients_of_first_and_second_order(
    taps: list[float], up: int, down: int, padding: int | Four
) -> None:
    x, f = random(1, 2, 5, 4).requires_grad_(), setup_filter(taps)
    assert gradcheck(lambda x: upfirdn2d(x, f, up, down, padding), (x,), fast_mode=True)
    assert gradgradcheck(lambda x: upfirdn2d(x, f, up, down, padding), (x,), fast_mode=True)


DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16]
TOLERANCES = {torch.float32: 1e-5, torch.float64: 1e-12, torch.float16: 4e-3, torch.bfloat16: 4e-2}
LAYOUTS = ["contiguous", "channels last", "reversed axes", "sliced", "some channels", "expanded"]


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


filters = st.one_of(
    st.just([[1.0, 3, 3, 1], [3, 9, 9, 3], [3, 9, 9, 3], [1, 3, 3, 1]]),  # separable, as in the networks
    st.just([1.0, -2, 3, 5, 8, 13, 12, 9, 4, 2, -1, 1]),  # separable
    st.tuples(st.integers(1, 5), st.integers(1, 5)).map(lambda size: random(*size, seed=7).tolist()),
    st.integers(1, 9).map(lambda size: random(size, seed=7).tolist()),
    st.just([[0.0, 0], [0, 0]]),
)


@settings(max_examples=250, deadline=None)
@given(
    st.tuples(st.integers(0, 3), st.sampled_from([1, 2, 3, 5, 8, 13, 16, 35]), *[st.integers(1, 37)] * 2),
    filters,
    st.tuples(factors, factors),
    st.tuples(factors, factors),
    st.tuples(*[st.integers(-4, 9)] * 4),
    st.booleans(),
    st.sampled_from(DTYPES),
    st.sampled_from(LAYOUTS),
    st.integers(0, 1000),
)
def test_kernels_agree_with_the_reference(
    size: tuple[int, int, int, int],
    taps: list[float],
    up: tuple[int, int],
    down: tuple[int, int],
    padding: Four,
    flip: bool,
    dtype: torch.dtype,
    layout: str,
    seed: int,
) -> None:
    """Values, gradients and memory order; the reference computes in float64."""
    f = torch.tensor(taps, dtype=torch.float64)
    f = f / max(1, f.abs().sum())
    x0, x1, y0, y1 = padding
    assume(left_by_cropping(size[2], up[1], y0, y1) >= 1 and left_by_cropping(size[3], up[0], x0, x1) >= 1)
    assume(output_size(size[2], up[1], 1, y0, y1, f.shape[0]) >= 1)
    assume(output_size(size[3], up[0], 1, x0, x1, f.shape[-1]) >= 1)
    x = laid_out(random(*size, seed=seed).to(dtype), layout).detach().requires_grad_()
    exact = x.detach().double().requires_grad_()
    with backend("native"):
        y = upfirdn2d(x, f.to(torch.promote_types(dtype, torch.float32)), up, down, padding, flip, gain=1.5)
    with backend("reference"):
        expected = upfirdn2d(exact, f, up, down, padding, flip, gain=1.5)
    tolerance = TOLERANCES[dtype]
    torch.testing.assert_close(y.double(), expected, rtol=tolerance, atol=tolerance)
    assert y.dtype == dtype
    if size[2:] != (1, 1) and layout != "reversed axes":  # the memory order of single pixels is ambiguous
        last = size[1] > 1 and layout in ("channels last", "some channels")
        assert y.is_contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)
    u = laid_out(random(*y.shape, seed=seed + 1).to(dtype), LAYOUTS[seed % len(LAYOUTS)])
    (dx,) = torch.autograd.grad(y, x, u)
    (expected_dx,) = torch.autograd.grad(expected, exact, u.double())
    torch.testing.assert_close(dx.double(), expected_dx, rtol=tolerance, atol=4 * tolerance)


@pytest.mark.parametrize("layout", ["contiguous", "channels last"])
@pytest.mark.parametrize("size", [(1, 3, 300, 70), (3, 40, 33, 65), (2, 5, 4, 400), (40, 24, 5, 7)])
def test_the_same_bits_on_any_number_of_threads(size: Four, layout: str) -> None:
    x, threads = laid_out(random(*size).float(), layout), torch.get_num_threads()
    for taps in ([1, 3, 3, 1], list(range(1, 13)), [[1, 2], [3, -4]]):
        f, results = setup_filter(taps), []
        for count in (1, 2, 5):
            torch.set_num_threads(count)
            with backend("native"):
                results.append([upfirdn2d(x, f, up, down, 6) for up, down in [(1, 1), (2, 1), (1, 2)]])
        torch.set_num_threads(threads)
        with backend("reference"):
            expected = [upfirdn2d(x, f, up, down, 6) for up, down in [(1, 1), (2, 1), (1, 2)]]
        for first, *others, reference in zip(*results, expected, strict=True):
            assert all(torch.equal(first, other) for other in others)
            torch.testing.assert_close(first, reference, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("layout", ["contiguous", "channels last"])
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_nan_and_infinities_reach_as_far_as_in_the_reference(bad: float, layout: str) -> None:
    x = random(2, 9, 12, 11).float()
    x[1, 4, 5, 6] = bad
    x = laid_out(x, layout)
    for taps in ([1.0, 3, 3, 1], [1.0, -2, 0, 4], list(range(1, 13)), [[1.0, 2], [3, -4]]):
        f = torch.tensor(taps) if isinstance(taps[0], list) else setup_filter(taps)
        for up, down in [(1, 1), (2, 1), (1, 2), (3, 2)]:
            results = []
            for name in ("native", "reference"):
                with backend(name):
                    results.append(upfirdn2d(x, f, up, down, 6))
            torch.testing.assert_close(results[0], results[1], rtol=1e-4, atol=1e-5, equal_nan=True)


@pytest.mark.parametrize("name", ["native", "reference"])
def test_an_empty_batch_gives_an_empty_batch(name: str) -> None:
    x = torch.zeros(0, 3, 8, 6, requires_grad=True)
    with backend(name):
        y = upsample2d(x, setup_filter([1, 3, 3, 1]))
    assert y.shape == (0, 3, 16, 12)
    assert torch.autograd.grad(y.sum(), x)[0].shape == x.shape


@pytest.mark.parametrize("execution", ["native", "reference"])
def test_a_filter_that_requires_a_gradient_gets_it(execution: str) -> None:
    x, f = random(1, 2, 5, 4), random(3, 2, seed=1).requires_grad_()
    with backend(execution):
        assert gradcheck(lambda f: upfirdn2d(x, f, up=2, padding=2), (f,))
        with torch.no_grad():
            torch.testing.assert_close(upfirdn2d(x, f, up=2, padding=2), upfirdn2d(x, f.detach(), 2, 1, 2))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_dispatcher_accepts_the_operation(layout: str, dtype: torch.dtype) -> None:
    x = laid_out(random(2, 3, 6, 5).to(dtype), layout).detach().requires_grad_()
    f = setup_filter([1, 3, 3, 1])
    operation = torch.ops.morphoscope.upfirdn2d.default
    torch.library.opcheck(operation, (x, f, (2, 1), (1, 2), (1, 2, 3, -1), False, 1.5))


def test_compiles_into_one_graph() -> None:
    f = setup_filter([1, 3, 3, 1])

    def chain(x: torch.Tensor) -> torch.Tensor:
        x = downsample2d(upsample2d(filter2d(x, f), f), f)
        return upfirdn2d(x, None, padding=(1, -1, 0, 2))

    x = random(2, 3, 8, 6).requires_grad_()
    y, expected = torch.compile(chain, fullgraph=True, backend="aot_eager")(x), chain(x)
    torch.testing.assert_close(y, expected)
    gradients = [torch.autograd.grad(result.square().sum(), x) for result in (y, expected)]
    torch.testing.assert_close(gradients[0], gradients[1])


@pytest.mark.parametrize("name", ["native", "reference"])
def test_autocast_leaves_the_precision_of_x(name: str) -> None:
    f = setup_filter([1, 3, 3, 1])
    with torch.autocast("cpu", dtype=torch.bfloat16), backend(name):
        assert upsample2d(torch.ones(1, 2, 4, 4), f).dtype == torch.float32
        assert upsample2d(torch.ones(1, 2, 4, 4, dtype=torch.bfloat16), f).dtype == torch.bfloat16


def test_the_kernel_crops_everything_where_a_gradient_needs_it() -> None:
    """Cropping that the public function refuses is the transpose of padding that no tap reaches."""
    x = random(1, 1, 2, 2).requires_grad_()
    with backend("native"):
        y = upfirdn2d(x, torch.ones(1, 1, dtype=torch.float64), padding=(5, 7, 0, 0))
        (dx,) = torch.autograd.grad(y.sum(), x)
        y = upfirdn2d(x, torch.ones(1, 1, dtype=torch.float64), padding=(-1, 4, 0, 3), down=3)
        (thin,) = torch.autograd.grad(y.sum(), x)
    assert torch.equal(dx, torch.ones_like(x))
    assert thin.tolist() == [[[[0, 1], [0, 0]]]]
    zeros = upfirdn2d_cpu(x.detach(), torch.ones(1, 1), (1, 1), (1, 1), (-9, 10, -9, 10), False, 1.0)
    assert zeros.shape == (1, 1, 3, 3)
    assert zeros.abs().sum() == 0


@pytest.mark.parametrize("flip", [False, True])
def test_separable_passes_equal_the_two_dimensional_filter(flip: bool) -> None:
    x, taps = random(2, 3, 9, 8), [1.0, -2, 4, 3, 2, 5, 7, 8, 1]
    separable, full = setup_filter(taps, gain=2), setup_filter(taps, separable=False, gain=2)
    assert (separable.shape, full.shape) == ((9,), (9, 9))
    for up, down in [(1, 1), (2, 1), (1, 2), (3, 2)]:
        passes = upfirdn2d(x, separable, up, down, 6, flip_filter=flip, gain=3)
        torch.testing.assert_close(
            passes, upfirdn2d(x, full, up, down, 6, flip_filter=flip, gain=3), rtol=1e-5, atol=1e-6
        )


def test_without_a_filter_it_inserts_zeros_pads_and_skips() -> None:
    x = torch.arange(1.0, 5).reshape(1, 1, 2, 2)
    spread = upfirdn2d(x, None, up=2, padding=(0, -1, 0, -1), gain=2)
    assert spread[0, 0].tolist() == [[2, 0, 4], [0, 0, 0], [6, 0, 8]]
    assert torch.equal(upfirdn2d(spread, None, down=2), 2 * x)


def test_errors() -> None:
    x, f = torch.zeros(1, 1, 4, 4), setup_filter([1, 1])
    with pytest.raises(
        ValueError, match=r"x takes \[N, C, H, W\] with channels and pixels, not Tensor float32 \[4, 4\]"
    ):
        upfirdn2d(x[0, 0], f)
    with pytest.raises(ValueError, match=r"with channels and pixels, not Tensor float32 \[2, 3, 0, 4\]"):
        upfirdn2d(torch.zeros(2, 3, 0, 4), f)
    with pytest.raises(ValueError, match="x takes a tensor of float32, float64, float16 or bfloat16"):
        upfirdn2d(x.long(), f)
    for name in ("native", "reference"):
        with backend(name):
            with pytest.raises(
                ValueError, match=r"padding of \(-2, -2, 0, 0\) crops more than the 4 x 4 pixels"
            ):
                upfirdn2d(x, f, padding=(-2, -2, 0, 0))
            with pytest.raises(ValueError, match="crops more than the 8 x 8 pixels"):
                upfirdn2d(x, f, up=2, padding=(0, 0, 9, -8))
            with pytest.raises(ValueError, match="filter, 2 x 2, is larger than the padded image, 4 x 1"):
                upfirdn2d(x, f, padding=(-3, 0, 0, 0))
    with pytest.raises(ValueError, match=r"at least 1, or two \(x, y\), not int 0"):
        upfirdn2d(x, f, up=0)
    with pytest.raises(ValueError, match="at least 1"):
        upfirdn2d(x, f, down=(1, -2))
