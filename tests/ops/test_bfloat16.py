"""3x3 convolutions in bfloat16, by emulation and by the CPU's instructions, against torch in float64."""

import logging
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from morphoscope.ops import backend, modulated_layer, precision, setup_filter
from morphoscope.ops.conv3x3 import conv3x3, conv3x3_reference
from morphoscope.ops.cpu.conv3x3 import Weights, channel_multiple, pack, run
from morphoscope.ops.dispatch import bfloat16_by, bfloat16_instructions, native_runs
from morphoscope.ops.native.bfloat16 import Instructions
from morphoscope.ops.native.toolchain import Unavailable
from morphoscope.ops.precision import check_precision, convolutions_in

if not native_runs("cpu", None):
    pytest.skip("no native kernels can be built here", allow_module_level=True)
M = channel_multiple()
F4 = setup_filter([1, 3, 3, 1])
INSTRUCTIONS = [Instructions.EMULATED_AMX, Instructions.EMULATED_AVX512_BF16]
if isinstance(found := bfloat16_instructions(), Instructions):
    INSTRUCTIONS.append(found)

shapes = {
    "mode": st.sampled_from(["same", "down", "up"]),
    "n": st.integers(1, 3),
    "c": st.integers(1, 3),
    "o": st.integers(1, 3),
    "h": st.integers(1, 19),
    "w": st.integers(1, 19),
    "instructions": st.sampled_from(INSTRUCTIONS),
}


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def whole_numbers(*shape, seed=0):
    return torch.randint(-4, 5, shape, generator=torch.Generator().manual_seed(seed)).float()


def input_size(mode, h, w):
    return (2 * h + 1, 2 * w + 1) if mode == "down" else (h, w)


def root_mean_square(x: torch.Tensor) -> float:
    return x.double().square().mean().sqrt().item()


def close(ours: torch.Tensor, theirs: torch.Tensor, tolerance: float) -> None:
    scale = theirs.abs().max()
    torch.testing.assert_close(ours.double() / scale, theirs / scale, rtol=0, atol=tolerance)


def with_gradients(convolve, x, w, dy_of, mode):
    """The convolution and the gradients of x and w, for the gradient dy_of(its shape)."""
    x, w = x.detach().requires_grad_(), w.detach().requires_grad_()
    y = convolve(x, w, mode)
    return y.detach(), *torch.autograd.grad(y, [x, w], dy_of(*y.shape).to(y.dtype))


@settings(max_examples=40, deadline=None)
@given(**shapes, channels_last=st.booleans())
def test_values_and_gradients_are_close_to_float64(mode, n, c, o, h, w, instructions, channels_last) -> None:
    x = random(n, c * M, *input_size(mode, h, w))
    weight = random(o * M, c * M, 3, 3, seed=1) / (9 * c * M) ** 0.5
    if channels_last:
        x = x.to(memory_format=torch.channels_last)
    dy_of = partial(random, seed=2)
    with convolutions_in("bfloat16"), bfloat16_by(instructions):
        ours = with_gradients(conv3x3, x, weight, dy_of, mode)
    exact = with_gradients(conv3x3_reference, x.double(), weight.double(), dy_of, mode)
    # Sizes of y, dx and dw, if all terms of their sums were there.
    results = ours[0].shape[0] * ours[0].shape[2] * ours[0].shape[3]
    sizes = (1, (o / c) ** 0.5, results**0.5)
    # Rounding the operands of a direct convolution would err by 0.0024.
    tolerance = {"same": 0.016, "down": 0.005, "up": 0.005}[mode]
    for result, expected, size in zip(ours, exact, sizes, strict=True):
        assert result.dtype == torch.float32
        assert root_mean_square(result - expected) < tolerance * size


@settings(max_examples=40, deadline=None)
@given(**shapes | {"mode": st.sampled_from(["down", "up"])})
def test_what_bfloat16_represents_is_exact(mode, n, c, o, h, w, instructions) -> None:
    """Small whole numbers pass the transforms without rounding, but for the irrational points of "same"."""
    x = whole_numbers(n, c * M, *input_size(mode, h, w))
    weight = 2 * whole_numbers(o * M, c * M, 3, 3, seed=1)
    dy_of = partial(whole_numbers, seed=2)
    with convolutions_in("bfloat16"), bfloat16_by(instructions):
        ours = with_gradients(conv3x3, x, weight, dy_of, mode)
    exact = with_gradients(conv3x3_reference, x.double(), weight.double(), dy_of, mode)
    for result, expected in zip(ours, exact, strict=True):
        assert torch.equal(result.double(), expected)


@pytest.mark.parametrize("mode", ["same", "down", "up"])
def test_gradients_of_gradients_stay_close_to_float64(mode) -> None:
    x, w = random(2, M, 9, 9).requires_grad_(), (random(M, M, 3, 3, seed=1) / 12).requires_grad_()

    def second(convolve, x, w):
        first = torch.autograd.grad(convolve(x, w, mode).square().sum(), [x, w], create_graph=True)
        return torch.autograd.grad(sum(g.square().sum() for g in first), [x, w])

    with convolutions_in("bfloat16"), bfloat16_by(Instructions.EMULATED_AVX512_BF16):
        ours = second(conv3x3, x, w)
    exact = [t.detach().double().requires_grad_() for t in (x, w)]
    for g, expected in zip(ours, second(conv3x3_reference, *exact), strict=True):
        close(g, expected, 0.02)


