"""Features of real images, computed once and kept beside the images."""

import hashlib
import logging
import os
from pathlib import Path

import numpy as np

from morphoscope.generate.metrics.features import FeatureNetwork
from morphoscope.runtime import write_atomically

_VERSION = 1  # raise it when `FeatureNetwork.features` changes its numbers, so that old arrays are not used

log = logging.getLogger(__name__)


def cached_features(network: FeatureNetwork, images: np.ndarray, folder: Path) -> np.ndarray:
    """float32 [N, D] of uint8 images [N, R, R, 3], read from `folder` or computed and kept there.

    The name of the file is a digest of the pixels themselves and of the network's weights: another selection,
    resolution, fit or network has another file, and a new split or label of the same images has the same one.

    Args:
        folder: a cohort's cache folder; where it cannot be made, nothing is kept.
    """
    content = hashlib.sha256(f"{_VERSION} {network.digest} {images.shape}".encode())
    for image in images:
        content.update(image.tobytes())
    path = folder / f"features-{network.name}-{content.hexdigest()[:16]}.npy"
    known = _read(path, (len(images), network.dimensions))
    if known is not None:
        return known
    features = network.features(images)
    if os.access(folder if folder.exists() else folder.parent, os.W_OK):
        with write_atomically(path) as temporary:
            np.save(temporary, features, allow_pickle=False)
    else:
        log.warning("%s cannot be written: the real images' features are kept in memory only.", folder)
    return features


def _read(path: Path, shape: tuple[int, int]) -> np.ndarray | None:
    """What an earlier run kept; None if there is nothing, or nothing whole."""
    try:
        features = np.lib.format.open_memmap(path, mode="r")  # never unpickles
    except FileNotFoundError:
        return None
    except (OSError, ValueError, EOFError):
        features = None
    if features is not None and features.shape == shape and features.dtype == np.float32:
        return np.array(features)
    log.warning("%s is damaged and made anew.", path)
    return None
