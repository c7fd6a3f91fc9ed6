"""`morphoscope generate metrics`."""

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from morphoscope.apps.commands.options import (
    CohortPath,
    ConfigFile,
    Device,
    GeneratorPath,
    Overwrite,
    Run,
    Set,
    open_run,
    option,
)
from morphoscope.configs import UserError, load_config
from morphoscope.configs.commands import Compared, Measuring
from morphoscope.configs.precision import ConvolutionPrecision
from morphoscope.runtime.terminal import say, show, table

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from morphoscope.cohort import Cohort
    from morphoscope.generate import GeneratorModel
    from morphoscope.generate.metrics import (
        CopyingMeter,
        CopyingReport,
        FeatureNetwork,
        Measure,
        Numbers,
        QualityMeter,
    )
    from morphoscope.generate.metrics.perceptual import PerceptualNetwork

PAGE, TABLE, PAIRS = "report.html", "metrics.csv", "closest-pairs.html"


def metrics(
    generator: GeneratorPath,
    path: CohortPath,
    rows: Annotated[Compared | None, option(Measuring, "rows")] = None,
    images: Annotated[int | None, option(Measuring, "images")] = None,
    network: Annotated[str | None, option(Measuring, "network")] = None,
    psi: Annotated[float | None, option(Measuring, "psi")] = None,
    precision: Annotated[ConvolutionPrecision | None, option(Measuring, "precision")] = None,
    closest_pairs: Annotated[int | None, option(Measuring, "closest_pairs")] = None,
    run: Run = None,
    overwrite: Overwrite = False,
    config: ConfigFile = None,
    set_: Set = None,
    device: Device = "auto",
    seed: Annotated[int | None, option(Measuring, "seed")] = None,
) -> None:
    """Compare generated images with real ones, by condition, and look for copies of training images."""
    settings = load_config(
        Measuring,
        file=config,
        overrides=set_,
        rows=rows,
        images=images,
        network=network,
        psi=psi,
        precision=precision,
        closest_pairs=closest_pairs,
        seed=seed,
    )

    from morphoscope.apps.commands.generate.loading import load_generator
    from morphoscope.apps.commands.generate.networks import feature_network
    from morphoscope.cohort import Cohort, CohortInput
    from morphoscope.generate.metrics import QualityMeter, numbers_of, real_rows
    from morphoscope.generate.metrics.perceptual import load_perceptual_network

    model = load_generator(generator, device, settings.precision)
    cohort = Cohort.load(path)
    reals = real_rows(cohort, settings.rows, model.metadata)
    occurring = sorted(set(reals.rows["condition"]))
    for condition in occurring:
        model.label(condition)  # report a condition that the generator lacks before the work starts
    perceptual = None
    if settings.perceptual_network is not None:
        perceptual = load_perceptual_network(settings.perceptual_network, device)
    features = feature_network(settings.network, device)
    meter = QualityMeter(features, reals, model.resolution, model.metadata.fit, model.grey)
    copying_meter = _copying_meter(features, model, cohort, settings)
    inputs: dict[str, Any] = {"generator": model.digest, "cohort": CohortInput(cohort)}
    with open_run(run, "metrics", settings, overwrite=overwrite, **inputs) as folder:
        generated = meter.generate(partial(model.sample, psi=settings.psi), settings.images, settings.seed)
        measures = _measures(meter, generated, model, reals, perceptual, settings)
        copying = None if copying_meter is None else copying_meter.measure(generated, settings.seed)
        numbers = numbers_of(meter.reals, generated)
        _write(folder.path, measures, copying, numbers, model, cohort, settings)
        if settings.closest_pairs and copying_meter is not None:
            seeds = partial(meter.seeds, images=settings.images, seed=settings.seed)
            _write_pairs(folder.path / PAIRS, copying_meter, generated, model, settings, seeds)
    _print(measures, copying)
    say(f"Wrote {folder.path / PAGE}, {TABLE} and metrics.json")


