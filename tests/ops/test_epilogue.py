"""The epilogue: kernels against its separate steps, its gradients, and its errors."""

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck, gradgradcheck

from morphoscope.ops import backend, bias_act, epilogue, setup_filter, upfirdn2d
from morphoscope.ops.activations import ACTIVATIONS

DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16]
TOLERANCES = {torch.float32: 1e-5, torch.float64: 1e-12, torch.float16: 6e-3, torch.bfloat16: 6e-2}
BLUR = setup_filter([1, 3, 3, 1])


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_is_filter_scale_noise_bias_activation_clamp() -> None:
    x, scale, noise, b = random(2, 3, 5, 4), random(2, 3, seed=1), random(2, 5, 4, seed=2), random(3, seed=3)
    y = epilogue(x, b, scale=scale, noise=noise, act="lrelu", gain=2, clamp=1.5, f=BLUR, padding=[1, 2, 2, 1])
    blurred = upfirdn2d(x, BLUR, padding=[1, 2, 2, 1])
    before = blurred * scale[:, :, None, None] + noise[:, None] + b[:, None, None]
    expected = (2 * torch.nn.functional.leaky_relu(before, 0.2)).clamp(-1.5, 1.5)
    torch.testing.assert_close(y, expected)


def test_by_default_it_is_bias_act() -> None:
    x, b = random(2, 3, 5, 4), random(3, seed=1)
    torch.testing.assert_close(epilogue(x, b, act="swish"), bias_act(x, b, act="swish"))
    assert torch.equal(epilogue(x), x)


@settings(max_examples=200, deadline=None)
@given(
    st.tuples(st.integers(0, 3), st.sampled_from([1, 2, 3, 8, 13, 16]), *[st.integers(1, 37)] * 2),
    st.sampled_from(
        [None, [1.0, 3, 3, 1], list(range(1, 13)), [[1.0, 2], [3, -4]], [[2.0]]]  # a product, rows, neither
    ),
    st.sampled_from([1, 2, (3, 2)]),
    st.sampled_from([1, 2]),
    st.tuples(*[st.integers(-2, 8)] * 4),
    st.tuples(*[st.booleans()] * 3),
    st.sampled_from(["shared", "broadcast", "per sample"]),
    st.sampled_from(sorted(ACTIVATIONS)),
    st.sampled_from([None, 0.8]),
    st.sampled_from(DTYPES),
    st.sampled_from(["contiguous", "channels last", "sliced"]),
    st.integers(0, 1000),
)
def test_kernels_agree_with_the_reference(
    size: tuple[int, int, int, int],
    taps: list[float] | None,
    up: int | tuple[int, int],
    down: int,
    padding: tuple[int, int, int, int],
    given: tuple[bool, bool, bool],
    noise_of: str,
    act: str,
    clamp: float | None,
    dtype: torch.dtype,
    layout: str,
    seed: int,
) -> None:
    f = None if taps is None else torch.tensor(taps) if isinstance(taps[0], list) else setup_filter(taps)
    x = random(*size, seed=seed).to(dtype)
    if layout == "channels last":
        x = x.contiguous(memory_format=torch.channels_last)
    elif layout == "sliced":
        x = torch.nn.functional.pad(x, [1, 2, 2, 0])[:, :, 2:, 1:-2]
    with backend("reference"):
        try:
            shape = upfirdn2d(x, f, up, down, padding).shape
        except ValueError:
            assume(False)
    noise_shape = {"shared": shape[2:], "broadcast": (1, *shape[2:]), "per sample": (shape[0], *shape[2:])}
    scale, noise, b = (
        random(*s, seed=seed + 1).float().to(torch.promote_types(dtype, torch.float32)) if wanted else None
        for s, wanted in zip([shape[:2], noise_shape[noise_of], shape[1:2]], given, strict=True)
    )
    results = []
    for name, of in (("native", x), ("reference", x.double())):
        with backend(name):
            results.append(
                epilogue(of, b, scale=scale, noise=noise, act=act, clamp=clamp, f=f, up=up, down=down,
                         padding=padding, flip_filter=seed % 2 == 0, filter_gain=1.5)
            )  # fmt: skip
    y, expected = results
    assert y.dtype == dtype
    if size[2:] != (1, 1):  # the memory order of single pixels is ambiguous
        last = layout == "channels last" and size[1] > 1
        assert y.is_contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)
    torch.testing.assert_close(y.double(), expected, rtol=2 * TOLERANCES[dtype], atol=4 * TOLERANCES[dtype])


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_same_bits_on_any_number_of_threads(layout: torch.memory_format) -> None:
    x = random(3, 24, 65, 65).float().contiguous(memory_format=layout)
    noise, scale, threads, results = (
        random(3, 66, 66).float(),
        random(3, 24).float(),
        torch.get_num_threads(),
        [],
    )
    for count in (1, 3):
        torch.set_num_threads(count)
        with backend("native"):
            results.append(epilogue(x, scale=scale, noise=noise, act="lrelu", f=BLUR, padding=2))
    torch.set_num_threads(threads)
    assert torch.equal(*results)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("act", sorted(ACTIVATIONS))
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_nan_and_infinities_give_what_they_give_in_the_reference(
    bad: float, act: str, layout: torch.memory_format
) -> None:
    x = random(1, 9, 6, 7).float()
    x[0, 4, 2, 3] = bad
    x, results = x.contiguous(memory_format=layout), []
    for name in ("native", "reference"):
        with backend(name):
            results.append(epilogue(x, torch.ones(9), act=act, clamp=2.0, f=BLUR, padding=2))
    torch.testing.assert_close(results[0], results[1], equal_nan=True)


