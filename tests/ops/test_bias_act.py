"""bias_act: known values, derivatives of every order, kernels against the reference, and errors."""

from math import exp, log, sqrt, tanh

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck, gradgradcheck

from morphoscope.ops import backend, bias_act
from morphoscope.ops.activations import ACTIVATIONS

SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
# f(-1), f(2) and the default gain, by the activations' definitions.
KNOWN = {
    "linear": (-1, 2, 1),
    "relu": (0, 2, sqrt(2)),
    "lrelu": (-0.2, 2, sqrt(2)),
    "tanh": (tanh(-1), tanh(2), 1),
    "sigmoid": (1 / (1 + exp(1)), 1 / (1 + exp(-2)), 1),
    "elu": (exp(-1) - 1, 2, 1),
    "selu": (SELU_SCALE * SELU_ALPHA * (exp(-1) - 1), SELU_SCALE * 2, 1),
    "softplus": (log(1 + exp(-1)), log(1 + exp(2)), 1),
    "swish": (-1 / (1 + exp(1)), 2 / (1 + exp(-2)), sqrt(2)),
}


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    x = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return x + 0.1 * x.sign()  # away from the kink at 0, where finite differences fail


def test_the_activations_are_those_of_the_table() -> None:
    assert set(ACTIVATIONS) == set(KNOWN)