@settings(max_examples=30, deadline=None)
@given(
    n=st.integers(1, 3),
    h=st.integers(1, 18),
    w=st.integers(1, 18),
    channels=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    up=st.sampled_from([1, 2]),
    noise=st.booleans(),
    act=st.sampled_from(["linear", "relu", "lrelu"]),
    clamp=st.sampled_from([None, 0.5]),
    instructions=st.sampled_from(INSTRUCTIONS),
)
def test_the_fused_layer_keeps_its_epilogue_in_float32(
    n, h, w, channels, up, noise, act, clamp, instructions
) -> None:
    c, o = (count * M for count in channels)
    arguments = {
        "x": random(n, c, h, w), "w": random(o, c, 3, 3, seed=1), "s": random(n, c, seed=2) + 1,
        "f": F4 if up == 2 else None, "up": up, "b": random(o, seed=4), "act": act, "clamp": clamp,
        "noise": random(n, 1, h * up, w * up, seed=3) if noise else None,
    }  # fmt: skip
    with convolutions_in("bfloat16"), bfloat16_by(instructions):
        ours = modulated_layer(**arguments)
    with backend("reference"):
        theirs = modulated_layer(**arguments)
    # A result before the epilogue has variance 1 (demodulation).
    assert (ours - theirs).abs().max() < (0.2 if up == 1 else 0.06)
    assert root_mean_square(ours - theirs) < (0.025 if up == 1 else 0.01)
    assert clamp is None or ours.abs().max() <= clamp


@pytest.mark.parametrize("instructions", INSTRUCTIONS)
@pytest.mark.parametrize("up", [1, 2])
def test_results_depend_on_neither_batch_nor_threads(instructions, up) -> None:
    x, w, s = random(3, 2 * M, 12, 9), random(M, 2 * M, 3, 3, seed=1), random(3, 2 * M, seed=2)
    weights = pack(Weights(w, False, "same" if up == 1 else "up"), "bfloat16")
    f, threads, results = (F4 if up == 2 else None), torch.get_num_threads(), []
    by = int(instructions)
    for number in (1, 3):
        torch.set_num_threads(number)
        results.append(run(x, weights, s, f, bfloat16=by))
    alone = torch.cat([run(x[i : i + 1], weights, s[i : i + 1], f, bfloat16=by) for i in range(3)])
    torch.set_num_threads(threads)
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], alone)


def test_float32_is_the_default_and_other_dtypes_keep_theirs() -> None:
    x, w = random(1, M, 8, 8), random(M, M, 3, 3, seed=1)
    with bfloat16_by(Instructions.EMULATED_AMX):
        default = conv3x3(x, w)
        with convolutions_in("bfloat16"):
            assert not torch.equal(conv3x3(x, w), default)
            assert torch.equal(conv3x3(x.double(), w.double()), conv3x3_double(x, w))
            with convolutions_in("float32"):
                assert torch.equal(conv3x3(x, w), default)
            with backend("reference"):
                torch.testing.assert_close(conv3x3(x, w), default, rtol=0, atol=1e-4)


def conv3x3_double(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    with convolutions_in("float32"):
        return conv3x3(x.double(), w.double())


def test_a_derivative_has_the_precision_of_its_convolution() -> None:
    """It is computed after the block that chose it."""
    x, w = random(1, M, 8, 8).requires_grad_(), random(M, M, 3, 3, seed=1).requires_grad_()
    with bfloat16_by(Instructions.EMULATED_AMX), convolutions_in("bfloat16"):
        y = conv3x3(x, w)
    gradient = torch.autograd.grad(y, x, torch.ones_like(y))[0]
    exact = torch.nn.functional.conv_transpose2d(torch.ones_like(y), w, padding=1)
    error = (gradient - exact).abs().max() / exact.abs().max()
    assert 1e-4 < error < 5e-2


def test_a_cpu_without_the_instructions_computes_in_float32_and_says_so_once(monkeypatch, caplog) -> None:
    none = Unavailable("this CPU has none", "use another")
    monkeypatch.setattr(precision, "bfloat16_instructions", lambda: none)
    precision._announce.cache_clear()
    x, w = random(1, M, 8, 8), random(M, M, 3, 3, seed=1)
    expected = conv3x3(x, w)
    with caplog.at_level(logging.INFO), convolutions_in("bfloat16"):
        for _ in range(3):
            assert torch.equal(conv3x3(x, w), expected)
    assert len(caplog.records) == 1
    assert "bfloat16 was requested, but this CPU has none. The convolutions compute in float32" in caplog.text


def test_what_multiplies_is_announced_once(caplog) -> None:
    precision._announce.cache_clear()
    x, w = random(1, M, 8, 8), random(M, M, 3, 3, seed=1)
    with caplog.at_level(logging.INFO), convolutions_in("bfloat16"), bfloat16_by(Instructions.EMULATED_AMX):
        conv3x3(x, w)
        conv3x3(x, w)
    assert [record.getMessage() for record in caplog.records] == [
        "cpu: 3x3 convolutions multiply in bfloat16 (emulated AMX)."
    ]


def test_wrong_precisions_and_devices() -> None:
    with pytest.raises(ValueError, match="precision takes one of float32, bfloat16, not str 'float16'"):
        check_precision("float16", torch.device("cpu"))  # type: ignore[arg-type]
    check_precision("bfloat16", torch.device("cpu"))
    check_precision("float32", torch.device("cuda", 0))
    with pytest.raises(ValueError, match="precision=bfloat16 is for a CPU, and this runs on cuda:0"):
        check_precision("bfloat16", torch.device("cuda", 0))


@pytest.mark.parametrize("mode", ["same", "down", "up"])
def test_the_dispatcher_accepts_the_operations(mode) -> None:
    x, w = random(2, M, 5, 7).requires_grad_(), random(M, M, 3, 3).requires_grad_()
    emulated = int(Instructions.EMULATED_AMX)
    torch.library.opcheck(torch.ops.morphoscope.conv3x3.default, (x, w, mode, False, emulated))