def _measures(
    meter: "QualityMeter",
    generated: "dict[str, np.ndarray]",
    model: "GeneratorModel",
    reals: "Cohort",
    perceptual: "PerceptualNetwork | None",
    settings: Measuring,
) -> "list[Measure]":
    """All metrics, those in pooled features first."""
    from morphoscope.generate.metrics import (
        RealImages,
        measure_intra_class,
        measure_path_length,
        measure_similarity,
    )

    found = measure_similarity(meter.network.name, meter.reals, generated, settings.seed)
    if perceptual is None:
        return found

    def images(condition: str, number: int) -> "np.ndarray":
        seeds = meter.seeds(condition, min(number, settings.images), settings.seed)
        return model.sample(condition, seeds, settings.psi)

    real_images = RealImages.of(reals, model.resolution, model.metadata.fit, model.grey)
    found.append(measure_intra_class(perceptual, real_images, images, settings.seed))
    paths, psi = settings.paths, settings.psi
    found.append(measure_path_length(model, perceptual, meter.counts, paths, psi, settings.seed))
    return found


def _write(
    folder: Path,
    measures: "list[Measure]",
    copying: "CopyingReport | None",
    numbers: "dict[str, Numbers]",
    model: "GeneratorModel",
    cohort: "Cohort",
    settings: Measuring,
) -> None:
    """The page, the table and the values for programs."""
    from morphoscope.generate.metrics import write_measure_page, write_measure_table
    from morphoscope.runtime import write_text

    execution = model.provenance().execution or ""
    facts = [
        ("generator", model.digest),
        ("execution", execution),
        ("cohort", f"{cohort.digest}, rows: {settings.rows}"),
        ("truncation psi", f"{settings.psi:g}"),
    ]
    values = {name: value for measure in measures for name, value in measure.named_values().items()}
    found = {
        "generator": model.digest,
        "execution": execution,
        "cohort": cohort.digest,
        "rows": settings.rows,
        "figures": values | ({} if copying is None else copying.named_values()),
        "copying": None if copying is None else copying.as_json(),
    }
    write_text(folder / "metrics.json", json.dumps(found, indent=2, allow_nan=False) + "\n")
    write_measure_table(folder / TABLE, measures, numbers)
    phantom = model.phantoms_only and cohort.phantom
    write_measure_page(folder / PAGE, measures, numbers, copying, facts, phantom)


def _print(measures: "list[Measure]", copying: "CopyingReport | None") -> None:
    from morphoscope.generate.metrics import (
        COPYING_COLUMNS,
        COPYING_EXPLANATION,
        FLOOR,
        condition_table,
        copying_rows,
        overall_table,
    )

    show(table(*overall_table(measures)))
    say(FLOOR)
    show(table(*condition_table(measures)))
    say(f"The worst {measures[0].title} first; {PAGE} has the intervals, and says what the values mean.")
    if copying is not None:
        show(table(["", *COPYING_COLUMNS[1:]], copying_rows(copying)))
        say(COPYING_EXPLANATION)


def _copying_meter(
    network: "FeatureNetwork", model: "GeneratorModel", cohort: "Cohort", settings: Measuring
) -> "CopyingMeter | None":
    """What looks for copies; None, with a message, where training and held-out images are not both known."""
    from morphoscope.generate.metrics import CopyingMeter, seen_and_held_out

    parts = seen_and_held_out(cohort, settings.rows, model.metadata)
    if parts is not None:
        return CopyingMeter(network, *parts, model.resolution, model.metadata.fit, model.grey)
    reason = (
        "the generator was trained on another cohort or split, or no image of --rows is held out of its "
        "training"
    )
    if settings.closest_pairs:
        raise UserError(f"--closest-pairs: {reason}.")
    say(f"Copies of training images are not looked for: {reason}.")
    return None


def _write_pairs(
    path: Path,
    meter: "CopyingMeter",
    generated: "dict[str, np.ndarray]",
    model: "GeneratorModel",
    settings: Measuring,
    seeds: "Callable[[str], list[int]]",
) -> None:
    """Generate the images of the closest pairs again, and write the page."""
    from morphoscope.generate.metrics import write_pairs

    pairs = meter.closest_pairs(generated, settings.closest_pairs)
    images, provenances = [], []
    for pair in pairs:
        seed = seeds(pair.condition)[pair.number]
        images.append(model.sample(pair.condition, [seed], settings.psi)[0])
        provenances.append(model.provenance({pair.condition: 1.0}, seed, settings.psi))
    reals = meter.training_images(pairs)
    write_pairs(path, pairs, images, provenances, meter.training_rows, reals, settings.network)
    say(f"Wrote {path}, which shows real images of the cohort")
