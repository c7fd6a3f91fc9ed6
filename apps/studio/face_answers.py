"""What the Faces tab answers, as values of JSON; pictures are `data:` addresses of PNGs."""

from collections.abc import Sequence
from typing import NotRequired, TypedDict

import numpy as np
from PIL import ImageColor

from morphoscope.apps.studio.face_words import Check, checks, flags, gallery_facts, part_name, seen, verdict
from morphoscope.apps.studio.marks import data_uri, fitted, kept_small
from morphoscope.apps.texts import text
from morphoscope.classify import legend, overlay
from morphoscope.classify.gestalt import (
    Evidence,
    Face,
    FacePlane,
    Gestalt,
    Ranked,
    Ranking,
    draw_faces,
    draw_parts,
    largest_faces,
)
from morphoscope.classify.gestalt.alignment import Template
from morphoscope.classify.gestalt.regions import PARTS, part_masks
from morphoscope.runtime.reporting.plots import colour

_ALIGNED, _THUMBNAIL, _MAP = 300, 160, 384  # pixels of pictures
_NEAREST = 6  # images
_DRAWN = 2000  # images on a map: more cannot be told apart, and take long to draw


class FoundFaceAnswer(TypedDict):
    """One face of a photograph; left, top, right and bottom are shares of its width and height."""

    number: int
    left: float
    top: float
    right: float
    bottom: float
    eye_distance: float
    yaw: float
    pitch: float
    roll: float
    sharpness: float
    flags: list[str]


class RegionAnswer(TypedDict):
    """A part of the face, and its colour where the parts are drawn."""

    name: str
    colour: str


class RankedAnswer(TypedDict):
    """A syndrome; `similarity` is the cosine to its nearest image, `possible` whether it is in the set.

    `p` and `possible` are null if the gallery is not calibrated.
    """

    syndrome: str
    similarity: float
    patients: int
    unaffected: bool
    p: float | None
    possible: bool | None


class NearestFaceAnswer(TypedDict):
    """The nearest image of a syndrome, of a gallery whose owner allowed showing its images."""

    picture: str
    syndrome: str
    similarity: float


class RankingAnswer(TypedDict):
    """The syndromes of the gallery for one face, the most similar first. Not a diagnosis.

    `none_of_these` is null if the gallery cannot say so, and `limit` is the similarity below which it does.
    `place` is where the face lies on the gallery's map ([x, y], or empty without a map). `nearest` is empty,
    and `consent` "", unless the gallery's owner allowed showing its images.
    """

    sentence: str
    warning: bool
    checks: list[Check]
    syndromes: list[RankedAnswer]
    none_of_these: bool | None
    limit: float | None
    known_photograph: bool
    place: list[float]
    nearest: list[NearestFaceAnswer]
    consent: str


class FaceAnswer(TypedDict):
    """What is seen in a photograph of `width` x `height` pixels; `picture` shows boxes and meshes on it.

    `chosen` is the number of the face that is used; 0 if there is none, or several are about equally large,
    and `sentence` says so. `aligned` is that face as the encoder gets it and `parts` shows its parts; both
    are "" without one. `ranking` is there if the studio has a gallery.
    """

    name: str
    width: int
    height: int
    picture: str
    faces: list[FoundFaceAnswer]
    chosen: int
    sentence: str
    aligned: str
    parts: str
    regions: list[RegionAnswer]
    ranking: NotRequired[RankingAnswer]


class PartAnswer(TypedDict):
    """By how much the margin falls without a part of the face, and the sum of the gradients in it."""

    name: str
    occlusion: float
    gradients: float | None


class FaceMapAnswer(TypedDict):
    """Evidence over the aligned face."""

    title: str
    picture: str
    description: str
    legend: str
    key: str


class FaceEvidenceAnswer(TypedDict):
    """What speaks for a syndrome against the nearest other one, in units of cosine similarity.

    `complete` says whether integrated gradients were computed, or cannot be.
    """

    title: str
    margin: float
    parts: list[PartAnswer]
    maps: list[FaceMapAnswer]
    lines: list[str]
    complete: bool


