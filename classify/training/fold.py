"""Training of one fold's model, which keeps its best or last epoch and can resume after every epoch."""

import math
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from timm.utils import ModelEmaV3
from torch import Tensor, nn

from morphoscope.classify.inputs.tensors import images_at_a_time, to_tensor
from morphoscope.classify.network.classifier import ConditionClassifier
from morphoscope.classify.training.batches import BatchLoader, worker_count
from morphoscope.classify.training.losses import SoftTargetLoss, class_weights
from morphoscope.classify.training.mixing import batch_mixing
from morphoscope.classify.training.pool import ImagePool
from morphoscope.classify.training.schedule import learning_rate
from morphoscope.classify.training.transforms import TrainingTransforms
from morphoscope.configs import UserError
from morphoscope.configs.classifier import EnsembleTraining, Precision
from morphoscope.runtime import Interruption
from morphoscope.runtime.progress import track
from morphoscope.runtime.torch_checkpoints import read_state, write_state
from morphoscope.runtime.torch_devices import to_device
from morphoscope.runtime.torch_optimizers import load_optimizer

_KILLED = (
    "A process that prepares training images was killed; perhaps the machine ran out of memory. Re-run the "
    "command with the same --run to resume after the last finished epoch."
)


class Listener(Protocol):
    """Receives the progress of a training."""

    def begin(self, fold: str, epoch: int) -> None:
        """A fold starts or resumes after `epoch` finished epochs; reports of later ones are discarded."""

    def step(self, done: int, total: int, epoch: int) -> None:
        """`done` of the `total` steps of the fold are done; `epoch` counts from 0."""

    def epoch(self, fold: str, epoch: int, **values: float) -> None:
        """Epoch number `epoch`, from 0, ended with this mean `loss` and validation `balanced_accuracy`."""


@dataclass
class FoldState:
    """The state of a fold's training between two epochs.

    Attributes:
        epoch: number of finished epochs.
        kept_epoch: the epoch that is kept, from 0; -1 before the first.
        kept_score: its balanced accuracy in validation, in [0, 1]; -1 before the first.
        kept_weights: its weights, on the CPU.
    """

    epoch: int = 0
    kept_epoch: int = -1
    kept_score: float = -1.0
    kept_weights: dict[str, Tensor] = field(default_factory=dict)

    def continues(self, config: EnsembleTraining) -> bool:
        """Whether another epoch should follow."""
        if config.training.patience is not None and self.epoch - self.kept_epoch > config.training.patience:
            return False
        return self.epoch < config.training.epochs


