"""Latents: where images come from, and how one goes from one to another.

a = End(3, {"NF1": 1.0})                              # seed 3
b = End(3, {"TSC": 1.0})
LatentPath(a, b, psi=0.7).frames(model, np.linspace(0, 1, 9))   # uint8 [9, R, R, 3]
"""

from morphoscope.generate.latents.ends import End, Move, ProjectedPhotograph
from morphoscope.generate.latents.paths import LatentPath
from morphoscope.generate.latents.photographs import parse_photograph, read_photograph, write_photograph

__all__ = [
    "End",
    "LatentPath",
    "Move",
    "ProjectedPhotograph",
    "parse_photograph",
    "read_photograph",
    "write_photograph",
]
