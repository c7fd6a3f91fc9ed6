"""Choice of the implementation by block, thread and environment, and the one log message about it."""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from morphoscope.configs import UserError
from morphoscope.ops import backend, dispatch
from morphoscope.ops.dispatch import native_runs, reference_chosen
from morphoscope.ops.native.toolchain import Unavailable


class FakeKernels:
    path = Path("/cache/cpu.so")
    description = "avx2, g++ 12.2.0, built in 7.1 s"


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "_kernels", {})
    monkeypatch.delenv("MORPHOSCOPE_BACKEND", raising=False)


@pytest.fixture
def present(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "cpu_library", FakeKernels)


def failing(error: Exception) -> Callable[[], None]:
    def cpu_library() -> None:
        raise error

    return cpu_library


@pytest.fixture
def absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "cpu_library", failing(Unavailable("no compiler", "install one")))


def test_the_choice_holds_within_its_block_and_nests() -> None:
    assert not reference_chosen()
    with backend("reference"):
        assert reference_chosen()
        with backend("auto"):
            assert not reference_chosen()
        assert reference_chosen()
    assert not reference_chosen()


def test_the_choice_ends_with_an_error() -> None:
    with pytest.raises(ZeroDivisionError), backend("reference"):
        raise ZeroDivisionError
    assert not reference_chosen()


def test_the_choice_does_not_reach_other_threads() -> None:
    with backend("reference"), ThreadPoolExecutor(1) as pool:
        assert pool.submit(reference_chosen).result() is False


def test_the_environment_chooses_outside_of_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MORPHOSCOPE_BACKEND", "reference")
    assert reference_chosen()
    assert not native_runs("cpu", None)
    with backend("auto"):
        assert not reference_chosen()
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(reference_chosen).result() is True


def test_unknown_backends_are_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="Unknown backend 'fast'; choose one of auto, reference, native"):
        backend("fast").__enter__()  # type: ignore[arg-type]
    monkeypatch.setenv("MORPHOSCOPE_BACKEND", "quick")
    with pytest.raises(UserError, match="MORPHOSCOPE_BACKEND=quick: unknown backend; choose one of auto"):
        native_runs("cpu", None)


@pytest.mark.usefixtures("present")
def test_present_kernels_run_unless_the_reference_is_chosen(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "morphoscope"):
        assert native_runs("cpu", None)
        with backend("native"):
            assert native_runs("cpu", None)
        with backend("reference"):
            assert not native_runs("cpu", None)
    assert caplog.messages == ["cpu: using the native kernels (avx2, g++ 12.2.0, built in 7.1 s)."]
    assert caplog.records[0].levelno == logging.DEBUG  # the usual case: no line at every command


@pytest.mark.usefixtures("absent")
def test_without_kernels_auto_warns_once_and_native_raises(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        assert not native_runs("cpu", None)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert caplog.messages == [
        "cpu: the native kernels are unavailable: no compiler. "
        "The slower reference implementation runs instead. What to do: install one."
    ]
    with (
        backend("native"),
        pytest.raises(UserError, match=r"'native' cannot run on cpu: no compiler; install one\."),
    ):
        native_runs("cpu", None)
    with backend("reference"):
        assert not native_runs("cpu", None)


def test_the_reference_needs_no_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "cpu_library", failing(AssertionError("must not be built")))
    with backend("reference"):
        assert not native_runs("cpu", None)


@pytest.mark.parametrize("error", [AssertionError("of our own"), UserError("MORPHOSCOPE_CPU_ISA=mmx")])
def test_other_errors_are_not_swallowed(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    monkeypatch.setattr(dispatch, "cpu_library", failing(error))
    for _ in range(2):
        with pytest.raises(type(error), match=str(error)):
            native_runs("cpu", None)


def test_threads_that_start_together_build_once(monkeypatch: pytest.MonkeyPatch) -> None:
    builds, together = [], threading.Barrier(8)

    def slow() -> FakeKernels:
        builds.append(1)
        time.sleep(0.1)
        return FakeKernels()

    def ask(_: int) -> bool:
        together.wait()
        return native_runs("cpu", None)

    monkeypatch.setattr(dispatch, "cpu_library", slow)
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(8)))
    assert len(builds) == 1


def test_devices_without_kernels_of_ours_run_the_reference(caplog: pytest.LogCaptureFixture) -> None:
    assert not native_runs("mps", 0)
    assert "mps: the native kernels are unavailable: no kernels exist for devices of type mps" in caplog.text


@pytest.mark.usefixtures("present")
def test_torch_compile_passes_through() -> None:
    def choose(x: torch.Tensor) -> torch.Tensor:
        return x + 1 if native_runs(x.device.type, x.device.index) else x - 1

    compiled = torch.compile(choose, fullgraph=True, backend="eager")
    assert compiled(torch.zeros(2)).tolist() == [1, 1]
