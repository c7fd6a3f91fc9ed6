"""What networks see of a face, and how it is changed in training."""

import cv2
import numpy as np
import pytest
from phantom_faces import photograph

from morphoscope.classify.gestalt import find_face
from morphoscope.classify.gestalt.region_networks.changes import FaceChanges
from morphoscope.classify.gestalt.region_networks.crops import region_crops
from morphoscope.configs.faces import FaceChangesGroup

REGIONS = ("whole", "left", "right", "eyes")
STILL = FaceChangesGroup(rotation=0, shift=0, mirror=False, jitter=0)


def crops_of(image):
    return region_crops(find_face(image), REGIONS, 64).astype(float)


def difference(one, other):
    return np.abs(one - other).mean() / one.std()


def test_a_turned_photograph_gives_the_same_upright_crops():
    image = photograph(0, size=256)
    turn = cv2.getRotationMatrix2D((127.5, 127.5), 15, 0.9)
    turned = cv2.warpAffine(image, turn, (256, 256), borderMode=cv2.BORDER_REPLICATE)
    straight, again = crops_of(image), crops_of(turned)
    assert straight.shape == (4, 64, 64, 1)
    assert difference(straight[0], again[0]) < 0.3
    assert difference(straight[3], again[3]) < 0.3 < difference(straight[3], straight[0])


def test_halves_change_places_in_a_mirror():
    image = photograph(0, size=256)
    straight, mirrored = crops_of(image), crops_of(np.ascontiguousarray(image[:, ::-1]))
    assert difference(straight[1], mirrored[2][:, ::-1]) < 0.3
    assert difference(straight[2], mirrored[1][:, ::-1]) < 0.3


def test_a_long_face_stays_long():
    """A region's proportions are those of the canonical face, so that stretching is seen in the crop."""
    image = photograph(0, size=256)
    long = cv2.resize(image, (256, 300))
    face, stretched = find_face(image), find_face(long)
    assert stretched.quality.eye_distance == pytest.approx(face.quality.eye_distance, rel=0.1)
    whole, longer = (region_crops(one, ("whole",), 64)[0].astype(float) for one in (face, stretched))
    assert difference(whole, longer) > 0.2


def test_changes_follow_from_their_seed_and_nothing_changes_without_strength():
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 1)).astype(np.uint8)
    changes = FaceChanges(FaceChangesGroup())
    assert np.array_equal(changes(image, (1, 2)), changes(image, (1, 2)))
    assert not np.array_equal(changes(image, (1, 2)), changes(image, (1, 3)))
    assert np.array_equal(FaceChanges(STILL)(image, 0), image)


def test_about_half_of_the_crops_are_mirrored():
    image = np.tile(np.arange(32, dtype=np.uint8)[None, :, None], (32, 1, 1))
    mirrored = [
        np.array_equal(FaceChanges(STILL.model_copy(update={"mirror": True}))(image, seed), image[:, ::-1])
        for seed in range(200)
    ]
    assert 70 < sum(mirrored) < 130


def test_jitter_stays_within_its_range():
    image = np.full((8, 8, 1), 100, np.uint8)
    changes = FaceChanges(STILL.model_copy(update={"jitter": 0.2}))
    found = [changes(image, seed)[0, 0, 0] for seed in range(100)]
    assert 80 <= min(found) < 90 and 110 < max(found) <= 120
