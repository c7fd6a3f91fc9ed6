"""A generator of three stages with random weights, and a photograph in it."""

import pytest
import torch

from morphoscope.generate import GeneratorModel
from morphoscope.generate.centres import class_means
from morphoscope.generate.description import (
    GeneratorKeywords,
    MappingKeywords,
    SnapshotMetadata,
    SynthesisKeywords,
)
from morphoscope.generate.latents import ProjectedPhotograph
from morphoscope.generate.networks.generator import Generator


@pytest.fixture(scope="session")
def model():
    """Conditions early, middle (the stage between the two others) and late; 16 px."""
    torch.manual_seed(0)
    keywords = GeneratorKeywords(
        c_dim=3,
        img_resolution=16,
        img_channels=3,
        z_dim=8,
        w_dim=8,
        mapping_kwargs=MappingKeywords(num_layers=2, stages=[[1, 0, 2]]),
        synthesis_kwargs=SynthesisKeywords(channel_base=128, channel_max=8),
    )
    G = Generator(**keywords.model_dump()).eval().requires_grad_(False)
    with torch.no_grad():
        G.mapping.w_avg.copy_(class_means(G, 3).mean(0))
    metadata = SnapshotMetadata(
        conditions=["early", "middle", "late"],
        cohort_digest="ab",
        trained_on_folds=[],
        phantom=True,
        generator=keywords,
    )
    return GeneratorModel(G, class_means(G, 3), metadata, "0123456789abcdef")


@pytest.fixture
def photograph(model):
    codes = torch.randn([model.G.num_ws, 8], generator=torch.Generator().manual_seed(1))
    tuned = {"b16.conv1.weight": 1.5 * model.G.synthesis.b16.conv1.weight}
    return ProjectedPhotograph(
        "ab12",
        model.digest,
        "tuned",
        {"early": 1.0},
        codes,
        tuned,
        {"psnr": 30.5},
    )
