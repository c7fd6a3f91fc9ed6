"""The networks of StyleGAN2-ADA: generator (mapping and synthesis) and discriminator (spec 2 and 3)."""

from morphoscope.generate.networks.discriminator import Discriminator
from morphoscope.generate.networks.generator import Generator

__all__ = ["Discriminator", "Generator"]
