"""Where the lesion is, as far as a cohort knows it."""

import numpy as np
from PIL import Image

from morphoscope.cohort import Cohort, read_image, square
from morphoscope.cohort.resizing import Fit


def lesion_mask(cohort: Cohort, row: int, size: int, fit: Fit) -> np.ndarray | None:
    """The lesion in the square that models see of a row's image: bool [size, size]; None if it is not known.

    Raises:
        UserError: the mask's file cannot be read as an image.
    """
    name = cohort.rows["mask"].iloc[row] if "mask" in cohort.rows.columns else ""
    if not name:
        return None
    whole = Image.fromarray(read_image(cohort.store.read(name), name))
    return square(whole, size, fit)[..., 0] > 127
