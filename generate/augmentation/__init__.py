"""Augmentation of real and generated images before the discriminator (spec 3)."""

from morphoscope.generate.augmentation.controller import AdaController
from morphoscope.generate.augmentation.diffaugment import DiffAugment
from morphoscope.generate.augmentation.pipe import AugmentPipe, augment_multipliers, build_augmentation

__all__ = ["AdaController", "AugmentPipe", "DiffAugment", "augment_multipliers", "build_augmentation"]
