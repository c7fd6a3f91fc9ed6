"""Timing for the benchmarks: interleaved runs, medians, and the bandwidth and product rate of the machine."""

import platform
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import torch

from morphoscope.ops import backend

Result = TypeVar("Result")


def interleaved(
    runs: Mapping[str, Callable[[], object]],
    device: torch.device,
    repetitions: int = 15,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Median milliseconds of each run; runs are interleaved, so that a busy machine slows all of them.

    Args:
        clock: time.process_time counts the seconds of the processor, of all threads together: on a CPU with
            one thread, what other programs do at the same time counts for nothing.
    """
    times: dict[str, list[float]] = {name: [] for name in runs}
    for repetition in range(repetitions + 2):  # the first two warm up
        for name, run in runs.items():
            synchronize(device)
            started = clock()
            run()
            synchronize(device)
            if repetition >= 2:
                times[name].append(1000 * (clock() - started))
    return {name: statistics.median(taken) for name, taken in times.items()}


def with_backend(name: str, run: Callable[[], object]) -> Callable[[], object]:
    """`run` within `backend(name)`."""

    def chosen() -> object:
        with backend(name):
            return run()

    return chosen


def captured(run: Callable[[], Result], times: int = 1) -> Callable[[], Result]:
    """`run`, repeated `times` times, recorded as a CUDA graph after a warm-up on a side stream."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            run()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(times):
            result = run()

    def replay() -> Result:
        graph.replay()
        return result

    return replay


def synchronize(device: torch.device) -> None:
    """Wait until the device has finished all work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def machine(device: torch.device) -> str:
    """One line that describes the machine and, for a GPU, the precision of float32 products."""
    if device.type == "cuda":
        kinds = (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32)
        products, convolutions = ("TF32" if allowed else "float32" for allowed in kinds)
        return (
            f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}, products in {products}, "
            f"convolutions in {convolutions}"
        )
    capability = torch.backends.cpu.get_cpu_capability()
    return f"{_cpu_name()}, {torch.get_num_threads()} threads, {capability}, torch {torch.__version__}"


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def copy_bandwidth(device: torch.device) -> float:
    """Bytes per millisecond, read and written, of a copy that is several times as large as the caches."""
    source = torch.randn(64 << 20 if device.type == "cpu" else 512 << 20, device=device)
    target = torch.empty_like(source)
    taken = interleaved({"copy": lambda: target.copy_(source)}, device, 7)["copy"]
    return 2 * source.numel() * source.element_size() / taken


def product_rate(device: torch.device) -> float:
    """Floating-point operations per millisecond of a large float32 matrix product."""
    size = 2048 if device.type == "cpu" else 8192
    a = torch.randn(size, size, device=device)
    taken = interleaved({"product": lambda: a @ a}, device, 7)["product"]
    return 2 * size**3 / taken