@pytest.mark.parametrize("act", KNOWN)
def test_known_values_and_default_gains(act: str) -> None:
    x = torch.tensor([[-1.0, 2.0]], dtype=torch.float64)
    *values, gain = KNOWN[act]
    expected = torch.tensor([values], dtype=torch.float64)
    torch.testing.assert_close(bias_act(x, act=act, gain=1), expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(bias_act(x, act=act), expected * gain, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("act", ["lrelu", "swish", "selu", "tanh"])
def test_the_gain_keeps_about_unit_variance(act: str) -> None:
    """The mean square is about 1 for activations like relu, and within a factor of 3 for the others."""
    y = bias_act(torch.randn(100_000, 1, generator=torch.Generator().manual_seed(0)), act=act)
    assert 0.35 < y.square().mean() < 1.15


@pytest.mark.parametrize("clamp", [None, 1.3])
@pytest.mark.parametrize("act", KNOWN)
def test_gradients_of_first_and_second_order(act: str, clamp: float | None) -> None:
    x, b = random(3, 4).requires_grad_(), 0.01 * random(4, seed=1).requires_grad_()

    def run(x: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return bias_act(x, b, act=act, clamp=clamp)

    assert gradcheck(run, (x, b))
    assert gradgradcheck(run, (x, b))


@pytest.mark.parametrize(("alpha", "gain", "dim"), [(-0.3, 1.2, 1), (0.0, 1.0, -1), (0.3, -1.5, 0)])
def test_gradients_with_options_for_which_the_result_does_not_determine_the_slope(
    alpha: float, gain: float, dim: int
) -> None:
    x = random(3, 4).requires_grad_()
    b = 0.01 * random(x.shape[dim], seed=1).requires_grad_()

    def run(x: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return bias_act(x, b, dim, "lrelu", alpha, gain, clamp=0.9)

    assert gradcheck(run, (x, b))
    assert gradgradcheck(run, (x, b))


@pytest.mark.parametrize("clamp", [None, 1.3])
@pytest.mark.parametrize("act", ["tanh", "sigmoid", "elu", "selu", "softplus", "swish"])
def test_derivatives_of_higher_order_than_the_kernels_compute(act: str, clamp: float | None) -> None:
    """Third and fourth order, with respect to x and to the bias."""
    results = []
    for name in ("native", "reference"):
        x, b = random(3, 4).requires_grad_(), 0.01 * random(4, seed=1).requires_grad_()
        weight = random(3, 4, seed=2).requires_grad_()
        with backend(name):
            y = bias_act(x, b, act=act, clamp=clamp)
        for order in range(3):
            (y,) = torch.autograd.grad((y * weight).sum(), [x, b][order % 2], create_graph=True)
            results.append(y)
            y = y.expand(3, 4)
        results.extend(torch.autograd.grad(y.square().sum(), [x, b, weight]))
    half = len(results) // 2
    for native, reference in zip(results[:half], results[half:], strict=True):
        torch.testing.assert_close(native, reference)


@pytest.mark.parametrize("act", ["linear", "relu", "lrelu"])
def test_piecewise_linear_activations_have_no_second_derivative(act: str) -> None:
    """None is computed, which saves time in R1 and path length: they differentiate such layers twice."""
    x = random(3, 4).requires_grad_()
    u = random(3, 4, seed=1).requires_grad_()
    with backend("native"):
        (dx,) = torch.autograd.grad(bias_act(x, act=act, clamp=1.0), x, u, create_graph=True)
    du, ddx = torch.autograd.grad(dx.square().sum(), [u, x], allow_unused=True)
    assert ddx is None
    assert du.abs().sum() > 0


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 3),
    st.integers(0, 3),
    st.sampled_from(sorted(KNOWN)),
    st.floats(0.1, 4),
    st.one_of(st.none(), st.floats(0, 2)),
    st.integers(0, 1000),
)
def test_is_bias_then_activation_then_gain_then_clamp(
    ndim: int, dim: int, act: str, gain: float, clamp: float | None, seed: int
) -> None:
    dim %= ndim
    x = random(*range(2, 2 + ndim), seed=seed)
    b = random(x.shape[dim], seed=seed + 1)
    shape = [1] * ndim
    shape[dim] = -1
    activated = bias_act(x + b.reshape(shape), act=act, gain=1)
    expected = activated * gain
    if clamp is not None:
        expected = expected.clamp(-clamp, clamp)
    torch.testing.assert_close(bias_act(x, b, dim, act, gain=gain, clamp=clamp), expected)
    torch.testing.assert_close(bias_act(x, b, dim - ndim, act, gain=gain, clamp=clamp), expected)


def test_alpha_is_the_slope_of_lrelu() -> None:
    x = torch.tensor([-2.0, 3.0])
    assert bias_act(x, dim=0, act="lrelu", alpha=0.5, gain=1).tolist() == [-1, 3]
    assert bias_act(x, dim=0, act="lrelu", alpha=0.0, gain=1).tolist() == [0, 3]


def test_clamp_is_symmetric_and_passes_no_gradient_at_or_beyond_it() -> None:
    x = torch.tensor([-5.0, -3.0, -2.0, 2.0, 3.0, 5.0], requires_grad=True)
    y = bias_act(x, dim=0, gain=2, clamp=6)
    y.sum().backward()
    assert y.tolist() == [-6, -6, -4, 4, 6, 6]
    assert x.grad is not None
    assert x.grad.tolist() == [0, 0, 2, 2, 0, 0]
    assert bias_act(x, dim=0, clamp=-1).tolist() == x.tolist(), "a negative clamp is no limit"


DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16]
TOLERANCES = {torch.float32: 2e-6, torch.float64: 1e-13, torch.float16: 3e-3, torch.bfloat16: 3e-2}


def laid_out(x: torch.Tensor, layout: str) -> torch.Tensor:
    """The same x in another memory order, or as a view of a larger tensor."""
    if layout == "channels last":
        return x.movedim(1, -1).contiguous().movedim(-1, 1)
    if layout == "reversed axes":
        axes = list(range(x.ndim))[::-1]
        return x.permute(axes).contiguous().permute(axes)
    if layout == "sliced":
        return torch.nn.functional.pad(x, [1, 2])[..., 1:-2]
    if layout == "every other":
        return x.repeat_interleave(2, dim=0)[::2]
    if layout == "expanded":
        return x[:1].expand(x.shape)
    return x.contiguous()


LAYOUTS = ["contiguous", "channels last", "reversed axes", "sliced", "every other", "expanded"]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.integers(1, 9), min_size=2, max_size=5),
    st.integers(0, 4),
    st.sampled_from(sorted(KNOWN)),
    st.sampled_from(DTYPES),
    st.sampled_from(LAYOUTS),
    st.sampled_from([None, 0.2, -0.5]),
    st.sampled_from([None, 0.7, -1.5]),
    st.sampled_from([None, 0.0, 0.9]),
    st.booleans(),
    st.integers(0, 1000),
)
def test_kernels_agree_with_the_reference(
    shape: list[int],
    dim: int,
    act: str,
    dtype: torch.dtype,
    layout: str,
    alpha: float | None,
    gain: float | None,
    clamp: float | None,
    biased: bool,
    seed: int,
) -> None:
    """Values and gradients; the reference computes in float64."""
    dim %= len(shape)
    x = laid_out((2 * random(*shape, seed=seed)).to(dtype), layout)
    b = random(shape[dim], seed=seed + 1).to(dtype)
    u = laid_out(random(*shape, seed=seed + 2).to(dtype), LAYOUTS[seed % len(LAYOUTS)])
    results = []
    for name, of in (("native", dtype), ("reference", torch.float64)):
        given = [t.to(of).requires_grad_() for t in ((x, b) if biased else (x,))]
        with backend(name):
            y = bias_act(given[0], given[1] if biased else None, dim, act, alpha, gain, clamp)
            results.append([y, *torch.autograd.grad(y, given, u.to(of))])
    y, dx, *db = (t.double() for t in results[0])
    expected_y, expected_dx, *expected_db = results[1]
    tolerance = TOLERANCES[dtype]
    torch.testing.assert_close(y, expected_y, rtol=tolerance, atol=tolerance)
    # At the clamp, or at a kink, rounding decides whether a gradient passes.
    limit = float("inf") if clamp is None or clamp < 0 else clamp
    decided = (expected_y.abs() - limit).abs() > 4 * tolerance
    assert decided.double().mean() > 0.3 or clamp is not None
    torch.testing.assert_close(dx[decided], expected_dx[decided], rtol=8 * tolerance, atol=8 * tolerance)
    if biased and bool(decided.all()):
        few = x.numel() / shape[dim]
        torch.testing.assert_close(db[0], expected_db[0], rtol=8 * tolerance, atol=8 * tolerance * few)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_results_keep_the_memory_order(dtype: torch.dtype, layout: str) -> None:
    x = laid_out(random(2, 3, 4, 5).to(dtype), layout)
    with backend("native"):
        y = bias_act(x, torch.ones(3), act="lrelu")
    assert y.dtype == dtype
    assert y.stride() == torch.empty_like(x).stride()
    assert bias_act(x.requires_grad_(), act="swish").stride() == y.stride()


