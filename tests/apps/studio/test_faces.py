"""What the Faces tab shows, without a page."""

import base64
from dataclasses import replace
from io import BytesIO
from threading import Lock
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from face_galleries import DIMENSIONS, clustered
from phantom_faces import phantom_gestalt, photograph
from PIL import Image

from morphoscope.apps.studio import face_words
from morphoscope.apps.studio.face_answers import gallery_answer
from morphoscope.apps.studio.faces import Faces
from morphoscope.apps.studio.uploads import Upload, Uploads
from morphoscope.classify.gestalt import FacePlane, Gestalt, Quality
from morphoscope.classify.gestalt.encoders import unit
from morphoscope.classify.gestalt.quality import Fault
from morphoscope.configs import UserError

WALL = np.full((64, 64, 3), 128, np.uint8)
EXIF_ORIENTATION, TURNED_LEFT = 0x0112, 8


@pytest.fixture
def faces() -> Faces:
    return Faces(Uploads(), phantom_gestalt(), Lock())


def upload(faces: Faces, image: np.ndarray | Image.Image, kind: str = "PNG", **saved: Any) -> str:
    """The token of an upload."""
    buffer = BytesIO()
    shown = Image.fromarray(image) if isinstance(image, np.ndarray) else image
    shown.save(buffer, kind, **saved)
    with faces.uploads.room("page") as token:
        assert token is not None
        faces.uploads.put(token, Upload("face.png", buffer.getvalue()))
    return token


def size(uri: str) -> tuple[int, int]:
    return Image.open(BytesIO(base64.b64decode(uri.partition(",")[2]))).size


def pair() -> np.ndarray:
    """Two people side by side, about equally large."""
    return np.concatenate([photograph(0), photograph(1)], axis=1)


class TestPhotograph:
    def test_is_looked_at_ranked_and_forgotten(self, faces: Faces) -> None:
        token = upload(faces, photograph(4, 1))
        answer = faces.look({"photograph": token})
        assert (answer["name"], answer["width"], answer["chosen"]) == ("face.png", 192, 1)
        assert answer["sentence"] == "One face was found."
        (found,) = answer["faces"]
        assert found["flags"] == [] and 0 <= found["left"] < found["right"] <= 1
        assert size(answer["aligned"]) == size(answer["parts"]) == (300, 300)
        assert [region["name"] for region in answer["regions"]][:2] == ["forehead", "eyes and brows"]
        ranking = answer["ranking"]
        assert ranking["syndromes"][0]["syndrome"] == "s1"  # that of person 4
        assert ranking["sentence"].startswith("Most similar: s1")
        similarities = [one["similarity"] for one in ranking["syndromes"]]
        assert similarities == sorted(similarities, reverse=True)
        assert [one["patients"] for one in ranking["syndromes"]] == [4, 4, 4]
        assert len(ranking["place"]) == 2
        assert len(faces.uploads) == 0
        with pytest.raises(UserError, match="did not arrive"):
            faces.look({"photograph": token})

    def test_the_aligned_face_and_its_parts_are_drawn_apart(self, faces: Faces) -> None:
        answer = faces.look({"photograph": upload(faces, photograph(4, 1))})
        assert answer["aligned"] != answer["parts"]

    def test_nearest_images_are_those_of_the_first_syndromes(self, faces: Faces) -> None:
        ranking = faces.look({"photograph": upload(faces, photograph(4, 1))})["ranking"]
        named = [one["syndrome"] for one in ranking["syndromes"]]
        assert [one["syndrome"] for one in ranking["nearest"]] == named
        assert size(ranking["nearest"][0]["picture"]) == (160, 160)
        assert ranking["consent"] == "phantoms"

    def test_no_image_is_shown_without_permission(self) -> None:
        known = phantom_gestalt()
        hidden = Gestalt(replace(known.gallery, thumbnails=None, consent=""), known.encoder)
        faces = Faces(Uploads(), hidden, Lock())
        ranking = faces.look({"photograph": upload(faces, photograph(4, 1))})["ranking"]
        assert ranking["nearest"] == [] and ranking["consent"] == ""

    def test_photograph_of_the_gallery_is_recognised(self, faces: Faces) -> None:
        ranking = faces.look({"photograph": upload(faces, photograph(3))})["ranking"]
        assert ranking["known_photograph"] and ranking["warning"]
        assert ranking["sentence"].startswith("This very photograph is in the gallery, under s0")

    def test_without_a_gallery_faces_are_found_and_nothing_is_ranked(self) -> None:
        faces = Faces(Uploads(), None, Lock())
        answer = faces.look({"photograph": upload(faces, photograph(4, 1))})
        assert answer["chosen"] == 1 and "ranking" not in answer
        for action in (faces.gallery, faces.evidence):
            with pytest.raises(UserError, match="--faces-gallery"):
                action({"photograph": "token"})


