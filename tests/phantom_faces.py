"""Phantom people for tests of faces, each drawn once."""

from functools import cache

import numpy as np

from morphoscope.cohort.phantom.heads import PhantomPerson, phantom_head


@cache
def photograph(person: int, shot: int = 0, size: int = 192) -> np.ndarray:
    """uint8 RGB [size, size, 3], read-only: image number `shot` of a person."""
    drawn = PhantomPerson.draw(np.random.default_rng([7, person]))
    image = phantom_head(drawn, np.random.default_rng([7, person, shot]), size)
    image.flags.writeable = False
    return image
