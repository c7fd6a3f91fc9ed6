"""Phantoms: procedural drawings of skin conditions in place of photographs, each with its lesion mask."""

from morphoscope.cohort.phantom.drawing import PHANTOM_CONDITIONS, PhantomImage, phantom, phantom_image

__all__ = ["PHANTOM_CONDITIONS", "PhantomImage", "phantom", "phantom_image"]
