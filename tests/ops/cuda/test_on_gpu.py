"""The native operations on a real GPU: against the reference, gradients, streams and CUDA graphs."""

import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck
from torch.utils._python_dispatch import TorchDispatchMode

from morphoscope.ops import bias_act, downsample2d, grid_sample, setup_filter, upfirdn2d, upsample2d
from morphoscope.ops.activations import ACTIVATIONS
from morphoscope.ops.cuda import launching
from morphoscope.ops.dispatch import backend
from morphoscope.ops.epilogue import epilogue
from morphoscope.ops.native import cuda_module as cuda_module_file
from morphoscope.ops.native.cuda_compilers import find_compilers

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")

DEVICE = "cuda"
DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16]
LAYOUTS = [torch.contiguous_format, torch.channels_last]


@pytest.fixture(autouse=True)
def _exact_reference() -> Any:
    """Compute the reference in full float32, where cuDNN would use TF32."""
    with torch.backends.cudnn.flags(allow_tf32=False, benchmark=False), backend("native"):
        yield


def randn(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(DEVICE, dtype)


@functools.cache  # a graph cannot capture a copy from the host
def bias(channels: int) -> torch.Tensor:
    return randn(channels, seed=1)


@functools.cache
def grid(n: int, dtype: torch.dtype) -> torch.Tensor:
    return (randn(n, 25, 31, 2, seed=9) * 0.8).bfloat16().to(dtype)  # the same values in every dtype


@functools.cache
def taps(*values: float) -> torch.Tensor:
    return setup_filter(values, device=DEVICE)


def f4() -> torch.Tensor:
    return taps(1, 3, 3, 1)


def f12() -> torch.Tensor:
    return taps(1, -2, 3, 5, 8, 13, 12, 9, 4, 2, -1, 1)


OPERATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "bias_act": lambda x: bias_act(x, bias(x.shape[1]), act="lrelu", clamp=1.5),
    "bias_act curved": lambda x: bias_act(x, bias(x.shape[1]), act="swish"),
    "blur": lambda x: upfirdn2d(x, f4(), padding=[1, 2, 2, 1]),
    "up": lambda x: upsample2d(x, f4()),
    "down": lambda x: downsample2d(x, f4()),
    "up, 12 taps": lambda x: upsample2d(x, f12()),
    "down, 12 taps": lambda x: downsample2d(x, f12(), flip_filter=True, padding=-2),
    "any filter": lambda x: upfirdn2d(x, f12()[None, :5], up=(3, 1), down=(2, 1), padding=4),
    "any separable filter": lambda x: upfirdn2d(x, f12(), padding=6),
    "grid_sample": lambda x: grid_sample(x, grid(len(x), x.dtype)),
}
LINEAR = [name for name in OPERATIONS if "bias_act" not in name]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [(3, 16, 33, 50), (2, 3, 64, 64)])
@pytest.mark.parametrize("name", OPERATIONS)
def test_value_and_gradient_as_in_the_reference(
    name: str, size: tuple[int, ...], dtype: torch.dtype, layout: torch.memory_format
) -> None:
    x = randn(*size, dtype=dtype).to(memory_format=layout).requires_grad_()
    y = OPERATIONS[name](x)
    u = randn(*y.shape, seed=5, dtype=dtype)
    (gradient,) = torch.autograd.grad(y, x, u)
    with backend("reference"):
        wide = x.detach().double().requires_grad_()
        expected = OPERATIONS[name](wide)
        (expected_gradient,) = torch.autograd.grad(expected, wide, u.double())
    tolerance = {torch.float16: (4e-3, 4e-3), torch.bfloat16: (3e-2, 3e-2), torch.float32: (1e-5, 1e-5)}
    rtol, atol = tolerance.get(dtype, (1e-9, 1e-9))
    torch.testing.assert_close(y.double(), expected, rtol=rtol, atol=atol)
    # For single elements, rounding decides whether the clamp is reached.
    off = (gradient.double() - expected_gradient).abs() > atol + rtol * expected_gradient.abs()
    assert off.double().mean() <= (2e-3 if name.startswith("bias_act") else 0)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("filtered", [False, True])
def test_epilogue_as_in_the_reference(
    filtered: bool, dtype: torch.dtype, layout: torch.memory_format
) -> None:
    x = randn(3, 16, 20, 24, dtype=dtype).to(memory_format=layout)
    options: dict[str, Any] = {"scale": randn(3, 16, seed=1), "noise": randn(3, 20, 24, seed=2)}
    options |= {"act": "lrelu", "clamp": 2.0}
    if filtered:
        options |= {"f": f4(), "padding": (1, 2, 2, 1), "filter_gain": 4.0}
    y = epilogue(x, bias(16), **options)
    with backend("reference"):
        expected = epilogue(x.double(), bias(16), **options).to(dtype)
    tolerance = {"rtol": 1e-5, "atol": 1e-5} if dtype == torch.float32 else {}
    torch.testing.assert_close(y, expected, **tolerance)


