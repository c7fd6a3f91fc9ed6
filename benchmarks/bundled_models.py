"""What the bundled phantom models can do: the figures of docs/model-card.md, as Markdown.

    python benchmarks/bundled_models.py [--images 40]

The ensemble names fresh phantoms (of another seed than its training images) and generated images; intervals
are by phantom patient, and for generated images, which have none, over images. Diversity is the mean
distance of the features of two images of a condition, divided by that of fresh phantoms.
"""

import argparse
from typing import NamedTuple

import numpy as np

from morphoscope.apps.bundled_models import ENSEMBLE, GENERATOR
from morphoscope.classify import Ensemble
from morphoscope.cohort import PHANTOM_CONDITIONS, phantom_image
from morphoscope.generate import load
from morphoscope.generate.metrics.diversity import diversity
from morphoscope.generate.metrics.features import load_feature_network
from morphoscope.runtime.statistics import (
    balanced_accuracy,
    format_estimate,
    proportion,
    proportion_by_group,
)

FRESH_SEED = 77
PSIS = (0.7, 1.0)


class Answers(NamedTuple):
    """What the ensemble says of the images of one condition; bool [N] each."""

    named: np.ndarray
    novel: np.ndarray


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=40, help="of each condition; even")
    count = parser.parse_args().images
    generator, ensemble = load(GENERATOR), Ensemble.load(ENSEMBLE)
    network = load_feature_network()
    fresh = {name: fresh_phantoms(name, count, generator.resolution) for name in PHANTOM_CONDITIONS}
    print_fresh(ensemble, fresh)
    print(
        f"\nGenerator {generator.digest}, {count} images of each condition.\n\n"
        "| condition | psi | named by the ensemble | flagged as another kind of image | diversity |\n"
        "|---|---|---|---|---|"
    )
    for psi in PSIS:
        every: list[Answers] = []
        for name in PHANTOM_CONDITIONS:
            images = generator.sample(name, range(count), psi=psi)
            answers = ask(ensemble, images, name)
            spread = diversity(network.features(images)) / diversity(network.features(fresh[name]))
            print(row(name, psi, answers, f"{spread:.2f}"))
            every.append(answers)
        print(row("all", psi, Answers(*map(np.concatenate, zip(*every, strict=True))), ""))


def fresh_phantoms(condition: str, count: int, size: int) -> np.ndarray:
    """Phantoms that no model has seen, two of each patient: uint8 [count, size, size, 3]."""
    drawn = [phantom_image(condition, index, size=size, seed=FRESH_SEED).image for index in range(count)]
    return np.stack(drawn)


def ask(ensemble: Ensemble, images: np.ndarray, condition: str) -> Answers:
    """Whether the ensemble names the condition, and whether it flags the images."""
    prediction = ensemble.predict(images)
    assert prediction.novel is not None, "the bundled ensemble is calibrated"
    return Answers(prediction.predicted == ensemble.conditions.index(condition), prediction.novel)


def row(name: str, psi: float, answers: Answers, spread: str) -> str:
    """A row of the table of generated images."""
    named, novel = (format_estimate(proportion(int(flags.sum()), len(flags)), digits=2) for flags in answers)
    return f"| {name} | {psi:g} | {named} | {novel} | {spread} |"


def print_fresh(ensemble: Ensemble, fresh: dict[str, np.ndarray]) -> None:
    """The ensemble's balanced accuracy on fresh phantoms, and how many it flags."""
    prediction = ensemble.predict(np.concatenate(list(fresh.values())))
    truth = np.concatenate(
        [np.full(len(images), ensemble.conditions.index(name)) for name, images in fresh.items()]
    )
    patients = np.concatenate(
        [index * 10_000 + np.arange(len(images)) // 2 for index, images in enumerate(fresh.values())]
    )
    assert prediction.novel is not None, "the bundled ensemble is calibrated"
    print(f"{len(truth)} fresh phantoms of {len(np.unique(patients))} patients (seed {FRESH_SEED}):")
    print("balanced accuracy", format_estimate(balanced_accuracy(truth, prediction.predicted, patients)))
    print(
        "flagged as another kind of image", format_estimate(proportion_by_group(prediction.novel, patients))
    )


if __name__ == "__main__":
    main()
