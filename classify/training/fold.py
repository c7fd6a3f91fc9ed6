"""One fold's training: from images to the weights of its best epoch, resumable after every epoch."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from sklearn.metrics import balanced_accuracy_score
from torch import Tensor, nn

from morphoscope.classify.ensemble import images_at_a_time, to_tensor
from morphoscope.classify.model import ConditionClassifier
from morphoscope.classify.training.schedule import learning_rate
from morphoscope.classify.training.transforms import TrainingTransforms
from morphoscope.configs import UserError
from morphoscope.configs.classifier import EnsembleTraining
from morphoscope.ops.runtime import Interruption, read_state, write_state


class Listener(Protocol):
    """Told about progress."""

    def step(self, done: int, total: int, epoch: int) -> None:
        """`done` of `total` steps of the whole fold; `epoch` counts from 0."""

    def epoch(self, fold: str, epoch: int, **values: float) -> None:
        """An epoch ended, with its training loss, learning rate and validation score."""


@dataclass(frozen=True)
class ImagePool:
    """Images of several arrays under one numbering, with labels.

    Attributes:
        arrays: uint8 [N_i, S, S, 3] each, possibly memory-mapped.
        rows: int64 [M, 2]: (array, row in it) of each image.
        labels: int64 [M].
    """

    arrays: list[np.ndarray]
    rows: np.ndarray
    labels: np.ndarray

    @classmethod
    def of(cls, parts: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> "ImagePool":
        """Join parts (array, labels of all its images, chosen rows)."""
        rows = [np.stack([np.full(len(chosen), i), chosen], axis=1) for i, (_, _, chosen) in enumerate(parts)]
        labels = [labels[chosen] for _, labels, chosen in parts]
        return cls([array for array, _, _ in parts], np.concatenate(rows), np.concatenate(labels))

    def __len__(self) -> int:
        return len(self.rows)

    def image(self, index: int) -> np.ndarray:
        """uint8 [S, S, 3]."""
        array, row = self.rows[index]
        return np.asarray(self.arrays[array][row])


@dataclass
class FoldState:
    """What a fold's training knows after whole epochs."""

    epoch: int = 0  # epochs done
    best_epoch: int = -1
    best_score: float = -1.0  # balanced accuracy in validation
    best_weights: dict[str, Tensor] = field(default_factory=dict)


class FoldTrainer:
    """Trains the model of one fold.

    Every random choice of an epoch follows from (seed, fold, epoch), so that a resumed training ends where an
    uninterrupted one does.
    """

    def __init__(
        self,
        fold: str,
        config: EnsembleTraining,
        training: ImagePool,
        validation: ImagePool,
        classes: int,
        device: torch.device,
    ) -> None:
        """Build the model; UserError as `ConditionClassifier.pretrained`."""
        self.fold, self.config, self.device = fold, config, device
        self.training, self.validation = training, validation
        torch.manual_seed(_seed(config.seed, fold))  # of the linear head
        self.model = ConditionClassifier.pretrained(config, classes).to(device)
        trainable = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        optimizer = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}[config.optimizer]
        self.optimizer = optimizer(trainable, lr=config.learning_rate, weight_decay=config.weight_decay)
        weights = class_weights(training.labels, classes, config.class_balance).to(device)
        self.loss_function = nn.CrossEntropyLoss(weight=weights, label_smoothing=config.label_smoothing)
        self.transforms = TrainingTransforms(config.augmentation, config.transforms)

    def fit(self, state_file: Path, interruption: Interruption, listener: Listener) -> FoldState:
        """Train until the last epoch, or until `patience` epochs brought no better validation score.

        `state_file` is written after every epoch and read if it exists.

        Raises:
            KeyboardInterrupt: the user asked to stop; the last whole epoch is in `state_file`.
            UserError: a damaged `state_file`.
        """
        config = self.config
        state = self._read(state_file) if state_file.is_file() else FoldState()
        while state.epoch < config.epochs and state.epoch - state.best_epoch <= config.patience:
            loss = self._train_epoch(state.epoch, interruption, listener)
            predicted = self._validate().argmax(axis=1)
            score = float(balanced_accuracy_score(self.validation.labels, predicted))
            listener.epoch(self.fold, state.epoch, loss=loss, balanced_accuracy=score)
            if score > state.best_score:
                weights = {
                    key: value.detach().cpu().clone() for key, value in self.model.state_dict().items()
                }
                state.best_epoch, state.best_score, state.best_weights = state.epoch, score, weights
            state.epoch += 1
            self._write(state_file, state)
        return state

    def _train_epoch(self, epoch: int, interruption: Interruption, listener: Listener) -> float:
        """One pass over the training images; returns the mean loss."""
        seed = _seed(self.config.seed, self.fold, epoch)
        torch.manual_seed(seed)  # of dropout
        self.transforms.seed(seed)
        self.model.train()
        total = 0.0
        batches = list(_batches(len(self.training), self.config.batch, seed))
        for step, chosen in enumerate(batches):
            if interruption.requested:
                raise KeyboardInterrupt(
                    f"Stopped in fold {self.fold}, epoch {epoch + 1}; start it again to go on."
                )
            for group in self.optimizer.param_groups:
                group["lr"] = learning_rate(self.config, epoch + (step + 1) / len(batches))
            total += self._train_step(chosen) * len(chosen)
            listener.step(epoch * len(batches) + step + 1, self.config.epochs * len(batches), epoch)
        return total / len(self.training)

    def _train_step(self, chosen: np.ndarray) -> float:
        pixels = to_tensor(np.stack([self.transforms(self.training.image(i)) for i in chosen]), self.device)
        labels = torch.from_numpy(self.training.labels[chosen]).to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            loss = self.loss_function(self.model(pixels), labels)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        return float(loss.detach())

    def _validate(self) -> np.ndarray:
        """Logits float32 [M, K] of the validation images."""
        self.model.eval()
        found = []
        count = len(self.validation)
        for chosen in np.array_split(
            np.arange(count), math.ceil(count / images_at_a_time(self.config.resolution))
        ):
            pixels = to_tensor(np.stack([self.validation.image(i) for i in chosen]), self.device)
            with torch.inference_mode():
                found.append(self.model(pixels).float().cpu().numpy())
        return np.concatenate(found)

    def _write(self, path: Path, state: FoldState) -> None:
        content = {
            **vars(state),
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        write_state(path, content)

    def _read(self, path: Path) -> FoldState:
        content = read_state(path)
        try:
            self.model.load_state_dict(content.pop("model"))
            self.optimizer.load_state_dict(content.pop("optimizer"))
            return FoldState(**content)
        except (RuntimeError, LookupError, TypeError, ValueError) as error:  # whole, but not such a state
            raise UserError(
                f"{path}: the training state is damaged; delete it to train this fold anew."
            ) from error


def class_weights(labels: np.ndarray, classes: int, balance: float) -> Tensor:
    """Loss weight of each class: count^-balance, scaled to a mean of 1 over all images; float32 [classes]."""
    counts = np.bincount(labels, minlength=classes).astype(np.float64)
    weights = counts**-balance
    return torch.tensor(weights * counts.sum() / (weights * counts).sum(), dtype=torch.float32)


def _batches(count: int, size: int, seed: int) -> Iterator[np.ndarray]:
    """A random order in batches of nearly equal size: batch statistics could not bear a last batch of one."""
    order = np.random.default_rng(seed).permutation(count)
    yield from np.array_split(order, math.ceil(count / size))


def _seed(*parts: int | str) -> int:
    return int(np.random.SeedSequence([int(part) for part in parts]).generate_state(1)[0])
