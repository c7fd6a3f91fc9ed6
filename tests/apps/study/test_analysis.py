"""The comparisons, the answer and the report: on predictions of known truth, without any training."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tiny_study import TINY

from morphoscope.apps.study.analysis import analyse
from morphoscope.apps.study.cell import Store
from morphoscope.apps.study.cells.classifiers import PREDICTIONS
from morphoscope.apps.study.collect import collect
from morphoscope.apps.study.leaks import check_leaks, write_checks
from morphoscope.apps.study.plan import StudyPlan, plan_study
from morphoscope.apps.study.power import Variation, detectable_difference
from morphoscope.apps.study.report.answer import answer
from morphoscope.apps.study.study import report_study
from morphoscope.cohort import Cohort, write_image
from morphoscope.cohort.spreadsheet import write_csv
from morphoscope.configs.loading import validated
from morphoscope.configs.study import Study

ACCURACY = {"real": 0.7, "repeated": 0.7, "synthetic": 0.95, "only": 0.4}
PATIENTS = 100  # per condition


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    """A cohort of many patients whose images nobody looks at: files of a few different pixels."""
    root, rows = tmp_path_factory.mktemp("many"), []
    for index, condition in enumerate(("blue", "green", "red")):
        for number in range(PATIENTS):
            name = f"{condition}-{number}.png"
            write_image(root / name, np.full((2, 2, 3), (index, number, 0), np.uint8))
            age, sex = ("25", "70")[number % 2], "other" if number == 0 else "female"
            rows.append({"file": name, "condition": condition, "age": age, "sex": sex})
    made = Cohort.from_rows(root, pd.DataFrame(rows))
    made.save()
    return Cohort.load(root)


@pytest.fixture(scope="module")
def predicted(many: Cohort, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, StudyPlan, Store]:
    """A study whose classifiers' predictions are drawn with the accuracies above; nothing is trained."""
    settings = {**TINY, "cohort": many.root, "folds": 3, "generator_seeds": 2, "classifier_seeds": 2}
    study = validated(Study, {**settings, "shots": [5, "all"], "margin": 0.1})
    plan, run = plan_study(study, many), tmp_path_factory.mktemp("run")
    store, condition = Store(run / "store"), many.rows.set_index("file")["condition"]
    random, common = np.random.default_rng(0), {}
    for place in plan.places:
        cell = plan.cells[place.cell]
        files = cell.needs["cohort"].settings["folds"]["test"]
        truth = condition[files].map(many.conditions.index).to_numpy()
        # `real` and `repeated` are right about the same images, so that they are equivalent.
        luck = common.setdefault((place.fold, place.arm in ("real", "repeated")), random.random(len(files)))
        answers = np.where(luck < ACCURACY[place.arm], truth, (truth + 1) % 3)
        table = pd.DataFrame({"file": files, "condition": condition[files].to_numpy(), "group": files})
        for number, name in enumerate(many.conditions):
            table[f"p {name}"] = np.where(answers == number, 0.8, 0.1)
        write_csv(store.folder(cell) / PREDICTIONS, table, "%.8g")
        store.finish(cell, {})
    plan.write(run)
    write_checks(run, check_leaks(plan, many))
    return run, plan, store


def test_a_planted_effect_is_found_and_a_planted_null_is_equivalent(
    predicted: tuple[Path, StudyPlan, Store], many: Cohort
) -> None:
    _, plan, store = predicted
    analysis = analyse(plan.study, collect(plan, store), many.rows)
    verdicts = {(one.arm, one.shots): one.verdict for one in analysis.comparisons}
    assert len(verdicts) == 6
    for shots in (5, "all"):
        assert verdicts["synthetic", shots] == "better"
        assert verdicts["repeated", shots] == "equivalent"
        assert verdicts["only", shots] == "worse"
    best = next(one for one in analysis.comparisons if one.arm == "synthetic")
    assert best.balanced_accuracy.estimate.low < 0.25 < best.balanced_accuracy.estimate.high
    assert set(best.conditions) == {"blue", "green", "red"}
    assert best.descriptive.mcnemar_p < 0.01 and best.descriptive.auroc > 0.1
    text = answer(plan.study, analysis.comparisons)
    assert text.startswith("Trained on all patients, synthetic classified better than 'real'")
    assert "Compared with 'real', repeated differed by less than 0.1" in text
    assert text.endswith("only classified worse.")
    assert text.count(". ") == 1


