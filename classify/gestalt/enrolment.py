"""From photographs with labels to a gallery."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from morphoscope.classify.gestalt.encoders import Encoder, embed_chip
from morphoscope.classify.gestalt.gallery import Entry, Gallery
from morphoscope.classify.gestalt.preparation import Face, find_face
from morphoscope.classify.inputs.photographs import Photograph
from morphoscope.cohort import Cohort
from morphoscope.configs import UserError
from morphoscope.runtime.progress import track

_THUMBNAIL = 64  # pixels


class Labelled(NamedTuple):
    """A photograph with what is known of it; `name` is for messages."""

    photograph: Photograph
    syndrome: str
    patient: str
    family: str
    name: str


class Enrolment(NamedTuple):
    """A gallery, and which photographs are not in it.

    Attributes:
        gallery: of the faces that were found.
        left_out: {name of a photograph: why it was left out}.
        flagged: {name of a photograph in the gallery: the flags of its face}.
    """

    gallery: Gallery
    left_out: dict[str, str]
    flagged: dict[str, str]


def enrol(
    photographs: Iterable[Labelled],
    encoder: Encoder,
    *,
    unaffected: str = "",
    keep_flagged: bool = False,
    thumbnails: bool = False,
    consent: str = "",
) -> Enrolment:
    """A gallery of the photographs in which one face is found.

    Args:
        unaffected: the label of people without a syndrome, "" for none.
        keep_flagged: also take faces with a flag about their quality.
        thumbnails: keep a small image of each face; needs `consent`.
        consent: whose consent the thumbnails rest on.

    Raises:
        UserError: no usable face at all, the same face twice, or thumbnails without a consent.
    """
    if thumbnails and not consent.strip():
        raise UserError("Thumbnails of faces need a statement of whose consent they rest on (--consent).")
    embeddings, entries, kept = [], [], []
    left_out: dict[str, str] = {}
    flagged: dict[str, str] = {}
    for one, face in usable_faces(photographs, keep_flagged, left_out, flagged):
        chip = face.aligned(encoder.template)
        embeddings.append(embed_chip(encoder, chip))
        entries.append(Entry(one.syndrome, one.patient, one.family, digest_of(chip)))
        kept.append(cv2.resize(chip, (_THUMBNAIL, _THUMBNAIL), interpolation=cv2.INTER_AREA))
    if not entries:
        example = next(iter(left_out.items()), ("none", "no photograph was given"))
        raise UserError(f"No usable face, so there is nothing for a gallery ({example[0]}: {example[1]})")
    _refuse_twice(entries)
    gallery = Gallery(
        embeddings=np.stack(embeddings),
        entries=tuple(entries),
        encoder=encoder.name,
        encoder_digest=encoder.digest,
        head=encoder.head,
        unaffected=unaffected,
        thumbnails=np.stack(kept) if thumbnails else None,
        consent=consent if thumbnails else "",
    )
    return Enrolment(gallery, left_out, flagged)


def usable_faces(
    photographs: Iterable[Labelled], keep_flagged: bool, left_out: dict[str, str], flagged: dict[str, str]
) -> Iterator[tuple[Labelled, Face]]:
    """The photographs in which one face is found, with that face.

    Args:
        keep_flagged: also take faces with a flag about their quality.
        left_out: gets {name of a photograph: why it was left out}.
        flagged: gets {name of a photograph that was taken: the flags of its face}.
    """
    for one in photographs:
        try:
            face = find_face(one.photograph)
        except UserError as error:
            left_out[one.name] = str(error)
            continue
        if face.quality.flags:
            (flagged if keep_flagged else left_out)[one.name] = "; ".join(face.quality.flags)
            if not keep_flagged:
                continue
        yield one, face


def labelled_rows(cohort: Cohort, folds: Sequence[str] | None = None) -> Iterable[Labelled]:
    """The real images of a cohort, of some folds or all; the column `family` is optional."""
    rows = cohort.rows
    chosen = rows["source"] == "real"
    if folds is not None:
        chosen &= rows["fold"].isin(folds)
    families = rows["family"] if "family" in rows else rows["group"].map(lambda _: "")
    for index in track(np.flatnonzero(chosen.to_numpy()).tolist(), "Looking for faces", unit="images"):
        yield Labelled(
            photograph=cohort.image(index),
            syndrome=rows["condition"][index],
            patient=rows["group"][index],
            family=families[index],
            name=rows["file"][index],
        )


def embed_face(face: Face, encoder: Encoder) -> tuple[NDArray[np.float32], str]:
    """(embedding [D] of length 1, digest) of a face; see `embed_chip`."""
    chip = face.aligned(encoder.template)
    return embed_chip(encoder, chip), digest_of(chip)


def digest_of(chip: np.ndarray) -> str:
    """SHA-256 of an aligned face, by which the same photograph is recognised."""
    return hashlib.sha256(chip.tobytes()).hexdigest()


def _refuse_twice(entries: Sequence[Entry]) -> None:
    seen: dict[str, Entry] = {}
    for entry in entries:
        other = seen.setdefault(entry.digest, entry)
        if other is not entry:
            raise UserError(
                f"One photograph is given twice, for {other.patient} ({other.syndrome}) and {entry.patient} "
                f"({entry.syndrome}). Remove one of them."
            )
