"""How good an ensemble is: figures with intervals, a confusion matrix, and every image's probabilities."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd

from morphoscope.classify.ensemble import Ensemble
from morphoscope.classify.figures import draw_confusion
from morphoscope.classify.prediction import Prediction, combine
from morphoscope.classify.statistics import Estimate, balanced_accuracy, confusion_counts, proportion
from morphoscope.cohort import Cohort
from morphoscope.cohort.manifest import TEST_FOLD
from morphoscope.configs import UserError
from morphoscope.configs.commands import Rows
from morphoscope.ops.runtime import write_atomically, write_text

_SHOWN_FILES = 10


@dataclass(frozen=True)
class Evaluation:
    """Predictions of N labelled images, and the figures that follow from them.

    Attributes:
        conditions: K class names.
        files, truth, groups: name, true class (int64) and patient of each image, [N].
        prediction: what the ensemble said.
        facts: which rows of which cohort were judged by what; goes into metrics.json.
    """

    conditions: list[str]
    files: np.ndarray
    truth: np.ndarray
    groups: np.ndarray
    prediction: Prediction
    facts: dict[str, Any]

    @cached_property
    def confusion(self) -> np.ndarray:
        """int64 [K, K]: row = true condition, column = predicted."""
        return confusion_counts(self.truth, self.prediction.predicted, len(self.conditions))

    @cached_property
    def accuracy(self) -> Estimate:
        """Share of images judged right, with Wilson's interval (as if images were independent)."""
        return proportion(int(np.trace(self.confusion)), len(self.truth))

    @cached_property
    def balanced_accuracy(self) -> Estimate:
        """Mean recall over the conditions that occur, with a bootstrap interval grouped by patient."""
        return balanced_accuracy(self.truth, self.prediction.predicted, self.groups)

    @cached_property
    def recall(self) -> dict[str, Estimate]:
        """Share of each condition's images judged right, with Wilson's interval; absent ones are left out."""
        totals = self.confusion.sum(axis=1)
        return {
            name: proportion(int(self.confusion[k, k]), int(totals[k]))
            for k, name in enumerate(self.conditions)
            if totals[k]
        }

    def metrics(self) -> dict[str, Any]:
        """Everything as JSON-able numbers; estimates are {"value", "low", "high"}, a recall also "images"."""
        totals = self.confusion.sum(axis=1)
        recall = {
            name: {**estimate._asdict(), "images": int(totals[self.conditions.index(name)])}
            for name, estimate in self.recall.items()
        }
        return {
            **self.facts,
            "images": len(self.truth),
            "groups": len(set(self.groups)),
            "accuracy": self.accuracy._asdict(),
            "balanced_accuracy": self.balanced_accuracy._asdict(),
            "recall": recall,
            "unsure": float(self.prediction.unsure.mean()),
            "conditions": self.conditions,
            "confusion": self.confusion.tolist(),
        }

    def table(self) -> pd.DataFrame:
        """One row an image: file, condition, predicted, unsure, and `p_<condition>` for each condition."""
        frame = pd.DataFrame(
            {
                "file": self.files,
                "condition": [self.conditions[k] for k in self.truth],
                "predicted": [self.conditions[k] for k in self.prediction.predicted],
                "unsure": self.prediction.unsure,
            }
        )
        for k, name in enumerate(self.conditions):
            frame[f"p_{name}"] = self.prediction.combined[:, k]
        return frame

    def write(self, folder: Path) -> None:
        """Write metrics.json, probabilities.csv and confusion.png into `folder`, each whole or not at all."""
        folder = Path(folder)
        write_text(folder / "metrics.json", json.dumps(self.metrics(), indent=2) + "\n")
        with write_atomically(folder / "probabilities.csv") as temporary:
            self.table().to_csv(temporary, index=False, float_format="%.6f")
        score = self.balanced_accuracy
        title = (
            f"balanced accuracy {score.value:.3f} (95% interval {score.low:.3f} to {score.high:.3f}), "
            f"{len(self.truth)} images"
        )
        draw_confusion(folder / "confusion.png", self.confusion, self.conditions, title)


