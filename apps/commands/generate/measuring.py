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
from morphoscope.runtime.terminal import say, show, table

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from morphoscope.cohort import Cohort
    from morphoscope.generate import GeneratorModel
    from morphoscope.generate.metrics import CopyingMeter, CopyingReport, FeatureNetwork, QualityReport

PAIRS = "closest-pairs.html"


def metrics(
    generator: GeneratorPath,
    path: CohortPath,
    rows: Annotated[Compared | None, option(Measuring, "rows")] = None,
    images: Annotated[int | None, option(Measuring, "images")] = None,
    network: Annotated[str | None, option(Measuring, "network")] = None,
    psi: Annotated[float | None, option(Measuring, "psi")] = None,
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
        closest_pairs=closest_pairs,
        seed=seed,
    )

    from morphoscope.apps.commands.generate.networks import feature_network
    from morphoscope.cohort import Cohort, CohortInput
    from morphoscope.generate import load
    from morphoscope.generate.metrics import QualityMeter, real_rows
    from morphoscope.runtime import write_text

    model = load(generator, device)
    cohort = Cohort.load(path)
    reals = real_rows(cohort, settings.rows, model.metadata)
    occurring = sorted(set(reals.rows["condition"]))
    for condition in occurring:
        model.label(condition)  # report a condition that the generator lacks before the work starts
    features = feature_network(settings.network, device)
    meter = QualityMeter(features, reals, model.resolution, model.metadata.fit, model.grey)
    copying_meter = _copying_meter(features, model, cohort, settings)
    inputs: dict[str, Any] = {"generator": model.digest, "cohort": CohortInput(cohort)}
    with open_run(run, "metrics", settings, overwrite=overwrite, **inputs) as folder:
        sample = partial(model.sample, psi=settings.psi)
        generated = meter.generate(sample, settings.images, settings.seed)
        report = meter.compare(generated, settings.seed)
        copying = None if copying_meter is None else copying_meter.measure(generated, settings.seed)
        found = {
            "generator": model.digest,
            "cohort": cohort.digest,
            "rows": settings.rows,
            "figures": report.named_values() | ({} if copying is None else copying.named_values()),
            "report": report.as_json(),
            "copying": None if copying is None else copying.as_json(),
        }
        write_text(folder.path / "metrics.json", json.dumps(found, indent=2) + "\n")
        if settings.closest_pairs and copying_meter is not None:
            seeds = partial(meter.seeds, images=settings.images, seed=settings.seed)
            _write_pairs(folder.path / PAIRS, copying_meter, generated, model, settings, seeds)
    _print(report)
    if copying is not None:
        _print_copying(copying)
    say(f"Wrote {folder.path / 'metrics.json'}")


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
    reals = meter.training_rows.images(model.resolution, model.metadata.fit)
    write_pairs(path, pairs, images, provenances, meter.training_rows, reals, settings.network)
    say(f"Wrote {path}, which shows real images of the cohort")


def _print_copying(report: "CopyingReport") -> None:
    from morphoscope.generate.metrics import COPYING_COLUMNS, COPYING_EXPLANATION, copying_rows

    show(table(["", *COPYING_COLUMNS[1:]], copying_rows(report)))
    say(COPYING_EXPLANATION)


def _print(report: "QualityReport") -> None:
    rows = [
        (
            name,
            str(quality.generated),
            str(quality.real),
            f"{quality.kernel:.4f} ± {quality.kernel_deviation:.4f}",
            f"{quality.frechet:.2f}",
            quality.different_text,
            f"{quality.relative_diversity:.2f}",
        )
        for name, quality in [("all", report.overall), *report.by_condition.items()]
    ]
    show(
        table(["", "generated", "real", "kernel distance", "Fréchet", "different images", "diversity"], rows)
    )
    say(
        f"Features of {report.network}. Values from different networks, resolutions or numbers of images are "
        "not comparable."
    )
