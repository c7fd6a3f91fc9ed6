"""`morphoscope generate project`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from morphoscope.apps.commands.options import (
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
from morphoscope.configs.projection import Projecting, Space
from morphoscope.runtime.terminal import say

if TYPE_CHECKING:
    import numpy as np

    from morphoscope.generate.projection.exports import Opinion


def project(
    generator: GeneratorPath,
    images: Annotated[
        list[Path],
        typer.Argument(
            metavar="IMAGE...", help="Photographs: files, folders (with subfolders) or quoted patterns."
        ),
    ],
    space: Annotated[Space | None, option(Projecting, "space")] = None,
    condition: Annotated[str | None, option(Projecting, "condition")] = None,
    to: Annotated[list[str] | None, option(Projecting, "to", note="repeatable")] = None,
    network: Annotated[str | None, option(Projecting, "network")] = None,
    ensemble: Annotated[
        Path | None,
        typer.Option(help="Ensemble whose opinion on photograph, projection and morphs to record."),
    ] = None,
    cohort: Annotated[
        Path | None,
        typer.Option(help="Cohort of the generator, whose held-out photographs to compare distances with."),
    ] = None,
    run: Run = None,
    overwrite: Overwrite = False,
    config: ConfigFile = None,
    set_: Set = None,
    device: Device = "auto",
    seed: Annotated[int | None, option(Projecting, "seed")] = None,
) -> None:
    """Find photographs in a generator, and turn them into other conditions. The results are patient data.

    Re-run the command with the same --run to resume.
    """
    settings = load_config(
        Projecting,
        file=config,
        overrides=set_,
        space=space,
        condition=condition,
        to=to or None,
        network=network,
        seed=seed,
    )

    from morphoscope.apps.commands.generate.loading import load_generator
    from morphoscope.apps.commands.photographs import photograph_files, require_readable
    from morphoscope.cohort import Cohort, CohortInput
    from morphoscope.generate.metrics.perceptual import load_perceptual_network
    from morphoscope.generate.projection import (
        Photograph,
        check_projection,
        held_out_photographs,
        project_photographs,
    )
    from morphoscope.generate.projection.exports import PRIVACY
    from morphoscope.runtime import InputFiles

    files = photograph_files(images)
    require_readable(files)
    model = load_generator(generator, device)
    check_projection(model, settings)
    perceptual = load_perceptual_network(settings.network, device)
    opinion = None if ensemble is None else _opinion(ensemble, device)
    reals = None if cohort is None else Cohort.load(cohort)
    held_out = [] if reals is None else held_out_photographs(model, reals, settings.held_out)
    photographs = [Photograph.read(path, model.resolution, model.metadata.fit) for path in files]
    digests = sorted({one.digest for one in photographs})
    inputs: dict[str, Any] = {"generator": model.digest, "photographs": digests}
    if ensemble is not None:
        inputs["ensemble"] = InputFiles(ensemble)
    if reals is not None:
        inputs["cohort"] = CohortInput(reals)
    private = {str(path): "IMAGE" for path in images}
    with open_run(run, "project", settings, overwrite=overwrite, private=private, **inputs) as folder:
        results = project_photographs(model, perceptual, photographs, folder, settings, held_out, opinion)
    for path, result in zip(files, results, strict=True):
        _print(path, result)
    say(PRIVACY)


def _opinion(path: Path, device: str) -> "Opinion":
    """The ensemble's probabilities for images; generators know it as a plain function."""
    from morphoscope.classify import Ensemble

    ensemble = Ensemble.load(path, device)

    def probabilities(images: "np.ndarray") -> Sequence[Mapping[str, float]]:
        prediction = ensemble.predict(images)
        return [dict(zip(prediction.conditions, map(float, row), strict=True)) for row in prediction.combined]

    return probabilities


def _print(path: Path, result: Path) -> None:
    """The photograph's name stands on the terminal only; files name it by its digest."""
    import json

    from morphoscope.cohort.provenance import label_text
    from morphoscope.generate.projection.exports import RESULT

    found = json.loads((result / RESULT).read_text(encoding="utf-8"))
    stage, values = list(found["stages"].items())[-1]
    psnr = "identical" if values["psnr"] is None else f"{values['psnr']:.1f} dB"
    say(
        f"{path.name}: {label_text(found['label'])}, {stage} {psnr}, {found['network']} "
        f"{values['perceptual']:.3f}. {found['outside']['message']} Wrote {result}"
    )
