"""Cached features of real images: computed once, never stale, never unpickled."""

import logging

import numpy as np
import pytest

from morphoscope.cohort.caches import new_array
from morphoscope.generate.metrics.caching import cached_features


def images(seed=0):
    return np.random.default_rng(seed).integers(0, 256, (6, 16, 16, 3)).astype(np.uint8)


def test_computed_once(make_network, tmp_path):
    network = make_network()
    first = cached_features(network, images(), tmp_path / ".cache")
    assert first.shape == (6, 48)
    assert np.array_equal(cached_features(network, images(), tmp_path / ".cache"), first)
    assert network._compute.module.seen == 6


@pytest.mark.parametrize("change", ["images", "order", "network"])
def test_other_images_or_networks_have_their_own_file(make_network, tmp_path, change):
    cached_features(make_network(), images(), tmp_path)
    other = make_network(digest="1" * 16 if change == "network" else "0" * 16)
    pixels = {"images": images(1), "order": images()[::-1], "network": images()}[change]
    assert np.array_equal(cached_features(other, pixels, tmp_path), other.features(pixels))
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("damage", ["cut", "garbage", "empty", "archive", "objects", "shape", "not a number"])
def test_a_damaged_file_is_computed_again(make_network, tmp_path, caplog, damage):
    network = make_network()
    expected = cached_features(network, images(), tmp_path)
    (path,) = tmp_path.iterdir()
    content = path.read_bytes()
    if damage == "archive":
        np.savez(tmp_path / "archive.npz", expected)
        (tmp_path / "archive.npz").replace(path)
    elif damage == "objects":
        np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    elif damage == "not a number":
        path.unlink()
        with new_array(path, expected.shape, np.float32) as array:
            array[:] = np.nan
    elif damage == "shape":
        np.save(path, expected[:3])
    else:
        path.write_bytes({"cut": content[:-100], "garbage": b"garbage" * 99, "empty": b""}[damage])
    with caplog.at_level(logging.WARNING):
        assert np.array_equal(cached_features(network, images(), tmp_path), expected)
    assert "damaged" in caplog.text
    assert path.read_bytes() == content