class SyndromeAnswer(TypedDict):
    """A syndrome of the gallery."""

    name: str
    patients: int
    unaffected: bool


class FaceGalleryAnswer(TypedDict):
    """The gallery, and its images on the plane of their first two principal components.

    `places` are [x, y] of each image shown, and `labels` the positions of their syndromes in `syndromes`; no
    image is named. `share` is the fraction of the variance that the plane holds. Without a map `sentence`
    says why.
    """

    facts: dict[str, str]
    syndromes: list[SyndromeAnswer]
    places: list[list[float]]
    labels: list[int]
    share: float
    sentence: str


def face_answer(
    name: str, image: np.ndarray, faces: Sequence[Face], chosen: int, template: Template
) -> FaceAnswer:
    """What is seen in a photograph, without a ranking.

    Args:
        image: uint8 RGB [H, W, 3].
        chosen: number of a face from 1, 0 for none.
        template: what the encoder's faces are aligned to.
    """
    height, width = image.shape[:2]
    answer = FaceAnswer(
        name=name,
        width=width,
        height=height,
        picture=data_uri(kept_small(draw_faces(image, faces))),
        faces=[_found(number, face, width, height) for number, face in enumerate(faces, 1)],
        chosen=chosen,
        sentence=seen(len(faces), len(largest_faces(faces)), chosen),
        aligned="",
        parts="",
        regions=[
            RegionAnswer(name=part_name(part), colour=colour(index)) for index, part in enumerate(PARTS)
        ],
    )
    if chosen:
        face = faces[chosen - 1]
        tints = [_rgb(colour(index)) for index in range(len(PARTS))]
        answer["aligned"] = data_uri(fitted(face.aligned(template), _ALIGNED))
        answer["parts"] = data_uri(draw_parts(face, template, tints, _ALIGNED))
    return answer


def ranking_answer(gestalt: Gestalt, ranking: Ranking, face: Face, place: list[float]) -> RankingAnswer:
    """A ranking, what it amounts to, and the nearest images where they may be shown."""
    gallery, chosen, limit = gestalt.gallery, ranking.prediction_set, gestalt.novelty_limit
    none = None if limit is None else ranking.none_of_these
    return RankingAnswer(
        sentence=verdict(ranking, none),
        warning=bool(none) or ranking.known_photograph,
        checks=checks(gestalt, ranking, none, face.quality),
        syndromes=[
            RankedAnswer(
                syndrome=one.syndrome,
                similarity=_similarity(one),
                patients=one.patients,
                unaffected=one.syndrome == gallery.unaffected,
                p=None if one.p is None else round(one.p, 4),
                possible=None if chosen is None else one.syndrome in chosen,
            )
            for one in ranking.syndromes
        ],
        none_of_these=none,
        limit=None if limit is None else round(1 - limit, 4),
        known_photograph=ranking.known_photograph,
        place=place,
        nearest=_nearest(gestalt, ranking),
        consent=gallery.consent,
    )


def evidence_answer(gestalt: Gestalt, face: Face, found: Evidence, complete: bool) -> FaceEvidenceAnswer:
    """The evidence by part, drawn onto the aligned face, and where they were computed, the gradients."""
    template = gestalt.encoder.template
    masks = part_masks(face.aligned_points(template), template.size)
    by_part = np.zeros(found.chip.shape[:2], np.float32)
    for part, mask in masks.items():
        by_part[mask] = found.occlusion[part]
    maps = [_map("occlusion", found, by_part)]
    if found.map is not None:
        maps.append(_map("gradients", found, found.map))
    gradients = found.gradients or {}
    lines = [
        text("faces.margin", name=found.syndrome, other=found.against, margin=f"{found.margin:+.3f}"),
        text("faces.evidence_how"),
    ]
    if complete and found.map is None:
        lines.append(text("faces.no_gradients"))
    return FaceEvidenceAnswer(
        title=text("faces.evidence_title", name=found.syndrome),
        margin=round(found.margin, 4),
        parts=[
            PartAnswer(
                name=part_name(part),
                occlusion=round(fall, 4),
                gradients=round(gradients[part], 4) if part in gradients else None,
            )
            for part, fall in sorted(found.occlusion.items(), key=lambda item: -item[1])
        ],
        maps=maps,
        lines=[*lines, text("faces.evidence_caution")],
        complete=complete,
    )


