"""The fused layer against its separate steps, and its cache of packed weights."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from morphoscope.ops import backend, modulated_layer, setup_filter
from morphoscope.ops.cpu import conv3x3
from morphoscope.ops.cpu.conv3x3 import channel_multiple
from morphoscope.ops.cpu.modulated_layer import _checksum, _kept_weights
from morphoscope.ops.dispatch import native_runs

if not native_runs("cpu", None):
    pytest.skip("no native kernels can be built here", allow_module_level=True)
M = channel_multiple()
F4 = setup_filter([1, 3, 3, 1])


def random(*shape, dtype=torch.float32, seed=0):
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def layer(n=2, h=9, w=6, up=1, dtype=torch.float32, noise="each"):
    size = (h * up, w * up)
    shapes = {"each": (n, 1, *size), "shared": size, "none": None}
    shape = shapes[noise]
    return {
        "x": random(n, 2 * M, h, w, dtype=dtype),
        "w": random(M, 2 * M, 3, 3, dtype=dtype, seed=1),
        "s": random(n, 2 * M, dtype=dtype, seed=2),
        "f": F4 if up == 2 else None,
        "up": up,
        "noise": None if shape is None else random(*shape, dtype=dtype, seed=3),
        "b": random(M, dtype=dtype, seed=4),
    }


def in_reference(**arguments):
    with backend("reference"):
        return modulated_layer(**arguments)


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(1, 3),
    h=st.integers(1, 20),
    w=st.integers(1, 20),
    up=st.sampled_from([1, 2]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    noise=st.sampled_from(["each", "shared", "none"]),
    act=st.sampled_from(["linear", "relu", "lrelu"]),
    gain=st.sampled_from([None, 0.7]),
    clamp=st.sampled_from([None, 0.5]),
)
def test_one_pass_equals_the_separate_steps(n, h, w, up, dtype, noise, act, gain, clamp) -> None:
    arguments = layer(n, h, w, up, dtype, noise)
    result = modulated_layer(**arguments, act=act, gain=gain, clamp=clamp)
    expected = in_reference(**arguments, act=act, gain=gain, clamp=clamp)
    tolerance = 1e-4 if dtype == torch.float32 else 1e-6  # the filter is float32
    torch.testing.assert_close(result, expected, rtol=0, atol=tolerance)
    assert result.is_contiguous(memory_format=torch.channels_last)


def test_no_noise_no_bias_and_an_activation_without_a_kernel() -> None:
    arguments = layer(noise="none") | {"b": None}
    torch.testing.assert_close(modulated_layer(**arguments), in_reference(**arguments), rtol=0, atol=1e-4)
    swish = modulated_layer(**arguments, act="swish")
    torch.testing.assert_close(swish, in_reference(**arguments, act="swish"), rtol=0, atol=1e-4)


@pytest.mark.parametrize("up", [1, 2])
def test_gradients_reach_every_operand_that_requires_one(up) -> None:
    arguments = layer(up=up)
    required = ["x", "w", "s", "noise", "b"]
    for name in required:
        arguments[name].requires_grad_()
    ours = torch.autograd.grad(modulated_layer(**arguments).square().sum(), [arguments[k] for k in required])
    theirs = torch.autograd.grad(in_reference(**arguments).square().sum(), [arguments[k] for k in required])
    for g, expected in zip(ours, theirs, strict=True):
        scale = float(expected.abs().max())
        torch.testing.assert_close(g / scale, expected / scale, rtol=0, atol=1e-5)


def in_inference_mode(w: torch.Tensor) -> None:
    with torch.inference_mode():
        w.add_(0.1)


CHANGES = {
    "in place": lambda w: w.add_(0.1),
    "through data": lambda w: w.data.add_(0.1),
    "one tap through data": lambda w: w.data[:, :, 1, 1].mul_(2),
    "every sign through data": lambda w: w.data.neg_(),
    "new data": lambda w: setattr(w, "data", w.data + 0.1),
    "new strides": lambda w: setattr(w, "data", w.data.transpose(2, 3)),
    "through NumPy": lambda w: w.numpy()[..., 0, 1].fill(0.5),
    "two values exchanged": lambda w: w.numpy()[0, 0].sort(axis=1),
    "in inference mode": in_inference_mode,
}


@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last, "every second filter"])
@pytest.mark.parametrize("change", CHANGES)
def test_cached_weights_are_packed_again_when_they_change(change, memory) -> None:
    arguments = layer()
    every_second = memory == "every second filter"
    w = arguments["w"]
    w = w.repeat_interleave(2, dim=0)[::2] if every_second else w.contiguous(memory_format=memory)
    arguments["w"] = w
    before = modulated_layer(**arguments)
    assert torch.equal(modulated_layer(**arguments), before)
    CHANGES[change](w)
    after = modulated_layer(**arguments)
    assert not torch.allclose(after, before, atol=1e-3)
    torch.testing.assert_close(after, in_reference(**arguments), rtol=0, atol=1e-4)


@settings(max_examples=60, deadline=None)
@given(
    numbers=st.lists(st.integers(0, M * 2 * M * 9 - 1), min_size=1, max_size=3, unique=True),
    bits=st.integers(1, 2**32 - 1),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_a_change_of_any_bits_of_any_weights_is_noticed(numbers, bits, dtype) -> None:
    """Of which a sum would miss those that cancel, and those below its rounding."""
    w = layer(dtype=dtype)["w"]
    before = _checksum(w)
    words = w.numpy().reshape(-1).view("uint32")
    assert _checksum(w) == before
    words[numbers] ^= np.uint32(bits)
    assert _checksum(w) != before
    words[numbers] ^= np.uint32(bits)
    assert _checksum(w) == before


def test_weights_of_an_inference_are_packed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    packed = []
    monkeypatch.setattr(conv3x3, "pack", lambda *a, pack=conv3x3.pack: packed.append(a) or pack(*a))
    arguments = layer()
    with torch.inference_mode():
        arguments["w"] = arguments["w"].clone()
        for _ in range(3):
            modulated_layer(**arguments)
    assert len(packed) == 1


def test_cached_weights_are_released_with_their_tensor() -> None:
    arguments = layer()
    modulated_layer(**arguments)
    number = len(_kept_weights)
    del arguments
    assert len(_kept_weights) < number


def test_the_dispatcher_accepts_the_operation() -> None:
    for up in (1, 2):
        a = layer(up=up)
        options = ("lrelu", 0.2, 1.4, -1.0)
        inputs = (a["x"], a["w"], a["s"], a["f"], a["noise"], a["b"], *options)
        torch.library.opcheck(torch.ops.morphoscope.modulated_layer.default, inputs)


def test_compiles_into_one_graph() -> None:
    arguments = layer(up=2)
    compiled = torch.compile(modulated_layer, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(**arguments), modulated_layer(**arguments), rtol=0, atol=1e-6)


@pytest.mark.parametrize("up", [1, 2])
@pytest.mark.parametrize("noise", ["each", "shared", "none"])
def test_channels_that_do_not_fill_a_panel_give_the_same_in_two_passes(up, noise) -> None:
    arguments = layer(up=up, noise=noise)
    arguments["x"], arguments["s"] = arguments["x"][:, :5], arguments["s"][:, :5]
    arguments["w"], arguments["b"] = arguments["w"][:3, :5], arguments["b"][:3]
    result = modulated_layer(**arguments, clamp=2.0)
    torch.testing.assert_close(result, in_reference(**arguments, clamp=2.0), rtol=0, atol=1e-5)
