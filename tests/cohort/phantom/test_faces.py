"""Phantom syndromes: changes of known strength at known places, and the cohort of them."""

import cv2
import numpy as np
import pytest

from morphoscope.cohort import read_image
from morphoscope.cohort.face_mesh import (
    CHIN,
    LEFT_EYE_OUTER,
    MOUTH_LEFT,
    MOUTH_RIGHT,
    RIGHT_EYE_OUTER,
    UPPER_LIP,
    canonical_face,
)
from morphoscope.cohort.phantom.face_shapes import Bump, shifts
from morphoscope.cohort.phantom.face_warps import PHANTOM_SYNDROMES, UNCHANGED, warp_face
from morphoscope.cohort.phantom.faces import Portrait, phantom_faces, phantom_people
from morphoscope.configs import UserError

SIZE = 200


def mesh():
    """The canonical face in an image of 200 pixels: 9 pixels per cm."""
    return canonical_face().points[:, :2] * [9, -9] + [SIZE / 2, SIZE / 2]


def marked(point):
    """A black image with a white spot at one mesh point."""
    y, x = np.indices((SIZE, SIZE))
    away = np.hypot(x - mesh()[point][0], y - mesh()[point][1])
    return np.repeat(np.round(255 * np.exp(-((away / 3) ** 2))).astype(np.uint8)[..., None], 3, axis=2)


def moved(point, syndrome, degree=1.0):
    """(right, down): by how many pixels the spot at a point moves."""
    image = warp_face(marked(point), mesh(), syndrome, degree).image[..., 0].astype(float)
    y, x = np.indices(image.shape)
    place = np.array([(x * image).sum(), (y * image).sum()]) / image.sum()
    return place - mesh()[point]


def test_bumps_are_symmetric_and_fade():
    found = shifts([Bump(2.5, -4.3, 1.0, 0.5, -0.25)])
    assert found[MOUTH_LEFT] == pytest.approx(found[MOUTH_RIGHT] * [-1, 1], abs=1e-6)
    assert found[MOUTH_RIGHT][0] == pytest.approx(0.5, abs=0.02)
    assert found[MOUTH_RIGHT][1] == pytest.approx(-0.25, abs=0.02)
    assert np.abs(found[RIGHT_EYE_OUTER]).max() < 1e-6


@pytest.mark.parametrize(
    ("syndrome", "point", "direction"),
    [
        ("wide-set eyes", RIGHT_EYE_OUTER, (1, 0)),
        ("wide-set eyes", LEFT_EYE_OUTER, (-1, 0)),
        ("down-slanting eyes", RIGHT_EYE_OUTER, (0, 1)),
        ("long philtrum", UPPER_LIP, (0, 1)),
        ("small chin", CHIN, (0, -1)),
        ("wide mouth", MOUTH_LEFT, (-1, 0)),
    ],
)
def test_points_move_as_the_syndrome_says(syndrome, point, direction):
    full, half = moved(point, syndrome), moved(point, syndrome, 0.5)
    along = full @ direction
    assert along > 2
    assert abs(full @ [direction[1], direction[0]]) < along / 2
    assert half @ direction == pytest.approx(along / 2, rel=0.25)


@pytest.mark.parametrize("syndrome", PHANTOM_SYNDROMES)
def test_the_mask_is_where_the_image_changes(syndrome):
    noise = cv2.GaussianBlur(np.random.default_rng(0).normal(size=(SIZE, SIZE, 3)), (0, 0), 3)
    image = np.clip(128 + 500 * noise, 0, 255).astype(np.uint8)
    warped, mask = warp_face(image, mesh(), syndrome, 1)
    change = np.abs(warped.astype(int) - image).mean(axis=2)
    assert change[mask].mean() > 10 * change[~mask].mean()
    assert 0.005 < mask.mean() < 0.3


def test_degree_zero_and_the_unaffected_stay_as_they_are():
    image = np.random.default_rng(0).integers(0, 255, (SIZE, SIZE, 3)).astype(np.uint8)
    for syndrome, degree in ((UNCHANGED, 1), ("wide mouth", 0)):
        warped, mask = warp_face(image, mesh(), syndrome, degree)
        assert np.array_equal(warped, image)
        assert not mask.any()


def portraits(people=7, images=2):
    noise = np.random.default_rng(0).integers(0, 255, (SIZE, SIZE, 3)).astype(np.uint8)
    return [Portrait(noise, f"p{person}") for person in range(people) for _ in range(images)]


def test_the_cohort_has_each_syndrome_with_masks(tmp_path):
    cohort = phantom_faces(tmp_path / "faces", portraits(), lambda _: mesh(), degree=0.5)
    assert set(cohort.conditions) == {UNCHANGED, *PHANTOM_SYNDROMES}
    assert len(cohort) == 14
    assert (cohort.rows.groupby("group")["condition"].nunique() == 1).all()
    assert cohort.check().ok
    rows = cohort.rows.set_index("condition")
    assert set(rows.loc["wide mouth", "degree"]) == {"0.5"}
    assert set(rows.loc[UNCHANGED, "degree"]) == {"0"}
    changed = cohort.rows.index[cohort.rows["condition"] == "wide mouth"][0]
    assert (read_image(tmp_path / "faces" / cohort.rows["mask"][changed]) == 255).any()
    again = phantom_faces(tmp_path / "again", portraits(), lambda _: mesh(), degree=0.5)
    assert again.digest == cohort.digest


def test_portraits_without_a_mesh_are_left_out(tmp_path):
    calls = iter([None, *[mesh()] * 13])
    assert len(phantom_faces(tmp_path / "faces", portraits(), lambda _: next(calls))) == 13
    with pytest.raises(UserError, match="No face"):
        phantom_faces(tmp_path / "none", portraits(), lambda _: None)
    assert not (tmp_path / "none").exists()


def test_too_few_people_and_wrong_degrees_are_refused(tmp_path):
    with pytest.raises(UserError, match="at least 7"):
        phantom_faces(tmp_path / "faces", portraits(people=6), lambda _: mesh())
    with pytest.raises(UserError, match="degree"):
        phantom_faces(tmp_path / "faces", portraits(), lambda _: mesh(), degree=3)


def test_people_do_not_depend_on_their_number():
    few, many = phantom_people(1, 2, seed=3, size=64), phantom_people(2, 3, seed=3, size=64)
    assert np.array_equal(few[1].image, many[1].image)
    assert [portrait.person for portrait in many] == [f"phantom-person-{n:04d}" for n in (0, 0, 0, 1, 1, 1)]
