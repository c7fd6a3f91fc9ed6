"""What the Faces tab does: finds the faces of a photograph, and ranks the syndromes of a gallery for one."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from threading import Lock
from typing import Any, NamedTuple

import numpy as np

from morphoscope.apps.studio.face_answers import (
    FaceAnswer,
    FaceEvidenceAnswer,
    FaceGalleryAnswer,
    evidence_answer,
    face_answer,
    gallery_answer,
    ranking_answer,
)
from morphoscope.apps.studio.face_words import seen
from morphoscope.apps.studio.requests import whole_number
from morphoscope.apps.studio.uploads import Uploads
from morphoscope.apps.texts import text
from morphoscope.classify.gestalt import (
    Face,
    FacePlane,
    Gestalt,
    find_evidence,
    find_faces,
    largest_faces,
)
from morphoscope.classify.gestalt.encoders import DLIB_TEMPLATE
from morphoscope.cohort import read_image
from morphoscope.configs import UserError
from morphoscope.runtime.torch_memory import give_back_freed_memory

Values = Mapping[str, Any]


class _Photograph(NamedTuple):
    """A photograph, uint8 RGB [H, W, 3], its faces, and the number from 1 of the one to use, 0 for none."""

    name: str
    image: np.ndarray
    faces: Sequence[Face]
    chosen: int

    @property
    def face(self) -> Face:
        """The face to use.

        Raises:
            UserError: there is none, or several are about equally large and none was chosen.
        """
        if not self.chosen:
            raise UserError(seen(len(self.faces), len(largest_faces(self.faces)), 0))
        return self.faces[self.chosen - 1]


class Faces:
    """The tab's answers; methods raise UserError for unusable values.

    They take `photograph`, the token of an upload, and `face`, the number of a face in it: 0 for the largest,
    unless another is almost as large. Photographs, and the embeddings of the faces in them, are forgotten
    with the answer.

    Args:
        gestalt: the gallery with its encoder; None: faces are found, and nothing is ranked.
        turn: held while something is computed that a page waits for.
    """

    def __init__(self, uploads: Uploads, gestalt: Gestalt | None, turn: Lock) -> None:
        self.uploads, self.gestalt = uploads, gestalt
        self._turn = turn
        self._explaining = Lock()  # evidence takes seconds: one at a time, beside what pages wait for

    def look(self, values: Values) -> FaceAnswer:
        """The faces of a photograph, and for the one that is meant the syndromes of the gallery."""
        with self._turn:
            photograph, gestalt = self._photograph(values), self.gestalt
            template = DLIB_TEMPLATE if gestalt is None else gestalt.encoder.template
            answer = face_answer(*photograph, template)
            if gestalt is not None and photograph.chosen:
                ranking, embedding = gestalt.rank_and_embed(photograph.face)
                place = [] if self._plane is None else self._plane.places(embedding).round(4).tolist()
                answer["ranking"] = ranking_answer(gestalt, ranking, photograph.face, place)
        return answer

    def evidence(self, values: Values) -> FaceEvidenceAnswer:
        """Which parts of a face speak for `syndrome` ("": the most similar one).

        With `gradients`, integrated gradients are computed, too, which takes several times as long.
        """
        gestalt, gradients = self._required(), values.get("gradients") is True
        wanted = values.get("syndrome")
        with self._turn:
            face = self._photograph(values).face
        with self._explaining:
            try:
                found = find_evidence(gestalt, face, None if wanted in (None, "") else str(wanted), gradients)
            finally:
                give_back_freed_memory()
        return evidence_answer(gestalt, face, found, complete=gradients)

    def gallery(self, values: Values) -> FaceGalleryAnswer:
        """What is known about the gallery, and a map of its images."""
        return gallery_answer(self._required(), self._plane)

    @cached_property
    def _plane(self) -> FacePlane | None:
        """The plane of the map; None if the gallery has too few images for one."""
        try:
            return FacePlane.of(self._required().gallery)
        except UserError:
            return None

    def _required(self) -> Gestalt:
        if self.gestalt is None:
            raise UserError(text("faces.no_gallery_here"))
        return self.gestalt

    def _photograph(self, values: Values) -> _Photograph:
        upload = self.uploads.take(values.get("photograph"))
        image = read_image(upload.data, upload.name)
        faces = find_faces(image)
        chosen = whole_number("face", values.get("face", 0), len(faces))
        if not chosen and len(largest_faces(faces)) == 1:
            chosen = 1
        return _Photograph(upload.name, image, faces, chosen)
