"""Features of real images, computed once and cached beside the images."""

import hashlib
import logging
from pathlib import Path

import numpy as np

from morphoscope.cohort import Cohort, Fit
from morphoscope.cohort.caches import can_store, new_array, stored_array
from morphoscope.cohort.luma import in_grey
from morphoscope.generate.metrics.features import FeatureNetwork

_VERSION = 1  # increase it when `FeatureNetwork.features` changes its values, so that old files are not used

log = logging.getLogger(__name__)


def real_features(
    network: FeatureNetwork, reals: Cohort, resolution: int, fit: Fit, grey: bool
) -> np.ndarray:
    """Features float32 [N, D] of real images at a generator's resolution, and in grey if its images are."""
    return cached_features(network, prepared_images(reals, resolution, fit, grey), reals.cache_folder)


def prepared_images(reals: Cohort, resolution: int, fit: Fit, grey: bool) -> np.ndarray:
    """Real images as a generator is shown them: uint8 [N, R, R, 3], with equal channels if it is grey."""
    images = reals.images(resolution, fit)
    return in_grey(images) if grey else images


def cached_features(network: FeatureNetwork, images: np.ndarray, folder: Path) -> np.ndarray:
    """Features float32 [N, D], read from `folder` or computed and stored there.

    The name of the file contains a digest of the pixels and of the network's weights. So another selection,
    resolution, fit or network has another file, and a new split or label of the same images has the same one.

    Args:
        images: uint8 [N, R, R, 3] RGB.
        folder: a cohort's cache folder; if it cannot be written, nothing is stored.
    """
    content = hashlib.sha256(f"{_VERSION} {network.digest} {images.shape}".encode())
    for image in images:
        content.update(image.tobytes())
    path = folder / f"features-{network.name}-{content.hexdigest()[:16]}.npy"
    known = stored_array(path, (len(images), network.dimensions), np.float32)
    if known is not None:
        if np.isfinite(known).all():
            return np.array(known)
        log.warning("%s is damaged: values that are no numbers; it is computed again.", path)
    features = network.features(images, description=f"Computing features of {len(images)} real images")
    if can_store(folder):
        with new_array(path, features.shape, np.float32) as array:
            array[:] = features
    return features
