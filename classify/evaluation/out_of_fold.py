"""Every image judged by the one model that has not trained on it, and others in the same way."""

import numpy as np

from morphoscope.classify.certainty import conformal, novelty, temperature
from morphoscope.classify.ensemble import Ensemble
from morphoscope.classify.inputs.pairs import Form
from morphoscope.classify.inputs.selection import Selection
from morphoscope.classify.prediction import Prediction, combine


def predict_out_of_fold(
    ensemble: Ensemble, images: Selection, fold_of: np.ndarray, truth: np.ndarray, form: Form = "whole"
) -> Prediction:
    """Each image judged by its own fold's model, calibrated with the other folds' images: F is 1.

    Without a calibration if they are all of one fold: it was fitted to these very images.

    Args:
        images: all of this form.
    """
    calibration = ensemble.calibrations.get(form)
    raw, joint, distances = _predict_by_fold(ensemble, images, fold_of, form)
    if calibration is None or len(set(fold_of)) < 2:
        return Prediction(
            ensemble.conditions,
            raw[None],
            *combine(raw[None]),
            auxiliary=ensemble.auxiliary,
            joint=joint[None],
        )
    per_fold = temperature.cross_fitted(raw, truth, fold_of)[None]
    return Prediction(
        ensemble.conditions,
        per_fold,
        *combine(per_fold),
        uncalibrated=raw,
        coverage=calibration.conformal.coverage,
        prediction_sets=conformal.cross_fitted(raw, truth, fold_of, calibration.conformal.coverage),
        novelty=distances,
        novel=novelty.cross_fitted(distances, fold_of, calibration.novelty.accepted),
        auxiliary=ensemble.auxiliary,
        joint=joint[None],
    )


def novelty_in_turn(
    ensemble: Ensemble,
    images: Selection,
    known: tuple[np.ndarray, np.ndarray],
    form: Form = "whole",
) -> tuple[np.ndarray, np.ndarray]:
    """(novelty float32 [M], novel bool [M]) of pictures that no model has seen, by the out-of-fold rule.

    Picture i is judged by the model of fold i mod F alone. The mean distance over the folds, as in
    `Ensemble.predict`, varies less than the distances of out-of-fold images, which are single models'.

    Args:
        images: all of this form.
        known: novelty [N] and fold [N] of out-of-fold images, of two folds at least.
    """
    turn = np.array(ensemble.folds)[np.arange(len(images)) % len(ensemble.folds)]
    _, _, distances = _predict_by_fold(ensemble, images, turn, form)
    accepted = ensemble.calibrations[form].novelty.accepted
    return distances, novelty.cross_fitted(distances, turn, accepted, known)


def _predict_by_fold(
    ensemble: Ensemble, images: Selection, fold_of: np.ndarray, form: Form
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each image by the model of its fold: probabilities [N, K], joint ones [N, K+M], distances [N].

    Distances are 0 if there is no calibration.
    """
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
    return raw, joint, distances
