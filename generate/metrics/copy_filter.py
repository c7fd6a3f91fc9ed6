"""Dropping generated images that are closer to a training image than photographs of other patients are."""

from typing import NamedTuple

import numpy as np

from morphoscope.cohort import Cohort
from morphoscope.configs import UserError, arguments
from morphoscope.generate.metrics.caching import real_features
from morphoscope.generate.metrics.comparison import seen_and_held_out
from morphoscope.generate.metrics.features import FeatureNetwork
from morphoscope.generate.metrics.neighbours import nearest
from morphoscope.generate.model import GeneratorModel


class Limit(NamedTuple):
    """The smallest distance to a training image with which an image of a condition is kept.

    Attributes:
        distance: Euclidean, between features.
        held_out: number of held-out photographs that it is a quantile of.
    """

    distance: float
    held_out: int


class CopyFilter:
    """Finds images of one generator that are too close to its training images.

    Attributes:
        network: the feature network.
        quantile: of the distances of held-out photographs to their nearest training image.
    """

    def __init__(
        self, network: FeatureNetwork, model: GeneratorModel, cohort: Cohort, quantile: float
    ) -> None:
        """
        Args:
            cohort: that the generator was trained on, with the same folds. The test fold is not used.
            quantile: more than 0, less than 1. About this proportion of the images of a generator that does
                not copy is dropped.

        Raises:
            UserError: another cohort, no fold held out of the training, or a quantile out of range.
        """
        self.network = network
        self.quantile = arguments.real_number("quantile", quantile, 0, 1)
        found = seen_and_held_out(cohort, "training", model.metadata)
        if found is None:
            raise UserError(
                f"{cohort.root}: nothing tells copies from other images: the generator was trained on "
                "another cohort or split, or no folds other than the test fold were held out of its training "
                "(generate train --exclude-folds)."
            )
        seen, held_out = (
            real_features(network, part, model.resolution, model.metadata.fit, model.grey) for part in found
        )
        self._training = seen
        self._distances = nearest(held_out, seen)[0][:, 0]
        self._conditions = found.held_out.rows["condition"].to_numpy()

    def limit(self, condition: str) -> Limit:
        """The quantile among the held-out photographs of the condition.

        If these are so few that not even one would be dropped, all conditions count together.
        """
        own = self._distances[self._conditions == condition]
        if len(own) * self.quantile < 1:
            own = self._distances
        return Limit(float(np.quantile(own, self.quantile)), len(own))

    def distances(self, images: np.ndarray) -> np.ndarray:
        """Distances of images, uint8 [N, R, R, 3], to their nearest training image: float64 [N]."""
        return nearest(self.network.features(images), self._training)[0][:, 0]
