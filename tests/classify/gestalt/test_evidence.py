"""Evidence: the parts that speak for a syndrome, on phantom people whose only difference is known."""

import numpy as np
import pytest
from phantom_faces import photograph

from morphoscope.classify.gestalt import Gestalt, Labelled, enrol, find_evidence, find_face, load_encoder
from morphoscope.classify.gestalt.regions import PARTS
from morphoscope.cohort.phantom.face_warps import warp_face
from morphoscope.configs import UserError


@pytest.fixture(scope="module")
def gestalt():
    """One person, with a wide mouth as one syndrome and as they are as the other."""
    face = find_face(photograph(8))
    wide = warp_face(photograph(8), face.landmarks.points, "wide mouth", 1.5).image
    faces = [Labelled(photograph(8), "none", "p", "", "none"), Labelled(wide, "wide", "q", "", "wide")]
    return Gestalt(enrol(faces, load_encoder()).gallery, load_encoder())


@pytest.fixture(scope="module")
def evidence(gestalt):
    face = find_face(photograph(8))
    wide = warp_face(photograph(8), face.landmarks.points, "wide mouth", 1.5).image
    return find_evidence(gestalt, find_face(wide))


def test_the_changed_part_is_the_evidence(evidence):
    assert (evidence.syndrome, evidence.against) == ("wide", "none")
    assert evidence.margin > 0
    assert tuple(evidence.occlusion) == PARTS
    assert max(evidence.gradients, key=evidence.gradients.get) in ("mouth", "cheeks")


def test_gradients_add_up_to_the_margin(gestalt, evidence):
    """Completeness: from the featureless face to the face."""
    from morphoscope.classify.gestalt.evidence import _featureless

    images = np.stack([evidence.chip, _featureless(evidence.chip)])
    found = gestalt.encoder.encode(images)
    found = found / np.linalg.norm(found, axis=1, keepdims=True)
    wide, none = (gestalt.gallery.embeddings[gestalt.gallery.labels == label][0] for label in (1, 0))
    own, base = (float(value) for value in found @ (wide - none))
    assert evidence.map.sum() == pytest.approx(own - base, abs=0.05 * abs(own - base) + 0.01)
    assert own == pytest.approx(evidence.margin, abs=1e-4)


def test_unknown_and_single_syndromes_are_refused(gestalt):
    face = find_face(photograph(8))
    with pytest.raises(UserError, match="no syndrome 'x'"):
        find_evidence(gestalt, face, "x")
    single = Gestalt(gestalt.gallery.select(gestalt.gallery.labels == 0), gestalt.encoder)
    with pytest.raises(UserError, match="another one"):
        find_evidence(single, face)
