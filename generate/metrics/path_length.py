"""Perceptual path length: how fast images change along paths in W (Karras et al. 2019, section 4.1)."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from scipy.stats import t

from morphoscope.generate.execution import in_batches
from morphoscope.generate.metrics.measure import Measure, Measured
from morphoscope.generate.metrics.perceptual import PerceptualNetwork
from morphoscope.generate.model import GeneratorModel, draw_latents
from morphoscope.runtime.jackknife import of_positive
from morphoscope.runtime.progress import track

_STEP = 1e-4  # as published


def measure_path_length(
    model: GeneratorModel,
    network: PerceptualNetwork,
    counts: Mapping[str, int],
    paths: int,
    psi: float = 1.0,
    seed: int = 0,
) -> Measure:
    """The mean path length of each condition with its interval over seeds; no real image takes part.

    Args:
        counts: {condition: number of real images}; the overall value has their proportions.
        paths: number per condition, at least 2.
        psi: truncation of both ends of every path; published values are for 1.
        seed: of the first end; each path takes two seeds.
    """
    lengths = {
        name: path_lengths(model, network, name, range(seed, seed + 2 * paths), psi)
        for name in track(counts, "Measuring paths", unit="conditions")
    }
    quantile = float(t.ppf(0.975, paths - 1))
    means = {name: float(found.mean()) for name, found in lengths.items()}
    variances = {name: float(found.var(ddof=1)) / paths for name, found in lengths.items()}
    shares = {name: count / sum(counts.values()) for name, count in counts.items()}
    mean = sum(shares[name] * value for name, value in means.items())
    variance = sum(shares[name] ** 2 * value for name, value in variances.items())
    return Measure(
        "ppl",
        network.name,
        Measured(of_positive(mean, variance, quantile)),
        {name: Measured(of_positive(means[name], variances[name], quantile)) for name in counts},
    )


def path_lengths(
    model: GeneratorModel,
    network: PerceptualNetwork,
    condition: str,
    seeds: Sequence[int],
    psi: float = 1.0,
) -> np.ndarray:
    """Squared perceptual distance per squared step at the beginning of N paths in W: float64 [N].

    Each path begins at the w of one seed and leads to that of the next, both of the same condition; the step
    is 1e-4 of it. No path is discarded. Images are computed in float32 whatever the model's precision,
    because rounding to bfloat16 would exceed their differences.

    Args:
        seeds: 2 N.
    """
    labels = np.repeat(model.label(condition)[None], len(seeds), axis=0)
    codes = model.codes(draw_latents(seeds, model.G.z_dim), labels, psi)
    begin, end = codes[::2], codes[1::2]

    def lengths(here: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        images = model.G.synthesis(torch.cat([here, there]), "const").expand(-1, 3, -1, -1)
        features = network.features(images)
        return network.distance(features[: len(here)], features[len(here) :]) / _STEP**2

    with torch.no_grad():
        found = in_batches(model.G.synthesis, lengths, begin, begin + _STEP * (end - begin))
    return found.double().cpu().numpy()