def gallery_answer(gestalt: Gestalt, plane: FacePlane | None) -> FaceGalleryAnswer:
    """What is known about the gallery, and where its images lie on their plane; None: no map is possible."""
    gallery, labels = gestalt.gallery, gestalt.gallery.labels
    index = np.arange(len(gallery))
    if len(gallery) > _DRAWN:
        index = np.sort(np.random.default_rng(0).choice(len(gallery), _DRAWN, replace=False))
    patients = [len(set(gallery.patients[labels == label])) for label in range(len(gallery.syndromes))]
    places = np.empty((0, 2)) if plane is None else plane.places(gallery.embeddings[index])
    return FaceGalleryAnswer(
        facts=dict(gallery_facts(gestalt)),
        syndromes=[
            SyndromeAnswer(name=name, patients=count, unaffected=name == gallery.unaffected)
            for name, count in zip(gallery.syndromes, patients, strict=True)
        ],
        places=[[round(float(x), 4), round(float(y), 4)] for x, y in places],
        labels=[] if plane is None else labels[index].tolist(),
        share=0.0 if plane is None else round(plane.share, 3),
        sentence=_about_map(plane, len(index), len(gallery)),
    )


def _about_map(plane: FacePlane | None, shown: int, images: int) -> str:
    if plane is None:
        return text("faces.no_map")
    sentence = text("faces.map_how", share=round(100 * plane.share))
    return sentence if shown == images else f"{sentence} {text('faces.map_some', shown=shown, count=images)}"


def _found(number: int, face: Face, width: int, height: int) -> FoundFaceAnswer:
    quality = face.quality
    left, top, right, bottom = np.clip(face.detection.box / [width, height, width, height], 0, 1).tolist()
    return FoundFaceAnswer(
        number=number,
        left=round(left, 4),
        top=round(top, 4),
        right=round(right, 4),
        bottom=round(bottom, 4),
        eye_distance=round(quality.eye_distance, 1),
        yaw=round(quality.yaw, 1),
        pitch=round(quality.pitch, 1),
        roll=round(quality.roll, 1),
        sharpness=round(quality.sharpness, 3),
        flags=flags(quality),
    )


def _nearest(gestalt: Gestalt, ranking: Ranking) -> list[NearestFaceAnswer]:
    """The nearest image of each of the first syndromes; none if the gallery keeps no images."""
    images = gestalt.gallery.thumbnails
    if images is None:
        return []
    return [
        NearestFaceAnswer(
            picture=data_uri(fitted(images[one.image], _THUMBNAIL)),
            syndrome=one.syndrome,
            similarity=_similarity(one),
        )
        for one in ranking.syndromes[:_NEAREST]
    ]


def _map(kind: str, found: Evidence, values: np.ndarray) -> FaceMapAnswer:
    return FaceMapAnswer(
        title=text(f"faces.by_{kind}"),
        picture=data_uri(fitted(overlay(found.chip, values), _MAP)),
        description=text(f"faces.by_{kind}_alt", name=found.syndrome),
        legend=data_uri(legend()),
        key=text("map.key_signed"),
    )


def _similarity(one: Ranked) -> float:
    return round(1 - one.distance, 4)


def _rgb(hue: str) -> tuple[int, int, int]:
    red, green, blue = ImageColor.getrgb(hue)[:3]
    return red, green, blue