def test_gradients_of_first_and_second_order() -> None:
    f = setup_filter([1, 2])
    operands = [random(2, 2, 3, 3), random(2, seed=1), random(2, 2, seed=2), random(4, 4, seed=3)]

    def run(x: torch.Tensor, b: torch.Tensor, scale: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        return epilogue(x, b, scale=scale, noise=noise, act="swish", clamp=2.0, f=f, padding=1)

    for t in operands:
        t.requires_grad_()
    with backend("native"):
        assert gradcheck(run, operands)
        assert gradgradcheck(run, operands)


def test_results_with_and_without_gradients_agree() -> None:
    x, b, noise = random(2, 3, 5, 4), random(3, seed=1).requires_grad_(), random(6, 5, seed=2)
    y = epilogue(x, b, noise=noise, act="lrelu", f=BLUR, padding=2)
    with torch.no_grad():
        torch.testing.assert_close(epilogue(x, b, noise=noise, act="lrelu", f=BLUR, padding=2), y)
    assert y.requires_grad


def test_the_dispatcher_accepts_the_operation() -> None:
    operation = torch.ops.morphoscope.upfirdn2d_epilogue.default
    for x in (
        random(2, 3, 6, 5).float(),
        random(2, 3, 6, 5).bfloat16().to(memory_format=torch.channels_last),
    ):
        filtering = (x, BLUR, (2, 1), (1, 1), (1, 2, 3, 0), False, 1.5)
        torch.library.opcheck(operation, (*filtering, None, None, None, "linear", 0.0, 1.0, -1.0))
        given = (random(2, 3).float(), random(2, 6, 10).float(), random(3).float())
        torch.library.opcheck(operation, (*filtering, *given, "lrelu", 0.2, 1.4, 2.0))


def test_compiles_into_one_graph() -> None:
    def layer(x: torch.Tensor, scale: torch.Tensor, noise: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        x = epilogue(x, b, scale=scale, act="lrelu", f=BLUR, padding=2)
        return epilogue(x, noise=noise, act="lrelu")

    operands = random(2, 3, 7, 5), random(2, 3, seed=1), random(8, 6, seed=2), random(3, seed=3)
    torch.testing.assert_close(
        torch.compile(layer, fullgraph=True, backend="aot_eager")(*operands), layer(*operands)
    )


@pytest.mark.parametrize("name", ["native", "reference"])
def test_autocast_leaves_the_precision_of_x(name: str) -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16), backend(name):
        assert epilogue(torch.ones(1, 2, 4, 4), f=BLUR, padding=2).dtype == torch.float32
        half = torch.ones(1, 2, 4, 4, dtype=torch.bfloat16)
        assert epilogue(half, torch.ones(2), f=BLUR, padding=2).dtype == torch.bfloat16


def test_errors() -> None:
    x = torch.zeros(2, 3, 4, 4)
    with pytest.raises(ValueError, match=r"scale takes .* \[N, C\], not Tensor float32 \[3\]"):
        epilogue(x, scale=torch.ones(3))
    with pytest.raises(ValueError, match=r"noise takes .*, not Tensor float32 \[2, 1, 4, 4\]"):
        epilogue(x, noise=torch.ones(2, 1, 4, 4))
    with pytest.raises(ValueError, match=r"The noise has shape \(4, 4\); the result needs \(2, 8, 8\)"):
        epilogue(x, noise=torch.ones(4, 4), up=2)
    with pytest.raises(ValueError, match=r"The bias has shape \(4,\)"):
        epilogue(x, torch.ones(4))
    with pytest.raises(ValueError, match="act takes one of linear"):
        epilogue(x, act="gelu")
    with pytest.raises(ValueError, match="crops more"):
        epilogue(x, padding=-2)