def test_strata_have_intervals_by_patient_or_say_that_they_are_too_small(
    predicted: tuple[Path, StudyPlan, Store], many: Cohort
) -> None:
    _, plan, store = predicted
    predictions = collect(plan, store)
    found = {(one.attribute, one.value): one for one in analyse(plan.study, predictions, many.rows).strata}
    assert list(found) == [("age", "18-39"), ("age", "60-79"), ("sex", "female"), ("sex", "other")]
    few = found["sex", "other"]
    assert few.few and (few.patients, few.images) == (3, 3) and not few.accuracies and not few.differences
    young = found["age", "18-39"]
    assert young.patients == 150 and not young.few
    files = set(many.rows["file"][many.rows["age"] == "25"])
    hits = [
        correct
        for fold in predictions.folds["synthetic", "all"].values()
        for file, correct in zip(fold.files, fold.correct[0, 0], strict=True)
        if file in files
    ]
    value, low, high = young.accuracies["synthetic"]
    assert value == pytest.approx(np.mean(hits)) and low < 0.95 < high and high - low < 0.15
    difference = young.differences["synthetic"].estimate
    assert difference.low < 0.25 < difference.high
    assert young.differences.keys() == ACCURACY.keys() - {"real"}


def test_the_report_shows_what_was_measured_and_what_failed(
    predicted: tuple[Path, StudyPlan, Store],
) -> None:
    run, plan, store = predicted
    place = next(place for place in plan.places if place.arm == "only")
    record = store.folder(plan.cells[place.cell]) / "cell.json"
    kept = record.read_text()
    record.unlink()
    log = run / "logs" / f"{place.cell}.log"
    log.parent.mkdir(exist_ok=True)
    log.write_text("first\nmorphoscope: the disk is full\n")
    try:
        page = report_study(run, store).read_text()
    finally:
        record.write_text(kept)
    assert "synthetic classified better" in page and "the disk is full" in page
    assert "comparisons lack outer folds whose cells failed" in page
    assert "No image file belongs to two patients." in page and "TRIPOD+AI and CLAIM" in page
    results = json.loads((run / "results.json").read_text())
    assert place.cell in results["failed"] and results["pilot"]["images"] == PATIENTS
    table = pd.read_csv(run / "comparisons.csv")
    assert set(table["measure"]) >= {"balanced accuracy", "recall", "log likelihood", "brier"}
    assert (run / "comparisons.tex").read_text().count(r"\\") == 7
    strata = pd.read_csv(run / "strata.csv")
    assert set(strata["arm"].dropna()) == set(ACCURACY)
    too_small = strata[strata["few"]]
    assert list(too_small["value"]) == ["other"] and too_small["accuracy"].isna().all()
    assert "Nothing can be said about sex: other (3 patients)" in page
    assert "share up to 50% of their patients" in page
    for name in ("differences", "learning-curves", "conditions", "calibration"):
        assert (run / "figures" / f"{name}.pdf").is_file() and (run / "figures" / f"{name}.svg").is_file()


def test_more_seeds_find_smaller_differences() -> None:
    rows = pd.DataFrame({"group": [str(i) for i in range(70)], "condition": [str(i % 7) for i in range(70)]})
    variation = Variation(images=0.2, trainings=0.3, seeds=0.03, folds=0.0)
    few, many = (detectable_difference([rows] * 5, *seeds, variation, 0) for seeds in ((1, 1), (3, 3)))
    assert 0.01 < many < few < 0.2
