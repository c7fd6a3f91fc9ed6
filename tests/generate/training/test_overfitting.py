"""A generator that is trained on 20 images until it copies them is caught; a fresh one is not."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from morphoscope.configs.generator import GeneratorTraining
from morphoscope.generate.metrics import CopyingReport, RealFeatures, measure_copying
from morphoscope.generate.rendering import to_uint8
from morphoscope.generate.training.copying_alarm import CopyingAlarm
from morphoscope.generate.training.trainer import GeneratorTrainer
from morphoscope.runtime.torch_processes import Processes

SETTINGS = {
    "resolution": 8, "z_dim": 16, "w_dim": 32, "channel_base": 512, "channel_max": 32, "num_fp16_res": 0,
    "batch": 20, "mbstd_group": 4, "lr": 0.005, "gamma": 0.01, "pl_weight": 0.0, "style_mixing": 0.0,
    "ema_kimg": 0.5, "augment": None, "metric_network": None,
}  # fmt: skip


def smooth_images(random, number):
    """Colours that change smoothly: uint8 [number, 8, 8, 3]."""
    grid = torch.from_numpy(random.uniform(40, 215, (number, 3, 3, 3)).astype(np.float32))
    images = functional.interpolate(grid, (8, 8), mode="bicubic", align_corners=True)
    return images.clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy()


def as_features(images, patients):
    """Pixels as features; one patient per image."""
    features = images.reshape(len(images), -1).astype(np.float64)
    return RealFeatures(
        features, np.repeat("a", len(images)), np.array([f"{patients}{k}" for k in range(len(images))])
    )


@pytest.mark.slow
def test_copies_of_20_images_are_caught_and_a_fresh_generator_is_not():
    random = np.random.default_rng(0)
    training, held_out = smooth_images(random, 20), smooth_images(random, 40)
    config = GeneratorTraining(**SETTINGS).resolved()
    alone = Processes(torch.device("cpu"))
    trainer = GeneratorTrainer(config, training, np.zeros(20, np.int64), ["a"], alone)

    def tested() -> CopyingReport:
        z = torch.randn(100, 16, generator=torch.Generator().manual_seed(1))
        with torch.no_grad():
            images = to_uint8(trainer.G_ema(z, torch.ones(100, 1)))
        generated = {"a": as_features(images, "").features}
        return measure_copying("pixels", as_features(training, "t"), as_features(held_out, "h"), generated)

    fresh = tested()
    assert min(fresh.overall.p_value, fresh.overall.pull_p_value) > 0.05
    assert CopyingAlarm().check(fresh) is None
    for _ in range(150):
        trainer.iterate()
    overfitted = tested()
    assert overfitted.overall.closer.low > 0.6
    assert CopyingAlarm().check(overfitted) is not None
