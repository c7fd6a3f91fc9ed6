"""3x3 convolutions with products in bfloat16, by emulated instructions, against torch in float64."""

import logging

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from morphoscope.ops import backend, modulated_layer, precision, setup_filter
from morphoscope.ops.conv3x3 import conv3x3, conv3x3_reference
from morphoscope.ops.cpu.conv3x3 import Weights, channel_multiple, pack, run
from morphoscope.ops.dispatch import bfloat16_by, native_runs
from morphoscope.ops.native.bfloat16 import Instructions
from morphoscope.ops.native.toolchain import Unavailable
from morphoscope.ops.precision import check_precision, convolutions_in

if not native_runs("cpu", None):
    pytest.skip("no native kernels can be built here", allow_module_level=True)
M = channel_multiple()
F4 = setup_filter([1, 3, 3, 1])
EMULATIONS = [Instructions.EMULATED_AMX, Instructions.EMULATED_AVX512_BF16]


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def rounded(x: torch.Tensor) -> torch.Tensor:
    return x.detach().bfloat16().double()


def close(ours: torch.Tensor, theirs: torch.Tensor, tolerance: float) -> None:
    scale = theirs.abs().max()
    torch.testing.assert_close(ours.double() / scale, theirs / scale, rtol=0, atol=tolerance)


@settings(max_examples=40, deadline=None)
@given(
    mode=st.sampled_from(["same", "down", "up"]),
    n=st.integers(1, 3),
    c=st.integers(1, 3),
    o=st.integers(1, 3),
    h=st.integers(1, 19),
    w=st.integers(1, 19),
    instructions=st.sampled_from(EMULATIONS),
    channels_last=st.booleans(),
)
def test_values_and_gradients_are_those_of_rounded_operands(
    mode, n, c, o, h, w, instructions, channels_last
) -> None:
    """But for the rounding of the operands, results are exact to the rounding of float32 sums."""
    if mode == "down":
        h, w = 2 * h + 1, 2 * w + 1
    x, weight = random(n, c * M, h, w), random(o * M, c * M, 3, 3, seed=1) / (9 * c * M) ** 0.5
    if channels_last:
        x = x.to(memory_format=torch.channels_last)
    x.requires_grad_()
    weight.requires_grad_()
    with convolutions_in("bfloat16"), bfloat16_by(instructions):
        y = conv3x3(x, weight, mode)
        dy = random(*y.shape, seed=2)
        dx, dw = torch.autograd.grad(y, [x, weight], dy)
    exact_x, exact_w = rounded(x).requires_grad_(), rounded(weight).requires_grad_()
    expected = conv3x3_reference(exact_x, exact_w, mode)
    expected_dx, expected_dw = torch.autograd.grad(expected, [exact_x, exact_w], rounded(dy))
    close(y, expected.detach(), 2e-6)
    close(dx, expected_dx, 2e-6)
    close(dw, expected_dw, 2e-6)
    assert y.dtype == dx.dtype == dw.dtype == torch.float32


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
    instructions=st.sampled_from(EMULATIONS),
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
    # A result before the epilogue has variance 1 (demodulation); each of 2 roundings errs by at most 2^-9.
    assert (ours - theirs).abs().max() < 0.05
    assert (ours - theirs).square().mean().sqrt() < 4e-3
    assert torch.equal(ours == 0.5, theirs == 0.5) or clamp is None or (ours - theirs).abs().max() < 0.02


@pytest.mark.parametrize("instructions", EMULATIONS)
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
    assert 1e-4 < error < 1e-2


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
