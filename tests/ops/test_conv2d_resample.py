"""conv2d_resample equals upsampling, convolution and downsampling in turn, whichever way it computes them."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck, gradgradcheck

from morphoscope.ops import conv2d_resample, setup_filter, upfirdn2d

TAPS: dict[str, list[float] | None] = {
    "none": None,
    "even": [1, 3, 3, 1],
    "odd": [1, 2, 1],
    "skew": [1, 4, 2],
}


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def in_three_steps(
    x: torch.Tensor,
    w: torch.Tensor,
    f: torch.Tensor | None,
    up: int,
    down: int,
    padding: int,
    correlated: bool,
    groups: int,
) -> torch.Tensor:
    """The definition: all padding first, then each step separately."""
    fw = 1 if f is None else f.shape[-1]
    before = after = padding
    if up > 1:
        before, after = before + (fw + up - 1) // 2, after + (fw - up) // 2
    if down > 1:
        before, after = before + (fw - down + 1) // 2, after + (fw - down) // 2
    if up > 1:
        x = upfirdn2d(x, f, up=up, padding=(before, after, before, after), gain=up**2)
    else:
        x = F.pad(x, [before, after, before, after])
    x = F.conv2d(x, w if correlated else w.flip([2, 3]), groups=groups)
    return upfirdn2d(x, f, down=down) if down > 1 else x


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(sorted(TAPS)),
    st.sampled_from([1, 2, 3]),
    st.sampled_from([1, 2, 3]),
    st.sampled_from([1, 3, 5]),
    st.integers(0, 2),
    st.booleans(),
    st.sampled_from([1, 2]),
    st.integers(0, 1000),
)
def test_equals_its_three_steps(
    taps: str, up: int, down: int, k: int, extra: int, correlated: bool, groups: int, seed: int
) -> None:
    x = random(2, 4, 7, 6, seed=seed)
    w = random(6, 4 // groups, k, k, seed=seed + 1)
    f = None if TAPS[taps] is None else setup_filter(TAPS[taps])
    padding = k // 2 + extra
    y = conv2d_resample(x, w, f, up, down, padding, correlated, groups)
    torch.testing.assert_close(
        y, in_three_steps(x, w, f, up, down, padding, correlated, groups), rtol=1e-6, atol=1e-6
    )


@pytest.mark.parametrize(("up", "down", "size"), [(1, 1, 8), (2, 1, 16), (1, 2, 4), (4, 1, 32), (2, 2, 8)])
@pytest.mark.parametrize("k", [1, 3])
def test_padding_of_half_the_kernel_keeps_the_size(up: int, down: int, size: int, k: int) -> None:
    y = conv2d_resample(random(1, 2, 8, 8), random(3, 2, k, k), setup_filter([1, 3, 3, 1]), up, down, k // 2)
    assert y.shape == (1, 3, size, size)


def test_padding_by_axis_and_side() -> None:
    x, w = random(1, 2, 6, 6), random(3, 2, 3, 3)
    y = conv2d_resample(x, w, padding=(1, 2, 0, -1))
    torch.testing.assert_close(y, F.conv2d(F.pad(x, [1, 2, 0, -1]), w))
    assert conv2d_resample(x, w, padding=(1, 0)).shape == (1, 3, 4, 6)


@pytest.mark.parametrize(("up", "down"), [(1, 1), (2, 1), (1, 2), (2, 2)])
@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("correlated", [True, False])
def test_gradients_of_first_and_second_order(up: int, down: int, k: int, correlated: bool) -> None:
    x, w = random(1, 2, 4, 3).requires_grad_(), random(2, 2, k, k, seed=1).requires_grad_()
    f = setup_filter([1, 3, 3, 1])

    def run(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        return conv2d_resample(x, w, f, up, down, k // 2, correlated)

    assert gradcheck(run, (x, w), fast_mode=True)
    assert gradgradcheck(run, (x, w), fast_mode=True)


def test_memory_layout_does_not_matter() -> None:
    x, w, f = random(2, 4, 8, 8), random(4, 4, 3, 3), setup_filter([1, 3, 3, 1])
    for up, down in [(1, 1), (2, 1), (1, 2)]:
        last = conv2d_resample(x.contiguous(memory_format=torch.channels_last), w, f, up, down, 1)
        torch.testing.assert_close(last, conv2d_resample(x, w, f, up, down, 1))
