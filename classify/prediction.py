"""The predictions of an ensemble: probabilities, the prior they assume, and how certain the result is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from morphoscope.classify.certainty import Calibration, conformal, disagreement
from morphoscope.classify.certainty.prior import Prior, reweighted
from morphoscope.classify.certainty.scaling import pooled
from morphoscope.classify.held_out import HeldOut
from morphoscope.classify.inputs.pairs import Form
from morphoscope.configs import UserError, arguments, first_names

_SURE = 0.5
"""A prediction is unsure unless its highest probability exceeds this."""


@dataclass(frozen=True)
class Prediction:
    """Predictions of F models for N images and K conditions; probabilities are float32 in [0, 1].

    Attributes:
        conditions: K class names, in the order of the probabilities.
        per_fold: [F, N, K], each model's, at the ensemble's temperature if it is calibrated.
        combined: [N, K], the ensemble's: see `pool`.
        unsure: bool [N]: the ensemble gives no condition more than 0.5.
        uncalibrated: [N, K], combined from the probabilities at temperature 1.
        coverage: proportion, for images like the training images, of prediction sets that should hold the
            true condition, in (0, 1).
        prediction_sets: bool [N, K]: the conditions that remain possible, whatever their frequencies.
        novelty: float32 [N] in [0, 2], mean distance from the features of the training images.
        novel: bool [N]: another kind of image than the training images (out of distribution).
        auxiliary: names of the M auxiliary classes.
        joint: float32 [F, N, K+M], over conditions and auxiliary classes, at temperature 1. All other
            probabilities are among the K conditions alone and sum to 1.
        prior: the frequencies of the conditions that `per_fold`, `combined` and `uncalibrated` assume; None
            if the ensemble's file does not tell.
        held_out: how well the alarm notices what models were not trained on; empty if not measured.

    `uncalibrated`, `coverage`, `prediction_sets`, `novelty` and `novel` are None if the ensemble is not
    calibrated.
    """

    conditions: list[str]
    per_fold: np.ndarray
    combined: np.ndarray
    unsure: np.ndarray
    uncalibrated: np.ndarray | None = None
    coverage: float | None = None
    prediction_sets: np.ndarray | None = None
    novelty: np.ndarray | None = None
    novel: np.ndarray | None = None
    auxiliary: Sequence[str] = ()
    joint: np.ndarray | None = None
    prior: Prior | None = None
    held_out: Sequence[HeldOut] = ()

    def __repr__(self) -> str:
        calibrated = "calibrated" if self.prediction_sets is not None else "not calibrated"
        assumed = "unknown frequencies of the conditions" if self.prior is None else self.prior.name
        return (
            f"<Prediction: {len(self.combined)} images by {self.models} models, {calibrated};\n"
            f" {len(self.conditions)} conditions ({first_names(self.conditions)}), assuming {assumed}>"
        )

    def with_prior(self, prior: Prior) -> "Prediction":
        """The same predictions for patients among whom the conditions have other frequencies (Bayes' rule).

        Prediction sets, which hold for each condition, change only in that they hold the new answer.

        Args:
            prior: frequencies of the K conditions, in the order of `conditions`.

        Raises:
            UserError: it is not known which frequencies the present probabilities assume.
        """
        if self.prior is None:
            raise UserError(
                "It is not known which frequencies of the conditions these probabilities assume, so they "
                "cannot be re-expressed for others: the ensemble is from an earlier version and not "
                "calibrated, or was trained with synthetic images. Run `morphoscope classify calibrate`, or "
                "train the ensemble again."
            )
        old = self.prior
        combined = reweighted(self.combined, old, prior)
        sets = self.prediction_sets
        return replace(
            self,
            per_fold=reweighted(self.per_fold, old, prior),
            combined=combined,
            unsure=combined.max(axis=1) <= _SURE,
            uncalibrated=None if self.uncalibrated is None else reweighted(self.uncalibrated, old, prior),
            prediction_sets=None if sets is None else conformal.with_answers(sets, combined.argmax(axis=1)),
            prior=prior,
        )

    @property
    def predicted(self) -> np.ndarray:
        """Index of the most probable condition, int64 [N]."""
        return self.combined.argmax(axis=1)

    @property
    def models(self) -> int:
        """F, the number of models that made the prediction."""
        return len(self.per_fold)

    @property
    def votes(self) -> np.ndarray:
        """Number of models whose most probable condition is the predicted one, int64 [N], 0 to F."""
        return disagreement.votes(self.per_fold, self.predicted)

    @property
    def agreement(self) -> np.ndarray:
        """Proportion of the models that vote for the predicted condition, float64 [N] in [0, 1]."""
        return self.votes / self.models

    @property
    def mutual_information(self) -> np.ndarray:
        """How far the models disagree, in nats, float64 [N]: 0 where all say the same, ln F at most."""
        return disagreement.mutual_information(self.per_fold)

    @property
    def auxiliary_first(self) -> list[str | None]:
        """Of each image the auxiliary class that the models' mean finds more probable than any condition.

        None where a condition is more probable, or the ensemble has no auxiliary classes; N entries.
        """
        if self.joint is None:
            return [None] * len(self.combined)
        names = [None] * len(self.conditions) + list(self.auxiliary)
        return [names[k] for k in self.joint.mean(axis=0).argmax(axis=1)]

    def of(self, image: int) -> "Prediction":
        """The prediction for one of the N images alone."""
        one = slice(image, image + 1)

        def part(values: np.ndarray | None) -> np.ndarray | None:
            return None if values is None else values[one]

        return replace(
            self,
            per_fold=self.per_fold[:, one],
            combined=self.combined[one],
            unsure=self.unsure[one],
            uncalibrated=part(self.uncalibrated),
            prediction_sets=part(self.prediction_sets),
            novelty=part(self.novelty),
            novel=part(self.novel),
            joint=None if self.joint is None else self.joint[:, one],
        )

    def reordered(self, conditions: Sequence[str]) -> "Prediction":
        """The same predictions with the K conditions in another order; auxiliary classes stay behind them."""
        order = [self.conditions.index(name) for name in conditions]
        joint = [*order, *range(len(order), len(order) + len(self.auxiliary))]

        def moved(values: np.ndarray | None) -> np.ndarray | None:
            return None if values is None else values[:, order]

        return replace(
            self,
            conditions=list(conditions),
            per_fold=self.per_fold[:, :, order],
            combined=self.combined[:, order],
            uncalibrated=moved(self.uncalibrated),
            prediction_sets=moved(self.prediction_sets),
            joint=None if self.joint is None else self.joint[:, :, joint],
            prior=self.prior and self.prior.reordered(order),
        )

    @property
    def published(self) -> tuple[np.ndarray, np.ndarray] | None:
        """By the published rule: (the answers, int64 [N] from 0 to K+M-1; no model is sure, bool [N]).

        The most probable of all classes, also where models count only if they are sure, and at temperature 1:
        an answer of K or more is an auxiliary class. None without `joint`.
        """
        if self.joint is None:
            return None
        combined, unsure = combine(self.joint)
        return combined.argmax(axis=1), unsure

    def possible(self, image: int) -> list[str] | None:
        """Names in the prediction set of an image, by its number; most probable first.

        None if not calibrated; UserError if there is no such image.
        """
        image = arguments.whole_number("The image's number", image, 0, len(self.combined) - 1)
        if self.prediction_sets is None:
            return None
        order = np.argsort(-self.combined[image], kind="stable")
        return [self.conditions[k] for k in order if self.prediction_sets[image, k]]

    def to_frame(self, names: Sequence[str] | None = None) -> pd.DataFrame:
        """One row per image: predicted, unsure, and `p_<condition>` for each condition.

        With auxiliary classes also `joint_<name>` for each class: the models' mean probability over
        conditions and auxiliary classes, while the `p_` columns are among the conditions alone. For a
        calibrated ensemble also `prediction_set` (names separated by "; "), `novelty` and the alarm
        `another_kind_of_image`. The last column, `prior`, says which frequencies of the conditions the
        probabilities assume; "unknown" if the ensemble does not tell.

        Args:
            names: of the N images, e.g. their files: the first column, `file`. There is none if None.

        Raises:
            UserError: not N texts.
        """
        columns: dict[str, object] = {}
        if names is not None:
            columns["file"] = arguments.listed("names", names, str, "a list of names, one per image")
            if len(names) != len(self.combined):
                arguments.refuse("names", f"{len(self.combined)} names, one per image", names)
        columns |= {"predicted": [self.conditions[k] for k in self.predicted], "unsure": self.unsure}
        columns |= {f"p_{name}": self.combined[:, k] for k, name in enumerate(self.conditions)}
        if self.auxiliary and self.joint is not None:
            mean = self.joint.mean(axis=0)
            every = [*self.conditions, *self.auxiliary]
            columns |= {f"joint_{name}": mean[:, k] for k, name in enumerate(every)}
        if self.prediction_sets is not None:
            sets = (self.possible(image) or [] for image in range(len(self.combined)))
            columns["prediction_set"] = ["; ".join(possible) for possible in sets]
            columns |= {"novelty": self.novelty, "another_kind_of_image": self.novel}
        prior = "unknown" if self.prior is None else self.prior.name
        return pd.DataFrame(columns).assign(prior=prior)


def pool(per_fold: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Combine the models' probabilities into one prediction per image: the mean of their logits.

    Its likelihood is better than that of the models' mean probability (on HAM10000's 222 test images 1.01
    instead of 1.06), and its confidence on unseen images follows from that of single models (see
    `Scaling.of_ensemble`). A change of the prior commutes with it.

    Args:
        per_fold: float32 [F, N, K] in [0, 1].

    Returns:
        (combined float32 [N, K], unsure bool [N]).

    Raises:
        UserError: an array of another kind.
    """
    _check(per_fold)
    combined = pooled(per_fold)
    return combined, combined.max(axis=1) <= _SURE


def combine(per_fold: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Combine the models' probabilities by the published rule.

    The mean over the models that give an image's most probable class more than 0.5; where none does, the mean
    over all models, and the image counts as unsure.

    Args:
        per_fold: float32 [F, N, C] in [0, 1]; as published over all classes, conditions and auxiliary ones.

    Returns:
        (combined float32 [N, C], unsure bool [N]).
    """
    _check(per_fold)
    counted = per_fold.max(axis=2) > _SURE  # [F, N]
    unsure = np.logical_not(counted.any(axis=0))
    weights = np.where(unsure, 1.0, counted).astype(np.float64)
    combined = np.einsum("fn,fnk->nk", weights, per_fold) / weights.sum(axis=0)[:, None]
    return combined.astype(np.float32), unsure


def with_calibration(
    plain: Prediction, calibrations: Mapping[Form, Calibration], distances: np.ndarray, forms: np.ndarray
) -> Prediction:
    """What the calibrations make of predictions at temperature 1.

    Args:
        plain: not calibrated, N images.
        calibrations: by form, among them that of whole images.
        distances: float32 [F, N], to each model's subspace.
        forms: the `Form` of each image, str [N].
    """
    raw = plain.per_fold
    per_fold, sets = np.empty_like(raw), np.zeros(raw.shape[1:], bool)
    found, novel = np.zeros(len(forms), np.float32), np.zeros(len(forms), bool)
    for form, calibration in calibrations.items():
        here = forms == form
        per_fold[:, here] = calibration.scaling.apply(raw[:, here])
        sets[here] = calibration.conformal.sets(raw[:, here])
        found[here], novel[here] = calibration.novelty.detect(distances[:, here])
    combined, unsure = pool(per_fold)
    return replace(
        plain,
        per_fold=per_fold,
        combined=combined,
        unsure=unsure,
        uncalibrated=plain.combined,
        coverage=calibrations["whole"].conformal.coverage,
        prediction_sets=conformal.with_answers(sets, combined.argmax(axis=1)),
        novelty=found,
        novel=novel,
    )


def _check(per_fold: np.ndarray) -> None:
    takes = "an array of numbers [F, N, K], one probability per model, image and class"
    if not isinstance(per_fold, np.ndarray) or per_fold.ndim != 3 or per_fold.dtype.kind != "f":
        arguments.refuse("per_fold", takes, per_fold)
    if per_fold.shape[0] == 0 or per_fold.shape[2] == 0:
        arguments.refuse("per_fold", takes, per_fold)
