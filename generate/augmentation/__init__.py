"""What real and generated images go through before the discriminator sees them (spec 3)."""

from morphoscope.generate.augmentation.controller import AdaController
from morphoscope.generate.augmentation.diffaugment import DiffAugment
from morphoscope.generate.augmentation.pipe import AugmentPipe, augment_multipliers, build_augmentation

__all__ = ["AdaController", "AugmentPipe", "DiffAugment", "augment_multipliers", "build_augmentation"]
