"""The format of metrics.json: its keys, in their order, and their types, which other programs rely on."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from morphoscope.classify import Evaluation, Prediction, combine
from morphoscope.classify.certainty import CalibrationSummary
from morphoscope.classify.certainty.novelty import NoveltyScores
from morphoscope.classify.evaluation import EvaluationFacts
from morphoscope.classify.held_out import HeldOut

HELD_OUT = HeldOut(
    column="condition",
    value="a",
    images=9,
    groups=3,
    compared=50,
    auroc=[0.5, 0.4, 0.6],
    detected=[0.1, 0.0, 0.2],
    false_alarms=[0.05, 0.0, 0.1],
)
ESTIMATE = {"value": "float", "low": "float", "high": "float"}
CALIBRATION_ERROR = {**ESTIMATE, "chance": "float", "chance_limit": "float", "debiased": "float"}
RULE = {"accuracy": ESTIMATE, "balanced_accuracy": ESTIMATE, "auxiliary": "float"}
FORMAT = {
    "rows": "str",
    "cohort": "str",
    "cohort_digest": "str",
    "folds": ["str"],
    "view": "None",
    "judged": "str",
    "test_time": "int",
    "auxiliary": ["str"],
    "phantom": "bool",
    "epoch_chosen_on_these_images": "bool",
    "calibration": {
        "temperature": "float",
        "coverage": "float",
        "accepted": "float",
        "images": "int",
        "single_temperature": "None",
        "bias": "None",
        "correlation": "float",
    },
    "calibration_note": "None",
    "leak_note": "None",
    "unlike": "str",
    "unlike_judged_by": "str",
    "rule": "str",
    "guarantees": "None",
    "images": "int",
    "groups": "int",
    "conditions_without_images": [],
    "accuracy": ESTIMATE,
    "balanced_accuracy": ESTIMATE,
    "recall": {"blue": {**ESTIMATE, "images": "int"}, "green": {**ESTIMATE, "images": "int"}},
    "rules": {"target conditions only": RULE},
    "unsure": "float",
    "prior": "None",
    "at_cohort_prevalence": "None",
    "top_k": {"1": ESTIMATE},
    "calibration_error": CALIBRATION_ERROR,
    "negative_log_likelihood": "float",
    "class_calibration": [
        {
            "condition": "str",
            "named": "int",
            "mean_probability": "float",
            "correct": ESTIMATE,
            "expected": "float",
            "observed": "float",
        }
    ],
    "without_temperature": {
        "calibration_error": CALIBRATION_ERROR,
        "change_of_calibration_error": ESTIMATE,
        "negative_log_likelihood": "float",
    },
    "prediction_sets": {
        "coverage": ESTIMATE,
        "mean_size": "float",
        "single": "float",
        "by_condition": {
            "blue": {"coverage": ESTIMATE, "mean_size": "float"},
            "green": {"coverage": ESTIMATE, "mean_size": "float"},
        },
    },
    "novelty": {
        "false_alarms": ESTIMATE,
        "unlike": {"images": "int", "auroc": ESTIMATE, "detected": ESTIMATE, "missed_at_95": ESTIMATE},
    },
    "held_out": [
        {
            "column": "str",
            "value": "str",
            "images": "int",
            "groups": "int",
            "compared": "int",
            "auroc": ["float"],
            "detected": ["float"],
            "false_alarms": ["float"],
        }
    ],
    "disagreement": {"folds": "int", "mutual_information": "float", "agreement": "float"},
    "strata": [
        {
            "attribute": "str",
            "value": "str",
            "images": "int",
            "groups": "int",
            "conditions": "int",
            "accuracy": ESTIMATE,
            "balanced_accuracy": ESTIMATE,
            "few": "bool",
        }
    ],
    "conditions": ["str"],
    "confusion": [["int"]],
}


@pytest.fixture
def evaluation() -> Evaluation:
    """Three images of two conditions, predicted by two models that are calibrated."""
    per_fold = np.array(
        [[[0.8, 0.2], [0.6, 0.4], [0.3, 0.7]], [[0.9, 0.1], [0.2, 0.8], [0.4, 0.6]]], np.float32
    )
    prediction = Prediction(
        ["blue", "green"],
        per_fold,
        *combine(per_fold),
        uncalibrated=per_fold[0],
        coverage=0.9,
        prediction_sets=np.array([[1, 0], [1, 1], [0, 1]], bool),
        novelty=np.array([0.1, 0.2, 0.3], np.float32),
        novel=np.array([False, False, True]),
        auxiliary=["nevus"],
        held_out=[HELD_OUT],
    )
    facts = EvaluationFacts(
        "test",
        "toy",
        "0" * 16,
        folds=["0", "1"],
        auxiliary=["nevus"],
        calibration=CalibrationSummary(1.5, 0.9, 0.95, 3),
        unlike="noise",
        unlike_models="all folds",
    )
    return Evaluation(
        prediction.conditions,
        np.array(["a.png", "b.png", "c.png"]),
        np.array([0, 0, 1]),
        np.array(["x", "y", "z"]),
        prediction,
        facts,
        pd.DataFrame({"sex": ["female", "male", "male"]}),
        unlike=NoveltyScores(np.array([0.5, 0.2], np.float32), np.array([True, False])),
        unlike_groups=np.array(["v", "w"]),
    )


def shape(value: Any) -> Any:
    """Keys and types; of a list those of its first member."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value[:1]]
    return "None" if value is None else type(value).__name__


def test_keys_and_types_are_those_of_earlier_versions(evaluation: Evaluation, tmp_path: Path) -> None:
    evaluation.write(tmp_path)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert shape(metrics) == FORMAT
    assert list(metrics) == list(FORMAT)
    assert list(metrics["prediction_sets"]) == ["coverage", "mean_size", "single", "by_condition"]
