"""Does a map depend on the trained weights? Random weights must destroy it (Adebayo et al. 2018)."""

import re
from collections.abc import Iterator
from copy import deepcopy
from typing import NamedTuple

import cv2
import numpy as np
import torch
from timm.models import group_parameters
from torch import nn

from morphoscope.classify.attribution.maps import rank_correlation
from morphoscope.classify.ensemble import Ensemble
from morphoscope.classify.network.classifier import ConditionClassifier
from morphoscope.runtime.torch_timm_weights import classifier_names

_STRONGEST = 99.0  # percentile of the absolute map that is scaled to 1
_WINDOW = 1.5  # standard deviation of the Gaussian window, pixels
_C1, _C2 = 0.01**2, 0.03**2
_STAGES = 5  # most stages of a cascade, without the head


def randomised(ensemble: Ensemble, seed: int = 0) -> Ensemble:
    """The same networks with all weights re-initialised as timm does, reproducibly by seed."""
    models = {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for name in ensemble.folds:
            models[name] = ConditionClassifier(
                ensemble.config, len(ensemble.conditions), len(ensemble.auxiliary)
            )
    return ensemble.with_models(models)


class Stage(NamedTuple):
    """Layers of a backbone that are re-initialised together.

    Attributes:
        layers: their names, those nearest to the head first, e.g. "blocks.6, blocks.5".
        keys: the keys of their tensors in the backbone's state.
    """

    layers: str
    keys: list[str]


def stages(backbone: nn.Module) -> list[Stage]:
    """The head, then timm's stages of the backbone from the head to the input, merged into at most five.

    For an architecture whose stages timm does not define: the head, then everything else.
    """
    head, *others = _stage_keys(backbone)
    joined = [
        [key for keys in others[part[0] : part[-1] + 1] for key in keys]
        for part in np.array_split(np.arange(len(others)), min(_STAGES, len(others)))
    ]
    return [Stage(_layers(keys), keys) for keys in (head, *joined)]


def _stage_keys(backbone: nn.Module) -> list[list[str]]:
    """The keys of a backbone's state by stage, the head's first."""
    matcher = getattr(backbone, "group_matcher", None)
    if matcher is None:
        heads = tuple(f"{name}." for name in classifier_names(backbone))
        keys = list(backbone.state_dict())
        return [[key for key in keys if key.startswith(heads) == of_head] for of_head in (True, False)]
    groups = group_parameters(backbone, matcher(coarse=True))
    owner = {name.rpartition(".")[0]: group for group, names in groups.items() for name in names}
    found: dict[int, list[str]] = {group: [] for group in sorted(groups, reverse=True)}
    for key in backbone.state_dict():  # batch statistics belong to their layer
        found[owner.get(key.rpartition(".")[0], 0)].append(key)
    return list(found.values())


def _layers(keys: list[str]) -> str:
    """Short names of the layers, e.g. "blocks.5" for blocks.5.0.conv_pw.weight, separated by commas."""
    short = (re.sub(r"^(\w+(?:\.\d+)?)\..*", r"\1", key) for key in keys)
    return ", ".join(dict.fromkeys(short))


def cascade(ensemble: Ensemble, seed: int = 0) -> Iterator[tuple[str, Ensemble]]:
    """Re-initialise one stage after the other, from the head to the input, each on top of the previous ones.

    This is the cascading randomisation of Adebayo et al. (2018, arXiv 1810.03292, section 3). After the last
    stage the networks are those of `randomised` with the same seed.

    Yields:
        The layers of the stage, and the ensemble, which is valid until the next iteration.
    """
    fresh = randomised(ensemble, seed)
    models = dict(zip(ensemble.folds, deepcopy(ensemble.models), strict=True))
    for stage in stages(ensemble.models[0].backbone):
        for model, source in zip(models.values(), fresh.models, strict=True):
            state = source.backbone.state_dict()
            model.backbone.load_state_dict({key: state[key] for key in stage.keys}, strict=False)
        yield stage.layers, ensemble.with_models(models)


class Similarity(NamedTuple):
    """Similarity of two maps, each 1 for equal maps and around 0 for unrelated ones.

    Attributes:
        rank_random: Spearman's rank correlation, in [-1, 1].
        absolute_random: the same of the absolute values.
        ssim_random: `structural_similarity` of the absolute values.
    """

    rank_random: float
    absolute_random: float
    ssim_random: float


def similarity(trained: np.ndarray, random: np.ndarray) -> Similarity:
    """Compare the map of a trained model with that of random weights, both [R, R]."""
    return Similarity(
        rank_correlation(trained, random),
        rank_correlation(np.abs(trained), np.abs(random)),
        structural_similarity(trained, random),
    )


def structural_similarity(a: np.ndarray, b: np.ndarray) -> float:
    """SSIM (Wang et al. 2004, eq. 13) of the absolute values of two maps [H, W].

    Each map is divided by its 99th percentile and clipped to [0, 1]. The window is Gaussian with a standard
    deviation of 1.5 pixels, as in the paper. The result is 1 for equal maps and around 0 for unrelated ones.
    """
    x, y = _unit(a), _unit(b)
    mean_x, mean_y = _smooth(x), _smooth(y)
    variance_x, variance_y = _smooth(x * x) - mean_x**2, _smooth(y * y) - mean_y**2
    covariance = _smooth(x * y) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + _C1) / (mean_x**2 + mean_y**2 + _C1)
    structure = (2 * covariance + _C2) / (variance_x + variance_y + _C2)
    return float((luminance * structure).mean())


def _unit(attribution: np.ndarray) -> np.ndarray:
    strength = np.abs(attribution).astype(np.float64)
    strongest = float(np.percentile(strength, _STRONGEST)) or 1.0
    return np.clip(strength / strongest, 0, 1)


def _smooth(values: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(values, (0, 0), _WINDOW)
