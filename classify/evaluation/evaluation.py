"""How good an ensemble is: figures with intervals, a confusion matrix, and every image's probabilities."""

import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from morphoscope.classify.certainty import conformal, novelty, temperature
from morphoscope.classify.certainty.strata import Stratum, attributes, stratify, top_k
from morphoscope.classify.ensemble import Ensemble
from morphoscope.classify.evaluation.eligibility import (
    eligible_rows,
    eligible_samples,
    evaluated_form,
    require_eligible,
)
from morphoscope.classify.evaluation.figures import draw_confusion, draw_reliability
from morphoscope.classify.evaluation.out_of_fold import novelty_in_turn, predict_out_of_fold
from morphoscope.classify.inputs.pairs import Form
from morphoscope.classify.inputs.selection import Selection
from morphoscope.classify.inputs.views import in_view
from morphoscope.classify.prediction import Prediction
from morphoscope.cohort import Cohort
from morphoscope.configs import UserError
from morphoscope.configs.commands import Rows
from morphoscope.configs.views import View
from morphoscope.runtime import write_atomically, write_text
from morphoscope.runtime.statistics import (
    Estimate,
    balanced_accuracy,
    confusion_counts,
    format_estimate,
    proportion,
)

_ONE_FOLD = (
    "These images are all of one fold and fitted the calibration, so nothing is left to judge it on: "
    "probabilities are as without it, and there are no prediction sets or alarms. The test fold has them "
    "(--rows test)."
)


