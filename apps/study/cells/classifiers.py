"""The cells that train classifiers, choose among them, and evaluate them on a test or on synthetic images."""

from typing import Any

import numpy as np

from morphoscope.apps.study.cell import Cell
from morphoscope.apps.study.cells.context import COHORT, IMAGES, RUN, Context
from morphoscope.apps.study.partition import INNER
from morphoscope.classify import Ensemble, evaluate, train_ensemble
from morphoscope.classify.evaluation.results import Evaluation
from morphoscope.cohort import Cohort
from morphoscope.cohort.spreadsheet import write_csv
from morphoscope.configs import UserError
from morphoscope.configs.classifier import EnsembleTraining
from morphoscope.configs.loading import validated
from morphoscope.runtime import RunFolder

PREDICTIONS = "predictions.csv"
"""Of a classifier's cell: the columns file, group and condition, and the probability of each condition."""

PROBABILITY = "p "


def make_classifier(cell: Cell, context: Context) -> dict[str, Any]:
    """Train the classifier and predict the test fold; returns counts of images and its metrics."""
    ensemble, values = _train(cell, context)
    return {**values, **_test(ensemble, cell, context)}


def train_candidate(cell: Cell, context: Context) -> dict[str, Any]:
    """Train a classifier that may be chosen; returns what `make_choice` reads. The test plays no part."""
    return _train(cell, context)[1]


def make_choice(cell: Cell, context: Context) -> dict[str, Any]:
    """Choose the candidate with the best mean balanced accuracy on the calibration patients.

    Returns:
        Its number, what it is, and the scores of all. Of equally good ones it is the first.
    """
    candidates = cell.settings["candidates"]
    scores: list[list[float]] = [[] for _ in candidates]
    for role in cell.needs:
        scores[int(role.partition(",")[0])].append(context.values(cell, role)["inner_balanced_accuracy"])
    means = [float(np.mean(own)) for own in scores]
    best = int(np.argmax(means))
    return {"chosen": best, **candidates[best], "scores": means}


def evaluate_chosen(cell: Cell, context: Context) -> dict[str, Any]:
    """Predict the test fold by the chosen candidate; returns its metrics."""
    chosen = str(context.values(cell, "choice")["chosen"])
    path = context.needed(cell, chosen, RUN) / "ensemble.safetensors"
    return {**context.values(cell, chosen), **_test(Ensemble.load(path, context.device), cell, context)}


def _train(cell: Cell, context: Context) -> tuple[Ensemble, dict[str, Any]]:
    """(the classifier, its counts of images and its score on the calibration patients)."""
    synthetic = chosen_images(cell, context) if "images" in cell.needs else None
    ensemble = train_ensemble(
        validated(EnsembleTraining, cell.settings["config"]),
        Cohort.load(context.needed(cell, "cohort", COHORT)),
        RunFolder(context.store.folder(cell) / RUN),
        synthetic=[] if synthetic is None else [synthetic],
        folds=[INNER],
        device=context.device,
    )
    scores = ensemble.metadata.scores[INNER]
    return ensemble, {
        "training_images": scores.training_images,
        "inner_balanced_accuracy": scores.balanced_accuracy,
        "synthetic": {} if synthetic is None else synthetic.rows["condition"].value_counts().to_dict(),
    }


def _test(ensemble: Ensemble, cell: Cell, context: Context) -> dict[str, Any]:
    """Write the predictions of the test fold; returns metrics."""
    cohort = Cohort.load(context.needed(cell, "cohort", COHORT))
    evaluation = evaluate(ensemble, cohort, rows="test", strata=False)
    write_csv(context.store.folder(cell) / PREDICTIONS, prediction_table(evaluation), "%.8g")
    return {
        "balanced_accuracy": evaluation.balanced_accuracy.value,
        "accuracy": evaluation.accuracy.value,
    }


def make_reverse(cell: Cell, context: Context) -> dict[str, Any]:
    """Evaluate a classifier of real images on synthetic ones; returns its balanced accuracy and accuracy."""
    ensemble = Ensemble.load(context.needed(cell, "classifier", RUN) / "ensemble.safetensors", context.device)
    images = Cohort.load(context.needed(cell, "images", IMAGES))
    evaluation = evaluate(ensemble, images, rows="all", strata=False)
    return {
        "images": len(images),
        "balanced_accuracy": evaluation.balanced_accuracy.value,
        "accuracy": evaluation.accuracy.value,
    }


def prediction_table(evaluation: Evaluation) -> Any:
    """The rows of PREDICTIONS: calibrated probabilities of the test images."""
    table = evaluation.table()[["file", "condition"]].assign(group=evaluation.groups)
    for number, name in enumerate(evaluation.conditions):
        table[f"{PROBABILITY}{name}"] = evaluation.prediction.combined[:, number]
    return table


def chosen_images(cell: Cell, context: Context) -> Cohort:
    """The synthetic images that a classifier is trained on: the first ones of each condition.

    Where the filter or the selection leaves fewer than wanted, all that are left.

    Raises:
        UserError: no image is left.
    """
    images = Cohort.load(context.needed(cell, "images", IMAGES))
    allowed = _selected(cell, context, images) if "selector" in cell.needs else np.ones(len(images), bool)
    wanted: dict[str, int] = cell.settings["images"]
    chosen: list[int] = []
    for name, number in wanted.items():
        of_condition = allowed & (images.rows["condition"] == name).to_numpy()
        chosen += np.flatnonzero(of_condition)[:number].tolist()
    if not chosen:
        raise UserError(f"{cell.name}: no synthetic image is left to train on; the selection refuses all.")
    return images.select(sorted(chosen))


def _selected(cell: Cell, context: Context, images: Cohort) -> np.ndarray:
    """Whether the classifier of real images assigns each image to its condition, without alarm: bool [N]."""
    selector = Ensemble.load(context.needed(cell, "selector", RUN) / "ensemble.safetensors", context.device)
    prediction = selector.predict(images.images(selector.resolution, selector.config.images.fit))
    places = {name: number for number, name in enumerate(selector.conditions)}
    agrees = prediction.predicted == images.rows["condition"].map(places).to_numpy()
    return agrees if prediction.novel is None else agrees & ~prediction.novel
