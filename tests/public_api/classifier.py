"""Calls of the classifier's room."""

import types

import numpy as np
import torch

from morphoscope import classify
from morphoscope.apps.bundled_models import ENSEMBLE
from morphoscope.runtime import RunFolder
from public_api.case import Case, photograph


def classify_cases(made: types.SimpleNamespace) -> dict[str, Case]:
    ensemble, image = made.ensemble, photograph()
    fold, other = ensemble.folds[0], made.cohort
    found = classify.Attribution(
        np.zeros((40, 30), np.float32), np.zeros((1, 8, 8), np.float32), None, None, "NF1", "gradcam", None
    )
    exists = made.folder / "phantoms"
    return {
        "Ensemble.load": Case(classify.Ensemble.load, path=ENSEMBLE, device="cpu", test_time=1),
        "Ensemble.pair": Case(ensemble.pair, focused=image, panoramic=image),
        "Ensemble.predict": Case(ensemble.predict, images=[image], batch=1, prevalence="uniform"),
        "Ensemble.requested_prior": Case(ensemble.requested_prior, prevalence="uniform"),
        "Ensemble.predict_fold": Case(ensemble.predict_fold, fold=fold, images=[image]),
        "Ensemble.calibrate": Case(ensemble.calibrate, cohort=other),
        "Ensemble.require_training_cohort": Case(ensemble.require_training_cohort, cohort=other),
        "Ensemble.seen": Case(ensemble.seen, image=image),
        "Ensemble.attribute": Case(
            ensemble.attribute, image=image, target="NF1", method="gradcam", steps=4, seed=0
        ),
        "Ensemble.fold": Case(ensemble.fold, name=fold),
        "Ensemble.with_models": Case(ensemble.with_models, models={fold: ensemble.models[0]}),
        "Ensemble.save": Case(ensemble.save, path=made.folder / "again.safetensors", dtype=torch.float16),
        "cross_validate": Case(
            classify.cross_validate,
            config=made.classifier,
            cohort=other.with_folds(other.rows["fold"].replace({"1": "0"})),  # too few folds to train
            run=RunFolder(exists),
            nested=True,
            repeats=1,
            auxiliary=[],
            view="focused",
            device="cpu",
            overwrite=False,
        ),
        "combine": Case(classify.combine, per_fold=np.full((1, 2, 3), 0.3, np.float32)),
        "evaluate": Case(
            classify.evaluate,
            ensemble=ensemble,
            cohort=other,
            rows="test",
            unlike=other,
            view="face",
            prevalence="uniform",
            strata=True,
        ),
        "write_evaluation_page": Case(
            classify.write_evaluation_page, evaluation=made.evaluation, folder=made.folder, descriptions={}
        ),
        "write_explanation": Case(
            classify.write_explanation,
            path=made.folder / "one.png",
            image=image,
            found=found,
            condition="NF1",
            file="a.jpg",
            notes=["a"],
            provenance=None,
        ),
        "legend": Case(classify.legend, width=100, height=40, signed=True),
        "overlay": Case(
            classify.overlay,
            image=image,
            attribution=np.zeros((40, 30), np.float32),
            signed=True,
            strongest=1.0,
        ),
        "colour_range": Case(classify.colour_range, attribution=np.zeros((40, 30), np.float32)),
        "measure_held_out": Case(
            classify.measure_held_out,
            config=made.classifier,
            ensemble=ensemble,
            plan=classify.HeldOutPlan(other, None, None, []),  # refused, so that nothing is trained
            run=RunFolder(exists),
            auxiliary=[],
            device="cpu",
            overwrite=False,
        ),
        "plan_held_out": Case(
            classify.plan_held_out,
            config=made.classifier,
            cohort=other,
            conditions=other.conditions[:1],
            view=None,
            folds=None,
        ),
        "plan_folds": Case(
            classify.plan_folds,
            cohort=other,
            synthetic=[],
            auxiliary=[],
            view="focused",
            dual=False,
            folds=["0"],
            synthetic_per_real=1.0,
            real_images=True,
            seed=0,
        ),
        "train_ensemble": Case(
            classify.train_ensemble,
            config=made.classifier,
            cohort=other,
            run=RunFolder(exists),
            synthetic=[],
            auxiliary=[],
            view="face",
            folds=["9"],  # there are no such images and fold, so that nothing is trained
            device="cpu",
            overwrite=False,
        ),
    }