@pytest.mark.parametrize("size", [1, 7, 8, 9, 31, 20_000, 70_001])
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_length_on_any_number_of_threads(dtype: torch.dtype, size: int) -> None:
    x, b = random(size, 3).to(dtype), random(3, seed=1)
    threads, results = torch.get_num_threads(), []
    for count in (1, 3):
        torch.set_num_threads(count)
        with backend("native"):
            results.append(bias_act(x, b, act="tanh"))
            results.append(bias_act(x.t().contiguous(), b, 0, act="tanh").t())
    torch.set_num_threads(threads)
    for other in results[1:]:
        assert torch.equal(results[0], other)
    expected = torch.tanh(x.double() + b)
    tolerance = TOLERANCES[dtype]
    torch.testing.assert_close(results[0].double(), expected, rtol=tolerance, atol=tolerance)


EXTREMES = [0.0, 1e-30, 1e-8, 1e-3, 0.3, 1.0, 19.9, 20.1, 60.0, 87.0, 89.0, 103.0, 104.5, 709.0, 746.0, 1e30]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("clamp", [None, 1.0])
@pytest.mark.parametrize("act", KNOWN)
def test_extremes_nan_and_infinities_give_what_they_give_in_the_reference(
    act: str, clamp: float | None, dtype: torch.dtype
) -> None:
    values = [sign * value for value in [*EXTREMES, float("inf")] for sign in (1, -1)]
    x = torch.tensor([[*values, float("nan")]], dtype=dtype)
    results = []
    for name in ("native", "reference"):
        given = x.clone().requires_grad_()
        with backend(name):
            y = bias_act(given, act=act, clamp=clamp)
        # Gradients at infinities and at NaN are conventions, and not compared.
        (dx,) = torch.autograd.grad(y[given.isfinite()].sum(), given)
        results.append((y.detach(), dx[given.isfinite()]))
    tolerance = TOLERANCES[dtype]
    for native, reference in zip(*results, strict=True):
        torch.testing.assert_close(native, reference, rtol=2 * tolerance, atol=2 * tolerance, equal_nan=True)


