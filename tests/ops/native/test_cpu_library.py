"""The C++ kernels are built, checked and loaded; errors say what to do."""

import ctypes
import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from morphoscope.ops.native import cpu_library as module
from morphoscope.ops.native import params as structs
from morphoscope.ops.native.cache import Built
from morphoscope.ops.native.cpu_library import (
    FLAGS,
    CpuLibrary,
    compile_and_link,
    cpu_library,
    load_library,
)
from morphoscope.ops.native.sources import SOURCES
from morphoscope.ops.native.toolchain import Unavailable, cpu_isa, find_cxx, find_ninja
from morphoscope.ops.self_test import self_test

try:
    CXX = find_cxx()
    find_ninja()
except Unavailable as error:
    pytest.skip(str(error), allow_module_level=True)

x86_64 = pytest.mark.skipif(platform.machine() != "x86_64", reason="x86_64 CPUs")
FAST = ("-O0", *FLAGS[1:])
ABI = SOURCES / "cpu" / "abi.cpp"


def opened(path: Path) -> Built:
    return Built(path, 0.0, os.open(path, os.O_RDONLY))


def build(target: Path, *sources: Path, flags: tuple[str, ...] = FAST) -> CpuLibrary:
    compile_and_link(CXX, list(sources), flags, target)
    return CpuLibrary(opened(target), "any", CXX.name)


def test_the_library_is_that_of_this_machine() -> None:
    library = cpu_library()
    assert library.isa == cpu_isa()[0]
    assert library.compiler == CXX.name
    assert library.seconds > 0
    assert library.path.exists()
    assert cpu_library() is library


def test_torch_has_the_only_openmp_runtime() -> None:
    # In its own process, because other packages (scikit-learn) bring their own runtimes.
    script = (
        "from morphoscope.ops.native.cpu_library import cpu_library\n"
        "cpu_library()\n"
        "print(open('/proc/self/maps').read())"
    )
    maps = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    runtimes = set(re.findall(r"\s(/.*/lib(?:gomp|omp|iomp5)\b.*)$", maps, re.M))
    assert len(runtimes) == 1
    assert str(Path(torch.__file__).parent.parent) in runtimes.pop()


