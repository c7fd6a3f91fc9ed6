"""Stand-ins for the models of a studio, whose answers are known beforehand."""

from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import torch

from morphoscope.apps.morphing import Morph, Workbench
from morphoscope.classify import Attribution, Prediction, combine
from morphoscope.cohort.conditions import Description, Descriptions
from morphoscope.configs.attribution import Method
from morphoscope.generate import Generator, GeneratorModel
from morphoscope.generate.description import SnapshotMetadata
from morphoscope.generate.snapshots import write_snapshot

CONDITIONS = ["dark", "pale"]
MORPH = Morph.between("dark", "pale", seed=3, psi=0.7)


def prediction(pale: list[list[float]], conditions: list[str] = CONDITIONS) -> Prediction:
    """Two conditions; `pale` [F][N] are the folds' probabilities of the second one."""
    second = np.array(pale, dtype=np.float32)
    per_fold = np.stack([1 - second, second], axis=2)
    return Prediction(conditions, per_fold, *combine(per_fold))


class Brightness:
    """An ensemble of two models that call bright pictures pale; it counts how often it was asked."""

    conditions, folds, resolution = CONDITIONS, ["0", "1"], 16
    descriptions: ClassVar[Descriptions] = {
        "pale": Description(name="pale", full_name="<b>pale</b> skin", code="X1")
    }
    config = SimpleNamespace(
        images=SimpleNamespace(fit="crop"), network=SimpleNamespace(backbone="brightness")
    )
    calibration, dual, device = None, False, "cpu"

    def __init__(self) -> None:
        self.metadata = SimpleNamespace(
            phantom=False,
            may_show_training_images=False,
            cohort_digest="feedc0de",
            held_out=[],
            scores={},
        )
        self.asked = 0

    def predict(self, images: np.ndarray) -> Prediction:
        self.asked += 1
        bright = np.clip([image.mean() / 255 for image in images], 0.01, 0.99)
        return prediction([bright.tolist(), (bright**2).tolist()])

    def predict_fold(self, fold: str, images: np.ndarray) -> SimpleNamespace:
        """Probabilities and features that follow from brightness alone."""
        bright = np.array([image.mean() / 255 for image in images], np.float32)
        values = np.stack([1 - bright, bright], axis=1)
        return SimpleNamespace(probabilities=values, features=values)

    def seen(self, image: np.ndarray) -> np.ndarray:
        return image[:16, :16]

    def attribute(self, image: np.ndarray, target: str | int, method: Method) -> Attribution:
        name = target if isinstance(target, str) else CONDITIONS[target]
        flat = np.full(image.shape[:2], 0.001, np.float32)
        return Attribution(flat, flat[None], 0.4, np.array([0.001]), name, method, "mean")


class Levels(torch.nn.Module):
    """Networks whose only latent is the grey level, 0 to 255: 255 times the share of the second condition."""

    z_dim = w_dim = num_ws = 1
    img_resolution = 16

    def __init__(self) -> None:
        super().__init__()
        self.unused = torch.nn.Parameter(torch.zeros(1))  # names the device

    @property
    def synthesis(self) -> "Levels":
        return self

    def mapping(self, z: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
        return 255 * c[:, 1, None, None]

    def forward(self, codes: torch.Tensor, noise_mode: str) -> torch.Tensor:
        return (codes[..., None] / 127.5 - 1).expand(-1, 3, 16, 16)


class Grey:
    """A generator of plain grey pictures: black is dark, white is pale."""

    conditions, resolution, digest = CONDITIONS, 16, "0123456789abcdef"
    precision = "float32"
    descriptions: ClassVar[Descriptions] = {}

    def __init__(self) -> None:
        self.metadata = SimpleNamespace(cohort_digest="feedc0de", origin="feedc0de")
        self.phantoms_only = True
        self.precision = "float32"
        self.G, self.class_means = Levels(), torch.tensor([[0.0], [255.0]])
        self.centres = SimpleNamespace(of=lambda labels: labels @ self.class_means)

    provenance, label, images = GeneratorModel.provenance, GeneratorModel.label, GeneratorModel.images
    class_mean, _tensor = GeneratorModel.class_mean, GeneratorModel._tensor


def workbench() -> Workbench:
    """Both together."""
    return Workbench(Grey(), Brightness())  # type: ignore[arg-type]


def tiny_generator(folder: Path, conditions: list[str]) -> GeneratorModel:
    """A real generator of 16 px that was never trained, saved in and read from a folder."""
    torch.manual_seed(0)
    keywords = {
        "z_dim": 8,
        "c_dim": len(conditions),
        "w_dim": 8,
        "img_resolution": 16,
        "img_channels": 3,
        "synthesis_kwargs": {"channel_base": 128, "channel_max": 16},
    }
    path = folder / "generator.safetensors"
    metadata = {
        "conditions": conditions,
        "generator": keywords,
        "phantom": True,
        "trained_on_folds": [],
        "cohort_digest": "0" * 16,
    }
    write_snapshot(path, Generator(**keywords), None, SnapshotMetadata.from_json(metadata, path))
    return GeneratorModel.load(path)
