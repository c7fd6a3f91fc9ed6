"""Tests for copies of training images, for one training part and the images held out of it."""

from collections.abc import Mapping, Sequence

import numpy as np

from morphoscope.cohort import Cohort, Fit
from morphoscope.generate.metrics.caching import prepared_images, real_features
from morphoscope.generate.metrics.closest_pairs import Pair, closest_pairs
from morphoscope.generate.metrics.copying import CopyingReport, RealFeatures, measure_copying
from morphoscope.generate.metrics.features import FeatureNetwork


class CopyingMeter:
    """Tests generators for copies; the features of the real images are computed once.

    Attributes:
        training_rows: the rows that were given as `training`.
    """

    def __init__(
        self,
        network: FeatureNetwork,
        training: Cohort,
        held_out: Cohort,
        resolution: int,
        fit: Fit = "crop",
        grey: bool = False,
    ) -> None:
        """
        Args:
            training: images that the generator, or one that it started from, was trained on.
            held_out: real images of other patients of the same cohort.
            resolution, fit, grey: as for `QualityMeter`.

        Raises:
            UserError: some images cannot be read.
        """
        self._network = network.name
        self._resolution, self._fit, self._grey = resolution, fit, grey
        self.training_rows = training
        self._training, self._held_out = (
            RealFeatures.of(real_features(network, part, resolution, fit, grey), part)
            for part in (training, held_out)
        )

    def measure(self, generated: Mapping[str, np.ndarray], seed: int = 0) -> CopyingReport | None:
        """Test generated images, {condition: features [M, D]}, as `measure_copying` does."""
        return measure_copying(self._network, self._training, self._held_out, generated, seed)

    def closest_pairs(self, generated: Mapping[str, np.ndarray], count: int) -> list[Pair]:
        """The closest pairs of a generated and a training image; rows are those of `training_rows`."""
        return closest_pairs(generated, self._training.features, count)

    def training_images(self, pairs: Sequence[Pair]) -> np.ndarray:
        """The training images of pairs as the generator was shown them, uint8 [N, R, R, 3]."""
        rows = self.training_rows.select([pair.row for pair in pairs])
        return prepared_images(rows, self._resolution, self._fit, self._grey)