@dataclass(frozen=True)
class Evaluation:
    """Predictions of N labelled images, and the figures that follow from them.

    Attributes:
        conditions: K class names.
        files, truth, groups: name, true class (int64) and patient of each image, [N]; of a pair the name of
            the focused one.
        prediction: what the ensemble said.
        facts: which rows of which cohort were judged by what; goes into metrics.json.
        attributes: what is known of each image beside its condition, a column each, N rows.
        unlike: novelty float32 [M] and novel bool [M] of pictures that it should call novel; None if none.
        partners: names of the pairs' panoramic images [N]; None where single images were judged.
    """

    conditions: list[str]
    files: np.ndarray
    truth: np.ndarray
    groups: np.ndarray
    prediction: Prediction
    facts: dict[str, Any]
    attributes: pd.DataFrame = field(default_factory=pd.DataFrame)
    unlike: tuple[np.ndarray, np.ndarray] | None = None
    partners: np.ndarray | None = None

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

    @cached_property
    def top_k(self) -> dict[int, Estimate]:
        """Share of images whose condition is among the k most probable, k from 1 to 3 at most."""
        return top_k(self.prediction.combined, self.truth)

    @cached_property
    def strata(self) -> list[Stratum]:
        """Accuracy by skin tone, age, sex and view, as far as they are known."""
        return stratify(self.attributes, self.truth, self.prediction.predicted, self.groups)

    @cached_property
    def calibration_error(self) -> Estimate:
        """Expected calibration error of the probabilities as given."""
        return temperature.calibration_error(self.prediction.combined, self.truth, self.groups)

    @cached_property
    def error_without_temperature(self) -> Estimate | None:
        """The same as if the temperature were 1; None if the ensemble is not calibrated."""
        raw = self.prediction.uncalibrated
        return None if raw is None else temperature.calibration_error(raw, self.truth, self.groups)

    @cached_property
    def coverage(self) -> dict[str, Any] | None:
        """How often prediction sets hold the true condition, and their size (see `conformal.coverage`)."""
        sets = self.prediction.prediction_sets
        return None if sets is None else conformal.coverage(sets, self.truth, self.conditions)

    @cached_property
    def novelty(self) -> dict[str, Any] | None:
        """Share of images called novel (wrongly), and how well `unlike` ones are told from them."""
        inside, novel = self.prediction.novelty, self.prediction.novel
        if inside is None or novel is None:
            return None
        found: dict[str, Any] = {"false_alarms": proportion(int(novel.sum()), len(novel))._asdict()}
        if self.unlike is not None:
            found["unlike"] = novelty.detection(inside, *self.unlike)
        return found

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
            **self._certainty(),
            "conditions": self.conditions,
            "confusion": self.confusion.tolist(),
        }

    def _certainty(self) -> dict[str, Any]:
        """The part of `metrics` about how sure the answers are; None where it takes a calibration."""
        said, before = self.prediction, self.error_without_temperature
        likelihood = temperature.negative_log_likelihood
        return {
            "top_k": {str(k): estimate._asdict() for k, estimate in self.top_k.items()},
            "calibration_error": self.calibration_error._asdict(),
            "negative_log_likelihood": likelihood(said.combined, self.truth),
            "without_temperature": None
            if before is None or said.uncalibrated is None
            else {
                "calibration_error": before._asdict(),
                "negative_log_likelihood": likelihood(said.uncalibrated, self.truth),
            },
            "prediction_sets": self.coverage,
            "novelty": self.novelty,
            "disagreement": {
                "folds": len(said.per_fold),
                "mutual_information": float(said.mutual_information.mean()),
                "agreement": float(said.agreement.mean()),
            },
            "strata": [
                {
                    **stratum._asdict(),
                    "accuracy": stratum.accuracy._asdict(),
                    "balanced_accuracy": stratum.balanced_accuracy._asdict(),
                    "few": stratum.few,
                }
                for stratum in self.strata
            ],
        }

    def table(self) -> pd.DataFrame:
        """One row an image: file, condition, predicted, unsure, and `p_<condition>` for each condition; of
        a pair also `partner`, the panoramic image's file.

        Where auxiliary classes were learnt, also `joint_<name>` for each class: the folds' mean probability
        over conditions and auxiliary classes, while the `p_` are among the conditions alone. Of a calibrated
        ensemble also prediction_set (names with "; " between), novelty and novel.
        """
        frame = pd.DataFrame(
            {
                "file": self.files,
                "condition": [self.conditions[k] for k in self.truth],
                "predicted": [self.conditions[k] for k in self.prediction.predicted],
                "unsure": self.prediction.unsure,
            }
        )
        if self.partners is not None:
            frame.insert(1, "partner", self.partners)
        for k, name in enumerate(self.conditions):
            frame[f"p_{name}"] = self.prediction.combined[:, k]
        if self.prediction.auxiliary and self.prediction.joint is not None:
            for k, name in enumerate([*self.conditions, *self.prediction.auxiliary]):
                frame[f"joint_{name}"] = self.prediction.joint[:, :, k].mean(axis=0)
        if self.prediction.prediction_sets is not None:
            sets = (self.prediction.possible(image) or [] for image in range(len(frame)))
            frame["prediction_set"] = ["; ".join(names) for names in sets]
            frame["novelty"], frame["novel"] = self.prediction.novelty, self.prediction.novel
        return frame

    def write(self, folder: Path) -> None:
        """Write metrics.json, probabilities.csv, confusion.png, reliability.png and, if there are any strata,
        strata.csv into `folder`, each whole or not at all.
        """
        folder = Path(folder)
        write_text(folder / "metrics.json", json.dumps(self.metrics(), indent=2) + "\n")
        with write_atomically(folder / "probabilities.csv") as temporary:
            self.table().to_csv(temporary, index=False, float_format="%.6f")
        score = self.balanced_accuracy
        title = f"balanced accuracy {format_estimate(score, named=True)}, {len(self.truth)} images"
        draw_confusion(folder / "confusion.png", self.confusion, self.conditions, title)
        raw, error = self.prediction.uncalibrated, self.calibration_error
        draw_reliability(
            folder / "reliability.png",
            temperature.reliability(self.prediction.combined, self.truth),
            None if raw is None else temperature.reliability(raw, self.truth),
            f"calibration error {format_estimate(error, named=True)}, {len(self.truth)} images",
        )
        if self.strata:
            with write_atomically(folder / "strata.csv") as temporary:
                self._strata_table().to_csv(temporary, index=False, float_format="%.6f")

    def _strata_table(self) -> pd.DataFrame:
        columns = ("attribute", "value", "images", "groups", "conditions")
        return pd.DataFrame(
            {
                **{column: getattr(stratum, column) for column in columns},
                "few": stratum.few,
                **{
                    f"{name}{end}": value
                    for name in ("accuracy", "balanced_accuracy")
                    for end, value in zip(("", "_low", "_high"), getattr(stratum, name), strict=True)
                },
            }
            for stratum in self.strata
        )


