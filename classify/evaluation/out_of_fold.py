"""Out-of-fold predictions: each image by the one model that was not trained on it, and others likewise."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from morphoscope.classify.certainty import conformal, novelty, scaling
from morphoscope.classify.certainty.novelty import NoveltyScores
from morphoscope.classify.certainty.prior import shift_to_images
from morphoscope.classify.ensemble import Ensemble
from morphoscope.classify.inputs.pairs import Form
from morphoscope.classify.inputs.selection import Selection
from morphoscope.classify.prediction import Prediction, pool


class _FoldOutput(NamedTuple):
    """Output for N images, each from one model.

    Attributes:
        probabilities: float32 [N, K], at temperature 1.
        joint: float32 [N, K+M], over conditions and auxiliary classes.
        distances: float32 [N], to the model's subspace; 0 if there is no calibration.
    """

    probabilities: np.ndarray
    joint: np.ndarray
    distances: np.ndarray


def predict_out_of_fold(
    ensemble: Ensemble, images: Selection, fold_of: np.ndarray, truth: np.ndarray, form: Form = "whole"
) -> Prediction:
    """Predict each image with its own fold's model, calibrated on the images of the other folds.

    Args:
        images: N images, all of this form.
        fold_of: name of each image's fold, [N].
        truth: true class, int64 [N], for the calibration.
        form: whole images or pairs, or one half of a pair.

    Returns:
        A prediction of one model (F is 1). Not calibrated if all images are of one fold, since the
        calibration was fitted to these very images.
    """
    calibration = ensemble.calibrations.get(form)
    raw, joint, distances = _predict_by_fold(ensemble, images, fold_of, form)
    plain = Prediction(
        ensemble.conditions,
        raw[None],
        *pool(raw[None]),
        auxiliary=ensemble.auxiliary,
        joint=joint[None],
        prior=ensemble.prior,
        held_out=ensemble.metadata.held_out,
    )
    if calibration is None or len(set(fold_of)) < 2:
        return plain
    ratio = shift_to_images(plain.prior, truth, len(ensemble.conditions))
    per_fold = scaling.cross_fitted(raw, truth, fold_of, ratio)[None]
    combined, unsure = pool(per_fold)
    sets = conformal.cross_fitted(raw, truth, fold_of, calibration.conformal.coverage)
    return replace(
        plain,
        per_fold=per_fold,
        combined=combined,
        unsure=unsure,
        uncalibrated=raw,
        coverage=calibration.conformal.coverage,
        prediction_sets=conformal.with_answers(sets, combined.argmax(axis=1)),
        novelty=distances,
        novel=novelty.cross_fitted(distances, fold_of, calibration.novelty.accepted),
    )


def novelty_in_turn(
    ensemble: Ensemble,
    images: Selection,
    known: tuple[np.ndarray, np.ndarray],
    form: Form = "whole",
) -> NoveltyScores:
    """Novelty, by the out-of-fold rule, of M images that no model has seen.

    Image i is predicted by the model of fold i mod F alone. The mean distance over the folds, as in
    `Ensemble.predict`, varies less than the distances of out-of-fold images, each of which comes from a
    single model.

    Args:
        images: all of this form.
        known: novelty [N] and fold [N] of out-of-fold images, from at least two folds.
        form: as for `predict_out_of_fold`.
    """
    turn = np.array(ensemble.folds)[np.arange(len(images)) % len(ensemble.folds)]
    distances = _predict_by_fold(ensemble, images, turn, form).distances
    accepted = ensemble.calibrations[form].novelty.accepted
    return NoveltyScores(distances, novelty.cross_fitted(distances, turn, accepted, known))


def _predict_by_fold(ensemble: Ensemble, images: Selection, fold_of: np.ndarray, form: Form) -> _FoldOutput:
    """Predict each image with the model of its fold."""
    calibration = ensemble.calibrations.get(form)
    raw = np.zeros((len(images), len(ensemble.conditions)), np.float32)
    joint = np.zeros((len(images), len(ensemble.conditions) + len(ensemble.auxiliary)), np.float32)
    distances = np.zeros(len(images), np.float32)
    for position, fold in enumerate(ensemble.folds):
        here = np.flatnonzero(fold_of == fold)
        if len(here):
            raw[here], features, joint[here] = ensemble.predict_fold(
                fold, Selection(images.images, images.rows[here])
            )
            if calibration is not None:
                distances[here] = calibration.novelty.subspaces[position].distance(features)
    return _FoldOutput(raw, joint, distances)
