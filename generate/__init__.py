"""StyleGAN2-ADA: networks, augmentation, training, sampling and morphs.

snapshot = train_generator(config, cohort, run)      # morphoscope generate train
model = load(snapshot)
model.sample("NF1", seeds=[0, 1, 2])                 # uint8 [3, R, R, 3]
model.morph("NF1", "TSC", seed=0, steps=9)           # uint8 [9, R, R, 3]
"""

from morphoscope.generate.augmentation import AdaController, AugmentPipe, augment_multipliers
from morphoscope.generate.model import GeneratorModel
from morphoscope.generate.networks.discriminator import Discriminator
from morphoscope.generate.networks.generator import Generator
from morphoscope.generate.synthetic import augment
from morphoscope.generate.training import plan_training, train_generator

load = GeneratorModel.load

__all__ = [
    "AdaController",
    "AugmentPipe",
    "Discriminator",
    "Generator",
    "GeneratorModel",
    "augment",
    "augment_multipliers",
    "load",
    "plan_training",
    "train_generator",
]
