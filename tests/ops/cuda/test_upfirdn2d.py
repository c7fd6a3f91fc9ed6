"""The CUDA kernels of upfirdn2d and of the epilogue, run on a CPU, against the reference twins."""

from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from morphoscope.ops.activations import ACTIVATIONS, Activation
from morphoscope.ops.cuda import launching, upfirdn2d
from morphoscope.ops.cuda.upfirdn2d import upfirdn2d_cuda, upfirdn2d_epilogue_cuda
from morphoscope.ops.epilogue import epilogue_reference
from morphoscope.ops.filters import Resampling, resampled_size
from morphoscope.ops.upfirdn2d import upfirdn2d_reference

DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16]
FAST_DTYPES = [torch.float32, torch.float16, torch.bfloat16]
LAYOUTS = [torch.contiguous_format, torch.channels_last]
FACTORS = [(1, 1), (2, 1), (1, 2)]
quickly = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
NOTHING = (None, None, None, "linear", 0.0, 1.0, -1.0)


def randn(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


def images(
    n: int, c: int, h: int, w: int, dtype: torch.dtype, layout: torch.memory_format, room: int = 64
) -> torch.Tensor:
    """Random images with NaN before and after them in memory, so that reading beyond them is noticed."""
    x = randn(n, c, h, w, dtype=dtype).to(memory_format=layout)
    memory = torch.full([x.numel() + 2 * room], float("nan"), dtype=dtype)
    inner = torch.as_strided(memory, x.shape, x.stride(), room)
    return inner.copy_(x)


def compare(x: torch.Tensor, f: torch.Tensor, *options: Any) -> None:
    y = upfirdn2d_cuda(x, f, *options)
    expected = upfirdn2d_reference(x.double(), f.double(), Resampling(*options))
    tolerance = {"rtol": 1.3e-6, "atol": 2e-6} if x.dtype == torch.float32 else {}
    torch.testing.assert_close(y, expected.to(x.dtype), **tolerance)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", FAST_DTYPES)
@pytest.mark.parametrize(("up", "down"), FACTORS)
def test_fast_4x4_kernels(
    emulated_cuda: Any, up: int, down: int, dtype: torch.dtype, layout: torch.memory_format
) -> None:
    f = randn(4, 4, seed=1)
    for padding, flip in [((2, 1, 1, 2), False), ((1, 1, 0, 3), True), ((-1, 3, 2, -2), False)]:
        x = images(2, 16, 9, 37, dtype, layout)
        compare(x, f, (up, up), (down, down), padding, flip, 1.7)
    order = "channels" if layout == torch.channels_last else "planes"
    name = f"upfirdn2d_4x4_{order}_up{up}_down{down}_{str(dtype).removeprefix('torch.')}"
    assert set(emulated_cuda.launched) == {name}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", FAST_DTYPES)
@pytest.mark.parametrize(("up", "down"), FACTORS[1:])
def test_fused_separable_kernels(
    emulated_cuda: Any, up: int, down: int, dtype: torch.dtype, layout: torch.memory_format
) -> None:
    f = randn(12, seed=1)
    for padding, flip in [((6, 5, 7, 4), False), ((3, 9, 0, 13), True), ((-6, -6, -6, 11), True)]:
        x = images(2, 3, 25, 47, dtype, layout)
        compare(x, f / 4, (up, up), (down, down), padding, flip, 1.7)
    assert set(emulated_cuda.launched) == {f"upfirdn2d_12taps_up{up}_down{down}_{str(dtype)[6:]}"}


@pytest.mark.parametrize("kernel", [(4, 4), (12,)])
@pytest.mark.parametrize(("up", "down"), FACTORS)
def test_results_do_not_depend_on_the_order_of_threads(
    emulated_cuda: Any, kernel: tuple[int, ...], up: int, down: int
) -> None:
    f, epilogue = randn(*kernel), (None, None, randn(5, seed=3), "lrelu", 0.2, 1.0, -1.0)
    for layout in LAYOUTS:
        x = images(2, 5, 40, 70, torch.float32, layout)
        arguments = (x, f, (up, up), (down, down), (5, 6, 7, 5), False, 1.0, *epilogue)
        forwards = upfirdn2d_epilogue_cuda(*arguments)
        with emulated_cuda.backwards():
            backwards = upfirdn2d_epilogue_cuda(*arguments)
        assert torch.equal(forwards, backwards)


@quickly
@given(
    x=st.tuples(st.integers(0, 2), st.integers(1, 9), st.integers(1, 20), st.integers(1, 20)),
    f=st.one_of(
        st.tuples(st.integers(1, 6), st.integers(1, 6)), st.tuples(st.integers(1, 13)), st.just((4, 4))
    ),
    factors=st.one_of(
        st.tuples(*[st.integers(1, 4)] * 4), st.sampled_from([(up, up, down, down) for up, down in FACTORS])
    ),
    padding=st.tuples(*[st.integers(-4, 7)] * 4),
    flip=st.booleans(),
    layout=st.sampled_from(LAYOUTS),
    dtype=st.sampled_from(DTYPES),
)
def test_any_filter_factors_and_padding(
    emulated_cuda: Any,
    x: tuple[int, int, int, int],
    f: tuple[int, ...],
    factors: tuple[int, int, int, int],
    padding: tuple[int, int, int, int],
    flip: bool,
    layout: torch.memory_format,
    dtype: torch.dtype,
) -> None:
    up, down = factors[:2], factors[2:]
    taps = randn(*f, seed=1) / 4
    _, _, h, w = resampled_size(x, taps, Resampling(up, down, padding, flip, 1.3))
    assume(h > 0 and w > 0)
    cropped_w, cropped_h = (sum(min(p, 0) for p in sides) for sides in (padding[:2], padding[2:]))
    assume(x[2] * up[1] + cropped_h > 0 and x[3] * up[0] + cropped_w > 0)
    if taps.ndim == 1 and dtype in (torch.float16, torch.bfloat16):
        taps = taps.abs()  # the intermediate result is rounded, which cancellation would amplify
        compare(images(*x, dtype, layout).abs_(), taps, up, down, padding, flip, 1.3)
    else:
        compare(images(*x, dtype, layout), taps, up, down, padding, flip, 1.3)


def test_transposed_sliced_and_repeated_inputs(emulated_cuda: Any) -> None:
    base = randn(3, 8, 20, 22)
    options = ((1, 1), (1, 1), (1, 2, 2, 1), False, 1.0)
    nhwc = base.to(memory_format=torch.channels_last)
    views = [
        base.transpose(2, 3),
        base[:, 1:5, 2:, ::2],
        base[:1].expand(4, -1, -1, -1),
        nhwc[:, :4],  # vectors of channels with gaps
        nhwc[:, 2:6],  # vectors that are misaligned
        nhwc[:, :, 3:, 5:],
    ]
    for view in views:
        compare(view, randn(4, 4, seed=1), *options)
        compare(view, randn(3, 2, seed=1), *options)
    assert [name for name in emulated_cuda.launched if "4x4" in name] == [
        *["upfirdn2d_4x4_planes_up1_down1_float32"] * 3,
        "upfirdn2d_4x4_channels_up1_down1_float32",
        "upfirdn2d_4x4_planes_up1_down1_float32",
        "upfirdn2d_4x4_channels_up1_down1_float32",
    ]


def epilogue_arguments(
    n: int, c: int, h: int, w: int, per_sample: bool
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    noise = randn(n, h, w, seed=3) if per_sample else randn(h, w, seed=3)
    return randn(n, c, seed=2), noise, randn(c, seed=4)


def compare_epilogue(x: torch.Tensor, f: torch.Tensor, resampling: Resampling, epilogue: Any) -> None:
    y = upfirdn2d_epilogue_cuda(x, f, *resampling, *epilogue)
    operands = [None if t is None else t.double() for t in epilogue[:3]]
    activation = Activation(*epilogue[3:])
    expected = epilogue_reference(x.double(), f.double(), resampling, *operands, activation)
    tolerance = {"rtol": 2e-6, "atol": 4e-6} if x.dtype == torch.float32 else {}
    torch.testing.assert_close(y, expected.to(x.dtype), **tolerance)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_epilogue_after_the_networks_filters(
    emulated_cuda: Any, dtype: torch.dtype, layout: torch.memory_format
) -> None:
    x = images(3, 16, 9, 11, dtype, layout)
    for f, up, down, padding in [
        (randn(4, 4, seed=1), 1, 1, (1, 1, 1, 1)),
        (randn(4, 4, seed=1), 2, 1, (1, 2, 1, 2)),
        (randn(4, 4, seed=1), 1, 2, (1, 1, 1, 1)),
        (randn(12, seed=1) / 4, 2, 1, (6, 5, 6, 5)),
        (randn(3, 5, seed=1), 3, 2, (2, 2, 2, 2)),
    ]:
        resampling = Resampling((up, up), (down, down), padding, False, 1.7)
        size = resampled_size(x.shape, f, resampling)
        for per_sample in (False, True):
            terms = epilogue_arguments(*size, per_sample)
            compare_epilogue(x, f, resampling, (*terms, "lrelu", 0.2, 1.5, 1.0))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [(2, 16, 4, 8), (2, 5, 3, 7), (3, 1, 6, 6), (2, 8, 1, 1)])
def test_epilogue_alone(
    emulated_cuda: Any, size: tuple[int, int, int, int], dtype: torch.dtype, layout: torch.memory_format
) -> None:
    x, resampling = images(*size, dtype, layout), Resampling((1, 1), (1, 1), (0, 0, 0, 0), False, 1.5)
    one_tap = torch.full([1, 1], 0.7)
    for act in ACTIVATIONS:
        terms = epilogue_arguments(*size, per_sample=True)
        compare_epilogue(x, one_tap, resampling, (*terms, act, 0.2, 1.5, -1.0))
    compare_epilogue(x, one_tap, resampling, NOTHING)
    compare(x, one_tap, *resampling)
    assert {name.split("_")[0] for name in emulated_cuda.launched} == {"epilogue"}


@pytest.mark.parametrize("present", range(8))
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_term_of_the_epilogue_is_optional(
    emulated_cuda: Any, layout: torch.memory_format, present: int
) -> None:
    x = images(2, 8, 5, 6, torch.float32, layout)
    terms = [t if present >> i & 1 else None for i, t in enumerate(epilogue_arguments(2, 8, 5, 6, False))]
    resampling = Resampling((1, 1), (1, 1), (2, 1, 1, 2), False, 1.0)
    compare_epilogue(x, randn(4, 4, seed=1), resampling, (*terms, "relu", 0.0, 1.0, 2.0))


@pytest.mark.parametrize("f", [randn(4, 4), randn(12), randn(3, 3), randn(1, 1)])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_nan_and_infinity_reach_as_far_as_the_filter(
    emulated_cuda: Any, layout: torch.memory_format, f: torch.Tensor
) -> None:
    x = images(1, 4, 30, 30, torch.float32, layout)
    x[0, 0, 5, 20], x[0, 1, 3, 3], x[0, 2, 0, 0] = float("nan"), float("inf"), -float("inf")
    around = (len(f) - 1) // 2
    for up in (1, 2):
        resampling = Resampling((up, up), (1, 1), (around,) * 4, False, 1.0)
        y, expected = upfirdn2d_cuda(x, f, *resampling), upfirdn2d_reference(x, f, resampling)
        torch.testing.assert_close(y.isfinite(), (y - y).nan_to_num(1) == 0)
        finite = upfirdn2d_reference((~x.isfinite()).float(), torch.ones_like(f), resampling) == 0
        assert torch.equal(y.isfinite(), finite)
        torch.testing.assert_close(y[finite], expected[finite])


def test_a_small_grid_of_blocks_loops(emulated_cuda: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launching, "_MOST_BLOCKS", 1)
    for layout in LAYOUTS:
        x = images(2, 8, 33, 40, torch.float32, layout)
        for f in (randn(4, 4), randn(12) / 4, randn(3, 3)):
            for up, down in FACTORS:
                compare(x, f, (up, up), (down, down), (5, 6, 5, 6), False, 1.0)


def test_offsets_beyond_32_bits_take_the_general_kernel(
    emulated_cuda: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upfirdn2d, "_LONGEST_AXIS", 1000)
    compare(
        images(1, 2, 16, 16, torch.float32, LAYOUTS[0]), randn(4, 4), (1, 1), (1, 1), (1, 2, 1, 2), False, 1.0
    )
    assert emulated_cuda.launched == ["upfirdn2d_float32"]


def test_an_empty_batch_launches_nothing(emulated_cuda: Any) -> None:
    x = torch.empty(0, 3, 8, 8)
    assert upfirdn2d_cuda(x, randn(4, 4), (2, 2), (1, 1), (2, 1, 2, 1), False, 1.0).shape == (0, 3, 16, 16)
    assert emulated_cuda.launched == []
