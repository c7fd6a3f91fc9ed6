"""From photographs to faces: what is found, where, and what is said where nothing is found."""

import cv2
import numpy as np
import pytest
from phantom_faces import photograph
from PIL import Image

from morphoscope.classify.gestalt import draw_faces, find_face, find_faces
from morphoscope.cohort.face_mesh import CHIN, LEFT_EYE, NOSE_TIP, RIGHT_EYE
from morphoscope.configs import UserError


def eyes(face):
    return [face.landmarks.points[group, :2].mean(axis=0) for group in (LEFT_EYE, RIGHT_EYE)]


def blurred(image, sigma):
    return cv2.GaussianBlur(image, (0, 0), sigma)


def test_the_mesh_lies_on_the_face():
    face = find_face(photograph(0))
    left, right = eyes(face)
    assert left[0] < face.landmarks.points[NOSE_TIP, 0] < right[0]
    assert face.landmarks.points[CHIN, 1] > face.landmarks.points[NOSE_TIP, 1] > left[1]
    # where the phantom is drawn: within 3% of the image's side
    assert np.hypot(*(left - eyes(find_face(np.ascontiguousarray(photograph(0))))[0])) < 1e-6
    dark = photograph(0)[tuple(np.round(left[::-1]).astype(int))].astype(int)
    assert dark.sum() < photograph(0).astype(int).sum(axis=2).mean()  # the iris


def test_a_face_is_found_at_any_size_and_in_grey():
    small, large = photograph(1), cv2.resize(photograph(1), (1536, 1536), interpolation=cv2.INTER_CUBIC)
    grey = np.repeat(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    place = eyes(find_face(small))[0]
    assert np.allclose(eyes(find_face(large))[0] / 8, place, atol=2)
    assert np.allclose(eyes(find_face(grey))[0], place, atol=2)


def test_twelve_megapixels_are_read():
    canvas = np.full((3000, 4000, 3), 120, np.uint8)
    canvas[500:2500, 1000:3000] = cv2.resize(photograph(2), (2000, 2000))
    face = find_face(canvas)
    assert 1000 < eyes(face)[0][0] < 3000
    assert face.quality.eye_distance > 200


@pytest.mark.parametrize("quarter_turns", [1, 2, 3])
def test_a_photograph_on_its_side_is_turned(quarter_turns):
    upright = find_face(photograph(3))
    turned = find_face(np.ascontiguousarray(np.rot90(photograph(3), quarter_turns)))
    assert abs(abs(turned.quality.roll) - {1: 90, 2: 180, 3: 90}[quarter_turns]) < 20
    assert turned.quality.eye_distance == pytest.approx(upright.quality.eye_distance, rel=0.1)


def test_exif_orientation_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.rot90(photograph(3))).save(tmp_path / "sideways.jpg", exif=exif, quality=95)
    assert abs(find_face(tmp_path / "sideways.jpg").quality.roll) < 15


def sketch():
    image = np.full((300, 300, 3), 255, np.uint8)
    cv2.circle(image, (150, 150), 100, (0, 0, 0), 4)
    for x in (115, 185):
        cv2.circle(image, (x, 120), 10, (0, 0, 0), -1)
    cv2.ellipse(image, (150, 180), (50, 30), 0, 0, 180, (0, 0, 0), 4)
    return image


def back_of_a_head():
    image = np.full((256, 256, 3), 150, np.uint8)
    cv2.ellipse(image, (128, 130), (70, 90), 0, 0, 360, (60, 45, 30), -1)
    cv2.rectangle(image, (95, 200), (160, 256), (200, 160, 130), -1)
    return blurred(image, 2)


@pytest.mark.parametrize(
    "image",
    [
        np.full((120, 90, 3), 128, np.uint8),
        np.random.default_rng(0).integers(0, 255, (200, 200, 3)).astype(np.uint8),
        sketch(),
        back_of_a_head(),
        np.zeros((1, 1, 3), np.uint8),
    ],
    ids=["empty wall", "noise", "drawing", "back of a head", "one pixel"],
)
def test_no_face_is_said(image):
    assert find_faces(image) == []
    with pytest.raises(UserError, match="No face was found"):
        find_face(image)


@pytest.mark.parametrize("image", [None, "missing.png", np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3))])
def test_what_is_no_photograph_is_refused(image):
    with pytest.raises(UserError):
        find_faces(image)


def test_a_tiny_face_is_flagged():
    canvas = np.full((120, 160, 3), 120, np.uint8)
    canvas[40:80, 60:100] = cv2.resize(photograph(0), (40, 40), interpolation=cv2.INTER_AREA)
    faces = find_faces(canvas)
    assert all(any("small" in flag for flag in face.quality.flags) for face in faces)


def test_two_faces_of_one_size_need_a_number():
    both = np.concatenate([photograph(0), photograph(1)], axis=1)
    assert len(find_faces(both)) == 2
    with pytest.raises(UserError, match="2 faces of about the same size"):
        find_face(both)
    chosen = [find_face(both, number) for number in (1, 2)]
    assert chosen[0].quality.eye_distance >= chosen[1].quality.eye_distance
    with pytest.raises(UserError, match="from 1 to 2"):
        find_face(both, 3)


def test_the_larger_of_two_faces_is_taken():
    canvas = np.full((192, 300, 3), 120, np.uint8)
    canvas[:, :192] = photograph(0)
    canvas[50:146, 200:296] = cv2.resize(photograph(1), (96, 96), interpolation=cv2.INTER_AREA)
    assert eyes(find_face(canvas))[0][0] < 192


def test_flags_say_what_is_wrong():
    good = find_face(photograph(4)).quality
    assert good.flags == ()
    assert any("blurred" in flag for flag in find_face(blurred(photograph(4), 5)).quality.flags)


def test_a_masked_face_has_less_presence():
    face = find_face(photograph(4))
    covered = photograph(4).copy()
    hull = face.landmarks.points[[5, 234, 454, 132, 361, 152, 148, 377], :2].astype(np.int32)
    cv2.fillPoly(covered, [cv2.convexHull(hull)], (190, 200, 210))
    found = find_faces(covered)
    assert all(one.quality.presence < face.quality.presence for one in found)


def test_the_drawing_shows_what_was_found():
    image = photograph(0)
    drawn = draw_faces(image, find_faces(image))
    assert drawn.shape == (400, 400, 3)
    assert np.abs(drawn.astype(int) - cv2.resize(image, (400, 400), interpolation=cv2.INTER_CUBIC)).max() > 50
    assert np.array_equal(draw_faces(drawn, []), drawn)
