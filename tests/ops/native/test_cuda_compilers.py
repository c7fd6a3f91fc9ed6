"""Compilation of the CUDA kernels, which needs no GPU, and the choice of compiler and architecture."""

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from morphoscope.ops.native import cuda_compilers
from morphoscope.ops.native.cache import built
from morphoscope.ops.native.cuda_compilers import (
    FLAGS,
    CudaCompiler,
    NvccCompiler,
    Nvrtc,
    architecture_for,
    find_compilers,
)
from morphoscope.ops.native.sources import sources_digest
from morphoscope.ops.native.toolchain import Nvcc, Unavailable, find_nvcc

no_nvrtc = pytest.mark.skipif(torch.version.cuda is None, reason="this torch comes without NVRTC")


def nvcc() -> NvccCompiler:
    found = find_nvcc()
    if found is None:
        pytest.skip("no nvcc here")
    return NvccCompiler(found)


@pytest.mark.parametrize("architecture", ["sm_80", "sm_90", "sm_90a"])
@pytest.mark.parametrize("compiler", [nvcc, pytest.param(Nvrtc, marks=no_nvrtc)])
def test_the_kernels_compile_without_a_warning(
    compiler: Callable[[], CudaCompiler], architecture: str
) -> None:
    """Through the build cache, so that unchanged sources are not compiled again."""
    found = compiler()
    assert found.supports(architecture)
    key = {
        "sources": sources_digest("cuda"),
        "compiler": f"{found.name} {found.version}",
        "flags": shlex.join(FLAGS),
        "architecture": architecture,
    }

    def build(target: Path) -> None:
        assert found.compile(architecture, target) == ""
        assert target.read_bytes()[:4] == b"\x7fELF"

    built("cuda-check", key, ".bin", build)


@pytest.mark.parametrize("compiler", [nvcc, pytest.param(Nvrtc, marks=no_nvrtc)])
def test_an_error_is_reported_in_the_compilers_words(
    compiler: Callable[[], CudaCompiler], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wrong.cu").write_text("__global__ void kernel() { nonsense; }")
    monkeypatch.setattr(cuda_compilers, "_MAIN", tmp_path / "wrong.cu")
    with pytest.raises(Unavailable, match=r'cannot compile the kernels \(.*"nonsense" is undefined'):
        compiler().compile("sm_90", tmp_path / "result")


@pytest.mark.parametrize("compiler", [nvcc, pytest.param(Nvrtc, marks=no_nvrtc)])
def test_ptx_where_the_architecture_is_virtual(
    compiler: Callable[[], CudaCompiler], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "small.cu").write_text('extern "C" __global__ void small(int* x) { *x = 1; }')
    monkeypatch.setattr(cuda_compilers, "_MAIN", tmp_path / "small.cu")
    found = compiler()
    assert found.supports("compute_80") and not found.supports("sm_12") and not found.supports("compute_999")
    assert found.compile("compute_80", tmp_path / "result") == ""
    assert b".target sm_80" in (tmp_path / "result").read_bytes()


@pytest.mark.parametrize(
    ("capability", "listed", "expected"),
    [
        ((9, 0), None, "sm_90"),
        ((9, 0), "", "sm_90"),
        ((12, 1), None, "sm_121"),
        ((9, 0), "8.0;9.0+PTX", "sm_90"),
        ((8, 6), "8.0 8.6 9.0", "sm_86"),
        ((8, 9), "8.0, 8.6", "sm_86"),
        ((9, 0), "8.0+PTX;8.6+PTX", "compute_86"),
        ((10, 0), "8.0;9.0+PTX", "compute_90"),
        ((9, 0), "9.0a", "sm_90a"),
        ((12, 0), "9.0;12.0", "sm_120"),
    ],
)
def test_architecture_for_a_device(capability: tuple[int, int], listed: str | None, expected: str) -> None:
    assert architecture_for(capability, listed) == expected


@pytest.mark.parametrize(
    ("capability", "listed", "message"),
    [
        ((9, 0), "8.0", "no entry that runs on a device of compute capability 9.0; add 9.0 to it"),
        ((8, 0), "8.6;9.0+PTX", "no entry that runs on a device of compute capability 8.0"),
        ((9, 1), "9.0a", "no entry that runs"),
        ((9, 0), "Hopper", "contains 'Hopper', which is not of the form 9.0"),
    ],
)
def test_lists_without_an_entry_for_the_device(
    capability: tuple[int, int], listed: str, message: str
) -> None:
    with pytest.raises(Unavailable, match=message):
        architecture_for(capability, listed)


@no_nvrtc
def test_nvcc_comes_first_unless_it_belongs_to_another_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    def names(version: str | None) -> list[str]:
        toolkit = None if version is None else Nvcc(Path("nvcc"), version, Path())
        monkeypatch.setattr(cuda_compilers, "find_nvcc", lambda: toolkit)
        return [compiler.name.split()[0] for compiler in find_compilers()]

    assert names(f"{torch.version.cuda}.1") == ["nvcc", "NVRTC"]
    assert names("99.0.1") == names(None) == ["NVRTC"]


def test_without_nvcc_and_nvrtc_the_reason_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_compilers, "find_nvcc", lambda: None)
    monkeypatch.setattr(torch.version, "cuda", "99.0")
    with pytest.raises(Unavailable, match=r"libnvrtc.so.99 cannot be loaded"):
        find_compilers()
