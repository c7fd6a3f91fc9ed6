"""Training of a network, which can resume after every epoch and keeps the best or last; one fold's model."""

import math
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import torch
from timm.utils import ModelEmaV3
from torch import Tensor, nn

from morphoscope.classify.inputs.tensors import images_at_a_time, to_tensor
from morphoscope.classify.network.classifier import ConditionClassifier
from morphoscope.classify.training.batches import BatchLoader, Transform, worker_count
from morphoscope.classify.training.losses import SoftTargetLoss, class_weights
from morphoscope.classify.training.mixing import Mixing, batch_mixing
from morphoscope.classify.training.pool import ImagePool
from morphoscope.classify.training.schedule import learning_rate
from morphoscope.classify.training.transforms import TrainingTransforms
from morphoscope.configs import UserError
from morphoscope.configs.classifier import EnsembleTraining, Precision, TrainingGroup
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

    def begin(self, name: str, epoch: int) -> None:
        """A fold starts or resumes after `epoch` finished epochs; reports of later ones are discarded."""

    def step(self, done: int, total: int, epoch: int) -> None:
        """`done` of the `total` steps of the fold are done; `epoch` counts from 0."""

    def epoch(self, name: str, epoch: int, **values: float) -> None:
        """Epoch number `epoch`, from 0, ended with this mean `loss` and, if it was validated,
        `balanced_accuracy`."""


@dataclass
class FoldState:
    """The state of a training between two epochs.

    Attributes:
        epoch: number of finished epochs.
        kept_epoch: the epoch that is kept, from 0; -1 before the first.
        kept_score: its balanced accuracy in validation, in [0, 1]; -1 before the first, or without one.
        kept_weights: its weights, on the CPU.
    """

    epoch: int = 0
    kept_epoch: int = -1
    kept_score: float = -1.0
    kept_weights: dict[str, Tensor] = field(default_factory=dict)

    def continues(self, settings: TrainingGroup) -> bool:
        """Whether another epoch should follow."""
        if settings.patience is not None and self.epoch - self.kept_epoch > settings.patience:
            return False
        return self.epoch < settings.epochs


