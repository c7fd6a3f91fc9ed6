"""How close generated images are to real ones, overall and by condition (spec 6).

network = load_feature_network("efficientnet_lite0", device)
meter = QualityMeter(network, reals, model.resolution)       # features of the real images are kept on disk
report = meter.measure(lambda condition, seeds: model.sample(condition, seeds, psi=1), images=100)
report.named_values()                                        # {"kid_efficientnet_lite0": …, …}
"""

from morphoscope.generate.metrics.comparison import real_rows
from morphoscope.generate.metrics.diversity import diversity
from morphoscope.generate.metrics.features import FeatureNetwork, load_feature_network
from morphoscope.generate.metrics.frechet import FeatureStatistics, frechet_distance
from morphoscope.generate.metrics.kernel import KernelDistance, kernel_distance
from morphoscope.generate.metrics.quality import Quality, QualityMeter, QualityReport

__all__ = [
    "FeatureNetwork",
    "FeatureStatistics",
    "KernelDistance",
    "Quality",
    "QualityMeter",
    "QualityReport",
    "diversity",
    "frechet_distance",
    "kernel_distance",
    "load_feature_network",
    "real_rows",
]
