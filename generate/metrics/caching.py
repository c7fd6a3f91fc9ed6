"""Features of real images, computed once and cached beside the images."""

import hashlib
import logging
import os
from pathlib import Path

import numpy as np

from morphoscope.generate.metrics.features import FeatureNetwork
from morphoscope.runtime import write_atomically

_VERSION = 1  # increase it when `FeatureNetwork.features` changes its values, so that old files are not used

log = logging.getLogger(__name__)


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
    known = _read(path, (len(images), network.dimensions))
    if known is not None:
        return known
    features = network.features(images, description=f"Computing features of {len(images)} real images")
    if os.access(folder if folder.exists() else folder.parent, os.W_OK):
        with write_atomically(path) as temporary:
            np.save(temporary, features, allow_pickle=False)
    else:
        log.warning("%s cannot be written; features of real images are not cached on disk.", folder)
    return features


def _read(path: Path, shape: tuple[int, int]) -> np.ndarray | None:
    """The stored features; None if there are none or the file is damaged."""
    try:
        features = np.lib.format.open_memmap(path, mode="r")  # never unpickles
    except FileNotFoundError:
        return None
    except (OSError, ValueError, EOFError):
        features = None
    if features is not None and features.shape == shape and features.dtype == np.float32:
        return np.array(features)
    log.warning("%s is damaged; the features are computed again.", path)
    return None
