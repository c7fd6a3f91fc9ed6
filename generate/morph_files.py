"""Morphs as files: frames, strips, films and a report, all marked as synthetic."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from morphoscope.cohort import Provenance
from morphoscope.cohort.conditions import full_name
from morphoscope.cohort.provenance import label_text
from morphoscope.configs import UserError
from morphoscope.configs.morphs import FilmSettings, Looping, Morphing, PathSettings
from morphoscope.generate.exports import write_image
from morphoscope.generate.films import film_frame, write_gif, write_mp4
from morphoscope.generate.latents import End, LatentPath
from morphoscope.generate.latents.parsing import parse_ends
from morphoscope.generate.latents.spacing import Spacing, space_evenly
from morphoscope.generate.metrics.perceptual import PerceptualNetwork, load_perceptual_network
from morphoscope.generate.model import GeneratorModel
from morphoscope.generate.sheets import Strip, write_synthetic_sheet
from morphoscope.runtime import write_text
from morphoscope.runtime.progress import track

_LONGEST_STRIP = 12  # frames in one row; more are arranged as in other sheets


class Leg(NamedTuple):
    """A path with its frames.

    Attributes:
        ratios: [N], where on the path the frames are.
        frames: uint8 [N, R, R, 3].
        spacing: None unless the frames were spaced evenly.
    """

    path: LatentPath
    ratios: np.ndarray
    frames: np.ndarray
    spacing: Spacing | None


class MorphFiles(NamedTuple):
    """What was written.

    Attributes:
        sheet: all frames on one page.
        spacing: of each leg that was spaced evenly.
    """

    sheet: Path
    spacing: list[Spacing]


def path_between(settings: PathSettings, a: End, b: End) -> LatentPath:
    """The path that the settings describe."""
    return LatentPath(a, b, settings.way, settings.interpolation, settings.psi, settings.centre)


def write_morph(model: GeneratorModel, folder: Path, a: str, b: str, settings: Morphing) -> MorphFiles:
    """Write a morph as frame000.png …, strip.png and morph.json, and as morph.mp4 or morph.gif on request.

    The strip shows below each frame the share of each condition. Up to 12 frames stand in one row.

    Args:
        a, b: the ends; see `latents.parsing`.

    Raises:
        UserError: an unknown condition, an end that cannot be read, or ends without such a path.
    """
    first, second = parse_ends([a, b], model, settings.seed)
    a, b = first.title(a), second.title(b)
    path = path_between(settings, first, second)
    leg = _leg(model, path, settings.steps, settings, _network(model, settings))
    _write_frames(model, folder, [leg], settings)
    full = [full_name(name, model.descriptions) for name in (a, b)]
    captions = frame_captions(model, path, leg.ratios)
    strip = Strip(f"{a} to {b}", leg.frames, " to ".join(full) if all(full) else "", captions)
    write_synthetic_sheet(
        folder / "strip.png",
        [strip],
        shared_provenance(model, [first, second], settings.psi),
        one_row=len(leg.frames) <= _LONGEST_STRIP,
    )
    _write_films(model, folder, "morph", f"{a} to {b}", [leg], settings.film, settings)
    _write_report(folder, model, [a, b], [leg], settings)
    return MorphFiles(folder / "strip.png", [leg.spacing] if leg.spacing else [])


def write_loop(model: GeneratorModel, folder: Path, ends: Sequence[str], settings: Looping) -> MorphFiles:
    """Write a loop through several ends and back: frames, a sheet with a strip for each leg, and a film.

    Args:
        ends: at least two; see `latents.parsing`.

    Raises:
        UserError: as for `write_morph`, or fewer than two ends.
    """
    if len(ends) < 2:
        raise UserError("A loop needs at least two ends.")
    parsed = parse_ends(list(ends), model, settings.seed)
    ends = [end.title(text) for text, end in zip(ends, parsed, strict=True)]
    network = _network(model, settings)
    legs = [
        _leg(model, path_between(settings, a, b), settings.steps + 1, settings, network)
        for a, b in zip(parsed, [*parsed[1:], parsed[0]], strict=True)
    ]
    # The last frame of each leg is the first one of the next.
    legs = [leg._replace(ratios=leg.ratios[:-1], frames=leg.frames[:-1]) for leg in legs]
    _write_frames(model, folder, legs, settings)
    strips = [
        Strip(f"{a} to {b}", leg.frames, captions=frame_captions(model, leg.path, leg.ratios))
        for a, b, leg in zip(ends, [*ends[1:], ends[0]], legs, strict=True)
    ]
    write_synthetic_sheet(
        folder / "loop.png",
        strips,
        shared_provenance(model, parsed, settings.psi),
        one_row=settings.steps <= _LONGEST_STRIP,
    )
    title = " to ".join([*ends, ends[0]])
    _write_films(model, folder, "loop", title, legs, settings.film, settings)
    _write_report(folder, model, ends, legs, settings)
    return MorphFiles(folder / "loop.png", [leg.spacing for leg in legs if leg.spacing])


def shared_provenance(model: GeneratorModel, ends: Sequence[End], psi: float) -> Provenance:
    """The provenance of a sheet or film of images between these ends: the seed only if they share it."""
    seeds = {end.seed for end in ends}
    shared = model.provenance(seed=seeds.pop() if len(seeds) == 1 else None, psi=psi)
    return _with_parents(shared, ends)


def _with_parents(provenance: Provenance, ends: Sequence[End]) -> Provenance:
    """The provenance with the digests of the photographs among the ends: their images are patient data."""
    digests = {end.source.digest for end in ends if not isinstance(end.source, int)}
    return provenance.model_copy(update={"parents": sorted(digests) or None})


def frame_provenance(model: GeneratorModel, path: LatentPath, ratio: float) -> Provenance:
    """The provenance of one frame.

    A field is left out where it would not give this frame: the seed between two seeds, photographs or along
    directions, the label where codes are interpolated.
    """
    exact = {0.0: path.a, 1.0: path.b}.get(ratio)
    ends = [exact] if exact else [path.a, path.b]
    one_seed = len({end.seed for end in ends}) == 1 and not any(end.moves for end in ends)
    labelled = exact is not None or path.way != "w"
    seed = ends[0].seed if one_seed and labelled and path.centre == "condition" else None
    label = path.labels(model, [ratio])[0]
    shares = {name: float(share) for name, share in zip(model.conditions, label, strict=True) if share > 0}
    return _with_parents(model.provenance(shares if labelled else None, seed, path.psi), ends)


def _network(model: GeneratorModel, settings: FilmSettings) -> PerceptualNetwork | None:
    return load_perceptual_network(settings.network, model.class_means.device) if settings.even else None


def _leg(
    model: GeneratorModel,
    path: LatentPath,
    steps: int,
    settings: FilmSettings,
    network: PerceptualNetwork | None,
) -> Leg:
    spacing = None
    ratios = np.linspace(0, 1, steps)
    if network is not None:
        spacing = space_evenly(lambda t: path.frames(model, t), steps, network)
        ratios = spacing.ratios
    return Leg(path, ratios, path.frames(model, ratios), spacing)


def frame_captions(model: GeneratorModel, path: LatentPath, ratios: np.ndarray) -> list[str]:
    """The mixture of each frame, or where codes are interpolated, how far it is along the path."""
    if path.way == "w" or path.a.label == path.b.label:
        return [f"{100 * ratio:.0f}%" for ratio in ratios]
    labels = path.labels(model, ratios)
    return [label_text(dict(zip(model.conditions, label.tolist(), strict=True))) for label in labels]


def _write_frames(model: GeneratorModel, folder: Path, legs: Sequence[Leg], settings: FilmSettings) -> None:
    frames = [
        (leg.path, ratio, frame) for leg in legs for ratio, frame in zip(leg.ratios, leg.frames, strict=True)
    ]
    for index, (path, ratio, frame) in enumerate(track(frames, "Writing frames")):
        provenance = frame_provenance(model, path, float(ratio))
        write_image(folder / f"frame{index:03d}.png", model, frame, provenance, settings.printed_mark)


def _write_films(
    model: GeneratorModel,
    folder: Path,
    name: str,
    title: str,
    legs: Sequence[Leg],
    film: str,
    settings: FilmSettings,
) -> None:
    """Every frame has the mark printed below it, with the same words so that it does not move."""
    ends = [end for leg in legs for end in (leg.path.a, leg.path.b)]
    meaning = shared_provenance(model, ends, settings.psi).statement
    origin = f"{title} · psi {settings.psi:g} · generator {model.digest}"
    frames = np.concatenate([leg.frames for leg in legs])
    if film in ("mp4", "both"):
        height, width = film_frame(frames[0], origin).shape[:2]
        shown = (frame.tobytes() for frame in _shown(frames, origin, "Writing the film"))
        write_mp4(folder / f"{name}.mp4", shown, (width, height), settings.fps, title, meaning)
    if film in ("gif", "both"):
        write_gif(folder / f"{name}.gif", _shown(frames, origin, "Writing the GIF"), settings.fps, meaning)


def _shown(frames: np.ndarray, origin: str, description: str) -> Iterator[np.ndarray]:
    for frame in track(frames, description, total=len(frames)):
        yield film_frame(frame, origin)


def _write_report(
    folder: Path, model: GeneratorModel, ends: Sequence[str], legs: Sequence[Leg], settings: FilmSettings
) -> None:
    """morph.json: how the frames were made, and how even their steps are."""
    found = {
        "generator": model.digest,
        "ends": list(ends),
        "settings": settings.model_dump(),
        "legs": [
            {
                "sources": [_source(leg.path.a), _source(leg.path.b)],
                "ratios": [round(float(ratio), 6) for ratio in leg.ratios],
                "spacing": leg.spacing.as_json() if leg.spacing else None,
            }
            for leg in legs
        ],
    }
    write_text(folder / "morph.json", json.dumps(found, indent=2) + "\n")


def _source(end: End) -> dict[str, object]:
    """An end as plain values."""
    source = end.source
    if isinstance(source, int):
        origin: dict[str, object] = {"seed": source}
    else:
        origin = {"photograph": source.digest, "space": source.space}
    moves = {move.name: move.strength for move in end.moves}
    return {**origin, "label": dict(end.label), "directions": moves}