class Trainer:
    """Trains a network that takes images and returns logits.

    Every random choice of an epoch is determined by (seeds, epoch), and that of an image's transforms by
    its index as well, so that a resumed training gives the same weights as an uninterrupted one.
    """

    def __init__(
        self,
        kind: str,
        name: str,
        seeds: tuple[int, ...],
        settings: TrainingGroup,
        model: nn.Module,
        groups: list[dict[str, Any]],
        training: ImagePool,
        validation: ImagePool | None,
        loss: SoftTargetLoss,
        transforms: Transform,
        device: torch.device,
        mix: Mixing = batch_mixing(0, 0),
    ) -> None:
        """Set up the optimiser.

        Args:
            kind, name: of what is trained, for messages and records: "fold", "0".
            seeds: determine all random choices.
            settings: length, batches and optimiser.
            model: the network, on `device`.
            groups: its trainable parameters as groups of an optimiser, each with its `lr_scale`.
            training: images and targets.
            validation: the same; None to keep the last epoch without looking (`patience` is None, too).
            loss: with the weights of the classes.
            transforms: applied to each training image.
            device: to train on.
            mix: applied to each training batch.
        """
        assert validation is not None or settings.patience is None
        self.kind, self.name, self.seeds, self.settings = kind, name, seeds, settings
        self.model, self.device = model, device
        self.training, self.validation = training, validation
        self.loss, self.transforms, self.mix = loss, transforms, mix
        optimizer = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}[settings.optimizer]
        fused = True if device.type == "cuda" else None
        self.optimizer = optimizer(groups, lr=settings.learning_rate, fused=fused)
        decay = settings.ema_decay
        self.average = ModelEmaV3(model, decay, use_warmup=True) if decay else None
        self.half = half_precision(settings.precision, device)
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.half is torch.float16)

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
        state = self._read(state_file) if state_file.is_file() else FoldState()
        listener.begin(self.name, state.epoch)
        workers = worker_count(self.device)
        with BatchLoader(self.training, self.transforms, self.settings.batch, workers) as loader:
            while state.continues(self.settings):
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
        seed = _seed(*self.seeds, epoch)
        torch.manual_seed(seed)  # of dropout, mixup and cutmix
        self.model.train()
        losses: list[Tensor] = []  # read at the end, since each reading waits for the device
        settings, count = self.settings, len(self.training)
        batches = _batches(count, settings.batch, seed, settings.images_per_epoch or count)
        for step, (chosen, images) in enumerate(zip(batches, loader.epoch(batches, seed), strict=True)):
            if interruption.requested:
                raise self._stopped(epoch)
            rate = learning_rate(settings, epoch + (step + 1) / len(batches))
            for group in self.optimizer.param_groups:
                group["lr"] = rate * group["lr_scale"]
            losses.append(self._train_step(images, self.training.targets[chosen % count]))
            if self.average is not None:
                self.average.update(self.model, step=epoch * len(batches) + step + 1)
            listener.step(epoch * len(batches) + step + 1, settings.epochs * len(batches), epoch)
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
        score, values = -1.0, {"loss": loss}
        is_finite = math.isfinite(loss)
        if self.validation is not None:
            logits = self._validate(self.validation)
            is_finite = is_finite and bool(np.isfinite(logits).all())
            score = mean_recall(self.validation.labels, logits.argmax(axis=1))
            values["balanced_accuracy"] = score
        if not is_finite:
            raise UserError(self._diverged(state.epoch))
        listener.epoch(self.name, state.epoch, **values)
        if self.settings.patience is None or score > state.kept_score:
            kept = self._kept_model.state_dict()
            weights = {name: value.detach().cpu().clone() for name, value in kept.items()}
            state.kept_epoch, state.kept_score, state.kept_weights = state.epoch, score, weights
        state.epoch += 1

    def _stopped(self, epoch: int) -> KeyboardInterrupt:
        where = f"after epoch {epoch}" if epoch else "during the first epoch"
        return KeyboardInterrupt(f"Stopped in {self.kind} {self.name} {where} of {self.settings.epochs}.")

    def _diverged(self, epoch: int) -> str:
        half, rate = str(self.half).removeprefix("torch."), self.settings.learning_rate
        instead = "" if self.half is None else f" or precision=float32 instead of {half}"
        return (
            f"{self.kind.capitalize()} {self.name} diverged in epoch {epoch + 1}: its loss, or its logits "
            f"for the validation images, are not finite. Try a lower learning_rate (it is {rate:g})"
            f"{instead}, in another run folder; this one keeps the epochs before."
        )

    def _too_large(self) -> str:
        together = self.settings.micro_batch or self.settings.batch
        return (
            f"{together} images of {len(self.training.image(0))} px at once do not fit into the memory of "
            f"{self.device}. Try micro_batch={max(2, together // 2)} (each step still uses "
            f"{self.settings.batch} images), or a smaller resolution."
        )

    def _train_step(self, images: np.ndarray, shares: np.ndarray) -> Tensor:
        """One step on uint8 [n, S, S, 3] and their targets [n, K], in micro-batches; returns the loss."""
        pixels, targets = to_tensor(images, self.device), to_device(torch.from_numpy(shares), self.device)
        pixels, targets = self.mix(pixels, targets)
        pieces = math.ceil(len(images) / (self.settings.micro_batch or len(images)))
        weight = self.loss.weight(targets)
        self.optimizer.zero_grad(set_to_none=True)
        total = torch.zeros((), device=self.device)
        for piece, wanted in zip(pixels.tensor_split(pieces), targets.tensor_split(pieces), strict=True):
            with torch.autocast(self.device.type, self.half, enabled=self.half is not None):
                logits = self._logits(piece)
            loss = self.loss(logits, wanted, weight)
            self.scaler.scale(loss).backward()
            total += loss.detach()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return total

    def _logits(self, images: Tensor) -> Tensor:
        """Logits [N, K] of training images, with as many classes as the targets."""
        return cast(Tensor, self.model(images))

    def _answers(self, model: nn.Module, images: Tensor) -> Tensor:
        """Logits [N, C] of validation images."""
        return cast(Tensor, model(images))

    def _validate(self, images: ImagePool) -> np.ndarray:
        """Logits float32 [M, C] of the validation images."""
        model = self._kept_model.eval()
        found = []
        parts = math.ceil(len(images) / images_at_a_time(len(images.image(0))))
        splits = np.array_split(np.arange(len(images)), parts)
        for chosen in track(splits, f"Validating {self.kind} {self.name}"):
            pixels = to_tensor(np.stack([images.image(i) for i in chosen]), self.device)
            with torch.inference_mode():
                found.append(self._answers(model, pixels).float().cpu().numpy())
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
                f"{path}: the training state is damaged, or of another version; delete it to train this "
                f"{self.kind} from the start."
            ) from error


class FoldTrainer(Trainer):
    """Trains the model of one fold of an ensemble."""

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
        self.config = config
        seeds = (config.seed, int(fold))
        torch.manual_seed(_seed(*seeds))  # of the linear head
        auxiliary = training.targets.shape[1] - classes
        model = ConditionClassifier.pretrained(config, classes, auxiliary).to(device)
        loss, random = config.loss, config.data_augmentation
        counts = training.targets.sum(axis=0, dtype=np.float64)
        weights = class_weights(counts, loss.balance, loss.class_balance, loss.balance_beta)
        weights[:classes] *= loss.own_weight
        super().__init__(
            "fold",
            fold,
            seeds,
            config.training,
            model,
            model.parameter_groups(config.training.weight_decay, config.training.layer_decay),
            training,
            validation,
            SoftTargetLoss(weights.to(device), loss.label_smoothing),
            TrainingTransforms(random.augmentation, random.transforms),
            device,
            batch_mixing(random.mixup, random.cutmix),
        )

    def _logits(self, images: Tensor) -> Tensor:
        return cast(ConditionClassifier, self.model).joint(images)

    def _answers(self, model: nn.Module, images: Tensor) -> Tensor:
        """Logits of the conditions or, as published, of all classes."""
        assert isinstance(model, ConditionClassifier)
        return model.joint(images) if self.config.training.answer == "published" else model(images)


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


def _seed(*parts: int) -> int:
    return int(np.random.SeedSequence(list(parts)).generate_state(1)[0])
