"""AugmentPipe against the published values: every case, in colour and in greyscale."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from morphoscope.generate.augmentation import AugmentPipe

FILE = Path(__file__).parents[2].parent / "shared" / "parity" / "augment.npz"

pytestmark = pytest.mark.skipif(not FILE.is_file(), reason="needs ../shared/parity/augment.npz")


@pytest.fixture(scope="module")
def vectors() -> dict[str, np.ndarray]:
    with np.load(FILE) as file:
        return dict(file)


def test_wavelet_filters(vectors: dict[str, np.ndarray]) -> None:
    pipe = AugmentPipe()
    np.testing.assert_allclose(pipe.Hz_geom, vectors["Hz_geom"], atol=1e-7)
    np.testing.assert_allclose(pipe.Hz_fbank, vectors["Hz_fbank"], atol=1e-7)


@pytest.mark.parametrize("kind", ["rgb", "grey"])
def test_every_case(vectors: dict[str, np.ndarray], kind: str) -> None:
    images = torch.from_numpy(vectors[f"images_{kind}"])
    tried = 0
    for case in json.loads(bytes(vectors["cases"])):
        expected = vectors.get(f"{case['i']}.{kind}")
        if expected is None:
            continue
        pipe = AugmentPipe(**dict.fromkeys(case["ops"], 1.0))
        pipe.p.fill_(case["p"])
        result = pipe(images, percentile=case["percentile"])
        np.testing.assert_allclose(result, expected, atol=1e-4, err_msg=f"{kind} {case}")
        tried += 1
    assert tried > 20