def evaluate(ensemble: Ensemble, cohort: Cohort, rows: Rows = "test") -> Evaluation:
    """Judge the labelled images of a cohort.

    Args:
        cohort: for "test" and "out_of_fold" the very cohort, with the very folds, of the training.
        rows: "test": images of the fold "test", by the whole ensemble. "out_of_fold": images of the
            ensemble's folds, each by the one model that did not train on it; these figures are somewhat too
            good, since that model's best epoch was chosen on these very images. "all": every image, by the
            whole ensemble; for a cohort that no model has seen, of which no file may be one (byte for byte)
            of the training.

    Raises:
        UserError: a condition that the ensemble does not know, no image in the rows asked for, or a cohort
            that does not fit them (a different split would count training images as test images).
    """
    if rows not in get_args(Rows):
        raise UserError(f"rows '{rows}': choose one of {', '.join(get_args(Rows))}.")
    unknown = sorted(set(cohort.rows["condition"]) - set(ensemble.conditions))
    if unknown:
        raise UserError(
            f"{cohort.root}: the ensemble does not know {', '.join(unknown)}; it knows {ensemble.conditions}."
        )
    _require_fitting_cohort(ensemble, cohort, rows)
    fold_of = cohort.rows["fold"].to_numpy(dtype=str)
    mask = {
        "test": fold_of == TEST_FOLD,
        "out_of_fold": np.isin(fold_of, ensemble.folds),
        "all": np.ones(len(fold_of), bool),
    }[rows]
    if not mask.any():
        raise UserError(f"{cohort.root}: no image to judge (rows '{rows}').")
    images = cohort.images(ensemble.resolution, ensemble.config.fit)
    if rows == "out_of_fold":
        prediction = _out_of_fold(ensemble, images, fold_of, np.flatnonzero(mask))
    else:
        prediction = ensemble.predict(images[mask])
    chosen = cohort.rows[mask]
    facts = {
        "rows": rows,
        "cohort": cohort.root.name,
        "cohort_digest": cohort.digest,
        "folds": ensemble.folds,
        "phantom": ensemble.metadata.get("phantom", False),
        "epoch_chosen_on_these_images": rows == "out_of_fold",
    }
    truth = np.array([ensemble.conditions.index(name) for name in chosen["condition"]], dtype=np.int64)
    return Evaluation(
        ensemble.conditions,
        chosen["file"].to_numpy(),
        truth,
        chosen["group"].to_numpy(dtype=str),
        prediction,
        facts,
    )


def _require_fitting_cohort(ensemble: Ensemble, cohort: Cohort, rows: Rows) -> None:
    same = cohort.digest == ensemble.metadata.get("cohort_digest")
    if rows == "all" and same:
        raise UserError(
            f"{cohort.root} is the cohort that the ensemble was trained on: judging all its images would "
            "count training images. Use rows 'test' or 'out_of_fold'."
        )
    if rows == "all":
        _refuse_seen_images(ensemble, cohort)
    if rows != "all" and not same:
        raise UserError(
            f"{cohort.root} is not the cohort, or not the split, that the ensemble was trained on (digest "
            f"{cohort.digest} instead of {ensemble.metadata.get('cohort_digest')}), so its folds say nothing "
            "about what the models have seen. For a cohort of other patients use rows 'all'."
        )


def _refuse_seen_images(ensemble: Ensemble, cohort: Cohort) -> None:
    """By content; ensembles of earlier versions, or of more than a million images, list no contents."""
    seen = set(ensemble.metadata.get("seen_images", ()))
    known = zip(cohort.rows["file"], cohort.image_hashes if seen else [""] * len(cohort), strict=True)
    files = [file for file, content in known if content in seen]
    if files:
        shown = ", ".join(files[:_SHOWN_FILES]) + (", …" if len(files) > _SHOWN_FILES else "")
        raise UserError(
            f"{cohort.root}: the ensemble was trained or validated on {len(files)} of these images: {shown}. "
            "Judge a cohort without them."
        )


def _out_of_fold(
    ensemble: Ensemble, images: np.ndarray, fold_of: np.ndarray, chosen: np.ndarray
) -> Prediction:
    """Each image's probabilities by its own fold's model: `per_fold` is [1, N, K]."""
    probabilities = np.zeros((1, len(fold_of), len(ensemble.conditions)), np.float32)
    for fold in ensemble.folds:
        here = np.flatnonzero(fold_of == fold)
        if len(here):
            probabilities[:, here] = ensemble.fold(fold).predict(images[here]).per_fold
    per_fold = probabilities[:, chosen]
    combined, unsure = combine(per_fold)
    return Prediction(ensemble.conditions, per_fold, combined, unsure)
