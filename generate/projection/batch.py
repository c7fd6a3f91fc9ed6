"""Projections of many photographs: each complete or absent, so that a stopped run resumes."""

from collections.abc import Sequence
from pathlib import Path

from morphoscope.configs.projection import Projecting
from morphoscope.generate.metrics.perceptual import PerceptualNetwork
from morphoscope.generate.model import GeneratorModel
from morphoscope.generate.projection.exports import (
    FILM,
    Opinion,
    Recorder,
    is_complete,
    provenance,
    targets,
    write_projection,
)
from morphoscope.generate.projection.photograph import Photograph
from morphoscope.generate.projection.projector import Projector, Stage
from morphoscope.generate.projection.reference import Outside, known_distances
from morphoscope.generate.projection.stages import Seen
from morphoscope.runtime import RunFolder
from morphoscope.runtime.progress import Work, working


def project_photographs(
    model: GeneratorModel,
    network: PerceptualNetwork,
    photographs: Sequence[Photograph],
    run: RunFolder,
    settings: Projecting,
    held_out: Sequence[Photograph] = (),
    opinion: Opinion | None = None,
) -> list[Path]:
    """Project photographs, each into a folder of the run that is named by its digest.

    Photographs whose folder is complete are left as they are, and held-out photographs whose distance is
    known are not projected again.

    Args:
        held_out: photographs of the model's cohort to compare the distances with.
        opinion: of an ensemble.

    Returns:
        The folders, in the order of the photographs.

    Raises:
        UserError: conditions that the model lacks, or a folder that cannot be written.
        KeyboardInterrupt: the run was stopped; its message says how to resume.
    """
    waiting = {one.digest: one for one in photographs if not is_complete(run.path, one)}
    done = len({one.digest for one in photographs}) - len(waiting)
    if waiting:
        try:
            projector = Projector(model, network, settings)
            distances = known_distances(projector, held_out, run) if held_out else []
            for index, photograph in enumerate(waiting.values(), done + 1):
                title = f"Projecting photograph {index} of {done + len(waiting)}"
                with working(title, projector.steps, unit="steps") as work:
                    _project_one(projector, photograph, run, distances, opinion, work)
        except KeyboardInterrupt as stop:
            raise KeyboardInterrupt(f"Stopped; complete projections are kept. {run.how_to_resume}") from stop
    return [run.path / photograph.digest for photograph in photographs]


def _project_one(
    projector: Projector,
    photograph: Photograph,
    run: RunFolder,
    distances: Sequence[float],
    opinion: Opinion | None,
    work: Work,
) -> None:
    recorder = Recorder(projector.steps) if projector.settings.film else None

    def observe(stage: Stage, seen: Seen) -> None:
        work.advance()
        if recorder is not None:
            recorder(stage, seen)

    projection = projector.project(photograph, observe)
    folder, model, settings = run.path / photograph.digest, projector.model, projector.settings
    if recorder is not None:
        recorder.write(folder / FILM, provenance(model, projection.end, projection.end.label))
    outside = Outside.of(projection, distances)
    to = targets(model, projection.end, settings.to)
    write_projection(model, folder, projection, outside, to, settings.morph_steps, opinion)