class TestDifficultPhotographs:
    def test_no_face(self, faces: Faces) -> None:
        answer = faces.look({"photograph": upload(faces, WALL)})
        assert answer["faces"] == [] and answer["chosen"] == 0 and "ranking" not in answer
        assert answer["sentence"].startswith("No face was found.")
        with pytest.raises(UserError, match="No face was found"):
            faces.evidence({"photograph": upload(faces, WALL)})

    def test_two_equal_faces_have_to_be_chosen_from(self, faces: Faces) -> None:
        answer = faces.look({"photograph": upload(faces, pair())})
        assert len(answer["faces"]) == 2 and answer["chosen"] == 0 and "ranking" not in answer
        assert "2 faces of about the same size" in answer["sentence"]
        with pytest.raises(UserError, match="2 faces of about the same size"):
            faces.evidence({"photograph": upload(faces, pair())})
        second = faces.look({"photograph": upload(faces, pair()), "face": 2})
        assert second["chosen"] == 2 and "ranking" in second
        assert second["sentence"] == "2 faces were found; face 2 is used."

    def test_a_face_of_20_pixels_is_called_small(self, faces: Faces) -> None:
        tiny = cv2.resize(photograph(0), (20, 20), interpolation=cv2.INTER_AREA)
        answer = faces.look({"photograph": upload(faces, tiny)})
        assert "pixels between the eyes; 16 are needed" in answer["faces"][0]["flags"][0]
        quality = answer["ranking"]["checks"][-1]
        assert quality["state"] == "warning" and "It is small" in quality["sentence"]

    def test_12_megapixels_are_shown_small(self, faces: Faces) -> None:
        large = cv2.resize(photograph(5, 1), (4000, 3000))
        answer = faces.look({"photograph": upload(faces, large, "JPEG")})
        assert (answer["width"], answer["height"]) == (4000, 3000)
        assert size(answer["picture"]) == (1024, 768)
        assert answer["ranking"]["syndromes"][0]["syndrome"] == "s2"

    def test_grey_and_turned_by_exif(self, faces: Faces) -> None:
        grey = faces.look({"photograph": upload(faces, Image.fromarray(photograph(4, 1)).convert("L"))})
        assert grey["chosen"] == 1 and "ranking" in grey
        exif = Image.Exif()
        exif[EXIF_ORIENTATION] = TURNED_LEFT
        turned = Image.fromarray(np.rot90(photograph(4, 1), -1))
        answer = faces.look({"photograph": upload(faces, turned, "JPEG", exif=exif, quality=95)})
        assert abs(answer["faces"][0]["roll"]) < 20
        assert answer["ranking"]["syndromes"][0]["syndrome"] == "s1"

    @pytest.mark.parametrize(
        ("values", "reason"),
        [
            ({"photograph": "/etc/passwd"}, "did not arrive"),
            ({"photograph": ["lost"]}, "did not arrive"),
            ({"photograph": "too-large"}, "larger than 32 MB"),
        ],
    )
    def test_unusable_uploads_are_refused_in_a_sentence(
        self, faces: Faces, values: dict[str, Any], reason: str
    ) -> None:
        with pytest.raises(UserError, match=reason):
            faces.look(values)

    @pytest.mark.parametrize("face", [2, -1, 0.5, "1", None, float("nan")])
    def test_unusable_numbers_of_faces_are_refused(self, faces: Faces, face: object) -> None:
        with pytest.raises(UserError, match="The field face"):
            faces.look({"photograph": upload(faces, photograph(4, 1)), "face": face})


class TestEvidence:
    def test_parts_first_and_gradients_on_request(self, faces: Faces) -> None:
        token = upload(faces, photograph(4, 1))
        soon = faces.evidence({"photograph": token, "syndrome": "s2"})
        assert soon["title"] == "What speaks for s2" and not soon["complete"]
        assert [part["gradients"] for part in soon["parts"]] == [None] * 6
        falls = [part["occlusion"] for part in soon["parts"]]
        assert falls == sorted(falls, reverse=True)
        assert len(soon["maps"]) == 1
        token = upload(faces, photograph(4, 1))
        whole = faces.evidence({"photograph": token, "syndrome": "s2", "gradients": True})
        assert whole["complete"] and len(whole["maps"]) == 2 and whole["margin"] == soon["margin"]
        assert None not in [part["gradients"] for part in whole["parts"]]
        assert size(whole["maps"][1]["picture"]) == (384, 384)

    def test_unknown_syndrome(self, faces: Faces) -> None:
        with pytest.raises(UserError, match="no syndrome 'x'"):
            faces.evidence({"photograph": upload(faces, photograph(4, 1)), "syndrome": "x"})


