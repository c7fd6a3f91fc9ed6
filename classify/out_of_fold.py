"""Every image judged by the one model that has not trained on it."""

import numpy as np

from morphoscope.classify.certainty import conformal, novelty, temperature
from morphoscope.classify.ensemble import Ensemble
from morphoscope.classify.pairs import Form
from morphoscope.classify.prediction import Prediction, combine
from morphoscope.classify.selection import Selection


def predict_out_of_fold(
    ensemble: Ensemble, images: Selection, fold_of: np.ndarray, truth: np.ndarray, form: Form = "whole"
) -> Prediction:
    """Each image judged by its own fold's model, calibrated with the other folds' images: F is 1.

    Args:
        images: all of this form.
    """
    calibration = ensemble.calibrations.get(form)
    raw = np.zeros((len(images), len(ensemble.conditions)), np.float32)
    joint = np.zeros((len(images), len(ensemble.conditions) + len(ensemble.auxiliary)), np.float32)
    distances = np.zeros(len(images), np.float32)
    for position, fold in enumerate(ensemble.folds):
        here = np.flatnonzero(fold_of == fold)
        if len(here):
            raw[here], features, joint[here] = ensemble.judge_by(
                fold, Selection(images.images, images.rows[here])
            )
            if calibration is not None:
                distances[here] = calibration.novelty.subspaces[position].distance(features)
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
