"""Networks as the ecosystem stores them, with the keyword names of its checkpoints."""

import pytest
import torch
from stylegan2_checkpoints import checkpoint_bytes

from morphoscope.generate import Discriminator, Generator

GENERATOR = {
    "z_dim": 8,
    "c_dim": 2,
    "w_dim": 8,
    "img_resolution": 16,
    "img_channels": 3,
    "mapping_kwargs": {"num_layers": 2},
    "synthesis_kwargs": {"channel_base": 128, "channel_max": 8, "num_fp16_res": 1, "conv_clamp": 256},
}
DISCRIMINATOR = {
    "c_dim": 2,
    "img_resolution": 16,
    "img_channels": 3,
    "channel_base": 128,
    "channel_max": 8,
    "num_fp16_res": 1,
    "conv_clamp": 256,
    "mapping_kwargs": {"num_layers": 2},
    "epilogue_kwargs": {"mbstd_group_size": 2},
}


@pytest.fixture(scope="session")
def networks():
    """G, D and G_ema with random weights, and a running mean that is not zero."""
    torch.manual_seed(0)
    made = {"G": Generator(**GENERATOR), "D": Discriminator(**DISCRIMINATOR), "G_ema": Generator(**GENERATOR)}
    for name in ("G", "G_ema"):
        made[name].mapping.w_avg.normal_()
    return made


@pytest.fixture(scope="session")
def keywords():
    """What the networks were built with, as the ecosystem names it: with settings that ours lack."""
    synthesis = {
        **GENERATOR["synthesis_kwargs"],
        "fp16_channels_last": False,
        "resample_filter": [1, 3, 3, 1],
    }
    G = {**GENERATOR, "synthesis_kwargs": synthesis}
    D = {**DISCRIMINATOR, "block_kwargs": {"freeze_layers": 0}}
    return {"G": G, "D": D, "G_ema": G}


@pytest.fixture(scope="session")
def stored():
    """`checkpoint_bytes`: the bytes of a checkpoint of networks and their keywords."""
    return checkpoint_bytes


@pytest.fixture(scope="session")
def checkpoint(networks, keywords):
    """The bytes of a checkpoint of `networks`."""
    return checkpoint_bytes(networks, keywords)