@pytest.mark.parametrize("act", ACTIVATIONS)
@pytest.mark.parametrize("clamp", [None, 0.7])
def test_gradients_of_bias_act(act: str, clamp: float | None) -> None:
    x = randn(2, 3, 4, dtype=torch.float64).requires_grad_()
    b = randn(3, seed=1, dtype=torch.float64).requires_grad_()

    def run(x: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return bias_act(x, b, act=act, clamp=clamp)

    assert gradcheck(run, (x, b))
    assert gradgradcheck(run, (x, b))


@pytest.mark.parametrize("name", LINEAR)
def test_gradients_of_linear_operations(name: str) -> None:
    x = randn(1, 2, 9, 10, dtype=torch.float64).requires_grad_()
    # The order of additions in grid_sample's transpose varies.
    assert gradcheck(OPERATIONS[name], x, nondet_tol=1e-10, fast_mode=True)
    assert gradgradcheck(OPERATIONS[name], x, nondet_tol=1e-10, fast_mode=True)


@pytest.mark.parametrize("name", OPERATIONS)
def test_opcheck(name: str) -> None:
    called: list[tuple[Any, tuple[Any, ...]]] = []

    class Record(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if func.namespace == "morphoscope":
                called.append((func, args))
            return func(*args, **(kwargs or {}))

    with Record():
        OPERATIONS[name](randn(2, 16, 12, 12))
    assert called
    for operation, arguments in called:
        torch.library.opcheck(operation, arguments)


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_cuda_graph_captures_every_operation(name: str) -> None:
    x = randn(2, 16, 32, 32)
    expected = OPERATIONS[name](x)  # loads the kernels
    captured_input, graph = torch.zeros_like(x), torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = OPERATIONS[name](captured_input)
    captured_input.copy_(x)
    graph.replay()
    assert torch.equal(result, expected)


def test_other_streams_and_threads() -> None:
    x = randn(4, 16, 64, 64)
    expected = [operation(x) for operation in OPERATIONS.values()]

    def work() -> list[torch.Tensor]:
        stream = torch.cuda.Stream()
        with backend("native"), torch.cuda.stream(stream):
            results = [operation(x) for operation in OPERATIONS.values()]
        stream.synchronize()
        return results

    with ThreadPoolExecutor(2) as pool:
        for future in [pool.submit(work) for _ in range(4)]:
            for result, right in zip(future.result(), expected, strict=True):
                torch.testing.assert_close(result, right)


@pytest.mark.parametrize("number", range(2))
def test_kernels_of_every_compiler_compute_the_same(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    compilers = find_compilers()
    if number >= len(compilers):
        pytest.skip("only one CUDA compiler here")
    x = randn(2, 16, 40, 40)
    expected = [operation(x) for operation in OPERATIONS.values()]
    monkeypatch.setattr(cuda_module_file, "find_compilers", lambda: compilers[number : number + 1])
    module = cuda_module_file.cuda_module.__wrapped__(torch.cuda.current_device())
    assert module.compiler == compilers[number].name
    monkeypatch.setattr(launching, "cuda_module", lambda index: module)
    for operation, right in zip(OPERATIONS.values(), expected, strict=True):
        torch.testing.assert_close(operation(x), right)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_more_than_2_to_the_31_elements(layout: torch.memory_format) -> None:
    size = (65, 64, 1024, 512)  # 4.3 GB in float16
    needed = 4 * 2 * torch.Size(size).numel()
    if torch.cuda.mem_get_info()[0] < needed:
        pytest.skip(f"needs {needed / 1e9:.0f} GB of GPU memory")
    x = torch.empty(size, dtype=torch.float16, device=DEVICE, memory_format=layout)
    x.normal_()
    b, f = bias(64), f4()
    for run in (
        lambda x: bias_act(x, b, act="lrelu"),
        lambda x: upfirdn2d(x, f, padding=[1, 2, 1, 2]),
        lambda x: epilogue(x, b, act="lrelu"),
        lambda x: upfirdn2d(x, f[:3, :3], padding=1),
    ):
        y = run(x)
        assert torch.equal(y[-1:], run(x[-1:]))
        assert torch.equal(y[:1], run(x[:1]))
        del y
