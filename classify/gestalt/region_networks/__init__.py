"""Networks for the regions of a face, as in DeepGestalt: trained on identities, then on syndromes."""

from morphoscope.classify.gestalt.region_networks.evaluation import RegionEvaluation, evaluate_region_networks
from morphoscope.classify.gestalt.region_networks.labels import Question
from morphoscope.classify.gestalt.region_networks.model import (
    RegionMetadata,
    RegionNetworks,
    RegionRanking,
    are_region_networks,
)
from morphoscope.classify.gestalt.region_networks.training import RegionTrainingRun

__all__ = [
    "Question",
    "RegionEvaluation",
    "RegionMetadata",
    "RegionNetworks",
    "RegionRanking",
    "RegionTrainingRun",
    "are_region_networks",
    "evaluate_region_networks",
]