def evaluate(
    ensemble: Ensemble,
    cohort: Cohort,
    rows: Rows = "test",
    unlike: Cohort | None = None,
    view: View | None = None,
) -> Evaluation:
    """Judge the labelled images of a cohort.

    Args:
        cohort: for "test" and "out_of_fold" the very cohort, with the very folds, of the training.
        rows: "test": images of the fold "test", by the whole ensemble. "out_of_fold": images of the
            ensemble's folds, each by the one model that did not train on it; these figures are somewhat
            too good if that model's best epoch was chosen on these very images (`config.patience`).
            Temperature, prediction sets and alarms of each fold are then those of the other folds' images.
            "all": every image, by the whole ensemble; for a cohort that no model has seen, of which no file
            may be one (byte for byte) of the training.
        unlike: pictures that the ensemble should call novel, whatever their conditions; judged by all folds,
            but with "out_of_fold" by one fold each, in turn, as the images are that they are compared with.
        view: only images of this view. If None, those of the ensemble's own view, or all of a cohort that it
            was not trained on; by a dual-view ensemble the whole pairs. With a view it judges those images
            alone, as if the other half were missing. A test of views must be fair to both, see
            `require_paired_test`.

    Raises:
        UserError: `unlike` with an ensemble that is not calibrated, or out of fold with images of one fold
            only, a condition that the ensemble does not know, no image in the rows asked for, or a cohort
            that does not fit them (a different split would count training images as test images).
    """
    require_eligible(ensemble, cohort, rows, unlike)
    view = view or (None if rows == "all" else ensemble.view)
    form = evaluated_form(ensemble, view)
    shown = eligible_samples(ensemble, cohort, eligible_rows(ensemble, cohort, rows, view), form)
    chosen = cohort.rows.iloc[shown.rows]
    truth = np.array([ensemble.conditions.index(name) for name in chosen["condition"]], dtype=np.int64)
    fold_of = chosen["fold"].to_numpy(dtype=str) if rows == "out_of_fold" else None
    note = None
    if fold_of is not None and ensemble.calibration is not None and len(set(fold_of)) == 1:
        note = _ONE_FOLD
        if unlike is not None:
            raise UserError(f"{cohort.root}: {note} Nor can others be told from them: leave out --unlike.")
    if fold_of is None:
        prediction = ensemble.predict(shown.images)
    else:
        prediction = predict_out_of_fold(ensemble, shown.images, fold_of, truth, form)
    strange = None
    if unlike is not None:
        everything = in_view(unlike, view if ensemble.dual else None)
        others = eligible_samples(ensemble, unlike, everything, form).images
        strange = _novelty_of(ensemble, others, form, prediction, fold_of)
    size = (ensemble.resolution, ensemble.config.images.fit)
    pairs = ensemble.dual and form == "whole"
    return Evaluation(
        ensemble.conditions,
        chosen["file"].to_numpy(),
        truth,
        chosen["group"].to_numpy(dtype=str),
        prediction,
        _facts(ensemble, cohort, rows, view, form, unlike, note),
        attributes(
            chosen,
            Selection(cohort.images(*size), shown.rows),
            lambda row: cohort.lesion_mask(shown.rows[row], *size),
        ),
        strange,
        cohort.rows["file"].to_numpy()[shown.members[:, 1]] if pairs else None,
    )


def _facts(
    ensemble: Ensemble,
    cohort: Cohort,
    rows: Rows,
    view: View | None,
    form: Form,
    unlike: Cohort | None,
    note: str | None,
) -> dict[str, Any]:
    """Which rows of which cohort are judged by what; `note`: why the calibration plays no part, if so."""
    calibration = ensemble.calibrations.get(form) if note is None else None
    judges = "one fold each, in turn" if rows == "out_of_fold" else "all folds"
    return {
        "rows": rows,
        "cohort": cohort.root.name,
        "cohort_digest": cohort.digest,
        "folds": ensemble.folds,
        "view": view,
        "judged": "pairs" if ensemble.dual and form == "whole" else "images",
        "test_time": ensemble.config.data_augmentation.test_time,
        "auxiliary": ensemble.auxiliary,
        "phantom": ensemble.metadata.get("phantom", False),
        "epoch_chosen_on_these_images": rows == "out_of_fold"
        and ensemble.config.training.patience is not None,
        "calibration": None if calibration is None else calibration.facts(),
        "calibration_note": note,
        "unlike": None if unlike is None else unlike.root.name,
        "unlike_judged_by": None if unlike is None else judges,
    }


def _novelty_of(
    ensemble: Ensemble, images: Selection, form: Form, said: Prediction, fold_of: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """(novelty, novel) of other pictures than those of which `said` was said; `fold_of` if out of fold."""
    if fold_of is not None:
        assert said.novelty is not None  # it was asked for a calibration
        return novelty_in_turn(ensemble, images, (said.novelty, fold_of), form)
    found = ensemble.predict(images)
    assert found.novelty is not None and found.novel is not None
    return found.novelty, found.novel
