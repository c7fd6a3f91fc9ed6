"""What the studio answers, as values of JSON; pictures are `data:` addresses of PNGs."""

import re
from dataclasses import dataclass
from typing import NotRequired, TypedDict

import numpy as np

from morphoscope.apps.morphing import Curve, Film, Workbench
from morphoscope.apps.studio.marks import data_uri, fitted
from morphoscope.apps.studio.words import METHODS, change_of_mind, explanation, model_facts
from morphoscope.apps.texts import text
from morphoscope.apps.verdict import verdict
from morphoscope.classify import Attribution, Ensemble, Prediction, colour_range, legend, overlay
from morphoscope.cohort import Provenance
from morphoscope.cohort.conditions import explained, full_name, long_name
from morphoscope.generate import GeneratorModel
from morphoscope.generate.latents.marks import shared_provenance
from morphoscope.runtime.reporting.plots import colour

PICTURE_SIDE = 512  # pixels; single images are enlarged to it
_NO_WORD = re.compile(r"[\W_]+")


@dataclass(frozen=True)
class Shown:
    """An image, uint8 [H, W, 3], where it comes from (None: a photograph), and its caption."""

    image: np.ndarray
    origin: Provenance | None
    caption: str


class CellAnswer(TypedDict):
    """An image of a sheet; `label` and `seed` make it again, and are empty where they would not."""

    caption: str
    mark: str
    label: str
    seed: int | None


class SheetAnswer(TypedDict):
    """Images of one size in a PNG, in rows of `columns`; the last row may have fewer."""

    resolution: int
    columns: int
    sheet: str
    cells: list[CellAnswer]


class ConditionAnswer(TypedDict):
    """A condition of the classifier; `explained` spells it out as far as that is known."""

    name: str
    full_name: str
    explained: str
    colour: str


class VerdictAnswer(TypedDict):
    """What the prediction for a frame amounts to.

    `answers` if it names a most probable condition; `unsure` if none has a probability above 50%.
    """

    answers: bool
    unsure: bool
    sentence: str
    details: str


class ChangeAnswer(TypedDict):
    """The answer is `before` up to frame `last` and `after` from frame `first`; none is sure between them."""

    before: str
    after: str
    last: int
    first: int


class PredictionAnswer(TypedDict):
    """Predictions for N frames; probabilities and the range of the single models are lists [N][K]."""

    conditions: list[ConditionAnswer]
    probabilities: list[list[float]]
    low: list[list[float]]
    high: list[list[float]]
    verdicts: list[VerdictAnswer]


class CurveAnswer(PredictionAnswer):
    """Predictions along a morph, and where the answer changes."""

    changes: list[ChangeAnswer]
    summary: str


class MorphAnswer(TypedDict):
    """A morph of N frames: `sheet`, a PNG of them side by side, and what is known about each of them."""

    ends: list[str]
    resolution: int
    sheet: str
    ratios: list[float]
    captions: list[str]
    marks: list[str]
    prediction: NotRequired[CurveAnswer]


class ModelsAnswer(TypedDict):
    """The two models; conditions of the generator are those that ends of morphs can have."""

    generator: str
    resolution: int
    generator_conditions: list[str]
    conditions: list[ConditionAnswer]
    methods: list[str]
    facts: dict[str, str]


class MapAnswer(TypedDict):
    """An attribution map over its image."""

    title: str
    picture: str
    description: str
    legend: str
    key: str
    lines: list[str]


class ChangeMapsAnswer(TypedDict):
    """Evidence for the condition to which the answer changes: before, after, and after minus before."""

    title: str
    before: MapAnswer
    after: MapAnswer
    difference: MapAnswer
    lines: list[str]


class PictureAnswer(TypedDict):
    """A picture, and a name for its file."""

    picture: str
    name: str


def morph_answer(workbench: Workbench, film: Film) -> MorphAnswer:
    """The answer for a film; with predictions if it is a `Curve`."""
    morph = film.morph
    sheet = np.concatenate(list(film.images), axis=1)
    spacing = "pixels" if morph.even and isinstance(film, Curve) else None  # not of the coarse frames
    path = morph.path.mark(film.ratios, spacing)
    provenance = shared_provenance(workbench.generator, [morph.a, morph.b], morph.psi, [path])
    answer = MorphAnswer(
        ends=list(morph.titles),
        resolution=film.images.shape[1],
        sheet=data_uri(sheet, provenance, printed=False),
        ratios=[round(float(ratio), 4) for ratio in film.ratios],
        captions=workbench.captions(film),
        marks=[workbench.provenance(morph, float(ratio)).summary for ratio in film.ratios],
    )
    if isinstance(film, Curve):
        answer["prediction"] = _curve(workbench, film)
    return answer


def _curve(workbench: Workbench, curve: Curve) -> CurveAnswer:
    return CurveAnswer(
        **prediction_answer(workbench.ensemble, curve.prediction),
        changes=[
            ChangeAnswer(before=one.before, after=one.after, last=one.last, first=one.first)
            for one in curve.changes()
        ],
        summary=change_of_mind(curve, workbench.captions(curve)),
    )


