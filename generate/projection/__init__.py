"""Projection: finding a photograph in a generator (StyleGAN2, appendix D; Roich et al. 2021).

network = load_perceptual_network()
projection = Projector(model, network, Projecting()).project(Photograph.read(path, model.resolution))
projection.end                                        # an end of morphs, for `LatentPath`
"""

from morphoscope.generate.projection.batch import project_photographs
from morphoscope.generate.projection.photograph import Photograph
from morphoscope.generate.projection.projector import Projection, Projector, check_projection
from morphoscope.generate.projection.reference import Outside, held_out_photographs

__all__ = [
    "Outside",
    "Photograph",
    "Projection",
    "Projector",
    "check_projection",
    "held_out_photographs",
    "project_photographs",
]
