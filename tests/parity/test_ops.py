"""Values and gradients of every tensor operation against the shared parity vectors."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from morphoscope.ops import bias_act, conv2d_resample, modulated_conv2d, setup_filter, upfirdn2d
from morphoscope.ops.modulated_conv2d import modulated_conv2d_grouped

PARITY = Path(__file__).parents[2].parent / "shared" / "parity"


def cases(name):
    """(settings, tensors) of each case in `<name>.npz`; one skipped case if the file is absent."""
    path = PARITY / f"{name}.npz"
    if not path.exists():
        return [
            pytest.param(None, None, marks=pytest.mark.skip(reason=f"needs ../shared/parity/{path.name}"))
        ]
    arrays = np.load(path)
    found = []
    for case in json.loads(bytes(arrays["cases"])):
        prefix = f"{case['i']}."
        tensors = {
            k.removeprefix(prefix): torch.from_numpy(arrays[k]) for k in arrays if k.startswith(prefix)
        }
        found.append(pytest.param(case, tensors, id=str(case["i"])))
    return found


def assert_close(actual, expected, tolerance):
    torch.testing.assert_close(actual, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("case", "t"), cases("bias_act"))
def test_bias_act(case, t):
    x, b, v = t["x"].requires_grad_(), t["b"].requires_grad_(), t["v"].requires_grad_()
    y = bias_act(x, b, case["dim"], case["act"], case["alpha"], case["gain"], case["clamp"])
    dx, db = torch.autograd.grad((y * v).sum(), [x, b], create_graph=True)
    (ddx,) = torch.autograd.grad((dx * t["u"]).sum(), x, allow_unused=True)
    assert_close(y, t["y"], 1e-5)
    assert_close(dx, t["dx"], 1e-5)
    assert_close(db, t["db"], 1e-5)
    assert_close(torch.zeros_like(x) if ddx is None else ddx, t["ddx"], 1e-5)


@pytest.mark.parametrize(("case", "t"), cases("upfirdn2d"))
def test_upfirdn2d(case, t):
    f = setup_filter(case["taps"])
    assert_close(f, t["f"], 1e-7)
    x = t["x"].requires_grad_()
    y = upfirdn2d(x, f, case["up"], case["down"], case["padding"], case["flip_filter"], case["gain"])
    assert_close(y, t["y"], 1e-5)
    assert_close(torch.autograd.grad((y * t["v"]).sum(), x)[0], t["dx"], 1e-5)


@pytest.mark.parametrize(("case", "t"), cases("conv2d_resample"))
def test_conv2d_resample(case, t):
    x, w = t["x"].requires_grad_(), t["w"].requires_grad_()
    f = setup_filter(case["resample_filter"])
    y = conv2d_resample(x, w, f, case["up"], case["down"], case["padding"], case["weight_is_correlated"])
    assert_close(y, t["y"], 1e-4)
    for actual, name in zip(torch.autograd.grad((y * t["v"]).sum(), [x, w]), ["dx", "dw"], strict=True):
        assert_close(actual, t[name], 1e-4)


@pytest.mark.parametrize("execution", [modulated_conv2d, modulated_conv2d_grouped])
@pytest.mark.parametrize(("case", "t"), cases("modulated_conv2d"))
def test_modulated_conv2d(case, t, execution):
    x, w, s = (t[name].clone().requires_grad_() for name in "xws")
    f = setup_filter(case["resample_filter"])
    y = execution(
        x,
        w,
        s,
        f,
        up=case["up"],
        padding=case["padding"],
        demodulate=case["demodulate"],
        weight_is_correlated=case["weight_is_correlated"],
    )
    assert_close(y, t["y"], 1e-4)
    for actual, name in zip(
        torch.autograd.grad((y * t["v"]).sum(), [x, w, s]), ["dx", "dw", "ds"], strict=True
    ):
        assert_close(actual, t[name], 1e-4)
