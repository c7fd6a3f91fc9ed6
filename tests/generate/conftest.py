"""A tiny cohort, config, trained snapshot, feature network and perceptual network."""

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

from morphoscope.cohort import Cohort
from morphoscope.configs.generator import GeneratorTraining
from morphoscope.generate import train_generator
from morphoscope.generate.metrics import FeatureNetwork
from morphoscope.generate.metrics.features import NetworkFunction
from morphoscope.generate.metrics.perceptual import PerceptualNetwork
from morphoscope.runtime import RunFolder

TINY = {
    "resolution": 16,
    "z_dim": 8,
    "w_dim": 8,
    "channel_base": 128,
    "channel_max": 8,
    "batch": 4,
    "mbstd_group": 2,
    "num_fp16_res": 0,
    "g_interval": 2,
    "d_interval": 3,
    "ada_kimg": 0.1,
    "kimg": 0.04,
    "tick_kimg": 0.012,
    "snapshot_ticks": 2,
    "metric_network": None,
}


@pytest.fixture(scope="session")
def tiny_config():
    return GeneratorTraining(**TINY)


@pytest.fixture(scope="session")
def tiny_cohort(tmp_path_factory):
    """Two conditions, twelve real images each, folds 0-2 and test."""
    root = tmp_path_factory.mktemp("tiny-cohort")
    random = np.random.default_rng(0)
    rows = []
    for condition, level in [("dark", 60), ("pale", 190)]:
        for index in range(12):
            pixels = np.clip(random.normal(level, 20, (20, 20, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / f"{condition}{index}.png")
            fold = ["0", "1", "2", "test"][index % 4]
            rows.append(
                {
                    "file": f"{condition}{index}.png",
                    "condition": condition,
                    "group": f"{condition}{index}",
                    "view": "focused",
                    "fold": fold,
                    "source": "real",
                }
            )
    cohort = Cohort.from_rows(root, pd.DataFrame(rows))
    cohort.save()
    return cohort


@pytest.fixture(scope="session")
def tiny_run(tiny_config, tiny_cohort, tmp_path_factory):
    """The run folder of a finished training without fold 2."""
    run = RunFolder(tmp_path_factory.mktemp("tiny-run"))
    train_generator(tiny_config, tiny_cohort, run, exclude_folds=["2"])
    return run


@pytest.fixture(scope="session")
def tiny_snapshot(tiny_run):
    return max(tiny_run.path.glob("snapshot-*.safetensors"))


class Colours(nn.Module):
    """Mean colours at two scales."""

    def forward(self, images):
        return [nn.functional.adaptive_avg_pool2d(images, size) for size in (16, 4)]


@pytest.fixture(scope="session")
def colours():
    """A small perceptual network."""
    return PerceptualNetwork("colours", "0" * 16, Colours(), torch.device("cpu"))


class Averages(nn.Module):
    """Mean colours of a 4 × 4 grid; counts the images that it sees."""

    def __init__(self):
        super().__init__()
        self.seen = 0

    def forward(self, x):
        self.seen += len(x)
        return nn.functional.adaptive_avg_pool2d(x, 4).flatten(1)


@pytest.fixture
def make_network():
    """make_network(name, digest) -> a network with 48 features; its module counts the images it sees."""

    def make(name="averages", digest="0" * 16):
        compute = NetworkFunction(Averages(), size=16, mean=127.5, sd=127.5, device=torch.device("cpu"))
        return FeatureNetwork(name, digest, compute, dimensions=48, batch=compute.batch)

    return make
