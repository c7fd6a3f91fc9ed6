"""Peak memory of integrated gradients on large backbones.

    python benchmarks/attribution_memory.py [--backbone tf_efficientnet_b4 --resolution 448 --folds 5]

The weights are random, because memory does not depend on them. Nor does it depend on the number of steps,
which are computed a few at a time, so that few steps show the peak. On a GPU, the peak of its memory is
printed too.
"""

import argparse
import resource

import numpy as np
import torch

from morphoscope.classify import Ensemble
from morphoscope.classify.description import EnsembleMetadata
from morphoscope.classify.network.classifier import ConditionClassifier
from morphoscope.configs.classifier import EnsembleTraining


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--backbone", default="tf_efficientnet_b4")
    parser.add_argument("--resolution", type=int, default=448)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--method", default="integrated_gradients")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    config = EnsembleTraining(
        backbone=options.backbone,
        resolution=options.resolution,
        weights="none",
        epochs=1,
        batch=2,
        learning_rate=1e-3,
    )
    models = {str(fold): ConditionClassifier(config, 16) for fold in range(options.folds)}
    conditions = [f"condition {number}" for number in range(16)]
    metadata = EnsembleMetadata(config=config, conditions=conditions, folds=list(models))
    ensemble = Ensemble(metadata, models, options.device)
    before = _peak()
    image = np.random.default_rng(0).integers(0, 256, (600, 800, 3), dtype=np.uint8)
    found = ensemble.attribute(image, 0, options.method, steps=options.steps)
    print(
        f"{options.method}, {options.backbone}, {options.resolution} px, {options.folds} folds, "
        f"{options.steps} steps on {options.device}: peak resident {_peak():.2f} GB, of which "
        f"{before:.2f} before the first map; map of {found.map.shape}"
    )
    if ensemble.device.type == "cuda":
        print(f"GPU peak {torch.cuda.max_memory_allocated() / 1e9:.2f} GB")


def _peak() -> float:
    """Largest resident set of this process so far, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


if __name__ == "__main__":
    main()
