"""What real and generated images go through before the discriminator sees them (spec 3)."""

from morphoscope.generate.augmentation.controller import AdaController
from morphoscope.generate.augmentation.pipe import AugmentPipe, augment_multipliers

__all__ = ["AdaController", "AugmentPipe", "augment_multipliers"]
