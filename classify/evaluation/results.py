"""Results of an evaluation: metrics with intervals, a confusion matrix, and every image's probabilities."""

import json
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from morphoscope.classify.certainty import CalibrationSummary, conformal, novelty
from morphoscope.classify.certainty.classwise import ClassCalibration, class_calibration
from morphoscope.classify.certainty.conformal import Coverage
from morphoscope.classify.certainty.novelty import Detection, NoveltyScores
from morphoscope.classify.certainty.prior import Prior
from morphoscope.classify.certainty.scaling import negative_log_likelihood
from morphoscope.classify.certainty.strata import Stratum, stratify, top_k
from morphoscope.classify.evaluation.figures import draw_confusion, draw_reliability
from morphoscope.classify.evaluation.rules import Rule, rules
from morphoscope.classify.prediction import Prediction
from morphoscope.cohort.spreadsheet import write_csv
from morphoscope.configs import first_names
from morphoscope.configs.commands import Rows
from morphoscope.configs.views import View
from morphoscope.runtime import write_text
from morphoscope.runtime.calibration_error import (
    CalibrationError,
    calibration_error,
    error_difference,
    reliability,
)
from morphoscope.runtime.statistics import (
    Estimate,
    balanced_accuracy,
    confusion_counts,
    format_estimate,
    proportion_by_group,
)


@dataclass(frozen=True)
class EvaluationFacts:
    """What was evaluated, and how; metrics.json begins with it.

    Attributes:
        rows: the rows of the cohort; "nested" for those of a nested cross-validation.
        cohort, cohort_digest: name of the cohort's folder, and its digest.
        folds: names of the ensemble's folds.
        view: the view evaluated; None for all of them, or for pairs.
        samples: what each prediction is for.
        test_time: number of orientations of each image over which probabilities are averaged.
        auxiliary: names of the ensemble's auxiliary classes.
        phantom: whether the ensemble was trained on phantoms only.
        epoch_chosen_on_these_images: whether each model's best epoch was chosen by its balanced accuracy on
            the images evaluated.
        calibration: the ensemble's, for samples of this form; None if there is none or it was not used.
        calibration_note: why the calibration was not used, if so.
        leak_note: what the leak check of the training could not cover, if anything.
        unlike: name of the folder with the images of another kind, if any.
        unlike_models: the models that predicted those, if any.
        rule: which answers the training chose its epochs by; see `Rule`.
        guarantees: the coverage of prediction sets that theory promises for each condition, in [0, 1]; None
            without calibration.
    """

    rows: Rows | Literal["nested"]
    cohort: str
    cohort_digest: str
    folds: list[str] = field(default_factory=list)
    view: View | None = None
    samples: Literal["images", "pairs"] = "images"
    test_time: int = 1
    auxiliary: list[str] = field(default_factory=list)
    phantom: bool = False
    epoch_chosen_on_these_images: bool = False
    calibration: CalibrationSummary | None = None
    calibration_note: str | None = None
    leak_note: str | None = None
    unlike: str | None = None
    unlike_models: str | None = None
    rule: Literal["targets", "published"] = "targets"
    guarantees: dict[str, float] | None = None

    def as_json(self) -> dict[str, Any]:
        """As metrics.json has it; two keys there are older than the fields' names."""
        older = {"samples": "judged", "unlike_models": "unlike_judged_by"}
        found = {older.get(name, name): value for name, value in asdict(self).items()}
        return {**found, "calibration": self.calibration and self.calibration._asdict()}


@dataclass(frozen=True)
class NoveltyRates:
    """How often images are called novel.

    Attributes:
        false_alarms: proportion of the images evaluated, which are in distribution.
        unlike: the same of images of another kind, and how well the two are separated; None if none.
    """

    false_alarms: Estimate
    unlike: Detection | None

    def as_json(self) -> dict[str, Any]:
        """As metrics.json has it."""
        found: dict[str, Any] = {"false_alarms": self.false_alarms._asdict()}
        return found if self.unlike is None else {**found, "unlike": self.unlike.as_json()}