class FoldTrainer:
    """Trains the model of one fold.

    Every random choice of an epoch is determined by (seed, fold, epoch), and that of an image's transforms by
    its index as well, so that a resumed training gives the same weights as an uninterrupted one.
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
        """Build the model.

        Args:
            fold: its name, a number.
            config: settings of the training.
            training, validation: images and targets.
            classes: K; the first K targets are the cohort's conditions, the others auxiliary classes.
            device: to train on.

        Raises:
            UserError: as `ConditionClassifier.pretrained`.
        """
        self.fold, self.config, self.device = fold, config, device
        self.training, self.validation = training, validation
        torch.manual_seed(_seed(config.seed, fold))  # of the linear head
        auxiliary = training.targets.shape[1] - classes
        self.model = ConditionClassifier.pretrained(config, classes, auxiliary).to(device)
        optimizer = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}[config.training.optimizer]
        groups = self.model.parameter_groups(config.training.weight_decay, config.training.layer_decay)
        fused = True if device.type == "cuda" else None
        self.optimizer = optimizer(groups, lr=config.training.learning_rate, fused=fused)
        self.average = (
            ModelEmaV3(self.model, decay, use_warmup=True) if (decay := config.training.ema_decay) else None
        )
        self.half = half_precision(config.training.precision, device)
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.half is torch.float16)
        counts = training.targets.sum(axis=0, dtype=np.float64)
        loss, random = config.loss, config.data_augmentation
        weights = class_weights(counts, loss.balance, loss.class_balance, loss.balance_beta)
        weights[:classes] *= loss.own_weight
        self.loss = SoftTargetLoss(weights.to(device), loss.label_smoothing)
        self.mix = batch_mixing(random.mixup, random.cutmix)
        self.transforms = TrainingTransforms(random.augmentation, random.transforms)

    def fit(self, state_file: Path, interruption: Interruption, listener: Listener) -> FoldState:
        """Train until the last epoch, or until `patience` epochs have brought no better validation score.

        Args:
            state_file: written after every epoch; if it exists, the training resumes from it.
            interruption: is asked before every step whether to stop.
            listener: receives the progress.

        Raises:
            KeyboardInterrupt: the user stopped the training; `state_file` has the last finished epoch.
            UserError: a damaged `state_file`, a batch that does not fit a GPU's memory, a killed process that
                prepared images, or an epoch that diverged: `state_file` is then that of the epoch before.
        """
        config = self.config
        state = self._read(state_file) if state_file.is_file() else FoldState()
        listener.begin(self.fold, state.epoch)
        workers = worker_count(self.device)
        with BatchLoader(self.training, self.transforms, config.training.batch, workers) as loader:
            while state.continues(config):
                try:
                    loss = self._train_epoch(state.epoch, loader, interruption, listener)
                except torch.OutOfMemoryError as error:
                    raise UserError(self._too_large()) from error
                except BrokenProcessPool as error:
                    if interruption.requested:  # schedulers may stop workers, too
                        raise self._stopped(state.epoch) from error
                    raise UserError(_KILLED) from error
                self._end_epoch(state, loss, listener)
                self._write(state_file, state)
        return state

    def _train_epoch(
        self, epoch: int, loader: BatchLoader, interruption: Interruption, listener: Listener
    ) -> float:
        """One pass over the training images, or over `images_per_epoch`; returns the mean loss."""
        seed = _seed(self.config.seed, self.fold, epoch)
        torch.manual_seed(seed)  # of dropout, mixup and cutmix
        self.model.train()
        losses: list[Tensor] = []  # read at the end, since each reading waits for the device
        settings, count = self.config.training, len(self.training)
        batches = _batches(count, settings.batch, seed, settings.images_per_epoch or count)
        for step, (chosen, images) in enumerate(zip(batches, loader.epoch(batches, seed), strict=True)):
            if interruption.requested:
                raise self._stopped(epoch)
            rate = learning_rate(self.config, epoch + (step + 1) / len(batches))
            for group in self.optimizer.param_groups:
                group["lr"] = rate * group["lr_scale"]
            losses.append(self._train_step(images, self.training.targets[chosen % count]))
            if self.average is not None:
                self.average.update(self.model, step=epoch * len(batches) + step + 1)
            listener.step(epoch * len(batches) + step + 1, self.config.training.epochs * len(batches), epoch)
        return self._mean_loss(torch.stack(losses).cpu().double().numpy(), [len(part) for part in batches])

    def _mean_loss(self, losses: np.ndarray, images: list[int]) -> float:
        """Mean over the images of the steps; in float16 without the steps that overflowed, unless all did."""
        taken = np.isfinite(losses)
        if self.scaler.is_enabled() and taken.any():
            return float(np.average(losses[taken], weights=np.array(images)[taken]))
        return float(np.average(losses, weights=images))

    def _end_epoch(self, state: FoldState, loss: float, listener: Listener) -> None:
        """Validate the epoch just trained, keep its weights if they are the best, and count it.

        Without `patience` the weights of every epoch are kept, so that the last one remains.
        """
        logits = self._validate()
        if not (math.isfinite(loss) and np.isfinite(logits).all()):
            raise UserError(self._diverged(state.epoch))
        score = mean_recall(self.validation.labels, logits.argmax(axis=1))
        listener.epoch(self.fold, state.epoch, loss=loss, balanced_accuracy=score)
        if self.config.training.patience is None or score > state.kept_score:
            kept = self._kept_model.state_dict()
            weights = {name: value.detach().cpu().clone() for name, value in kept.items()}
            state.kept_epoch, state.kept_score, state.kept_weights = state.epoch, score, weights
        state.epoch += 1

    def _stopped(self, epoch: int) -> KeyboardInterrupt:
        where = f"after epoch {epoch}" if epoch else "during the first epoch"
        return KeyboardInterrupt(f"Stopped in fold {self.fold} {where} of {self.config.training.epochs}.")

    def _diverged(self, epoch: int) -> str:
        half, rate = str(self.half).removeprefix("torch."), self.config.training.learning_rate
        instead = "" if self.half is None else f" or precision=float32 instead of {half}"
        return (
            f"Fold {self.fold} diverged in epoch {epoch + 1}: its loss, or its logits for the validation "
            f"images, are not finite. Try a lower learning_rate (it is {rate:g}){instead}, in another run "
            "folder; this one keeps the epochs before."
        )

    def _too_large(self) -> str:
        config = self.config
        together = config.training.micro_batch or config.training.batch
        return (
            f"{together} images of {config.images.resolution} px at once do not fit into the memory of "
            f"{self.device}. Try micro_batch={max(2, together // 2)} (each step still uses "
            f"{config.training.batch} images), or a smaller resolution."
        )

    def _train_step(self, images: np.ndarray, shares: np.ndarray) -> Tensor:
        """One step on uint8 [n, S, S, 3] and their targets [n, K], in micro-batches; returns the loss."""
        pixels, targets = to_tensor(images, self.device), to_device(torch.from_numpy(shares), self.device)
        pixels, targets = self.mix(pixels, targets)
        pieces = math.ceil(len(images) / (self.config.training.micro_batch or len(images)))
        weight = self.loss.weight(targets)
        self.optimizer.zero_grad(set_to_none=True)
        total = torch.zeros((), device=self.device)
        for piece, wanted in zip(pixels.tensor_split(pieces), targets.tensor_split(pieces), strict=True):
            with torch.autocast(self.device.type, self.half, enabled=self.half is not None):
                logits = self.model.joint(piece)
            loss = self.loss(logits, wanted, weight)
            self.scaler.scale(loss).backward()
            total += loss.detach()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return total

    def _validate(self) -> np.ndarray:
        """Logits float32 [M, C] of the validation images: of the conditions or, as published, all classes."""
        model = self._kept_model.eval()
        assert isinstance(model, ConditionClassifier)
        every = self.config.training.answer == "published"
        found = []
        count = len(self.validation)
        parts = math.ceil(count / images_at_a_time(self.config.images.resolution))
        for chosen in track(np.array_split(np.arange(count), parts), f"Validating fold {self.fold}"):
            pixels = to_tensor(np.stack([self.validation.image(i) for i in chosen]), self.device)
            with torch.inference_mode():
                logits = model.joint(pixels) if every else model(pixels)
                found.append(logits.float().cpu().numpy())
        return np.concatenate(found)

    @property
    def _kept_model(self) -> nn.Module:
        """The model that is validated and kept: the running mean of the weights if there is one."""
        return self.model if self.average is None else self.average.module

    def _write(self, path: Path, state: FoldState) -> None:
        content = {
            **vars(state),
            "model": self.model.state_dict(),
            "average": None if self.average is None else self.average.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
        }
        write_state(path, content)

    def _read(self, path: Path) -> FoldState:
        content = read_state(path)
        try:
            self.model.load_state_dict(content.pop("model"))
            average = content.pop("average")
            if self.average is not None:
                self.average.module.load_state_dict(average)
            load_optimizer(self.optimizer, content.pop("optimizer"))
            self.scaler.load_state_dict(content.pop("scaler"))
            return FoldState(**content)
        except (RuntimeError, LookupError, TypeError, ValueError) as error:  # whole, but not such a state
            raise UserError(
                f"{path}: the training state is damaged, or of another version; delete it to train this fold "
                "from the start."
            ) from error


def mean_recall(truth: np.ndarray, answers: np.ndarray) -> float:
    """Balanced accuracy in [0, 1]: the mean recall over the classes in `truth`; other answers are wrong."""
    return float(np.mean([(answers[truth == label] == label).mean() for label in np.unique(truth)]))


def half_precision(precision: Precision, device: torch.device) -> torch.dtype | None:
    """The 16-bit type of the matrix products in training, or None for float32.

    "auto" is float32 on a CPU, and on a GPU bfloat16 or, where it has none, float16.
    """
    if precision == "auto":
        if device.type != "cuda":
            return None
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    return {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}[precision]


def _batches(count: int, size: int, seed: int, shown: int) -> list[np.ndarray]:
    """A random order in batches of nearly equal size: a last batch of one image has no batch statistics.

    Args:
        count: number of images.
        size: maximum of a batch.
        shown: how many images all batches have; after `count` each image comes once more, see
            `BatchLoader.epoch`.
    """
    random = np.random.default_rng(seed)
    passes = [random.permutation(count) + start for start in range(0, shown, count)]
    return np.array_split(np.concatenate(passes)[:shown], math.ceil(shown / size))


def _seed(*parts: int | str) -> int:
    return int(np.random.SeedSequence([int(part) for part in parts]).generate_state(1)[0])
