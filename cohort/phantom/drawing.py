"""The phantom cohort: procedural skin photographs with ground-truth lesion masks.

It lets every command and test run without a download. Its images count as real (`source` = real), but show no
patients: file names, groups and the column `phantom` say so.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from morphoscope.cohort.cohort import Cohort
from morphoscope.cohort.manifest import MASK_SUFFIX
from morphoscope.cohort.phantom.lesions import CONDITIONS, Traits
from morphoscope.cohort.phantom.skin import DARKEST, LIGHTEST, Person, photograph
from morphoscope.cohort.storage import new_folder
from morphoscope.configs import UserError, arguments
from morphoscope.runtime.progress import track

PHANTOM_CONDITIONS = tuple(CONDITIONS)

_IMAGES_PER_GROUP = 2
_GOLDEN_RATIO = 0.6180339887498949


@dataclass(frozen=True)
class PhantomImage:
    """One phantom photograph.

    Attributes:
        image: uint8 RGB [size, size, 3].
        mask: uint8 [size, size], 255 where the lesion is, else 0.
        group: name of the phantom patient.
        skin_tone: individual typology angle (ITA) of the healthy skin, degrees; > 55 very light, < -30 dark.
    """

    image: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    group: str
    skin_tone: float


def phantom_image(condition: str, index: int, *, size: int = 128, seed: int = 0) -> PhantomImage:
    """Draw image `index` of a condition; the same arguments give the same image.

    Images 2k and 2k + 1 show one phantom patient: the same skin tone and lesion statistics at another place.

    Args:
        condition: one of `PHANTOM_CONDITIONS`.
        size: side in pixels, 32 … 1024.

    Raises:
        UserError: an unknown condition, a size out of range, or a negative index or seed.
    """
    if not isinstance(condition, str) or condition not in CONDITIONS:
        raise UserError(f"Unknown phantom condition '{condition}'; there are {', '.join(CONDITIONS)}.")
    arguments.whole_number("size", size, 32, 1024)
    arguments.whole_number("seed", seed, 0)
    arguments.whole_number("index", index, 0)
    number, patient = PHANTOM_CONDITIONS.index(condition), index // _IMAGES_PER_GROUP
    # Steps of the golden ratio spread the skin tones evenly for any number of patients.
    start = np.random.default_rng([seed, number]).uniform()
    skin_tone = LIGHTEST - (LIGHTEST - DARKEST) * ((start + patient * _GOLDEN_RATIO) % 1)

    shared = np.random.default_rng([seed, number, 0, patient])
    traits = Traits(*shared.uniform(size=3))
    person = Person.draw(shared, skin_tone)

    own = np.random.default_rng([seed, number, 1, index])
    findings = CONDITIONS[condition](own, traits, 2 * size)
    image = photograph(own, person, findings, size)
    weight = np.max([finding.weight for finding in findings], axis=0)
    mask = np.where(cv2.resize(weight, (size, size), interpolation=cv2.INTER_AREA) >= 0.5, 255, 0).astype(
        np.uint8
    )
    return PhantomImage(image, mask, f"phantom-{condition}-{patient:04d}", round(skin_tone, 1))


def phantom(destination: Path, *, per_condition: int = 60, size: int = 128, seed: int = 0) -> Cohort:
    """Write the phantom cohort: `images/`, `masks/` (8-bit PNG named .png.mask, 255 = lesion), the manifest.

    Besides the usual columns the rows have `mask` (relative path), `skin_tone` (ITA in degrees) and
    `phantom` (always "true"). Image i of a condition does not depend on `per_condition`.

    Args:
        destination: a new or empty folder; it is created only once it is complete.
        per_condition: images of each of the seven conditions; two images per phantom patient.
        size: side in pixels, 32 … 1024.

    Raises:
        UserError: the folder is not empty or cannot be written, or a number is out of range.
    """
    arguments.whole_number("per_condition", per_condition, 1)
    with new_folder(destination) as folder:
        rows = _write_images(folder, per_condition, size, seed)
        Cohort.from_rows(folder, rows).save()
    return Cohort.load(Path(destination))


def _write_images(root: Path, per_condition: int, size: int, seed: int) -> pd.DataFrame:
    """Draw and write all images and masks under `root`; returns the manifest's rows."""
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    wanted = [(condition, index) for condition in PHANTOM_CONDITIONS for index in range(per_condition)]
    rows = []
    for condition, index in track(wanted, "Drawing the phantom cohort", unit="images"):
        drawn = phantom_image(condition, index, size=size, seed=seed)
        name = f"phantom-{condition}-{index:04d}.png"
        Image.fromarray(drawn.image).save(root / "images" / name, compress_level=1)
        mask = f"masks/{name}{MASK_SUFFIX}"
        Image.fromarray(drawn.mask).save(root / mask, "PNG")
        rows.append(
            {
                "file": f"images/{name}",
                "condition": condition,
                "group": drawn.group,
                "view": "focused",
                "source": "real",
                "mask": mask,
                "skin_tone": drawn.skin_tone,
                "phantom": "true",
            }
        )
    return pd.DataFrame(rows)