def test_the_runtime_is_torchs_even_if_another_was_loaded_first() -> None:
    """In the studio scikit-learn's came first, so that kernels were built a second time, for that one."""
    script = (
        "import sklearn.ensemble\n"
        "from morphoscope.ops.native.cpu_library import openmp_runtime\n"
        "from morphoscope.ops.native.toolchain import Cxx\n"
        "print(openmp_runtime(Cxx(('g++',), 'g++ 12')))"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert Path(torch.__file__).parent.parent in Path(found.strip()).parents
    assert "scikit" not in found


class Team(ctypes.Structure):
    _fields_ = [("threads", ctypes.c_int64)]


def test_kernels_use_torchs_number_of_threads_from_any_thread(tmp_path: Path) -> None:
    source = tmp_path / "team.cpp"
    source.write_text(
        "#include <omp.h>\n"
        'extern "C" int team(long long* size) {\n'
        "#pragma omp parallel\n#pragma omp single\n*size = omp_get_num_threads();\nreturn 0; }\n"
    )
    library, before = build(tmp_path / "team.so", source, ABI), torch.get_num_threads()

    def threads() -> int:
        team = Team()
        library.call("team", team)
        return int(team.threads)

    try:
        for count in (3, 1):
            torch.set_num_threads(count)
            with ThreadPoolExecutor(1) as pool:
                assert [threads(), pool.submit(threads).result()] == [count, count]
    finally:
        torch.set_num_threads(before)


def test_a_struct_that_differs_between_python_and_c_is_detected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(tmp_path / "abi.so", ABI)
    shorter = type("Epilogue", (ctypes.Structure,), {"_fields_": structs.Epilogue._fields_[:-1]})
    monkeypatch.setattr(structs, "Epilogue", shorter)
    with pytest.raises(AssertionError, match=r"Epilogue: 56 bytes in params.py, 64 in params.h"):
        CpuLibrary(opened(tmp_path / "abi.so"), "any", "any")
    monkeypatch.setattr(structs, "Epilogue", type("Unknown", (ctypes.Structure,), {}))
    with pytest.raises(AssertionError, match=r"abi.cpp lacks SIZE_OF\(Unknown\)"):
        CpuLibrary(opened(tmp_path / "abi.so"), "any", "any")


def test_a_kernel_that_refuses_is_an_error(tmp_path: Path) -> None:
    source = tmp_path / "refuse.cpp"
    source.write_text('extern "C" int refuse(const void*) { return 1; }\n')
    library = build(tmp_path / "refuse.so", source, ABI)
    with pytest.raises(AssertionError, match="refuse does not support these parameters"):
        library.call("refuse", structs.BiasActParams())


def test_a_compile_error_is_shown_with_its_line(tmp_path: Path) -> None:
    broken = tmp_path / "broken.cpp"
    broken.write_text("int f() {\n  return nothing;\n}\n")
    with pytest.raises(Unavailable, match=r"broken.cpp:2:10: error: .nothing. was not declared") as error:
        build(tmp_path / "broken.so", broken)
    assert "\n" not in str(error.value)
    assert "install g++" in error.value.fix
    assert not (tmp_path / "broken.so").exists()


def test_a_missing_symbol_is_found_at_the_link_not_at_the_call(tmp_path: Path) -> None:
    source = tmp_path / "lonely.cpp"
    source.write_text("void elsewhere();\nvoid f() { elsewhere(); }\n")
    with pytest.raises(Unavailable, match="undefined reference to `elsewhere"):
        build(tmp_path / "lonely.so", source)


def test_folders_may_have_any_name(tmp_path: Path) -> None:
    folder = tmp_path / "Anna's $HOME: a b"
    folder.mkdir()
    source = folder / "one.cpp"
    source.write_text('extern "C" long long one() { return 1; }\n')
    assert build(folder / "one.so", source, ABI).number("one") == 1


def test_a_file_that_cannot_be_loaded_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "text.so").write_text("no library")
    with pytest.raises(Unavailable, match=r"cannot be loaded.*text.so.*MORPHOSCOPE_CACHE"):
        CpuLibrary(opened(tmp_path / "text.so"), "any", "any")


@pytest.fixture
def in_place_of_the_library(monkeypatch: pytest.MonkeyPatch) -> Callable[[CpuLibrary], None]:
    """Make every operation call another build."""

    def install(library: CpuLibrary) -> None:
        for name, loaded in list(sys.modules.items()):
            if name.startswith("morphoscope.ops.cpu.") and hasattr(loaded, "cpu_library"):
                monkeypatch.setattr(loaded, "cpu_library", lambda: library)

    return install


@x86_64
@pytest.mark.parametrize(
    ("isa", "flags"),
    [
        ("avx512", ("-march=x86-64-v3", "-DVECTOR_BYTES=64")),
        pytest.param("sse2", ("-march=x86-64",), marks=pytest.mark.slow),
    ],
)
def test_other_widths_of_vectors_compute_the_same(
    isa: str, flags: tuple[str, ...], in_place_of_the_library: Callable[[CpuLibrary], None]
) -> None:
    """AVX-512's sixteen lanes on a CPU that may lack them; the cache keeps these builds for the next run."""
    cpu_library()
    in_place_of_the_library(load_library(isa, (*FAST, *flags, "-Wno-psabi")))
    for row in self_test(torch.device("cpu")):
        assert row.passed, row


@pytest.mark.slow
@x86_64
def test_the_sources_compile_for_avx512(tmp_path: Path) -> None:
    flags = (*FLAGS, "-Werror", "-march=x86-64-v4")
    compile_and_link(CXX, sorted(SOURCES.glob("cpu/*.cpp")), flags, tmp_path / "kernels.so")
    assert (tmp_path / "kernels.so").exists()


def test_sources_edited_during_the_build_are_not_kept_under_the_old_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digests = iter(["before", "after"])
    monkeypatch.setattr(module, "sources_digest", lambda folder: next(digests))
    monkeypatch.setattr(module, "compile_and_link", lambda *arguments: None)
    monkeypatch.setenv("MORPHOSCOPE_CACHE", str(tmp_path))
    with pytest.raises(Unavailable, match="edited during the build; run the command again"):
        load_library("avx2", FLAGS)
    assert not list(tmp_path.glob("*.so"))
