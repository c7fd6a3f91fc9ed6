"""Conditions and sites that models never saw: what is left out, and what is reported of it."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from morphoscope.classify import Ensemble, HeldOut, evaluate, measure_held_out, plan_held_out, train_ensemble
from morphoscope.classify.held_out import alarm_limits
from morphoscope.classify.training.held_out import HeldOutPlan, without_auxiliary
from morphoscope.cohort import Cohort
from morphoscope.cohort.leaving_out import leave_out
from morphoscope.configs import UserError
from morphoscope.configs.classifier import EnsembleTraining
from morphoscope.runtime import RunFolder


def with_sites(cohort: Cohort, sites: list[str]) -> Cohort:
    """The cohort with a column `site`: the patients in turn."""
    number = cohort.rows["group"].str.extract(r"(\d+)$")[0].astype(int)
    return Cohort.from_rows(cohort.root, cohort.rows.assign(site=number.map(lambda n: sites[n % len(sites)])))


def held_out(value: str, area: float, column: str = "condition") -> HeldOut:
    ends = [area, max(area - 0.1, 0), min(area + 0.1, 1)]
    return HeldOut(
        column=column,
        value=value,
        images=9,
        groups=3,
        compared=50,
        auroc=ends,
        detected=ends,
        false_alarms=ends,
    )


def test_what_is_left_out_shares_no_patient_with_the_rest(cohort: Cohort) -> None:
    rows = cohort.rows.copy()
    twin = rows.index[rows["condition"] == "red"][0]
    rows.loc[twin, "group"] = rows["group"][rows.index[rows["condition"] == "blue"][0]]
    rows["fold"] = "0"
    rest, outside = leave_out(Cohort.from_rows(cohort.root, rows), "condition", "red")
    assert rest.conditions == ["blue", "green"] and set(rest.rows["condition"]) == {"blue", "green"}
    assert set(outside.rows["condition"]) == {"red"}
    assert rows["file"][twin] not in set(outside.rows["file"]) and len(outside) == 23
    assert rest.digest != cohort.digest


def test_conditions_and_sources_are_planned(config: EnsembleTraining, cohort: Cohort) -> None:
    plan = plan_held_out(config, with_sites(cohort, ["b", "a", "b", ""]))
    assert [(part.column, part.value) for part in plan.left_out] == [
        ("condition", "blue"),
        ("condition", "green"),
        ("condition", "red"),
        ("site", "a"),
        ("site", "b"),
    ]
    assert len({part.folder for part in plan.left_out}) == 5 and plan.skipped == []
    one = plan_held_out(config, cohort, ["green"])
    assert [part.value for part in one.left_out] == ["green"]


def test_a_site_without_which_too_little_is_left_is_skipped(config: EnsembleTraining, cohort: Cohort) -> None:
    large = cohort.rows.assign(site=np.where(cohort.rows["fold"] == "test", "b", "a"))
    plan = plan_held_out(config, Cohort.from_rows(cohort.root, large), ["red"])
    assert [part.value for part in plan.left_out] == ["red", "b"]
    (reason,) = plan.skipped
    assert reason.startswith("site a is not left out: ")


def test_what_cannot_be_left_out_is_refused(config: EnsembleTraining, cohort: Cohort) -> None:
    with pytest.raises(UserError, match="purple"):
        plan_held_out(config, cohort, ["purple"])
    two = leave_out(cohort, "condition", "red")[0]
    with pytest.raises(UserError, match="2 conditions; to leave one out, a cohort needs at least 3"):
        plan_held_out(config, two)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "run")


def measured(
    config: EnsembleTraining, cohort: Cohort, run: RunFolder
) -> tuple[Ensemble, HeldOutPlan, list[HeldOut]]:
    plan = plan_held_out(config, cohort, ["red"])
    ensemble = train_ensemble(config, cohort, run, device="cpu")
    return ensemble, plan, measure_held_out(config, ensemble, plan, run, device="cpu")


def test_models_that_never_saw_a_condition_are_measured_on_it(
    config: EnsembleTraining, cohort: Cohort, run: RunFolder, tmp_path: Path
) -> None:
    config = config.model_copy(update={"epochs": 1})
    sites = with_sites(cohort, ["a", "b"])
    ensemble, plan, found = measured(config, sites, run)
    assert [(one.column, one.value) for one in found] == [("condition", "red"), ("site", "a"), ("site", "b")]
    red, site, _ = found
    assert red.images == 24 and red.groups == 12
    assert red.compared == (leave_out(sites, "condition", "red")[0].rows["fold"] == "test").sum()
    assert site.compared == ((sites.rows["fold"] == "test") & (sites.rows["site"] != "a")).sum()

    inner = Ensemble.load(run.path / "held-out" / "condition-2" / "ensemble.safetensors")
    rest, outside = leave_out(sites, "condition", "red")
    assert inner.conditions == ["blue", "green"] and inner.metadata.cohort_digest == rest.digest
    assert not set(inner.metadata.seen_images or []) & set(outside.image_hashes)
    novel = inner.predict(outside.images(32)).novelty
    known = inner.predict(rest.select((rest.rows["fold"] == "test").to_numpy()).images(32)).novelty
    assert novel is not None and known is not None
    assert red.area.value == pytest.approx((novel[:, None] > known).mean(), abs=1e-3)

    stored = Ensemble.load(run.path / "ensemble.safetensors")
    assert stored.metadata.held_out == found == ensemble.metadata.held_out
    assert stored.predict(outside.images(32)).held_out == found
    evaluation = evaluate(stored, sites)
    assert evaluation.metrics()["held_out"] == json.loads((run.path / "held-out/results.json").read_text())
    page = (run.path / "held-out" / "report.html").read_text()
    assert alarm_limits(found) in re.sub(r"\s+", " ", page) and "site a" in page

    weights = run.path / "held-out/condition-2/folds/fold-1.safetensors"
    before = weights.stat()
    assert measure_held_out(config, ensemble, plan, run, device="cpu") == found  # resumes
    assert weights.stat() == before

    assert train_ensemble(config, sites, run, device="cpu").metadata.held_out == found  # the same models
    assert Ensemble.load(run.path / "ensemble.safetensors").metadata.held_out == found
    assert train_ensemble(config, sites, run, folds=["0", "1"], device="cpu").metadata.held_out == []


def test_auxiliary_images_of_the_condition_are_left_out_too(config: EnsembleTraining, cohort: Cohort) -> None:
    config = config.model_copy(update={"auxiliary_names": {"blue": "red", "green": "other"}})
    without, (left,) = without_auxiliary(config, [cohort.select(cohort.rows["condition"] != "red")], "red")
    assert set(left.rows["condition"]) == {"green"} and len(left) == 24
    assert without.images.auxiliary_names == {"green": "other"}
    only = cohort.select(cohort.rows["condition"] == "blue")
    assert without_auxiliary(config, [only], "red")[1] == []


def test_a_stop_names_the_run_folder_that_resumes(
    config: EnsembleTraining,
    cohort: Cohort,
    ensemble: Ensemble,
    run: RunFolder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt("Stopped in fold 0. Re-run the command with --run elsewhere to resume.")

    monkeypatch.setattr("morphoscope.classify.training.held_out.train_ensemble", stopped)
    plan = plan_held_out(config, cohort, ["red"])
    with pytest.raises(KeyboardInterrupt, match=f"without condition red.*--run {run.path} to resume"):
        measure_held_out(config, ensemble, plan, run, device="cpu")


class TestWhatTheAlarmNotices:
    def test_unmeasured(self) -> None:
        assert "Assume that the alarm does not notice" in alarm_limits([])
        assert "Assume" in alarm_limits([held_out("north", 0.9, "site")])

    def test_not_noticed(self) -> None:
        said = alarm_limits([held_out("a", 0.7), held_out("b", 0.5)])
        assert "cannot be relied on to notice a condition" in said
        assert "0.60 on average (0.50 for b to 0.70 for a)" in said

    def test_noticed(self) -> None:
        said = alarm_limits([held_out("a", 0.85), held_out("b", 0.9), held_out("north", 0.6, "site")])
        assert "notices most images of a condition" in said
        assert "Of another site: with north left out of training" in said and "0.60" in said
