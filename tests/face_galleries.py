"""Galleries of random embeddings: clusters stand for syndromes."""

import numpy as np

from morphoscope.classify.gestalt import Entry, Gallery
from morphoscope.classify.gestalt.encoders import unit

DIMENSIONS = 16


def clustered(
    syndromes: int = 5,
    patients: int = 4,
    images: int = 2,
    spread: float = 0.3,
    seed: int = 0,
    digest: str = "e",
    prefix: str = "",
) -> Gallery:
    """`patients` of each syndrome around its centre, each with `images` close to each other."""
    centres = np.random.default_rng(1).normal(size=(syndromes, DIMENSIONS))
    random = np.random.default_rng([2, seed])
    embeddings, entries = [], []
    for syndrome in range(syndromes):
        for patient in range(patients):
            own = centres[syndrome] + spread * random.normal(size=DIMENSIONS)
            for image in range(images):
                embeddings.append(own + 0.05 * random.normal(size=DIMENSIONS))
                name = f"{prefix}p{syndrome}-{patient}"
                entries.append(Entry(f"s{syndrome}", name, "", f"{name}-{image}"))
    return Gallery(unit(np.stack(embeddings)), tuple(entries), "an encoder", digest)
