"""What a projection writes: the end of morphs, images, a sheet, a film, and all values as JSON."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from morphoscope.cohort import Provenance
from morphoscope.cohort.marked_files import write_synthetic_image
from morphoscope.cohort.provenance import label_text
from morphoscope.generate.films import film_frame, write_mp4
from morphoscope.generate.latents import End, LatentPath, ProjectedPhotograph, write_photograph
from morphoscope.generate.latents.marks import frame_provenance
from morphoscope.generate.model import GeneratorModel, file_digest
from morphoscope.generate.projection.photograph import Photograph
from morphoscope.generate.projection.projector import Projection, Stage
from morphoscope.generate.projection.reference import Outside
from morphoscope.generate.projection.stages import Seen
from morphoscope.generate.rendering import to_uint8
from morphoscope.generate.sheets import Strip, write_synthetic_sheet
from morphoscope.runtime import write_text

END, RESULT, FILM = "end.safetensors", "projection.json", "film.mp4"
PRIVACY = (
    "The code and the images are derived from a photograph. If it shows a patient, they are patient data: "
    "store and share them as you would the photograph."
)

Opinion = Callable[[np.ndarray], Sequence[Mapping[str, float]]]
"""A classifier's: uint8 [N, R, R, 3] => N mappings {condition: probability}."""

_TITLES: Mapping[Stage, str] = {"search": "search", "w": "W", "w_plus": "W+", "tuned": "tuned"}
_FILM_FRAMES = 120
_FPS = 12


class Recorder:
    """Keeps the image of the best start at regular steps, for the film."""

    def __init__(self, steps: int) -> None:
        """`steps` is the number of steps of all stages of the projection."""
        self.frames: list[tuple[str, np.ndarray]] = []
        self._every = max(1, steps // _FILM_FRAMES)
        self._seen = 0

    def __call__(self, stage: Stage, seen: Seen) -> None:
        """Observe a step."""
        self._seen += 1
        if self._seen % self._every == 0 or seen.step == seen.steps:
            best = int(seen.losses.argmin())
            text = f"{_TITLES[stage]} · step {seen.step}"
            self.frames.append((text, to_uint8(seen.images[best : best + 1])[0]))

    def write(self, path: Path, provenance: Provenance) -> None:
        """Write the film; errors as for `write_mp4`."""
        frames = [film_frame(image, text) for text, image in self.frames]
        height, width = frames[0].shape[:2]
        shown = (frame.tobytes() for frame in frames)
        write_mp4(path, shown, (width, height), _FPS, "a projected photograph", provenance)


def provenance(model: GeneratorModel, end: ProjectedPhotograph, label: Mapping[str, float]) -> Provenance:
    """The provenance of an image of a projected photograph under a label."""
    return model.provenance(dict(label)).model_copy(update={"parents": [end.digest]})


def write_projection(
    model: GeneratorModel,
    folder: Path,
    projection: Projection,
    outside: Outside,
    to: Sequence[str],
    morph_steps: int,
    opinion: Opinion | None = None,
) -> None:
    """Write end.safetensors, <stage>.png, a folder of frames for each morph, sheet.png and projection.json.

    projection.json is written last: where it is, the projection is complete.

    Args:
        to: the conditions to turn the photograph into.
        morph_steps: frames of each morph.
        opinion: of an ensemble on the photograph, its projection and the last frame of each morph.

    Raises:
        UserError: the folder cannot be written or the disk is full.
    """
    write_photograph(folder / END, projection.end)
    end = replace(projection.end, file_digest=file_digest(folder / END))
    for stage, found in projection.found.items():
        write_synthetic_image(
            folder / f"{stage}.png", model.stored(found.image), provenance(model, end, end.label)
        )
    ratios = np.linspace(0, 1, morph_steps)
    paths = {name: LatentPath(End(end, end.label), End(end, {name: 1.0})) for name in to}
    morphs = {name: path.frames(model, ratios) for name, path in paths.items()}
    for name, frames in morphs.items():
        for index, (frame, ratio) in enumerate(zip(frames, ratios.tolist(), strict=True)):
            file = folder / f"to-{model.file_stem(name)}" / f"frame{index:03d}.png"
            write_synthetic_image(file, model.stored(frame), frame_provenance(model, paths[name], ratio))
    strips = [
        Strip(f"to {name}", frames, captions=list(map(label_text, paths[name].mixtures(model, ratios))))
        for name, frames in morphs.items()
    ]
    _write_sheet(model, folder / "sheet.png", projection, strips)
    record: dict[str, object] = {
        "photograph": end.digest,
        "generator": end.generator,
        "privacy": PRIVACY,
        "space": end.space,
        "label": dict(end.label),
        **end.record,
        "outside": outside.as_json(),
    }
    if opinion is not None:
        shown = {"photograph": projection.photograph.pixels, "projection": projection.last.image}
        shown |= {f"to {name}": frames[-1] for name, frames in morphs.items()}
        answers = opinion(np.stack(list(shown.values())))
        record["ensemble"] = {name: dict(answer) for name, answer in zip(shown, answers, strict=True)}
    write_text(folder / RESULT, json.dumps(record, indent=2) + "\n")


def _write_sheet(model: GeneratorModel, path: Path, projection: Projection, morphs: Sequence[Strip]) -> None:
    """The photograph beside what each stage found, and below it the morphs."""
    end, found = projection.end, projection.found
    captions = ["the photograph"] + [
        f"{_TITLES[stage]}: {one.psnr:.1f} dB, {end.record['network']} {one.perceptual:.3f}"
        for stage, one in found.items()
    ]
    images = np.stack([projection.photograph.pixels, *(one.image for one in found.values())])
    sheet = model.provenance().model_copy(update={"parents": [end.digest], "shows_photograph": True})
    write_synthetic_sheet(path, [Strip(label_text(end.label), images, captions=captions), *morphs], sheet)


def targets(model: GeneratorModel, photograph: ProjectedPhotograph, wanted: Sequence[str]) -> list[str]:
    """The conditions to turn a photograph into: those wanted, or all but its own."""
    own = max(photograph.label, key=lambda name: photograph.label[name])
    return list(wanted) or [name for name in model.conditions if name != own]


def is_complete(folder: Path, photograph: Photograph) -> bool:
    """Whether a folder holds the complete projection of a photograph."""
    return (folder / photograph.digest / RESULT).is_file()
