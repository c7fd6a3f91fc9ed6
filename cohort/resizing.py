"""Images as squares of the training size, computed once and memory-mapped afterwards."""

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from PIL import Image

from morphoscope.cohort.caches import can_store, new_array, stored_array
from morphoscope.cohort.reading import decode
from morphoscope.cohort.storage import Store
from morphoscope.cohort.workers import collect_errors, raise_together
from morphoscope.configs import arguments

Fit = Literal["crop", "letterbox"]
_READER_VERSION = 1  # increase it when `decode` or `square` give other pixels, so that old arrays are unused
_LARGEST = 4096
_SAMPLE = 8  # images that are read again each time, to compare them with the stored array

log = logging.getLogger(__name__)


def square(image: Image.Image, size: int, fit: Fit = "crop") -> np.ndarray:
    """Resample an RGB image (Lanczos) to uint8 [size, size, 3].

    Args:
        size: side in pixels.
        fit: "crop" cuts out the largest central square; "letterbox" keeps the whole image, centred on black.

    Raises:
        UserError: not an RGB image, or a size or fit out of range.
    """
    takes = "an RGB image, a PIL.Image.Image of mode RGB"
    if arguments.instance("image", image, Image.Image, takes).mode != "RGB":
        arguments.refuse("image", takes, f"mode {image.mode}")
    check_square(size, fit)
    width, height = image.size
    if fit == "crop":
        side = min(width, height)
        left, top = (width - side) // 2, (height - side) // 2
        if image.size == (size, size):
            return np.array(image)
        box = (left, top, left + side, top + side)
        return np.array(image.resize((size, size), Image.Resampling.LANCZOS, box=box))
    scale = size / max(width, height)
    inner = (max(1, round(width * scale)), max(1, round(height * scale)))
    canvas = Image.new("RGB", (size, size))
    canvas.paste(
        image.resize(inner, Image.Resampling.LANCZOS), ((size - inner[0]) // 2, (size - inner[1]) // 2)
    )
    return np.array(canvas)


def check_square(size: int, fit: Fit) -> None:
    """Raise UserError for a size out of range or an unknown fit."""
    arguments.whole_number("size", size, 1, _LARGEST)
    arguments.one_of("fit", fit, get_args(Fit))


def cached_images(
    store: Store, names: Sequence[str], content: str, folder: Path, size: int, fit: Fit
) -> np.ndarray:
    """uint8 [N, size, size, 3], memory-mapped read-only from `folder`; computed first where it is not there.

    Args:
        content: digest of `names` and their bytes.
        folder: the cohort's cache folder; if it is a link or cannot be written, the array stays in memory.

    Raises:
        UserError: a size or fit out of range, or unreadable images, all named.
    """
    check_square(size, fit)
    shape = (len(names), size, size, 3)
    key = hashlib.sha256(f"{content} {_READER_VERSION}".encode()).hexdigest()[:16]
    path = folder / f"images-{size}-{fit}-{key}.npy"
    known = stored_array(path, shape, np.uint8)
    if known is not None and _shows(known, store, names, size, fit):
        return known
    if not can_store(folder):
        array = np.empty(shape, np.uint8)
        _fill(array, store, names, size, fit)
        return array
    with new_array(path, shape, np.uint8) as array:
        _fill(array, store, names, size, fit)
    return np.load(path, mmap_mode="r")


def _fill(array: np.ndarray, store: Store, names: Sequence[str], size: int, fit: Fit) -> None:
    def fill(i: int) -> None:
        array[i] = _resized(store, names[i], size, fit)

    errors = collect_errors(fill, range(len(names)), f"Resizing images to {size} px")
    raise_together([message for _, message in errors], f"image(s) of {store.location} cannot be read")


def _shows(array: np.ndarray, store: Store, names: Sequence[str], size: int, fit: Fit) -> bool:
    """Whether a random sample of the images gives what the array has; a different one each time."""
    sample = np.random.default_rng().permutation(len(names))[:_SAMPLE]
    same = all(np.array_equal(array[i], _resized(store, names[i], size, fit)) for i in sample)
    if not same:
        log.warning("%s: the cache holds other images than the files; computed again.", store.location)
    return same


def _resized(store: Store, name: str, size: int, fit: Fit) -> np.ndarray:
    return square(decode(store.read(name), name)[0], size, fit)
