"""The stream of training images: its order and its balance; stretches do not depend on each other."""

import numpy as np
import pytest
import torch

from morphoscope.generate.networks.discriminator import MinibatchStd
from morphoscope.generate.training.data import RealImages

CPU = torch.device("cpu")


def stream(counts, sampling, seed=3, group=4):
    """Images whose pixels are their index, `counts` of each condition."""
    labels = np.repeat(np.arange(len(counts)), counts)
    images = np.arange(len(labels), dtype=np.uint8)[:, None, None, None].repeat(3, 3)
    return RealImages(images, labels, len(counts), seed, sampling, group, CPU)


def shown(data, start, number):
    images, _ = data.stretch(start, number)
    return ((images[:, 0, 0, 0] + 1) * 127.5).round().int().tolist()


def test_natural_sampling_shows_every_image_once_per_epoch():
    data = stream([7, 3], "natural")
    first, second = shown(data, 0, 10), shown(data, 10, 10)
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second


def test_balanced_sampling_shows_every_condition_once_per_round():
    data = stream([7, 3, 1], "balanced")
    _, labels = data.stretch(0, 3 * 21)
    assert (labels.reshape(21, 3, 3).sum(dim=1) == 1).all()
    indices = shown(data, 0, 3 * 21)
    counts = np.bincount(indices, minlength=11)
    assert counts.tolist() == [3] * 7 + [7] * 3 + [21]


def test_grouped_sampling_gives_each_group_of_the_minibatch_deviation_one_condition():
    data = stream([7, 3, 1], "grouped")
    _, labels = data.stretch(0, 24)
    torch.manual_seed(0)
    for hot in (labels, data.random_labels(24)):
        groups = hot.argmax(dim=1).reshape(4, 6)  # as MinibatchStd does
        assert (groups == groups[0]).all()
        assert groups[0].unique().numel() > 1


def test_grouped_sampling_shows_conditions_equally_often_and_each_image_of_one_as_often():
    counts = np.bincount(shown(stream([7, 3, 1], "grouped"), 0, 3 * 84), minlength=11)
    assert counts.tolist() == [12] * 7 + [28] * 3 + [84]


def test_the_deviation_of_a_group_vanishes_if_and_only_if_images_of_one_condition_are_alike():
    data = stream([8, 8], "grouped")
    _, labels = data.stretch(0, 16)
    alike = labels[:, :1, None, None].expand(16, 1, 2, 2)
    apart = alike + torch.randn(16, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    deviation = MinibatchStd(4)
    assert deviation(alike)[:, 1].max() < 1e-3 < deviation(apart)[:, 1].min()


@pytest.mark.parametrize("sampling", ["natural", "balanced"])
def test_a_stretch_does_not_depend_on_earlier_ones(sampling):
    whole = shown(stream([7, 3], sampling), 0, 40)
    pieces = stream([7, 3], sampling)
    assert shown(pieces, 26, 14) == whole[26:]
    assert shown(pieces, 0, 13) + shown(pieces, 13, 13) == whole[:26]


def test_labels_belong_to_their_images():
    data = stream([7, 3], "natural")
    _, labels = data.stretch(0, 10)
    assert labels.argmax(dim=1).tolist() == [int(index >= 7) for index in shown(data, 0, 10)]


@pytest.mark.parametrize(("sampling", "fraction"), [("natural", 0.9), ("balanced", 0.5), ("grouped", 0.5)])
def test_labels_of_fakes_are_as_frequent_as_in_the_stream(sampling, fraction):
    torch.manual_seed(0)
    labels = stream([90, 10], sampling).random_labels(4000)
    assert labels.sum(dim=1).unique().tolist() == [1.0]
    assert labels[:, 0].mean().item() == pytest.approx(fraction, abs=0.03)
