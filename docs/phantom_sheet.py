"""Draws the sheet of docs/phantoms.md: python docs/phantom_sheet.py."""

from pathlib import Path

import numpy as np
from PIL import Image

from morphoscope.cohort import PHANTOM_CONDITIONS, phantom_image

SHEET = Path(__file__).parent / "images" / "phantoms.jpg"
COLUMNS, SIZE, SEED = 8, 144, 5
WIDE = ["HMI", "IP", "MA", "ML", "NF1", "TSC", "Other", "HMI"]


def main() -> None:
    """Seven rows of focused views, one per condition, and one of panoramic views; one patient per image."""
    rows = [
        [phantom_image(name, 2 * patient, size=SIZE, seed=SEED).image for patient in range(COLUMNS)]
        for name in PHANTOM_CONDITIONS
    ]
    rows.append(
        [
            phantom_image(name, 2 * patient, size=SIZE, seed=SEED, view="panoramic").image
            for patient, name in enumerate(WIDE)
        ]
    )
    sheet = np.concatenate([np.concatenate(row, axis=1) for row in rows])
    Image.fromarray(sheet).save(SHEET, quality=88)


if __name__ == "__main__":
    main()
