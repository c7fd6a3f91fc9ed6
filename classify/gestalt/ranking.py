"""Gestalt: a gallery with its encoder, which ranks the syndromes of a face."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from morphoscope.classify.gestalt.calibration import Calibration
from morphoscope.classify.gestalt.encoders import Encoder, load_encoder, with_head
from morphoscope.classify.gestalt.enrolment import embed_face
from morphoscope.classify.gestalt.gallery import Gallery
from morphoscope.classify.gestalt.gallery_file import read_gallery
from morphoscope.classify.gestalt.nearest import image_distances, syndrome_distances
from morphoscope.classify.gestalt.preparation import Face, find_face
from morphoscope.classify.inputs.photographs import Photograph
from morphoscope.configs import UserError

ALPHA = 0.1
"""Sets leave out the true syndrome of at most about this fraction of patients."""
ALARM = 0.05
"""Below this p-value the answer is "none of these": a false alarm for about this fraction of patients."""


@dataclass(frozen=True)
class Ranked:
    """One syndrome in a ranking.

    Attributes:
        syndrome: its label.
        distance: cosine distance to its nearest image, 0 to 2.
        image: position of that image in the gallery.
        patients: number of its patients in the gallery.
        p: conformal p-value in (0, 1]; None if the gallery is not calibrated.
    """

    syndrome: str
    distance: float
    image: int
    patients: int
    p: float | None


@dataclass(frozen=True)
class Ranking:
    """The syndromes of a gallery for one face, the nearest first. Not a diagnosis.

    Attributes:
        syndromes: all of them.
        novelty_p: p-value of the nearest distance; None if the gallery is not calibrated.
        known_photograph: whether this very photograph is in the gallery.
        unaffected: the label of people without a syndrome, "" if the gallery has none.
        flags: what speaks against the photograph.
    """

    syndromes: tuple[Ranked, ...]
    novelty_p: float | None
    known_photograph: bool
    unaffected: str
    flags: tuple[str, ...]

    @property
    def none_of_these(self) -> bool | None:
        """Whether the face is farther from all syndromes than 95% of the known; None if uncalibrated."""
        return None if self.novelty_p is None else self.novelty_p < ALARM

    @property
    def prediction_set(self) -> tuple[str, ...] | None:
        """The syndromes that remain possible at a coverage of 90% of patients; None if uncalibrated."""
        if self.novelty_p is None:
            return None
        return tuple(one.syndrome for one in self.syndromes if one.p is not None and one.p > ALPHA)

    def to_frame(self) -> pd.DataFrame:
        """A table with one row per syndrome: rank, syndrome, distance, patients, p, in_set."""
        chosen = set(self.prediction_set or ())
        return pd.DataFrame(
            {
                "rank": np.arange(1, len(self.syndromes) + 1),
                "syndrome": [one.syndrome for one in self.syndromes],
                "distance": [one.distance for one in self.syndromes],
                "patients": [one.patients for one in self.syndromes],
                "p": [one.p for one in self.syndromes],
                "in_set": [one.syndrome in chosen for one in self.syndromes],
            }
        )


class Gestalt:
    """A gallery and the encoder that it was made with.

    Attributes:
        gallery: the known faces.
        encoder: what embeds new ones.
        calibration: what distances are worth; None if the gallery has too few patients.

    Raises:
        UserError: the gallery was made with another encoder, or has no image.
    """

    def __init__(self, gallery: Gallery, encoder: Encoder) -> None:
        if gallery.head is not None and encoder.head is None:
            encoder = with_head(encoder, gallery.head)
        if gallery.encoder_digest != encoder.digest:
            raise UserError(
                f"The gallery was made with the encoder {gallery.encoder}, not with {encoder.name}: give "
                f"the file of "
                "its encoder, or make the gallery again."
            )
        if not len(gallery):
            raise UserError("The gallery is empty: add images of patients with known syndromes.")
        self.gallery = gallery
        self.encoder = encoder
        self.calibration = Calibration.fit(gallery)
        self._labels = gallery.labels
        self._patients = [
            len(set(gallery.patients[self._labels == label])) for label in range(len(gallery.syndromes))
        ]

    @property
    def novelty_limit(self) -> float | None:
        """The distance beyond which the answer is "none of these"; None if it never is.

        With fewer than 20 patients no p-value can be as small as that answer needs.
        """
        return None if self.calibration is None else self.calibration.novelty.limit(ALARM)

    @classmethod
    def load(cls, path: Path, passphrase: str | None = None, encoder: Path | None = None) -> "Gestalt":
        """Read a gallery's file.

        Args:
            passphrase: of an encrypted gallery.
            encoder: a user's ONNX file, for a gallery that was made with it.

        Raises:
            UserError: as for `read_gallery` and `load_encoder`, the encoder is another one, or the gallery
                is empty.
        """
        return cls(read_gallery(path, passphrase), load_encoder(encoder))

    def embed(self, face: Face | Photograph) -> NDArray[np.float32]:
        """The embedding of a face, float32 [D] of length 1. It identifies a person: it is biometric data.

        Args:
            face: a face, or a photograph with one.

        Raises:
            UserError: as for `find_face`.
        """
        return embed_face(self._face(face), self.encoder)[0]

    def rank(self, face: Face | Photograph) -> Ranking:
        """The syndromes of the gallery, ranked by their image that is nearest to a face.

        Args:
            face: a face, or a photograph with one.

        Raises:
            UserError: as for `find_face`.
        """
        return self.rank_and_embed(face)[0]

    def rank_and_embed(self, face: Face | Photograph) -> tuple[Ranking, NDArray[np.float32]]:
        """What `rank` and `embed` return, computed once.

        Args:
            face: a face, or a photograph with one.

        Raises:
            UserError: as for `find_face`.
        """
        found = self._face(face)
        embedding, digest = embed_face(found, self.encoder)
        ranking = self.rank_embedding(
            embedding,
            known_photograph=any(entry.digest == digest for entry in self.gallery.entries),
            flags=found.quality.flags,
        )
        return ranking, embedding

    def rank_embedding(
        self, embedding: np.ndarray, *, known_photograph: bool = False, flags: tuple[str, ...] = ()
    ) -> Ranking:
        """The ranking for an embedding, float32 [D] of length 1."""
        to_images = image_distances(embedding[None], self.gallery)
        to_syndromes = syndrome_distances(to_images, self._labels, len(self.gallery.syndromes))
        p_values = novelty = None
        if self.calibration is not None:
            p_values = self.calibration.syndrome_p(to_syndromes)[0]
            novelty = float(self.calibration.novelty_p(to_syndromes)[0])
        by_distance = np.argsort(to_images[0], kind="stable")
        _, first = np.unique(self._labels[by_distance], return_index=True)
        nearest = by_distance[first]  # of each syndrome
        ranked = [
            Ranked(
                syndrome=self.gallery.syndromes[label],
                distance=float(to_syndromes[0, label]),
                image=int(nearest[label]),
                patients=self._patients[label],
                p=None if p_values is None else float(p_values[label]),
            )
            for label in np.argsort(to_syndromes[0], kind="stable")
        ]
        return Ranking(tuple(ranked), novelty, known_photograph, self.gallery.unaffected, flags)

    def _face(self, face: Face | Photograph) -> Face:
        return face if isinstance(face, Face) else find_face(face)
