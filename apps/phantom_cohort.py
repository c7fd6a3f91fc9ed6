"""The phantom cohort as the demo and `make models` use it."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from morphoscope.cohort import Cohort, new_folder, phantom, write_image
from morphoscope.runtime.progress import track

_COARSEST = 40  # pixels: what a generator of 64 px at least resolves
_WORST_QUALITY = 50  # of JPEG


def phantom_cohort(path: Path, *, per_condition: int, seed: int, folds: int, test_fraction: float) -> Cohort:
    """The cohort at `path`: drawn if it does not exist yet, and split if it has no folds yet."""
    if not (path / "manifest.csv").exists():
        phantom(path, per_condition=per_condition, seed=seed)
    cohort = Cohort.load(path)
    if (cohort.rows["fold"] == "").any():
        cohort = cohort.split(folds=folds, seed=0, test_fraction=test_fraction)
        cohort.save()
    return cohort


def with_degraded_copies(cohort: Cohort, path: Path, *, seed: int) -> Cohort:
    """The cohort at `path`: the images of `cohort`, each once more with less detail; written if need be.

    Generated images are less detailed than those that a generator learned from. A classifier that has seen
    only sharp images takes the resolution itself for a sign.
    """
    if not (path / "manifest.csv").exists():
        rows = cohort.rows.drop(columns="mask")
        copies = rows.assign(file=rows["file"].str.removesuffix(".png") + "-degraded.png")
        with new_folder(path) as folder:
            (folder / "images").mkdir()
            for number in track(range(len(rows)), "Degrading the phantoms", unit="images"):
                image, rng = cohort.image(number), np.random.default_rng([seed, number])
                write_image(folder / rows["file"][number], image)
                write_image(folder / copies["file"][number], degraded(rng, image))
            Cohort.from_rows(folder, pd.concat([rows, copies], ignore_index=True)).save()
    return Cohort.load(path)


def degraded(rng: np.random.Generator, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """An image reduced to 40 px or more, compressed, and enlarged again: uint8 RGB [S, S, 3] => the same."""
    size = image.shape[0]
    side = round(float(np.exp(rng.uniform(np.log(_COARSEST), np.log(size)))))
    small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(_WORST_QUALITY, 100))]
    packed = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), quality)[1]
    opened = cv2.cvtColor(np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR)), cv2.COLOR_BGR2RGB)
    return np.asarray(cv2.resize(opened, (size, size), interpolation=cv2.INTER_CUBIC), np.uint8)