def prediction_answer(ensemble: Ensemble, found: Prediction) -> PredictionAnswer:
    """Predictions of `ensemble` for images of any origin."""
    verdicts = [verdict(found, image) for image in range(len(found.combined))]
    return PredictionAnswer(
        conditions=conditions_answer(ensemble),
        probabilities=_rounded(found.combined),
        low=_rounded(found.per_fold.min(axis=0)),
        high=_rounded(found.per_fold.max(axis=0)),
        verdicts=[
            VerdictAnswer(
                answers=one.kind.answers, unsure=bool(unsure), sentence=one.sentence, details=one.details
            )
            for one, unsure in zip(verdicts, found.unsure, strict=True)
        ],
    )


def conditions_answer(ensemble: Ensemble) -> list[ConditionAnswer]:
    """The classifier's conditions in the order of its probabilities."""
    known = ensemble.descriptions
    return [
        ConditionAnswer(
            name=name,
            full_name=full_name(name, known),
            explained=explained(name, known),
            colour=colour(index),
        )
        for index, name in enumerate(ensemble.conditions)
    ]


def models_answer(workbench: Workbench) -> ModelsAnswer:
    """Which models these are, and what is known about them."""
    generator = workbench.generator
    return ModelsAnswer(
        generator=generator.digest,
        resolution=generator.resolution,
        generator_conditions=list(generator.conditions),
        conditions=conditions_answer(workbench.ensemble),
        methods=list(METHODS),
        facts=dict(model_facts(workbench)),
    )


def map_answer(workbench: Workbench, shown: Shown, found: Attribution) -> MapAnswer:
    """A map laid over its image."""
    return _map(workbench.ensemble, shown, found, overlay(shown.image, found.map, found.signed))


def change_answer(
    workbench: Workbench, before: Shown, after: Shown, maps: tuple[Attribution, Attribution]
) -> ChangeMapsAnswer:
    """The maps of two frames, and after minus before over the second one; all have one scale of colours."""
    ensemble, (first, second) = workbench.ensemble, maps
    strongest = max(colour_range(found.map) for found in maps)
    drawn = [
        overlay(shown.image, found.map, found.signed, strongest)
        for shown, found in zip((before, after), maps, strict=True)
    ]
    answer = ChangeMapsAnswer(
        title=text("change.title", condition=long_name(second.target, ensemble.descriptions)),
        before=_map(ensemble, before, first, drawn[0]),
        after=_map(ensemble, after, second, drawn[1]),
        difference=_map(
            ensemble, after, second, overlay(after.image, second.map - first.map, True, strongest)
        ),
        lines=[text("change.how"), text("change.difference"), text("map.caution")],
    )
    answer["before"]["title"] = text("change.before", frame=before.caption)
    answer["after"]["title"] = text("change.after", frame=after.caption)
    answer["difference"] |= {
        "title": text("change.difference_title"),
        "description": text("change.difference_description", condition=second.target),
        "legend": data_uri(legend(signed=True)),
        "key": text("change.difference_key"),
        "lines": [],
    }
    return answer


def _map(ensemble: Ensemble, shown: Shown, found: Attribution, drawn: np.ndarray) -> MapAnswer:
    return MapAnswer(
        title=text("map.title", condition=long_name(found.target, ensemble.descriptions)),
        picture=_marked(drawn, shown.origin),
        description=text("map.description", condition=found.target),
        legend=data_uri(legend(signed=found.signed)),
        key=text("map.key_signed" if found.signed else "map.key_unsigned"),
        lines=explanation(found, len(ensemble.folds)),
    )


def sheet_answer(
    model: GeneratorModel, images: np.ndarray, cells: list[CellAnswer], columns: int, psi: float
) -> SheetAnswer:
    """Images uint8 [N, R, R, 3] as a sheet."""
    count, side = images.shape[:2]
    rows = -(-count // columns)
    sheet = np.full((rows * columns, *images.shape[1:]), 255, np.uint8)
    sheet[:count] = images
    grid = sheet.reshape(rows, columns, side, side, 3).swapaxes(1, 2).reshape(rows * side, columns * side, 3)
    return SheetAnswer(
        resolution=side,
        columns=columns,
        sheet=data_uri(grid, model.provenance(psi=psi), printed=False),
        cells=cells,
    )


def picture_answer(shown: Shown) -> PictureAnswer:
    """A generated image, enlarged and marked, and a name for its file that says what it shows."""
    assert shown.origin is not None, "of a generated image"
    label, seed = shown.origin.label or {}, shown.origin.seed
    parts = "+".join(f"{round(100 * share)}-{file_part(name)}" for name, share in label.items())
    words = ["synthetic", parts, "" if seed is None else f"seed{seed}"]
    return PictureAnswer(
        picture=_marked(shown.image, shown.origin), name="-".join(filter(None, words)) + ".png"
    )


def file_part(name: str) -> str:
    """A condition's name as part of a file's name: letters, digits and hyphens only, 40 at most."""
    return _NO_WORD.sub("-", name).strip("-")[:40] or "condition"


def _marked(image: np.ndarray, origin: Provenance | None) -> str:
    return data_uri(fitted(image, PICTURE_SIDE), origin)


def _rounded(values: np.ndarray) -> list[list[float]]:
    found: list[list[float]] = np.round(values.astype(np.float64), 4).tolist()
    return found
