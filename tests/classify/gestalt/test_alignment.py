"""Similarity transforms, warping, and the regions of an aligned face."""

import cv2
import numpy as np
import pytest
from phantom_faces import photograph

from morphoscope.classify.gestalt import crop_boxes, find_face, load_encoder, part_masks
from morphoscope.classify.gestalt.alignment import apply, inverse, scale_of, similarity, warp
from morphoscope.classify.gestalt.regions import CROPS, PARTS


def test_a_similarity_is_recovered():
    random = np.random.default_rng(0)
    source = random.normal(size=(5, 2)) * 30
    angle, scale = 0.7, 1.8
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    found = similarity(source, source @ turn.T + [4, -9])
    assert np.allclose(found, np.column_stack([turn, [4, -9]]))
    assert scale_of(found) == pytest.approx(scale)
    assert np.allclose(apply(inverse(found), apply(found, source)), source)


def test_a_mirrored_template_is_approached_without_a_reflection():
    source = np.array([[0.0, 0], [1, 0], [0, 2]])
    found = similarity(source, source * [-1, 1])
    assert np.linalg.det(found[:, :2]) > 0


def test_shrinking_averages():
    stripes = np.zeros((600, 600, 3), np.uint8)
    stripes[:, ::2] = 255
    shrunk = warp(stripes, np.array([[0.1, 0, 0], [0, 0.1, 0]]), 60)
    assert np.abs(shrunk[5:-5, 5:-5].astype(int) - 127).max() < 30


def test_shrinking_keeps_the_place():
    image = np.zeros((400, 400, 3), np.uint8)
    cv2.circle(image, (250, 130), 40, (255, 255, 255), -1)
    y, x = np.nonzero(warp(image, np.array([[0.25, 0, -10.0], [0, 0.25, 5.0]]), 100)[..., 0] > 127)
    assert x.mean() == pytest.approx(250 / 4 - 10, abs=0.7)
    assert y.mean() == pytest.approx(130 / 4 + 5, abs=0.7)


def test_a_square_beside_the_image_continues_its_border():
    image = np.full((50, 50, 3), 90, np.uint8)
    assert (warp(image, np.array([[0.1, 0, 500.0], [0, 0.1, 500.0]]), 20) == 90).all()


@pytest.fixture(scope="module")
def aligned():
    template, face = load_encoder().template, find_face(photograph(5))
    points = apply(template.transform(face.landmarks.points), face.landmarks.points)
    return template, points


def test_the_template_is_met(aligned):
    template, points = aligned
    found = np.stack([points[list(part), :2].mean(axis=0) for part in template.parts])
    assert np.abs(found - template.places).max() < 0.06 * template.size


def test_parts_share_no_pixel_and_cover_the_face(aligned):
    template, points = aligned
    masks = part_masks(points, template.size)
    assert tuple(masks) == PARTS
    together = np.sum(list(masks.values()), axis=0)
    assert together.max() == 1
    assert together.mean() > 0.4
    rows = {name: np.nonzero(mask)[0].mean() for name, mask in masks.items()}
    assert rows["forehead"] < rows["eyes"] < rows["nose"] < rows["mouth"] < rows["chin"]


def test_crops_are_those_of_deepgestalt(aligned):
    _, points = aligned
    boxes = crop_boxes(points)
    assert tuple(boxes) == CROPS
    left, top, right, bottom = boxes["whole"]
    assert all(
        left <= box[0] < box[2] <= right and top <= box[1] < box[3] <= bottom for box in boxes.values()
    )
    assert boxes["left"][0] == left
    assert boxes["right"][2] == right
