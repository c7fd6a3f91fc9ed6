"""The cell that trains a generator inside an outer fold, and measures whether it copies."""

import math
from dataclasses import asdict
from functools import partial
from typing import Any

from morphoscope.apps.study.cell import Cell
from morphoscope.apps.study.cells.context import COHORT, RUN, Context
from morphoscope.apps.study.partition import INNER
from morphoscope.cohort import Cohort
from morphoscope.configs.commands import Sampling
from morphoscope.configs.generator import DEFAULT_NETWORK, GeneratorTraining
from morphoscope.configs.loading import validated
from morphoscope.generate import GeneratorModel, load, train_generator
from morphoscope.generate.exports import write_samples
from morphoscope.generate.metrics import (
    CopyingMeter,
    Measured,
    QualityMeter,
    load_feature_network,
    measure_similarity,
    real_rows,
    seen_and_held_out,
    write_pairs,
)
from morphoscope.runtime import RunFolder
from morphoscope.runtime.torch_devices import resolve_device
from morphoscope.runtime.torch_processes import Processes

SAMPLES, PAIRS = "samples", "closest-pairs.html"
_SHOWN, _MEASURED, _CLOSEST = 8, 50, 12  # images per condition; pairs


def make_generator(cell: Cell, context: Context) -> dict[str, Any]:
    """Train the generator on the training fold alone; returns its digest and measurements."""
    folder = context.store.folder(cell)
    cohort = Cohort.load(context.needed(cell, "cohort", COHORT))
    snapshot = train_generator(
        validated(GeneratorTraining, cell.settings["config"]),
        cohort,
        RunFolder(folder / RUN),
        exclude_folds=[INNER],
        start_from=context.start_from,
        processes=Processes(resolve_device(context.device)),
    )
    model = load(snapshot, context.device)
    (folder / SAMPLES).mkdir(exist_ok=True)
    write_samples(model, folder / SAMPLES, Sampling(count=_SHOWN, psi=1.0))
    measured = _measure(model, cohort, cell, context)
    return {
        "snapshot": snapshot.name,
        "digest": model.digest,
        "trained_on_folds": list(model.metadata.trained_on_folds),
        "phantom": model.phantoms_only,
        **measured,
    }


def _measure(model: GeneratorModel, cohort: Cohort, cell: Cell, context: Context) -> dict[str, Any]:
    """Distances to the training images beside their floor, and the tests for copies.

    The images that calibrate are those that the generator has not seen; the test fold plays no part.
    """
    network = load_feature_network(DEFAULT_NETWORK, context.device)
    reals = real_rows(cohort, "training", model.metadata)
    meter = QualityMeter(network, reals, model.resolution, model.metadata.fit, model.grey)
    generated = meter.generate(partial(model.sample, psi=1.0), _MEASURED, 0)
    similarity = measure_similarity(network.name, meter.reals, generated, 0)
    found: dict[str, Any] = {
        "real_images": len(reals),
        "real_patients": int(reals.rows["group"].nunique()),
        "similarity": {one.key: _shown(one.overall) for one in similarity},
        "copying": None,
    }
    parts = seen_and_held_out(cohort, "training", model.metadata)
    if parts is None:
        return found
    copying_meter = CopyingMeter(network, *parts, model.resolution, model.metadata.fit, model.grey)
    copying = copying_meter.measure(generated, 0)
    pairs = copying_meter.closest_pairs(generated, _CLOSEST)
    seeds = [meter.seeds(pair.condition, _MEASURED, 0)[pair.number] for pair in pairs]
    images = [model.sample(pair.condition, [seed], 1.0)[0] for pair, seed in zip(pairs, seeds, strict=True)]
    marks = [
        model.provenance({pair.condition: 1.0}, seed, 1.0) for pair, seed in zip(pairs, seeds, strict=True)
    ]
    shown = copying_meter.training_images(pairs)
    path = context.store.folder(cell) / PAIRS
    write_pairs(path, pairs, images, marks, copying_meter.training_rows, shown, network.name)
    if copying is not None:
        found["copying"] = asdict(copying.overall)
    return found


def _shown(measured: Measured) -> dict[str, float | None]:
    """A metric's value, and the two to compare; None for what there are too few images for."""
    values = {
        "value": measured.estimate.value,
        "beside_floor": measured.beside_floor,
        "floor": measured.floor,
    }
    return {name: None if math.isnan(value) else value for name, value in values.items()}