def gestalt(*shape: int, unaffected: str = "") -> Gestalt:
    """Of clusters that stand for syndromes: (syndromes, patients, images)."""
    gallery = replace(clustered(*shape), unaffected=unaffected)
    return Gestalt(gallery, SimpleNamespace(name="an encoder", digest="e", template=None))  # type: ignore[arg-type]


def quality(**values: float) -> Quality:
    measured = {"eye_distance": 60.0, "sharpness": 1.0, "yaw": 0.0, "pitch": 0.0, "roll": 0.0}
    return Quality(**{**measured, "presence": 20.0, "detection": 0.9, **values})


class TestWords:
    def said(self, found: Gestalt, embedding: np.ndarray) -> tuple[str, dict[str, tuple[str, str]]]:
        """The verdict, and what stands at each check."""
        ranking = found.rank_embedding(embedding)
        none = None if found.novelty_limit is None else ranking.none_of_these
        rows = face_words.checks(found, ranking, none, quality())
        names = ["known", "set", "unaffected", "quality"]
        stated = {name: (row["sentence"], row["state"]) for name, row in zip(names, rows, strict=True)}
        return face_words.verdict(ranking, none), stated

    def test_none_of_these(self) -> None:
        far = unit(np.random.default_rng([9, 0]).normal(size=DIMENSIONS))
        verdict, checks = self.said(gestalt(8, 6, 1), far)
        assert verdict.startswith("None of these")
        assert checks["known"][1] == "warning" and "95% of the patients" in checks["known"][0]

    def test_known_syndrome_and_its_set(self) -> None:
        found = gestalt(8, 6, 1, unaffected="s3")
        verdict, checks = self.said(found, found.gallery.embeddings[0])
        assert verdict.startswith("Most similar: s0")
        assert checks["known"][1] == "good" and "about 90% of patients" in checks["set"][0]
        assert "come at place" in checks["unaffected"][0]

    def test_unaffected_first(self) -> None:
        found = gestalt(8, 6, 1, unaffected="s0")
        verdict, checks = self.said(found, found.gallery.embeddings[0])
        assert verdict.startswith("Most similar: people without a syndrome (s0)")
        assert checks["unaffected"][1] == "warning"

    def test_few_patients_can_never_be_none_of_these(self) -> None:
        found = gestalt(4, 4, 1)
        assert found.novelty_limit is None
        assert "with 16 patients" in self.said(found, found.gallery.embeddings[0])[1]["known"][0]
        few = gestalt(2, 2, 1)
        _, checks = self.said(few, few.gallery.embeddings[0])
        assert [checks[name][1] for name in ("known", "set", "unaffected")] == ["unknown"] * 3

    @pytest.mark.parametrize(
        ("fault", "values", "words"),
        [
            ("small", {"eye_distance": 5.0}, "5 pixels between the eyes"),
            ("blurred", {"sharpness": 0.001}, "blurred"),
            ("sideways", {"yaw": -50.0}, "sideways, by 50 degrees"),
            ("tilted", {"pitch": 40.0}, "by 40 degrees"),
            ("hidden", {"presence": 3.0}, "hide"),
        ],
    )
    def test_each_fault_has_its_sentence(self, fault: Fault, values: dict[str, float], words: str) -> None:
        found = quality(**values)
        assert found.faults == (fault,)
        assert words in face_words.flags(found)[0]


class TestGallery:
    def test_facts_and_places(self, faces: Faces) -> None:
        answer = faces.gallery({})
        assert answer["facts"]["Images"] == "12 of 12 patients"
        assert answer["facts"]["Images that may be shown"].endswith("phantoms")
        assert [one["unaffected"] for one in answer["syndromes"]] == [True, False, False]
        assert len(answer["places"]) == len(answer["labels"]) == 12
        assert 0 < answer["share"] < 1

    def test_a_large_map_shows_some_of_the_images(self) -> None:
        found = gestalt(5, 50, 10)
        answer = gallery_answer(found, FacePlane.of(found.gallery))
        assert len(answer["places"]) == 2000 and "2000 of 2500 images" in answer["sentence"]

    def test_two_images_make_no_map(self) -> None:
        few = Faces(Uploads(), gestalt(2, 1, 1), Lock())
        answer = few.gallery({})
        assert answer["places"] == [] and "at least three" in answer["sentence"]
