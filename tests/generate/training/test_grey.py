"""Trainings on grey images: snapshots, sheets, samples and metrics, and conversion from and to RGB."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console

from morphoscope.cohort.luma import LUMA_WEIGHTS, in_grey
from morphoscope.cohort.marked_files import read_provenance
from morphoscope.configs.commands import Sampling
from morphoscope.configs.morphs import Morphing
from morphoscope.generate import augment, load, train_generator
from morphoscope.generate.exports import write_samples
from morphoscope.generate.latents.parsing import parse_ends
from morphoscope.generate.metrics import CopyingMeter, Pair
from morphoscope.generate.morph_files import write_morph
from morphoscope.generate.snapshots import read_discriminator
from morphoscope.runtime import RunFolder


@pytest.fixture(scope="module")
def grey_config(tiny_config):
    return tiny_config.model_copy(update={"img_channels": 1, "kimg": 0.012, "snapshot_ticks": 1})


@pytest.fixture(scope="module")
def grey_snapshot(grey_config, tiny_cohort, tmp_path_factory):
    run = RunFolder(tmp_path_factory.mktemp("grey"))
    return train_generator(grey_config, tiny_cohort, run)


def is_grey(pixels):
    pixels = np.asarray(pixels)
    return (pixels == pixels[..., :1]).all()


def test_a_grey_generator_is_sampled_drawn_and_stored(grey_snapshot, tmp_path):
    model = load(grey_snapshot)
    images = model.sample("dark", [0, 1])
    assert images.shape == (2, 16, 16, 3) and is_grey(images)
    assert "16 px grey" in repr(model)
    assert is_grey(Image.open(grey_snapshot.with_name("reals.png")).convert("RGB"))
    sheet = write_samples(model, tmp_path / "samples", Sampling(count=2, psi=0.7))
    assert is_grey(Image.open(sheet).convert("RGB"))
    with Image.open(tmp_path / "samples" / "dark" / "seed0001.png") as image:
        assert image.mode == "L" and read_provenance(image).seed == 1
        np.testing.assert_array_equal(np.asarray(image), images[1, ..., 0])
    cohort = augment(model, tmp_path / "cohort", per_condition=1)
    assert is_grey(cohort.images(16))


def test_frames_of_a_morph_are_grey_files_that_a_resumed_morph_keeps(grey_snapshot, tmp_path):
    model, frame, written = load(grey_snapshot), tmp_path / "frame001.png", []
    for _ in range(2):
        write_morph(model, tmp_path, parse_ends(["dark", "pale"], model, 0), Morphing(steps=2))
        written.append(frame.stat().st_mtime_ns)
    assert written[0] == written[1]
    with Image.open(frame) as image:
        assert image.mode == "L"
    assert is_grey(Image.open(tmp_path / "strip.png").convert("RGB"))


def test_real_images_beside_grey_ones_are_grey(tiny_cohort, make_network):
    training, held_out = (tiny_cohort.select(tiny_cohort.rows["fold"] == fold) for fold in ("0", "1"))
    meter = CopyingMeter(make_network(), training, held_out, 16, grey=True)
    shown = meter.training_images([Pair("dark", 0, row, 0.0) for row in (3, 0)])
    np.testing.assert_array_equal(shown, in_grey(training.images(16))[[3, 0]])


def test_reals_are_compared_in_grey(grey_config, tiny_cohort, make_network, tmp_path, monkeypatch):
    """The feature network sees no colour, neither in the generated nor in the real images."""
    network, seen = make_network(digest="9" * 16), []
    features = network.features

    def watched(images, **options):
        seen.append(images)
        return features(images, **options)

    network.features = watched
    monkeypatch.setattr("morphoscope.generate.training.run.feature_network", lambda *_: network)
    config = grey_config.model_copy(update={"metric_network": "averages", "metric_images": 8})
    train_generator(config, tiny_cohort, RunFolder(tmp_path))
    assert [len(images) for images in seen] == [18, 8, 8]
    assert all(is_grey(images) for images in seen)


@pytest.fixture
def start(tiny_cohort, tmp_path):
    """start(config, snapshot) -> G and D after one batch with hardly any learning, and what was printed."""

    def train(config, snapshot):
        console = Console(file=io.StringIO(), width=1000)
        still = config.model_copy(update={"kimg": 0.004, "lr": 1e-9})
        path = train_generator(
            still, tiny_cohort, RunFolder(tmp_path / "start"), start_from=snapshot, console=console
        )
        return load(path).G, read_discriminator(path), console.file.getvalue()

    return train


def test_from_rgb_to_grey(start, grey_config, tiny_snapshot):
    G, D, printed = start(grey_config, tiny_snapshot)
    assert "layers at the image, converted to 1 channels (was 3)" in printed
    assert "torgb" not in printed and "fromrgb" not in printed
    z, c, grey = torch.randn(4, 8), torch.eye(2)[[0, 1, 1, 0]], torch.randn(4, 1, 16, 16)
    before, D_before = load(tiny_snapshot).G(z, c, noise_mode="const"), read_discriminator(tiny_snapshot)
    luma = (before * torch.tensor(LUMA_WEIGHTS)[:, None, None]).sum(1, keepdim=True)
    torch.testing.assert_close(G(z, c, noise_mode="const"), luma, rtol=0, atol=1e-4)
    torch.testing.assert_close(D(grey, c), D_before(grey.repeat(1, 3, 1, 1), c), rtol=0, atol=1e-4)


def test_from_grey_to_rgb(start, tiny_config, grey_snapshot):
    G, D, printed = start(tiny_config, grey_snapshot)
    assert "layers at the image, converted to 3 channels (was 1)" in printed
    z, c, images = torch.randn(4, 8), torch.eye(2)[[0, 1, 1, 0]], torch.randn(4, 3, 16, 16)
    before, D_before = load(grey_snapshot).G(z, c, noise_mode="const"), read_discriminator(grey_snapshot)
    torch.testing.assert_close(G(z, c, noise_mode="const"), before.repeat(1, 3, 1, 1), rtol=0, atol=1e-4)
    torch.testing.assert_close(D(images, c), D_before(images.mean(1, keepdim=True), c), rtol=0, atol=1e-4)
