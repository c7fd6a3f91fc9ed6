"""Adam for both networks, as published: corrected for lazy regularisation, with rates by resolution."""

import re
from math import log2

import torch

from morphoscope.configs.generator import ResolvedTrainingGroup

_BETAS = (0.0, 0.99)
_BLOCK = re.compile(r"(?:^|\.)b(\d+)\.")


def build_optimizer(
    network: torch.nn.Module, training: ResolvedTrainingGroup, interval: int, fused: bool
) -> torch.optim.Adam:
    """Adam with rate and betas corrected for lazy regularisation (StyleGAN2, appendix B).

    As in the published release the correction does not depend on whether the regularisation has a weight.

    Args:
        interval: number of iterations from one regularisation step to the next.
        fused: whether a step is one kernel, on a GPU only.
    """
    ratio = interval / (interval + 1)
    groups: dict[float, list[torch.nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        groups.setdefault(training.layer_decay ** _octaves(name), []).append(parameter)
    return torch.optim.Adam(
        [{"params": parameters, "lr": training.lr * ratio * factor} for factor, parameters in groups.items()],
        betas=(_BETAS[0] ** ratio, _BETAS[1] ** ratio),
        eps=1e-8,
        fused=fused,
    )


def _octaves(name: str) -> int:
    """How often the resolution of a parameter's block is 4 px doubled; 0 outside the blocks (mapping)."""
    block = _BLOCK.search(name)
    return 0 if block is None else int(log2(int(block[1]) / 4))
