"""`morphoscope generate metrics`."""

import json
from functools import partial
from typing import TYPE_CHECKING, Annotated

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
from morphoscope.configs import load_config
from morphoscope.configs.commands import Compared, Measuring
from morphoscope.runtime.terminal import say, show, table

if TYPE_CHECKING:
    from morphoscope.generate.metrics import QualityReport


def metrics(
    generator: GeneratorPath,
    path: CohortPath,
    rows: Annotated[Compared | None, option(Measuring, "rows")] = None,
    images: Annotated[int | None, option(Measuring, "images")] = None,
    network: Annotated[str | None, option(Measuring, "network")] = None,
    psi: Annotated[float | None, option(Measuring, "psi")] = None,
    run: Run = None,
    overwrite: Overwrite = False,
    config: ConfigFile = None,
    set_: Set = None,
    device: Device = "auto",
    seed: Annotated[int | None, option(Measuring, "seed")] = None,
) -> None:
    """Compare generated images with real ones: kernel and Fréchet distance, diversity, by condition."""
    settings = load_config(
        Measuring, file=config, overrides=set_, rows=rows, images=images, network=network, psi=psi, seed=seed
    )

    from morphoscope.cohort import Cohort, CohortInput
    from morphoscope.generate import load
    from morphoscope.generate.metrics import QualityMeter, load_feature_network, real_rows
    from morphoscope.runtime import write_text

    model = load(generator, device)
    cohort = Cohort.load(path)
    reals = real_rows(cohort, settings.rows, model.metadata)
    occurring = sorted(set(reals.rows["condition"]))
    for condition in occurring:
        model.label(condition)  # report a condition that the generator lacks before the work starts
    features = load_feature_network(settings.network, device)
    meter = QualityMeter(features, reals, model.resolution, model.metadata.fit, model.grey)
    inputs = {"generator": model.digest, "cohort": CohortInput(cohort)}
    with open_run(run, "metrics", settings, overwrite=overwrite, **inputs) as folder:
        report = meter.measure(partial(model.sample, psi=settings.psi), settings.images, settings.seed)
        found = {
            "generator": model.digest,
            "cohort": cohort.digest,
            "rows": settings.rows,
            "figures": report.named_values(),
            "report": report.as_json(),
        }
        write_text(folder.path / "metrics.json", json.dumps(found, indent=2) + "\n")
    _print(report)
    say(f"Wrote {folder.path / 'metrics.json'}")


def _print(report: "QualityReport") -> None:
    rows = [
        (
            name,
            str(quality.generated),
            str(quality.real),
            f"{quality.kernel:.4f} ± {quality.kernel_deviation:.4f}",
            f"{quality.frechet:.2f}",
            f"{quality.relative_diversity:.2f}",
        )
        for name, quality in [("all", report.overall), *report.by_condition.items()]
    ]
    show(table(["", "generated", "real", "kernel distance", "Fréchet", "diversity"], rows))
    say(
        f"Features of {report.network}. Values from different networks, resolutions or numbers of images are "
        "not comparable."
    )
