"""upfirdn2d against loops in numpy, its adjoint, its gradients, and the wrappers that choose the padding."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck, gradgradcheck

from morphoscope.ops import downsample2d, filter2d, setup_filter, upfirdn2d, upsample2d

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
    """What negative padding leaves of an axis; to crop more than there is has no meaning."""
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
def test_its_gradient_is_itself(
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


def test_no_filter_only_spreads_pads_and_thins() -> None:
    x = torch.arange(1.0, 5).reshape(1, 1, 2, 2)
    spread = upfirdn2d(x, None, up=2, padding=(0, -1, 0, -1), gain=2)
    assert spread[0, 0].tolist() == [[2, 0, 4], [0, 0, 0], [6, 0, 8]]
    assert torch.equal(upfirdn2d(spread, None, down=2), 2 * x)


def test_default_filter() -> None:
    f = setup_filter([1, 3, 3, 1])
    expected = torch.tensor([1.0, 3, 3, 1]).outer(torch.tensor([1.0, 3, 3, 1])) / 64
    torch.testing.assert_close(f, expected, rtol=0, atol=1e-8)


def test_setup_filter() -> None:
    assert setup_filter(None).tolist() == [[1]]
    assert setup_filter([1] * 7).shape == (7, 7)
    assert setup_filter([1] * 8).shape == (8,)
    torch.testing.assert_close(setup_filter([[1, 2], [3, 4]]), torch.tensor([[0.1, 0.2], [0.3, 0.4]]))
    assert setup_filter([1, 2], normalize=False, separable=True, flip_filter=True).tolist() == [2, 1]
    assert setup_filter([1, 1], gain=4).sum() == 4
    assert setup_filter([1, 1], gain=4, separable=True).tolist() == [1, 1]  # 2 in each of two passes


@pytest.mark.parametrize("taps", [[1, 3, 3, 1], [1, 2, 1], list(range(1, 13))])
def test_wrappers_choose_the_size_and_keep_the_mean_brightness(taps: list[float]) -> None:
    f, x = setup_filter(taps), torch.ones(1, 2, 48, 72)
    for y, size, edge in [
        (filter2d(x, f), (48, 72), 7),
        (downsample2d(x, f), (24, 36), 5),
        (downsample2d(x, f, down=(1, 3)), (16, 72), 7),
        (upsample2d(x, f), (96, 144), 14),
        (upsample2d(x, f, up=3), (144, 216), 21),
        (upsample2d(x, f, up=(1, 2)), (96, 72), 14),
    ]:
        assert y.shape == (1, 2, *size)
        assert y[..., edge:-edge, edge:-edge].mean().item() == pytest.approx(1, abs=1e-5)


def test_wrappers_do_not_shift_the_image() -> None:
    """A symmetric filter keeps the centre of mass: of a spot up- and downsampled again, it stays put."""
    x, f = torch.zeros(1, 1, 16, 16), setup_filter([1, 3, 3, 1])
    x[0, 0, 7, 9] = 1
    y = downsample2d(upsample2d(x, f), f)
    rows, columns = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
    assert (y * rows).sum() / y.sum() == pytest.approx(7, abs=1e-5)
    assert (y * columns).sum() / y.sum() == pytest.approx(9, abs=1e-5)


def test_padding_of_the_wrappers_adds_and_crops() -> None:
    x, f = random(1, 1, 8, 8), setup_filter([1, 3, 3, 1])
    whole = upsample2d(x, f)
    torch.testing.assert_close(upsample2d(x, f, padding=-3), whole[..., 3:-3, 3:-3])
    assert filter2d(x, f, padding=(2, 1, 0, 0)).shape == (1, 1, 8, 11)
    assert downsample2d(x, f, padding=(1, 1)).shape == (1, 1, 5, 5)


def test_what_it_refuses() -> None:
    x, f = torch.zeros(1, 1, 4, 4), setup_filter([1, 1])
    with pytest.raises(
        ValueError, match=r"takes images \[N, C, H, W\] with channels and pixels, not shape \(4, 4\)"
    ):
        upfirdn2d(x[0, 0], f)
    with pytest.raises(ValueError, match="at least 1, not 0"):
        upfirdn2d(x, f, up=0)
    with pytest.raises(ValueError, match="at least 1"):
        upfirdn2d(x, f, down=(1, -2))
    with pytest.raises(ValueError, match="one or two axes and at least one tap"):
        setup_filter([])
    with pytest.raises(ValueError, match="cannot be kept separable"):
        setup_filter([[1, 2], [3, 4]], separable=True)
