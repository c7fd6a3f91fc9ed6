"""Does a map depend on what was learnt? Random weights must destroy it (Adebayo et al. 2018)."""

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
from morphoscope.classify.network.weights import classifier_names

_STRONGEST = 99.0  # percentile of a map that counts as 1
_WINDOW = 1.5  # deviation of the Gaussian window, pixels
_C1, _C2 = 0.01**2, 0.03**2
_STAGES = 5  # of a cascade, beside the head


def randomised(ensemble: Ensemble, seed: int = 0) -> Ensemble:
    """The same networks as before any training: all weights drawn anew, as timm initialises them."""
    models = {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for name in ensemble.folds:
            models[name] = ConditionClassifier(
                ensemble.config, len(ensemble.conditions), len(ensemble.auxiliary)
            )
    return Ensemble(ensemble.config, ensemble.conditions, models, ensemble.metadata, ensemble.device)


class Stage(NamedTuple):
    """Layers of a backbone that are drawn anew together.

    Attributes:
        layers: what they are called, from the head's side on, e.g. "blocks.6, blocks.5".
        keys: theirs in the backbone's state.
    """

    layers: str
    keys: list[str]


def stages(backbone: nn.Module) -> list[Stage]:
    """The head, then timm's stages of the backbone towards the input, joined to at most five.

    Of a family whose stages timm does not tell: the head, then all the rest.
    """
    head, *others = _stage_keys(backbone)
    joined = [
        [key for keys in others[part[0] : part[-1] + 1] for key in keys]
        for part in np.array_split(np.arange(len(others)), min(_STAGES, len(others)))
    ]
    return [Stage(_layers(keys), keys) for keys in (head, *joined)]


def _stage_keys(backbone: nn.Module) -> list[list[str]]:
    """The keys of a backbone's state by stage, from the head on."""
    matcher = getattr(backbone, "group_matcher", None)
    if matcher is None:
        heads = tuple(f"{name}." for name in classifier_names(backbone))
        keys = list(backbone.state_dict())
        return [[key for key in keys if key.startswith(heads) == of_head] for of_head in (True, False)]
    groups = group_parameters(backbone, matcher(coarse=True))
    owner = {name.rpartition(".")[0]: group for group, names in groups.items() for name in names}
    found: dict[int, list[str]] = {group: [] for group in sorted(groups, reverse=True)}
    for key in backbone.state_dict():  # batch statistics, too, go with their layer
        found[owner.get(key.rpartition(".")[0], 0)].append(key)
    return list(found.values())


def _layers(keys: list[str]) -> str:
    """Short names, e.g. "blocks.5" for blocks.5.0.conv_pw.weight."""
    short = (re.sub(r"^(\w+(?:\.\d+)?)\..*", r"\1", key) for key in keys)
    return ", ".join(dict.fromkeys(short))


def cascade(ensemble: Ensemble, seed: int = 0) -> Iterator[tuple[str, Ensemble]]:
    """Draw one stage after the other anew, from the head towards the input, and leave it so.

    That is the cascading randomisation of Adebayo et al. (2018, arXiv 1810.03292, section 3); after its last
    stage the networks are those of `randomised`.

    Yields:
        (the layers drawn anew last, the ensemble), which is good until the next is asked for.
    """
    fresh = randomised(ensemble, seed)
    models = dict(zip(ensemble.folds, deepcopy(ensemble.models), strict=True))
    for stage in stages(ensemble.models[0].backbone):
        for model, source in zip(models.values(), fresh.models, strict=True):
            state = source.backbone.state_dict()
            model.backbone.load_state_dict({key: state[key] for key in stage.keys}, strict=False)
        yield (
            stage.layers,
            Ensemble(ensemble.config, ensemble.conditions, models, ensemble.metadata, ensemble.device),
        )


def similarity(own: np.ndarray, other: np.ndarray) -> dict[str, float]:
    """A map against that after weights became random: rank correlation, also of absolute values, and SSIM."""
    return {
        "rank_random": rank_correlation(own, other),
        "absolute_random": rank_correlation(np.abs(own), np.abs(other)),
        "ssim_random": structural_similarity(own, other),
    }


def structural_similarity(a: np.ndarray, b: np.ndarray) -> float:
    """SSIM (Wang et al. 2004, eq. 13) of two maps' absolute values, each clipped at its 99th percentile as 1.

    The window is Gaussian, 1.5 pixels, as in the paper. 1 for equal maps, around 0 for unrelated ones.
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