@pytest.mark.parametrize("shape", [(0, 3), (2, 0), (2, 3, 0, 4), (0,), ()])
@pytest.mark.parametrize("name", ["native", "reference"])
def test_empty_tensors(shape: tuple[int, ...], name: str) -> None:
    x = torch.zeros(shape, requires_grad=True)
    b = torch.zeros(shape[1], requires_grad=True) if len(shape) > 1 else None
    with backend(name):
        y = bias_act(x, b, act="lrelu")
    assert y.shape == shape
    gradients = torch.autograd.grad(y.sum(), [x] if b is None else [x, b])
    assert gradients[0].shape == shape
    assert all(gradient.abs().sum() == 0 for gradient in gradients if shape != ())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("act", ["lrelu", "swish"])
def test_the_dispatcher_accepts_both_operations(act: str, dtype: torch.dtype) -> None:
    for layout in ("contiguous", "channels last", "sliced"):
        x = laid_out(random(2, 3, 4, 5).to(dtype), layout).detach().requires_grad_()
        b = random(3, seed=1).float().requires_grad_()
        options = (1, act, 0.2, 1.4, 0.9)
        torch.library.opcheck(torch.ops.morphoscope.bias_act.default, (x, b, *options))
        u = laid_out(random(2, 3, 4, 5, seed=2).to(dtype), layout).detach().requires_grad_()
        derivative = torch.ops.morphoscope.bias_act_derivative.default
        torch.library.opcheck(derivative, (u, x, b, *options, 1, False))
        if act == "lrelu":
            torch.library.opcheck(derivative, (u, x, None, *options, 1, True))


def test_compiles_into_one_graph() -> None:
    compiled = torch.compile(bias_act, fullgraph=True, backend="aot_eager")
    x, b = random(2, 3, 4, 5).requires_grad_(), random(3, seed=1).requires_grad_()
    y = compiled(x, b, act="lrelu", clamp=0.9)
    expected = bias_act(x, b, act="lrelu", clamp=0.9)
    torch.testing.assert_close(y, expected)
    gradients = [torch.autograd.grad(result.square().sum(), [x, b]) for result in (y, expected)]
    torch.testing.assert_close(gradients[0], gradients[1])


@pytest.mark.parametrize("name", ["native", "reference"])
def test_autocast_leaves_the_precision_of_x(name: str) -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16), backend(name):
        assert bias_act(torch.ones(1, 2), torch.ones(2), act="lrelu").dtype == torch.float32
        y = bias_act(torch.ones(1, 2, dtype=torch.bfloat16), torch.ones(2), act="lrelu", gain=1)
        assert (y.dtype, y.tolist()) == (torch.bfloat16, [[2, 2]])


@pytest.mark.parametrize("clamp", [None, 1.0])
@pytest.mark.parametrize("act", KNOWN)
def test_nan_passes_through(act: str, clamp: float | None) -> None:
    """The clamp must not hide that a training run diverges."""
    y = bias_act(torch.tensor([[float("nan"), 0.1]]), torch.zeros(2), act=act, clamp=clamp)
    assert y.isnan().tolist() == [[True, False]]


def test_the_bias_is_converted_to_the_precision_of_x() -> None:
    y = bias_act(torch.ones(1, 2, dtype=torch.float16), torch.ones(2), act="linear")
    assert y.dtype == torch.float16
    assert y.tolist() == [[2, 2]]


def test_errors() -> None:
    x = torch.zeros(2, 3, 4, 4)
    with pytest.raises(ValueError, match=r"act takes one of linear, relu, lrelu.*, not str 'gelu'"):
        bias_act(x, act="gelu")
    with pytest.raises(ValueError, match=r"The bias has shape \(4,\); axis 1 of x needs \(3,\)"):
        bias_act(x, torch.zeros(4))
    with pytest.raises(ValueError, match=r"b takes .* not Tensor float32 \[3, 1\]"):
        bias_act(x, torch.zeros(3, 1))
    with pytest.raises(ValueError, match="x takes a tensor of float32, float64, float16 or bfloat16"):
        bias_act(torch.zeros(2, 3, dtype=torch.int64))
