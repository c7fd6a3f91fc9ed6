"""How close generated images are to real ones, overall and by condition (spec 6).

network = load_feature_network("efficientnet_lite0", device)
meter = QualityMeter(network, reals, model.resolution)       # features of the real images are kept on disk
report = meter.measure(lambda condition, seeds: model.sample(condition, seeds, psi=1), images=100)
report.named_values()                                        # {"kid_efficientnet_lite0": …, …}
"""

from morphoscope.generate.metrics.closest_pairs import Pair, closest_pairs, write_pairs
from morphoscope.generate.metrics.comparison import SeenAndHeldOut, real_rows, seen_and_held_out
from morphoscope.generate.metrics.copy_filter import CopyFilter
from morphoscope.generate.metrics.copying import Copying, CopyingReport, RealFeatures, measure_copying
from morphoscope.generate.metrics.copying_table import COLUMNS as COPYING_COLUMNS
from morphoscope.generate.metrics.copying_table import EXPLANATION as COPYING_EXPLANATION
from morphoscope.generate.metrics.copying_table import copying_rows
from morphoscope.generate.metrics.diversity import diversity
from morphoscope.generate.metrics.features import FeatureNetwork, load_feature_network
from morphoscope.generate.metrics.frechet import FeatureStatistics, frechet_distance
from morphoscope.generate.metrics.intra_class import RealImages, measure_intra_class
from morphoscope.generate.metrics.kernel import KernelDistance, kernel_distance
from morphoscope.generate.metrics.measure import Measure, Measured
from morphoscope.generate.metrics.measure_page import (
    FLOOR,
    Numbers,
    condition_table,
    numbers_of,
    overall_table,
    write_measure_page,
    write_measure_table,
)
from morphoscope.generate.metrics.memorisation import CopyingMeter
from morphoscope.generate.metrics.modes import repeated_pairs
from morphoscope.generate.metrics.path_length import measure_path_length, path_lengths
from morphoscope.generate.metrics.quality import Quality, QualityMeter, QualityReport
from morphoscope.generate.metrics.similarity import measure_similarity

__all__ = [
    "COPYING_COLUMNS",
    "COPYING_EXPLANATION",
    "FLOOR",
    "CopyFilter",
    "Copying",
    "CopyingMeter",
    "CopyingReport",
    "FeatureNetwork",
    "FeatureStatistics",
    "KernelDistance",
    "Measure",
    "Measured",
    "Numbers",
    "Pair",
    "Quality",
    "QualityMeter",
    "QualityReport",
    "RealFeatures",
    "RealImages",
    "SeenAndHeldOut",
    "closest_pairs",
    "condition_table",
    "copying_rows",
    "diversity",
    "frechet_distance",
    "kernel_distance",
    "load_feature_network",
    "measure_copying",
    "measure_intra_class",
    "measure_path_length",
    "measure_similarity",
    "numbers_of",
    "overall_table",
    "path_lengths",
    "real_rows",
    "repeated_pairs",
    "seen_and_held_out",
    "write_measure_page",
    "write_measure_table",
    "write_pairs",
]
