"""Morphs as files: frames, strips, films and a report, all marked as synthetic.

Where the frames lie is recorded in morph.json as soon as it is known, and each frame is written as soon as it
is generated. A stopped run that is repeated in its folder uses both, and ends with the same files.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import accumulate, chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from morphoscope.cohort import Provenance
from morphoscope.cohort.conditions import full_name
from morphoscope.cohort.provenance import MorphPath
from morphoscope.configs import UserError
from morphoscope.configs.morphs import FilmSettings, Looping, Morphing, PathSettings
from morphoscope.configs.user_files import read_regular
from morphoscope.generate.films import film_frame, write_gif, write_mp4
from morphoscope.generate.image_files import write_images
from morphoscope.generate.latents import LatentPath
from morphoscope.generate.latents.marks import frame_provenance, shared_provenance
from morphoscope.generate.latents.parsing import WrittenEnd
from morphoscope.generate.latents.spacing import Spacing, space_evenly
from morphoscope.generate.metrics.perceptual import PerceptualNetwork, load_perceptual_network
from morphoscope.generate.model import GeneratorModel
from morphoscope.generate.sheets import Strip, write_synthetic_sheet
from morphoscope.runtime import write_text
from morphoscope.runtime.files import is_plain_file
from morphoscope.runtime.progress import track

REPORT = "morph.json"
_LONGEST_STRIP = 12  # frames in one row; more are arranged as in other sheets
_MOST_BYTES = 64 * 2**20  # of a report


class Leg(NamedTuple):
    """A path and the places of its frames.

    Attributes:
        ratios: [N], where on the path the frames are.
        spacing: None unless the frames were spaced evenly.
    """

    path: LatentPath
    ratios: np.ndarray
    spacing: Spacing | None

    @property
    def network(self) -> str | None:
        """By whose features the frames were spaced evenly."""
        return None if self.spacing is None else self.spacing.network

    @property
    def mark(self) -> MorphPath:
        """The leg as the mark of its images has it."""
        return self.path.mark(self.ratios, self.network)

    def as_json(self) -> dict[str, object]:
        """The leg as plain values, with how even its steps are."""
        spacing = None if self.spacing is None else self.spacing.as_json()
        return {"path": self.mark.model_dump(mode="json", exclude_none=True), "spacing": spacing}


class MorphFiles(NamedTuple):
    """What was written.

    Attributes:
        sheet: all frames on one page.
        spacing: of each leg that was spaced evenly.
    """

    sheet: Path
    spacing: list[Spacing]


def path_between(settings: PathSettings, a: WrittenEnd, b: WrittenEnd) -> LatentPath:
    """The path that the settings describe."""
    return LatentPath(a.end, b.end, settings.way, settings.interpolation, settings.psi, settings.centre)


def loop_paths(settings: PathSettings, ends: Sequence[WrittenEnd]) -> list[LatentPath]:
    """The paths from each end to the next, and from the last one back to the first.

    Raises:
        UserError: fewer than two ends.
    """
    if len(ends) < 2:
        raise UserError("A loop needs at least two ends.")
    return [path_between(settings, a, b) for a, b in zip(ends, [*ends[1:], ends[0]], strict=True)]


def write_morph(
    model: GeneratorModel, folder: Path, ends: Sequence[WrittenEnd], settings: Morphing
) -> MorphFiles:
    """Write a morph as frame000.png …, strip.png and morph.json, and as morph.mp4 or morph.gif on request.

    The strip shows below each frame the share of each condition. Up to 12 frames stand in one row.

    Args:
        ends: two, from `latents.parsing.parse_ends`.

    Raises:
        UserError: ends without such a path.
    """
    path = path_between(settings, *ends)
    a, b = (one.title for one in ends)
    (leg,) = _placed(model, folder, [a, b], [path], settings, settings.steps)
    frames = _write_frames(model, folder, [leg], settings)
    full = [full_name(name, model.descriptions) for name in (a, b)]
    captions = path.captions(model, leg.ratios)
    strip = Strip(f"{a} to {b}", frames, " to ".join(full) if all(full) else "", captions)
    provenance = shared_provenance(model, [path.a, path.b], settings.psi, [leg.mark])
    write_synthetic_sheet(folder / "strip.png", [strip], provenance, one_row=len(frames) <= _LONGEST_STRIP)
    _write_films(folder / "morph", f"{a} to {b}", frames, provenance, settings)
    return MorphFiles(folder / "strip.png", [leg.spacing] if leg.spacing else [])


def write_loop(
    model: GeneratorModel, folder: Path, ends: Sequence[WrittenEnd], settings: Looping
) -> MorphFiles:
    """Write a loop through several ends and back: frames, a sheet with a strip for each leg, and a film.

    Args:
        ends: at least two, from `latents.parsing.parse_ends`.

    Raises:
        UserError: as for `write_morph`, or fewer than two ends.
    """
    paths = loop_paths(settings, ends)
    titles = [one.title for one in ends]
    legs = _placed(model, folder, titles, paths, settings, settings.steps + 1, closed=True)
    frames = _write_frames(model, folder, legs, settings)
    names = zip(titles, [*titles[1:], titles[0]], strict=True)
    strips = [
        Strip(f"{a} to {b}", part, captions=leg.path.captions(model, leg.ratios))
        for (a, b), leg, part in zip(names, legs, np.split(frames, len(legs)), strict=True)
    ]
    marks = [leg.mark for leg in legs]
    provenance = shared_provenance(model, [path.a for path in paths], settings.psi, marks)
    write_synthetic_sheet(folder / "loop.png", strips, provenance, one_row=settings.steps <= _LONGEST_STRIP)
    title = " to ".join([*titles, titles[0]])
    _write_films(folder / "loop", title, frames, provenance, settings)
    return MorphFiles(folder / "loop.png", [leg.spacing for leg in legs if leg.spacing])


def _placed(
    model: GeneratorModel,
    folder: Path,
    ends: Sequence[str],
    paths: Sequence[LatentPath],
    settings: FilmSettings,
    steps: int,
    closed: bool = False,
) -> list[Leg]:
    """The legs with the places of their frames, recorded in morph.json.

    Args:
        steps: places on each leg, including its ends.
        closed: leave out the last frame of each leg, which is the first one of the next.
    """
    head = {"generator": model.digest, "ends": list(ends), "settings": settings.model_dump(mode="json")}
    recorded = _recorded_legs(folder / REPORT, head)
    network = load_perceptual_network(settings.network, model.class_means.device) if settings.even else None
    legs: list[Leg] = []
    for index, path in enumerate(paths):
        ratios, spacing = np.linspace(0, 1, steps), None
        if network is not None:
            spacing = _spacing(model, path, steps, network, recorded[index : index + 1])
            ratios = spacing.ratios
        legs.append(Leg(path, ratios[:-1] if closed else ratios, spacing))
        report = {**head, "legs": [leg.as_json() for leg in legs]}
        write_text(folder / REPORT, json.dumps(report, indent=2) + "\n")
    return legs


def _recorded_legs(report: Path, head: Mapping[str, object]) -> list[Any]:
    """The legs in the report of a stopped run with the same head; none if there is no such report."""
    if not is_plain_file(report):
        return []
    with suppress(ValueError, TypeError, KeyError, RecursionError):
        found = json.loads(read_regular(report, _MOST_BYTES))
        if {name: found[name] for name in head} == head:
            return list(found["legs"])
    return []


def _spacing(
    model: GeneratorModel, path: LatentPath, steps: int, network: PerceptualNetwork, recorded: Sequence[Any]
) -> Spacing:
    """Even places on a path: those recorded, if they are of the same path."""
    with suppress(ValueError, TypeError, KeyError):
        for leg in recorded:
            spacing = Spacing.from_json(leg["spacing"])
            ends = MorphPath.model_validate(leg["path"]).ends
            if ends == (path.a.mark, path.b.mark) and len(spacing.ratios) == steps:
                return spacing
    return space_evenly(lambda t: path.frames(model, t), steps, network)


def _write_frames(
    model: GeneratorModel, folder: Path, legs: Sequence[Leg], settings: FilmSettings
) -> np.ndarray:
    """Write the frames of all legs; returns them, uint8 [N, R, R, 3]."""
    ends = list(accumulate(len(leg.ratios) for leg in legs))
    parts = zip([0, *ends], legs, strict=False)
    frames = chain.from_iterable(_frames(model, folder, leg, first, settings) for first, leg in parts)
    return np.stack(list(track(frames, "Generating frames", total=ends[-1], unit="frames")))


def _frames(
    model: GeneratorModel, folder: Path, leg: Leg, first: int, settings: FilmSettings
) -> Iterator[np.ndarray]:
    """Write the frames of one leg, numbered from `first`, and yield them."""

    def described(index: int) -> tuple[Path, Provenance]:
        mark = frame_provenance(model, leg.path, float(leg.ratios[index]), leg.network)
        return folder / f"frame{first + index:03d}.png", mark

    def generated(chosen: Sequence[int]) -> Iterator[np.ndarray]:
        return leg.path.stream(model, leg.ratios[list(chosen)])

    return write_images(model, len(leg.ratios), described, generated, settings.printed_mark)


def _write_films(
    stem: Path, title: str, frames: np.ndarray, provenance: Provenance, settings: Morphing | Looping
) -> None:
    """Every frame has the mark printed below it, with the same words so that it does not move."""
    origin = f"{title} · psi {settings.psi:g} · generator {provenance.generator}"
    if settings.film in ("mp4", "both"):
        height, width = film_frame(frames[0], origin).shape[:2]
        shown = (frame.tobytes() for frame in _shown(frames, origin, "Writing the film"))
        write_mp4(stem.with_suffix(".mp4"), shown, (width, height), settings.fps, title, provenance)
    if settings.film in ("gif", "both"):
        images = _shown(frames, origin, "Writing the GIF")
        write_gif(stem.with_suffix(".gif"), images, settings.fps, provenance)


def _shown(frames: np.ndarray, origin: str, description: str) -> Iterator[np.ndarray]:
    for frame in track(frames, description, total=len(frames)):
        yield film_frame(frame, origin)
