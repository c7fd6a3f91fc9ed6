"""Phantom people for tests of faces, each drawn once."""

from functools import cache

import numpy as np

from morphoscope.classify.gestalt import Gestalt, Labelled, enrol, load_encoder
from morphoscope.cohort.phantom.heads import PhantomPerson, phantom_head


@cache
def photograph(person: int, shot: int = 0, size: int = 192) -> np.ndarray:
    """uint8 RGB [size, size, 3], read-only: image number `shot` of a person."""
    drawn = PhantomPerson.draw(np.random.default_rng([7, person]))
    image = phantom_head(drawn, np.random.default_rng([7, person, shot]), size)
    image.flags.writeable = False
    return image


@cache
def phantom_gestalt(people: int = 12, syndromes: int = 3) -> Gestalt:
    """A gallery with one image each of phantom people, whose owner allowed showing them.

    Person number i has syndrome number i modulo `syndromes`; "s0" stands for people without a syndrome.
    """
    labelled = [
        Labelled(photograph(person), f"s{person % syndromes}", f"p{person}", "", str(person))
        for person in range(people)
    ]
    encoder = load_encoder()
    gallery = enrol(labelled, encoder, unaffected="s0", thumbnails=True, consent="phantoms").gallery
    return Gestalt(gallery, encoder)
