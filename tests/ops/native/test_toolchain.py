"""Compilers are found where they are usually installed; if one is missing, the error says what to install."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from morphoscope.configs import UserError
from morphoscope.ops.native import toolchain
from morphoscope.ops.native.toolchain import Cxx, Unavailable, cpu_isa, find_cxx, find_ninja, find_nvcc

needs_gxx = pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
REAL_NVCC = find_nvcc()
needs_nvcc = pytest.mark.skipif(REAL_NVCC is None, reason="needs a CUDA toolkit")


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CXX", "CUDA_HOME", "CUDA_PATH", "MORPHOSCOPE_CPU_ISA"):
        monkeypatch.delenv(name, raising=False)


class TestCxx:
    @needs_gxx
    def test_gxx_is_the_first_choice(self) -> None:
        cxx = find_cxx()
        assert cxx.command == (shutil.which("g++"),)
        assert cxx.name.startswith("g++ 1")

    @needs_gxx
    def test_cxx_may_contain_a_launcher_and_flags(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CXX", "env LC_ALL=C g++ -g")
        assert find_cxx().command == ("env", "LC_ALL=C", "g++", "-g")
        assert find_cxx().name.startswith("g++ 1")

    @pytest.mark.parametrize("named", ["false", "/nowhere/cxx"])
    def test_a_named_compiler_that_fails_is_an_error(
        self, monkeypatch: pytest.MonkeyPatch, named: str
    ) -> None:
        monkeypatch.setenv("CXX", named)
        with pytest.raises(
            Unavailable, match=rf"'{named}' does not compile C\+\+20 with OpenMP.*install g\+\+"
        ):
            find_cxx()

    def test_none_at_all(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(Unavailable, match="no C\\+\\+ compiler was found") as error:
            find_cxx()
        assert "apt install g++" in error.value.fix

    @needs_gxx
    def test_one_without_openmp_is_skipped(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        real = shutil.which("g++")
        no_openmp = 'case "$*" in *-fopenmp*) echo "error: no -fopenmp" >&2; exit 1;; esac\n'
        script(tmp_path / "g++", f'{no_openmp}exec {real} "$@"')
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(Unavailable, match="no -fopenmp"):
            find_cxx()
        (tmp_path / "c++").symlink_to(str(real))
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        assert find_cxx().command == (str(tmp_path / "c++"),)

    @pytest.mark.parametrize(
        ("version", "name"),
        [
            ("g++ (Debian 12.2.0-14+deb12u1) 12.2.0", "g++ 12.2.0"),
            ("g++-13 (Ubuntu 13.2.0-23ubuntu4) 13.2.0", "g++ 13.2.0"),
            ("Ubuntu clang version 14.0.0-1ubuntu1.1", "g++ 14.0.0"),
            ("something else", "g++ something else"),
        ],
    )
    def test_names_are_short(self, version: str, name: str) -> None:
        assert Cxx(("ccache", "/usr/bin/g++"), version).name == name


def fake_toolkit(root: Path, version: str = "12.4.131") -> Path:
    """A toolkit whose nvcc, like the real one, finds its folder only from the path that starts it."""
    release = version.rpartition(".")[0]
    return script(
        root / "bin" / "nvcc",
        f'here=$(dirname "$0")\ncase "$1" in\n'
        f'--version) echo "Cuda compilation tools, release {release}, V{version}";;\n'
        f'*) if [ -e "$here/nvcc.profile" ]; then echo "#\\$ TOP=$here/.." >&2; fi;;\nesac\n'
        f"# {root}",
    )


@pytest.fixture
def toolkit(tmp_path: Path) -> Path:
    nvcc = fake_toolkit(tmp_path / "opt" / "cuda-12.4")
    (nvcc.parent / "nvcc.profile").touch()
    return tmp_path / "opt" / "cuda-12.4"


class TestNvcc:
    @pytest.mark.parametrize("variable", ["CUDA_HOME", "CUDA_PATH"])
    def test_the_environment_names_the_toolkit(
        self, toolkit: Path, monkeypatch: pytest.MonkeyPatch, variable: str
    ) -> None:
        monkeypatch.setenv(variable, str(toolkit))
        nvcc = find_nvcc()
        assert nvcc == toolchain.Nvcc(toolkit / "bin" / "nvcc", "12.4.131", toolkit)

    @pytest.mark.parametrize("how", ["plain", "link", "link to link", "wrapper", "link to wrapper"])
    def test_the_nvcc_on_the_path_may_lie_outside_the_toolkit(
        self, toolkit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
    ) -> None:
        real, folder = toolkit / "bin" / "nvcc", tmp_path / "path"
        folder.mkdir()
        target = real
        if "wrapper" in how:
            target = script(tmp_path / "wrappers" / "nvcc-wrapper", f'exec {real} "$@"')
        if how == "link to link":
            (tmp_path / "between").symlink_to(real)
            target = tmp_path / "between"
        if how == "plain":
            folder = real.parent
        elif how == "wrapper":
            shutil.copy(target, folder / "nvcc")
        else:
            (folder / "nvcc").symlink_to(target)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        nvcc = find_nvcc()
        assert nvcc is not None
        assert (nvcc.path, nvcc.root) == (real, toolkit)

    def test_a_broken_one_is_skipped(
        self, toolkit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        script(tmp_path / "broken" / "bin" / "nvcc", "exit 1")
        monkeypatch.setenv("CUDA_HOME", str(tmp_path / "broken"))
        monkeypatch.setenv("CUDA_PATH", str(toolkit))
        nvcc = find_nvcc()
        assert nvcc is not None
        assert nvcc.root == toolkit

    @needs_nvcc
    def test_the_real_one_is_found_and_compiles_through_a_link(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert REAL_NVCC is not None
        (tmp_path / "nvcc").symlink_to(REAL_NVCC.path)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        nvcc = find_nvcc()
        assert nvcc == REAL_NVCC
        assert (nvcc.root / "include" / "cuda_runtime.h").exists()
        source = tmp_path / "empty.cu"
        source.write_text('extern "C" __global__ void f() {}')
        subprocess.run([nvcc.path, "-ptx", source, "-o", tmp_path / "empty.ptx"], check=True)


class TestNinja:
    def test_the_package_comes_first(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        script(tmp_path / "ninja", "exit 1")
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        subprocess.run([find_ninja(), "--version"], check=True)

    def test_the_path_is_searched_without_it(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(Unavailable, match="ninja was not found; run `pip install ninja`"):
            find_ninja()
        ninja = script(tmp_path / "ninja", "exit 0")
        assert find_ninja() == str(ninja)


class TestIsa:
    def test_the_widest_of_this_cpu(self) -> None:
        name, march = cpu_isa()
        flags = Path("/proc/cpuinfo").read_text()
        expected = "avx512" if "avx512vl" in flags else "avx2" if "avx2" in flags else "sse2"
        assert name == expected
        assert march == {"avx512": "x86-64-v4", "avx2": "x86-64-v3", "sse2": "x86-64"}[name]

    pytestmark = pytest.mark.skipif(
        sys.platform != "linux" or os.uname().machine != "x86_64", reason="x86_64 CPUs"
    )

    @pytest.mark.parametrize(
        ("flags", "name"),
        [
            (toolchain._V4, "avx512"),
            (toolchain._V4 - {"avx512vl"}, "avx2"),  # the first AVX-512 coprocessors
            (toolchain._V3 - {"fma"}, "sse2"),
            (set(), "sse2"),
        ],
    )
    def test_every_flag_of_a_level_is_needed(
        self, monkeypatch: pytest.MonkeyPatch, flags: set[str], name: str
    ) -> None:
        monkeypatch.setattr(toolchain, "_cpu_flags", lambda: set(flags))
        assert cpu_isa()[0] == name

    def test_a_narrower_one_on_request_a_wider_one_never(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(toolchain, "_cpu_flags", lambda: set(toolchain._V3))
        monkeypatch.setenv("MORPHOSCOPE_CPU_ISA", "sse2")
        assert cpu_isa() == ("sse2", "x86-64")
        monkeypatch.setenv("MORPHOSCOPE_CPU_ISA", "avx512")
        with pytest.raises(UserError, match="MORPHOSCOPE_CPU_ISA=avx512: this CPU supports only avx2, sse2"):
            cpu_isa()

    def test_another_family_is_unavailable(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("platform.machine", lambda: "riscv64")
        with pytest.raises(Unavailable, match="this is riscv64"):
            cpu_isa()
