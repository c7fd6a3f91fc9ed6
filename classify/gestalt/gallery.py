"""A gallery: embeddings of faces with their syndromes, in which a new face is looked up."""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from morphoscope.classify.gestalt.head import Head
from morphoscope.configs import UserError, first_names

BIOMETRIC = (
    "A gallery of faces is biometric data: an embedding identifies a person. Store and share it under the "
    "same "
    "rules as the photographs."
)


@dataclass(frozen=True)
class Entry:
    """What is known of one image in a gallery.

    Attributes:
        syndrome: its label.
        patient: name of the patient (the cohort's group).
        family: patients of one family are never compared with each other in an evaluation; "" for none.
        digest: SHA-256 of the aligned face, by which the same photograph is recognised.
    """

    syndrome: str
    patient: str
    family: str
    digest: str


@dataclass(frozen=True, eq=False)
class Gallery:
    """Embeddings with their syndromes.

    Attributes:
        embeddings: float32 [N, D], of length 1.
        entries: of each image, N.
        encoder: name of the encoder, for people.
        encoder_digest: of its file, or of it and its head; embeddings of another encoder cannot be compared.
        unaffected: the label of people without a syndrome, "" if there are none.
        thumbnails: uint8 RGB [N, 64, 64, 3] if they were asked for, else None.
        consent: whose consent the thumbnails rest on; "" without thumbnails.
        head: the linear map that follows the encoder; None for most galleries.
    """

    embeddings: NDArray[np.float32]
    entries: tuple[Entry, ...]
    encoder: str
    encoder_digest: str
    unaffected: str = ""
    thumbnails: NDArray[np.uint8] | None = None
    consent: str = ""
    head: Head | None = None
    syndromes: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        assert len(self.embeddings) == len(self.entries)
        object.__setattr__(self, "syndromes", tuple(sorted({entry.syndrome for entry in self.entries})))

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def labels(self) -> NDArray[np.int64]:
        """Position of each image's syndrome in `syndromes`, [N]."""
        index = {name: number for number, name in enumerate(self.syndromes)}
        return np.array([index[entry.syndrome] for entry in self.entries], np.int64)

    @property
    def patients(self) -> NDArray[np.str_]:
        """Name of each image's patient, [N]."""
        return np.array([entry.patient for entry in self.entries])

    @property
    def kin(self) -> NDArray[np.str_]:
        """Name of each image's family, or of the patient where none is known, [N]."""
        return np.array([entry.family or entry.patient for entry in self.entries])

    @property
    def trained(self) -> NDArray[np.bool_]:
        """Images of people, and of relatives of people, whom the head was trained on, [N]."""
        if self.head is None:
            return np.zeros(len(self), bool)
        used = np.array([entry.digest in self.head.trained_on for entry in self.entries])
        return np.isin(self.kin, self.kin[used]) | np.isin(self.patients, self.patients[used])

    def joined(self, other: "Gallery") -> "Gallery":
        """This gallery with the images of another one.

        Raises:
            UserError: another encoder, an image is in both, or only one of them has thumbnails.
        """
        if other.encoder_digest != self.encoder_digest:
            raise UserError(
                f"The gallery was made with the encoder {self.encoder}, not with {other.encoder}: their "
                "embeddings cannot be compared."
            )
        known = {entry.digest for entry in self.entries}
        twice = [entry.patient for entry in other.entries if entry.digest in known]
        if twice:
            raise UserError(f"In the gallery already: an image of {first_names(sorted(set(twice)))}.")
        thumbnails = [one.thumbnails for one in (self, other) if one.thumbnails is not None]
        if len(thumbnails) == 1:
            raise UserError("One of the galleries keeps thumbnails, the other none: make both alike.")
        return replace(
            self,
            embeddings=np.concatenate([self.embeddings, other.embeddings]),
            entries=(*self.entries, *other.entries),
            thumbnails=np.concatenate(thumbnails) if thumbnails else None,
            consent="; ".join(dict.fromkeys(one.consent for one in (self, other) if one.consent)),
        )

    def select(self, chosen: np.ndarray) -> "Gallery":
        """A gallery of some images, bool [N]."""
        index = np.flatnonzero(chosen)
        return replace(
            self,
            embeddings=self.embeddings[index],
            entries=tuple(self.entries[position] for position in index),
            thumbnails=None if self.thumbnails is None else self.thumbnails[index],
        )
