"""The native 3x3 convolutions against torch's: values, gradients, gradients of gradients."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck, gradgradcheck

from morphoscope.ops import backend
from morphoscope.ops.conv3x3 import conv3x3, conv3x3_reference, output_size, supported
from morphoscope.ops.cpu.conv3x3 import Weights, channel_multiple, pack, run
from morphoscope.ops.dispatch import native_runs

if not native_runs("cpu", None):
    pytest.skip("no native kernels can be built here", allow_module_level=True)
M = channel_multiple()
MODES = ["same", "down", "up"]


def random(*shape, dtype=torch.float32, seed=0):
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def gradients(convolve, x, w, mode):
    """The result, its gradients, and the gradients of a function of those, for a nonlinear loss."""
    y = convolve(x, w, mode)
    first = torch.autograd.grad(y.square().sum(), [x, w], create_graph=True)
    return y, *first, *torch.autograd.grad(sum(g.square().sum() for g in first), [x, w])


@settings(max_examples=40, deadline=None)
@given(
    mode=st.sampled_from(MODES),
    n=st.integers(1, 3),
    c=st.integers(1, 3),
    o=st.integers(1, 3),
    h=st.integers(1, 21),
    w=st.integers(1, 21),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    channels_last=st.booleans(),
)
def test_values_and_two_gradients_are_those_of_torch(mode, n, c, o, h, w, dtype, channels_last) -> None:
    if mode == "down":
        h, w = 2 * h + 1, 2 * w + 1
    x = random(n, c * M, h, w, dtype=dtype)
    if channels_last:
        x = x.to(memory_format=torch.channels_last)
    x.requires_grad_()
    weight = (random(o * M, c * M, 3, 3, dtype=dtype, seed=1) / (9 * c * M) ** 0.5).requires_grad_()
    assert supported(x, weight, mode)
    tolerance = 3e-5 if dtype == torch.float32 else 1e-12
    for ours, theirs in zip(
        gradients(conv3x3, x, weight, mode), gradients(conv3x3_reference, x, weight, mode), strict=True
    ):
        scale = theirs.detach().abs().max().item()
        torch.testing.assert_close(ours / scale, theirs / scale, rtol=0, atol=tolerance)


@pytest.mark.parametrize("mode", MODES)
def test_gradients_in_float64(mode) -> None:
    x = random(1, M, 5, 3, dtype=torch.float64).requires_grad_()
    w = random(M, M, 3, 3, dtype=torch.float64, seed=1).requires_grad_()
    assert gradcheck(lambda x, w: conv3x3(x, w, mode), (x, w), fast_mode=True)
    assert gradgradcheck(lambda x, w: conv3x3(x, w, mode), (x, w), fast_mode=True)


@pytest.mark.parametrize("mode", MODES)
def test_the_dispatcher_accepts_the_operations(mode) -> None:
    x, w = random(2, M, 5, 7).requires_grad_(), random(M, M, 3, 3).requires_grad_()
    torch.library.opcheck(torch.ops.morphoscope.conv3x3.default, (x, w, mode, False))
    dy = conv3x3(x, w, mode).detach().requires_grad_()
    torch.library.opcheck(torch.ops.morphoscope.conv3x3.default, (dy, w, mode, True))
    torch.library.opcheck(torch.ops.morphoscope.conv3x3_weight_gradient.default, (x, dy, mode))


@pytest.mark.parametrize("mode", MODES)
def test_both_algorithms_agree_and_do_not_depend_on_threads(mode) -> None:
    x, w = random(3, 2 * M, 9, 13), random(M, 2 * M, 3, 3)
    threads = torch.get_num_threads()
    results = []
    algorithms = {"same": ["direct", "winograd"], "down": ["direct"], "up": ["upsampling"]}
    for algorithm in algorithms[mode]:
        for number in (1, 2, 3):
            torch.set_num_threads(number)
            results.append((algorithm, run(x, pack(Weights(w, False, mode), algorithm))))
    torch.set_num_threads(threads)
    for algorithm, result in results:
        torch.testing.assert_close(result, results[0][1], rtol=0, atol=2e-3)  # results are about 17
        same = next(r for a, r in results if a == algorithm)
        assert torch.equal(result, same)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("mode", MODES)
def test_nan_and_infinity_reach_the_results_that_they_reach_in_torch(mode, bad) -> None:
    x, w = random(1, M, 9, 9), random(M, M, 3, 3)
    x[0, 3, 4, 4] = bad
    ours, theirs = conv3x3(x, w, mode), conv3x3_reference(x, w, mode)
    assert not ours[~theirs.isfinite()].isfinite().any()
    if mode == "down":  # in the other modes, the results of a Winograd tile share products
        torch.testing.assert_close(ours.isfinite(), theirs.isfinite())


def test_unsupported_convolutions_run_in_torch() -> None:
    x, w = random(2, M + 1, 8, 8), random(M, M + 1, 3, 3)
    assert not supported(x, w, "same")
    torch.testing.assert_close(conv3x3(x, w), conv3x3_reference(x, w, "same"))
    assert not supported(random(1, M, 8, 8), random(M, M, 3, 3), "down")  # an even size
    assert not supported(random(0, M, 8, 8), random(M, M, 3, 3), "same")
    with backend("reference"):
        assert not supported(random(1, M, 8, 8), random(M, M, 3, 3), "same")


def test_sizes_and_an_unknown_mode() -> None:
    assert output_size(torch.Size([1, 1, 7, 9]), "same") == (7, 9)
    assert output_size(torch.Size([1, 1, 7, 9]), "down") == (3, 4)
    assert output_size(torch.Size([1, 1, 3, 4]), "up") == (7, 9)
    assert output_size(torch.Size([1, 1, 7, 9]), "up", adjoint=True) == (3, 4)
    with pytest.raises(ValueError, match="Unknown mode 'sideways'; choose one of same, down, up"):
        conv3x3(random(1, M, 8, 8), random(M, M, 3, 3), "sideways")  # type: ignore[arg-type]
