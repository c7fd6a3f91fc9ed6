"""Small image files and cohorts."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from morphoscope.cohort import Cohort

SHARED_DATA = Path(__file__).parents[3] / "shared" / "data"


def pattern(seed: int, height: int = 24, width: int = 32) -> np.ndarray:
    """uint8 [height, width, 3]: smooth, and different for each seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3)).astype(np.uint8)
    return np.array(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


@pytest.fixture
def write_pattern() -> Callable[..., np.ndarray]:
    """write_pattern(path, seed, height, width) -> the pixels that it wrote."""

    def write(path: Path, seed: int = 0, height: int = 24, width: int = 32) -> np.ndarray:
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = pattern(seed, height, width)
        Image.fromarray(pixels).save(path)
        return pixels

    return write


@pytest.fixture
def class_folder(tmp_path: Path, write_pattern: Callable[..., np.ndarray]) -> Path:
    """A folder per condition: 6 images of `a`, 6 of `b`, each of another patient."""
    root = tmp_path / "classes"
    for number in range(12):
        write_pattern(root / "ab"[number % 2] / f"{number:02d}.png", seed=number)
    return root


@pytest.fixture
def cohort(tmp_path: Path, write_pattern: Callable[..., np.ndarray]) -> Cohort:
    """A saved cohort of 12 images, conditions x and y, two images per patient."""
    root = tmp_path / "cohort"
    rows = []
    for number in range(12):
        write_pattern(root / f"images/{number:02d}.png", seed=100 + number)
        rows.append(
            {
                "file": f"images/{number:02d}.png",
                "condition": "xy"[number % 2],
                "group": f"p{number % 2}{number // 4}",
            }
        )
    result = Cohort.from_rows(root, pd.DataFrame(rows))
    result.save()
    return result


@pytest.fixture
def shared_data() -> Path:
    """The folder of real development data; the test is skipped where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the real development data are not here")
    return SHARED_DATA