@dataclass(frozen=True)
class Evaluation:
    """Predictions for N labelled images, and the metrics that follow from them.

    Attributes:
        conditions: K class names.
        files: name of each image, [N]; of a pair that of the focused one.
        truth: true class, int64 [N], 0 to K - 1.
        groups: patient of each image, [N].
        prediction: the ensemble's predictions for these images.
        facts: what was evaluated, and how.
        attributes: what is known of each image beside its condition: one column per attribute, N rows.
        unlike: scores of M images of another kind, for which there should be an alarm; None if none.
        unlike_groups: patient of each of those, [M]; None if each is of a patient of its own.
        partners: names of the pairs' panoramic images, [N]; None for single images.
        cohort_prior: the frequencies of the conditions in the training cohort, if known.
    """

    conditions: list[str]
    files: np.ndarray
    truth: np.ndarray
    groups: np.ndarray
    prediction: Prediction
    facts: EvaluationFacts
    attributes: pd.DataFrame = field(default_factory=pd.DataFrame)
    unlike: NoveltyScores | None = None
    unlike_groups: np.ndarray | None = None
    partners: np.ndarray | None = None
    cohort_prior: Prior | None = None

    def __repr__(self) -> str:
        facts, groups = self.facts, len(set(self.groups))
        phantom = ", phantoms only" if facts.phantom else ""
        return (
            f"<Evaluation: {len(self.truth)} {facts.samples} of {groups} patients, rows {facts.rows} of "
            f"cohort {facts.cohort} (digest {facts.cohort_digest}){phantom};\n"
            f" {len(self.conditions)} conditions ({first_names(self.conditions)}), "
            f"accuracy {self.correct.mean():.3f}>"
        )

    @cached_property
    def confusion(self) -> np.ndarray:
        """int64 [K, K]: row = true condition, column = predicted."""
        return confusion_counts(self.truth, self.prediction.predicted, len(self.conditions))

    def at(self, prior: Prior) -> "Evaluation":
        """The same images, predicted for other frequencies of the conditions.

        Raises:
            UserError: as `Prediction.with_prior`.
        """
        return replace(self, prediction=self.prediction.with_prior(prior))

    @cached_property
    def at_cohort_prevalence(self) -> "Evaluation | None":
        """The evaluation at the training cohort's frequencies; None if they or the prior are not known."""
        if self.cohort_prior is None or self.prediction.prior is None:
            return None
        return self.at(self.cohort_prior)

    @cached_property
    def rules(self) -> dict[str, Rule]:
        """The answers by each rule, that of the training first; the published one needs joint outputs."""
        return rules(self.prediction, self.truth, self.groups, self.facts.rule)

    @cached_property
    def class_calibration(self) -> list[ClassCalibration]:
        """Calibration of each condition's probability."""
        return class_calibration(self.prediction.combined, self.truth, self.groups, self.conditions)

    @cached_property
    def accuracy(self) -> Estimate:
        """Proportion of correct predictions, with its interval by patient."""
        return proportion_by_group(self.correct, self.groups)

    @property
    def correct(self) -> np.ndarray:
        """Which predictions are correct, bool [N]."""
        return self.prediction.predicted == self.truth

    @property
    def missing(self) -> list[str]:
        """Conditions without an image; the balanced accuracy is the mean over the others."""
        return [name for k, name in enumerate(self.conditions) if not (self.truth == k).any()]

    @cached_property
    def balanced_accuracy(self) -> Estimate:
        """Mean recall over the conditions that occur, with its interval by patient."""
        return balanced_accuracy(self.truth, self.prediction.predicted, self.groups)

    @cached_property
    def recall(self) -> dict[str, Estimate]:
        """Recall of each condition that occurs, with its interval by patient."""
        return {
            name: proportion_by_group(self.correct[self.truth == k], self.groups[self.truth == k])
            for k, name in enumerate(self.conditions)
            if name not in self.missing
        }

    @cached_property
    def top_k(self) -> dict[int, Estimate]:
        """Proportion of images whose condition is among the k most probable, k from 1 to at most 3."""
        return top_k(self.prediction.combined, self.truth, self.groups)

    @cached_property
    def strata(self) -> list[Stratum]:
        """Accuracy by skin tone, age, sex and view, as far as they are known."""
        return stratify(self.attributes, self.truth, self.prediction.predicted, self.groups)

    @cached_property
    def calibration_error(self) -> CalibrationError:
        """Expected calibration error of the combined probabilities, and that due to chance."""
        return calibration_error(self.prediction.combined, self.truth, self.groups)

    @cached_property
    def error_without_temperature(self) -> CalibrationError | None:
        """Expected calibration error at temperature 1; None if the ensemble is not calibrated."""
        raw = self.prediction.uncalibrated
        return None if raw is None else calibration_error(raw, self.truth, self.groups)

    @cached_property
    def change_by_temperature(self) -> Estimate | None:
        """The error with temperature minus that without, paired; None if the ensemble is not calibrated."""
        raw = self.prediction.uncalibrated
        if raw is None:
            return None
        return error_difference(raw, self.prediction.combined, self.truth, self.groups)

    @cached_property
    def coverage(self) -> Coverage | None:
        """Coverage and size of the prediction sets; None if the ensemble is not calibrated."""
        sets = self.prediction.prediction_sets
        return None if sets is None else conformal.coverage(sets, self.truth, self.conditions, self.groups)

    @cached_property
    def novelty(self) -> NoveltyRates | None:
        """How often images are called novel; None if the ensemble is not calibrated."""
        inside, novel = self.prediction.novelty, self.prediction.novel
        if inside is None or novel is None:
            return None
        unlike = None
        if self.unlike is not None:
            alone = np.arange(len(self.unlike.novelty))
            groups = alone if self.unlike_groups is None else self.unlike_groups
            unlike = novelty.detection(inside, self.groups, self.unlike, groups)
        return NoveltyRates(proportion_by_group(novel, self.groups), unlike)

    def metrics(self) -> dict[str, Any]:
        """All metrics as JSON-able numbers.

        An estimate is {"value", "low", "high"}, that of a recall also has "images".
        """
        totals = self.confusion.sum(axis=1)
        recall = {
            name: {**estimate._asdict(), "images": int(totals[self.conditions.index(name)])}
            for name, estimate in self.recall.items()
        }
        return {
            **self.facts.as_json(),
            "images": len(self.truth),
            "groups": len(set(self.groups)),
            "conditions_without_images": self.missing,
            "accuracy": self.accuracy._asdict(),
            "balanced_accuracy": self.balanced_accuracy._asdict(),
            "recall": recall,
            "rules": {name: rule.as_json() for name, rule in self.rules.items()},
            "unsure": float(self.prediction.unsure.mean()),
            "prior": self._prior(),
            "at_cohort_prevalence": self._at_cohort_prevalence(),
            **self._certainty(),
            "conditions": self.conditions,
            "confusion": self.confusion.tolist(),
        }

    def _prior(self) -> dict[str, Any] | None:
        prior = self.prediction.prior
        return None if prior is None else prior.as_json(self.conditions)

    def _at_cohort_prevalence(self) -> dict[str, Any] | None:
        there = self.at_cohort_prevalence
        if there is None:
            return None
        return {
            "prior": there._prior(),
            "accuracy": there.accuracy._asdict(),
            "balanced_accuracy": there.balanced_accuracy._asdict(),
            "unsure": float(there.prediction.unsure.mean()),
            "calibration_error": there.calibration_error.as_json(),
            "negative_log_likelihood": negative_log_likelihood(there.prediction.combined, self.truth),
            "class_calibration": [one.as_json() for one in there.class_calibration],
        }

    def _certainty(self) -> dict[str, Any]:
        """The part of `metrics` about certainty.

        None for what needs a calibration where there is none, or several models where one predicted.
        """
        prediction, before = self.prediction, self.error_without_temperature
        change, several = self.change_by_temperature, self.prediction.models > 1
        return {
            "top_k": {str(k): estimate._asdict() for k, estimate in self.top_k.items()},
            "calibration_error": self.calibration_error.as_json(),
            "negative_log_likelihood": negative_log_likelihood(prediction.combined, self.truth),
            "class_calibration": [one.as_json() for one in self.class_calibration],
            "without_temperature": None
            if before is None or change is None or prediction.uncalibrated is None
            else {
                "calibration_error": before.as_json(),
                "change_of_calibration_error": change._asdict(),
                "negative_log_likelihood": negative_log_likelihood(prediction.uncalibrated, self.truth),
            },
            "prediction_sets": self.coverage and self.coverage.as_json(),
            "novelty": self.novelty and self.novelty.as_json(),
            "held_out": [one.model_dump(mode="json") for one in prediction.held_out],
            "disagreement": {
                "folds": prediction.models,
                "mutual_information": float(prediction.mutual_information.mean()) if several else None,
                "agreement": float(prediction.agreement.mean()) if several else None,
            },
            "strata": [stratum.as_json() for stratum in self.strata],
        }

    def table(self) -> pd.DataFrame:
        """`Prediction.to_frame` with the images' files and their `condition`.

        For a pair also `partner`, the panoramic image's file.
        """
        frame = self.prediction.to_frame(list(self.files))
        if self.partners is not None:
            frame.insert(1, "partner", self.partners)
        place = list(frame.columns).index("predicted")
        frame.insert(place, "condition", [self.conditions[k] for k in self.truth])
        return frame

    def write(self, folder: Path) -> None:
        """Write metrics.json, probabilities.csv, and the figures confusion and reliability into `folder`.

        Figures are PNG, SVG and PDF, with their values as CSV. If there are strata, also strata.csv. Each
        file is written completely or not at all.

        Raises:
            UserError: the folder cannot be written.
        """
        folder = Path(folder)
        write_text(folder / "metrics.json", json.dumps(self.metrics(), indent=2) + "\n")
        write_csv(folder / "probabilities.csv", self.table())
        score = self.balanced_accuracy
        title = f"balanced accuracy {format_estimate(score, named=True)}, {len(self.truth)} images"
        draw_confusion(folder / "confusion.png", self.confusion, self.conditions, title)
        raw, error = self.prediction.uncalibrated, self.calibration_error
        draw_reliability(
            folder / "reliability.png",
            reliability(self.prediction.combined, self.truth, self.groups),
            None if raw is None else reliability(raw, self.truth, self.groups),
            f"calibration error {format_estimate(error.estimate, named=True)}, {len(self.truth)} images\n"
            f"(a perfectly calibrated model: up to {error.chance_limit:.3f})",
        )
        if self.strata:
            write_csv(folder / "strata.csv", self._strata_table())

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
