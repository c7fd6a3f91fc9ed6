"""Choosing an execution, and the report of what runs where."""

import importlib
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from morphoscope.configs import UserError
from morphoscope.ops import backend, doctor
from morphoscope.ops.dispatch import reference_chosen


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


def test_unknown_and_absent_backends_are_refused() -> None:
    with pytest.raises(UserError, match="Unknown backend 'fast'; choose one of auto, reference, native"):
        backend("fast").__enter__()  # type: ignore[arg-type]
    with pytest.raises(UserError, match="no native kernels; use backend 'auto' or 'reference'"):
        backend("native").__enter__()


def test_doctor_reports_this_machine_and_every_operation() -> None:
    report = doctor()
    facts = dict(report.facts)
    assert facts["torch"] == torch.__version__
    assert int(facts["CPU threads"]) >= 1
    assert ("CUDA" in facts) == (not torch.cuda.is_available())
    on_cpu = {row.op: row for row in report.ops if row.device == "cpu"}
    assert set(on_cpu) == {"upfirdn2d", "modulated_conv2d", "grid_sample"}
    assert all(row.difference < 1e-5 for row in report.ops)
    assert all(row.path for row in report.ops)


def test_doctor_sees_an_execution_that_computes_something_else(monkeypatch: pytest.MonkeyPatch) -> None:
    doctor_module = importlib.import_module("morphoscope.ops.doctor")  # the room exports the function
    right = doctor_module.modulated_conv2d

    def wrong(*args: torch.Tensor, **options: object) -> torch.Tensor:
        return right(*args, **options) + (0.0 if reference_chosen() else 0.5)  # type: ignore[arg-type]

    monkeypatch.setattr(doctor_module, "modulated_conv2d", wrong)
    rows = {row.op: row.difference for row in doctor().ops if row.device == "cpu"}
    assert rows["modulated_conv2d"] == pytest.approx(0.5, abs=1e-4)
    assert rows["grid_sample"] < 1e-5


def test_doctor_leaves_the_random_state_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    doctor()
    assert torch.equal(torch.get_rng_state(), before)
