"""Building, loading and launching of the CUDA kernels, without a GPU."""

import ctypes
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from morphoscope.ops.native import cuda_module as module
from morphoscope.ops.native.cache import Built
from morphoscope.ops.native.params import BiasActParams
from morphoscope.ops.native.toolchain import Unavailable


class FakeCompiler:
    """Writes its name, or fails."""

    def __init__(self, name: str, supported: str = "sm_90", fails: bool = False) -> None:
        self.name, self.version, self.supported, self.fails = name, "1.2.3", supported, fails
        self.calls = 0

    def supports(self, architecture: str) -> bool:
        return architecture == self.supported

    def compile(self, architecture: str, target: Path) -> str:
        self.calls += 1
        if self.fails:
            raise Unavailable(f"{self.name} cannot compile", "do something")
        target.write_text(self.name)
        return "remarks"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MORPHOSCOPE_CACHE", str(tmp_path / "cache"))


def offer(monkeypatch: pytest.MonkeyPatch, *compilers: FakeCompiler) -> None:
    monkeypatch.setattr(module, "find_compilers", lambda: list(compilers))


def test_the_first_compiler_builds_once(monkeypatch: pytest.MonkeyPatch) -> None:
    nvcc, nvrtc = FakeCompiler("nvcc 13.0"), FakeCompiler("NVRTC 13.0")
    offer(monkeypatch, nvcc, nvrtc)
    for _ in range(2):
        file, name = module.build_kernels("sm_90")
        assert (file.path.read_text(), name) == ("nvcc 13.0", "nvcc 13.0")
        assert file.seconds >= 0
    assert (nvcc.calls, nvrtc.calls) == (1, 0)


def test_another_compiler_torch_or_architecture_is_another_build(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, FakeCompiler("nvcc 13.0"))
    paths = {module.build_kernels("sm_90")[0].path}
    monkeypatch.setattr(torch, "__version__", "99.0")
    paths.add(module.build_kernels("sm_90")[0].path)
    offer(monkeypatch, FakeCompiler("NVRTC 13.0"))
    paths.add(module.build_kernels("sm_90")[0].path)
    offer(monkeypatch, FakeCompiler("NVRTC 13.0", supported="sm_80"))
    paths.add(module.build_kernels("sm_80")[0].path)
    assert len(paths) == 4


def test_a_compiler_that_fails_is_named_and_the_next_one_tried(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    offer(monkeypatch, FakeCompiler("nvcc 13.0", fails=True), FakeCompiler("NVRTC 13.0"))
    with caplog.at_level(logging.WARNING):
        assert module.build_kernels("sm_90")[1] == "NVRTC 13.0"
    assert "nvcc 13.0 cannot compile; trying NVRTC 13.0 instead" in caplog.text
    offer(monkeypatch, FakeCompiler("nvcc 13.0", fails=True), FakeCompiler("NVRTC 13.0", fails=True))
    monkeypatch.setattr(torch, "__version__", "99.0")
    with pytest.raises(Unavailable, match=r"NVRTC 13\.0 cannot compile"):
        module.build_kernels("sm_90")


def test_a_compiler_that_does_not_support_the_device_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, FakeCompiler("nvcc 11.0", supported="sm_80"), FakeCompiler("NVRTC 13.0"))
    assert module.build_kernels("sm_90")[1] == "NVRTC 13.0"
    with pytest.raises(Unavailable, match="no CUDA compiler on this machine supports sm_120"):
        module.build_kernels("sm_120")


def test_the_driver_s_refusals_are_errors(emulated_cuda: Any) -> None:
    params = BiasActParams()
    with pytest.raises(RuntimeError, match=r"cuModuleGetFunction: named symbol not found \(500\)"):
        emulated_cuda.launch("no_such_kernel", 1, 32, params)
    with pytest.raises(RuntimeError, match="cuLaunchKernel: invalid argument"):
        emulated_cuda.launch("bias_act_0_float32", 1, 1024, params)


def test_a_kernel_that_faults_is_an_error(emulated_cuda: Any) -> None:
    params = BiasActParams(x=16, y=16, size=4)
    with pytest.raises(RuntimeError, match="cuLaunchKernel: an illegal memory access"):
        emulated_cuda.launch("bias_act_0_float32", 1, 32, params)


def test_kernels_run_on_the_device_s_current_stream(
    emulated_driver: ctypes.CDLL, monkeypatch: pytest.MonkeyPatch
) -> None:
    devices: list[int] = []

    @contextmanager
    def device(index: int) -> Iterator[None]:
        devices.append(index)
        yield
        devices.append(-index)

    stream = SimpleNamespace(cuda_stream=0x5EED)
    monkeypatch.setattr(torch.cuda, "device", device)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda index: stream if index == 3 else None)
    path = Path(emulated_driver._name)
    file = Built(path, 0.0, os.open(path, os.O_RDONLY))
    loaded = module.CudaModule(emulated_driver, 3, file, "g++", "emulated")
    x, y = torch.ones(8), torch.zeros(8)
    params = BiasActParams(x=x.data_ptr(), y=y.data_ptr(), size=8, gain=2.0, clamp=-1.0)
    loaded.launch("bias_act_0_float32", 1, 32, params)
    assert y.tolist() == [2.0] * 8
    assert devices == [3, -3, 3, -3]  # once to load, once to launch
    assert emulated_driver.emulation_last_stream() == 0x5EED


def test_description(emulated_cuda: Any) -> None:
    assert emulated_cuda.description == "emulated, g++, built in 0.0 s"


def test_a_torch_without_cuda_and_a_missing_driver_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", None)
    with pytest.raises(Unavailable, match="built without CUDA"):
        module.cuda_module(0)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: False)
    monkeypatch.setattr(module, "_DRIVER", "libcuda-is-not-here.so")
    with pytest.raises(Unavailable, match=r"libcuda-is-not-here\.so cannot be loaded"):
        module.cuda_module(0)


def test_nothing_is_loaded_while_a_graph_is_captured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)
    with pytest.raises(RuntimeError, match="run the operation once before"):
        module.cuda_module(0)


def test_kernels_that_the_driver_cannot_load_are_reported_with_a_fix(
    emulated_driver: ctypes.CDLL, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> Any:
        raise RuntimeError("cuModuleLoadDataEx: device kernel image is invalid (200)")

    offer(monkeypatch, FakeCompiler("nvcc 13.0"))
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: False)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda index: (9, 0))
    monkeypatch.setattr(module, "_DRIVER", emulated_driver._name)
    monkeypatch.setattr(module, "CudaModule", refuse)
    with pytest.raises(Unavailable, match=r"nvcc 13.0 built for sm_90 .*invalid.*update the NVIDIA driver"):
        module.cuda_module(0)
