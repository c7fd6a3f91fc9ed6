"""One classifier a fold, judged together; kept as one file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from morphoscope.classify.attribution.maps import Attribution, onto_image
from morphoscope.classify.attribution.methods import attribution_settings, explain
from morphoscope.classify.certainty import Calibration, OutOfFold, Subspace
from morphoscope.classify.certainty.calibration import read_calibrations, stored_calibrations
from morphoscope.classify.certainty.temperature import scaled
from morphoscope.classify.description import described
from morphoscope.classify.inputs.pairs import HALVES, Form, samples
from morphoscope.classify.inputs.tensors import images_at_a_time, to_tensor
from morphoscope.classify.inputs.views import in_view
from morphoscope.classify.network.classifier import AsShown, ConditionClassifier
from morphoscope.classify.network.forward import ForwardOutput, forward
from morphoscope.classify.network.weights import pretrained_facts
from morphoscope.classify.prediction import Prediction, combine
from morphoscope.cohort import Cohort
from morphoscope.cohort.manifest import TEST_FOLD
from morphoscope.cohort.resizing import square
from morphoscope.configs import UserError
from morphoscope.configs.attribution import Method
from morphoscope.configs.classifier import EnsembleTraining
from morphoscope.configs.loading import validated
from morphoscope.configs.views import View
from morphoscope.runtime.torch_checkpoints import read_checkpoint, write_checkpoint
from morphoscope.runtime.torch_devices import resolve_device

KIND = "ensemble"
_SHARED = "shared"


class Ensemble:
    """Trained classifiers of all folds.

    Attributes:
        config: settings they were trained with.
        conditions: class names, in the order of the probabilities.
        auxiliary: names of the classes that were learnt along with them.
        folds: name of the fold that each model did not train on.
        metadata: JSON-able facts: cohort, cohort_digest, view, auxiliary, phantom, seen_images (first 12 hex
            digits of the SHA-256 of every training and validation file), normalisation, per-fold scores …
        calibrations: temperature, prediction sets and novelty, by the form of what is judged: whole images or
            pairs, of a dual-view ensemble also each half alone; empty if it is not calibrated.
        stored_dtype: of the matrices in the file it was read from; float32 if from none.
    """

    def __init__(
        self,
        config: EnsembleTraining,
        conditions: list[str],
        models: dict[str, ConditionClassifier],
        metadata: dict[str, Any],
        device: str | torch.device = "cpu",
        calibrations: Mapping[Form, Calibration] | None = None,
    ) -> None:
        self.config, self.conditions, self.folds = config, list(conditions), list(models)
        self.auxiliary: list[str] = list(metadata.get("auxiliary", []))
        self.device = resolve_device(device)
        self.calibrations: dict[Form, Calibration] = dict(calibrations or {})
        self.stored_dtype = torch.float32
        self.models = [
            model.eval().requires_grad_(False).to(self.device).to(memory_format=torch.channels_last)
            for model in models.values()
        ]
        backbone = pretrained_facts(self.models[0].backbone)
        self.metadata = {
            **metadata,
            "config": _portable(config).model_dump(mode="json"),
            "conditions": self.conditions,
            "folds": self.folds,
            "normalisation": {"mean": list(backbone["mean"]), "std": list(backbone["std"])},
        }

    @property
    def resolution(self) -> int:
        """Side of the square images that the models see, pixels."""
        return self.config.images.resolution

    @property
    def view(self) -> View | None:
        """Of the training cohort's images, those that it was trained on; None: all."""
        return self.metadata.get("view")

    @property
    def dual(self) -> bool:
        """Whether it judges pairs of a focused and a panoramic photograph."""
        return self.config.images.views == "dual"

    @property
    def calibration(self) -> Calibration | None:
        """That of whole images or pairs; None if it is not calibrated."""
        return self.calibrations.get("whole")

    def pair(self, focused: np.ndarray | None, panoramic: np.ndarray | None) -> np.ndarray:
        """What a dual-view ensemble takes for an image: both photographs side by side, uint8 [R, 2R, 3].

        Args:
            focused, panoramic: uint8 RGB [H, W, 3] of any size; None where there is none.

        Raises:
            UserError: neither is there, or not uint8 RGB.
        """
        if focused is None and panoramic is None:
            raise UserError("A pair needs a focused or a panoramic photograph.")
        missing = np.zeros((self.resolution, self.resolution, 3), np.uint8)
        halves = [missing if half is None else self._squares([half])[0] for half in (focused, panoramic)]
        return np.concatenate(halves, axis=1)

    def predict(self, images: np.ndarray | Sequence[np.ndarray], batch: int | None = None) -> Prediction:
        """Judge images of any size; `config.test_time` says in how many views of each.

        Args:
            images: uint8 [N, H, W, 3] RGB, or a sequence of uint8 [H, W, 3]. They are made square as the
                training images were (crop or letterbox) and resized, antialiased, to the models' resolution.
                For a dual-view ensemble pairs, as `pair` makes them.
            batch: images at a time; chosen by resolution if None.

        Raises:
            UserError: not uint8 RGB, or no pairs where pairs are expected.
        """
        batch = batch or images_at_a_time(self.resolution)
        parts = [
            self._forward(self._inputs(images[start : start + batch]))
            for start in range(0, len(images), batch)
        ]
        classes = len(self.conditions)
        empty = np.zeros((len(self.folds), 0, classes + len(self.auxiliary)), np.float32)
        raw = np.concatenate([empty[:, :, :classes], *(found for found, _, _, _ in parts)], axis=1)
        joint = np.concatenate([empty, *(found for _, found, _, _ in parts)], axis=1)
        if not self.calibrations:
            return Prediction(self.conditions, raw, *combine(raw), auxiliary=self.auxiliary, joint=joint)
        distances = np.concatenate([empty[:, :, 0], *(found for _, _, found, _ in parts)], axis=1)
        forms = np.concatenate([np.zeros(0, str), *(found for _, _, _, found in parts)])
        per_fold = np.empty_like(raw)
        sets = np.zeros(raw.shape[1:], bool)
        novelty, novel = np.zeros(len(forms), np.float32), np.zeros(len(forms), bool)
        for form, calibration in self.calibrations.items():
            here = forms == form
            per_fold[:, here] = scaled(raw[:, here], calibration.temperature)
            sets[here] = calibration.conformal.sets(raw[:, here])
            novelty[here], novel[here] = calibration.novelty.detect(distances[:, here])
        return Prediction(
            self.conditions,
            per_fold,
            *combine(per_fold),
            uncalibrated=combine(raw)[0],
            coverage=self.calibrations["whole"].conformal.coverage,
            prediction_sets=sets,
            novelty=novelty,
            novel=novel,
            auxiliary=self.auxiliary,
            joint=joint,
        )

    def predict_fold(self, fold: str, images: np.ndarray | Sequence[np.ndarray]) -> ForwardOutput:
        """What one fold's model makes of images, as `predict` takes them."""
        model, batch = self.models[self.folds.index(fold)], images_at_a_time(self.resolution)
        parts = []
        for start in range(0, len(images), batch):
            pixels = to_tensor(self._inputs(images[start : start + batch]), self.device)
            parts.append(forward(model, pixels, self.config.data_augmentation.test_time))
        return ForwardOutput(*(np.concatenate(column) for column in zip(*parts, strict=True)))

    def calibrate(self, cohort: Cohort) -> None:
        """Fit temperature, prediction sets and novelty to out-of-fold images; training ends with it.

        Each image of the ensemble's folds and view is judged by the one model that has not trained on it;
        each fold's novelty is measured from its own real training images. A dual-view ensemble is calibrated
        with the whole pairs, and apart from them with all focused and with all panoramic images alone.

        Args:
            cohort: the very cohort, with the very folds, of the training.

        Raises:
            UserError: another cohort or split.
        """
        self.require_training_cohort(cohort)
        used = (cohort.rows["fold"] != TEST_FOLD).to_numpy() & in_view(cohort, self.view)
        self.calibrations = {"whole": self._calibrated(cohort, used, "whole")}
        if self.dual:
            for half in HALVES:
                self.calibrations[half] = self._calibrated(cohort, used & in_view(cohort, half), half)

    def _calibrated(self, cohort: Cohort, used: np.ndarray, form: Form) -> Calibration:
        """From the rows `used`, bool [N]."""
        shown = samples(cohort, self.config, used, form == "whole")
        chosen = cohort.rows.iloc[shown.rows]
        fold_of = chosen["fold"].to_numpy(dtype=str)
        truth = np.array([self.conditions.index(name) for name in chosen["condition"]], np.int64)
        subspaces, parts = [], []
        for position, fold in enumerate(self.folds):
            probabilities, features, _ = self.predict_fold(fold, shown.images)
            own = fold_of == fold
            subspaces.append(Subspace.fit(features[~own]))
            distances = subspaces[-1].distance(features[own])
            parts.append((probabilities[own], truth[own], np.full(own.sum(), position), distances))
        out_of_fold = OutOfFold(*(np.concatenate(column) for column in zip(*parts, strict=True)))
        return Calibration.fit(out_of_fold, subspaces)

    def require_training_cohort(self, cohort: Cohort) -> None:
        """UserError unless `cohort` is what the ensemble was trained on, split in the same way."""
        trained_on = self.metadata.get("cohort_digest")
        if cohort.digest != trained_on:
            raise UserError(
                f"{cohort.root} is not the cohort, or not the split, that the ensemble was trained on "
                f"(digest {cohort.digest} instead of {trained_on}), so its folds say nothing about what the "
                "models have seen. For a cohort of other patients use rows 'all'."
            )

    def attribute(
        self,
        image: np.ndarray,
        target: str | int,
        method: Method = "integrated_gradients",
        **options: Any,
    ) -> Attribution:
        """Say which pixels of `image` (uint8 [H, W, 3]) the probability of a condition rests on.

        What is explained is the mean probability over all folds. Of a pair, as `pair` makes it, a missing
        half stays missing, so that no evidence lies in it.

        Args:
            target: the condition's name or index.
            options: fields of `configs.attribution.AttributionSettings`. Pixels of the baseline's colour get
                no attribution from integrated gradients, so a black one is blind to dark lesions.

        Raises:
            UserError: an unknown condition, method or option, or not an uint8 RGB image.
        """
        settings = attribution_settings(method, options)
        index = self._condition_index(target)
        pixels = to_tensor(self._inputs([image]), self.device)
        models = [AsShown(model, pixels) for model in self.models] if self.dual else self.models
        batch = max(1, images_at_a_time(self.resolution) // 4)  # gradients keep all activations
        found = explain(models, pixels, index, method, settings, batch)
        whole_map = found.per_fold.mean(axis=0)
        if not self.dual:
            whole_map = onto_image(whole_map, image.shape[:2], self.config.images.fit)
        baseline = settings.baseline if method in ("integrated_gradients", "occlusion") else None
        return Attribution(whole_map, *found, target=self.conditions[index], method=method, baseline=baseline)

    def fold(self, name: str) -> "Ensemble":
        """The same with one fold's model only, not calibrated."""
        model = self.models[self.folds.index(name)]
        return Ensemble(self.config, self.conditions, {name: model}, self.metadata, self.device)

    def save(self, path: Path, dtype: torch.dtype | None = None) -> None:
        """Write one safetensors file; tensors that are the same in all folds are stored once.

        Args:
            dtype: torch.float16 halves the file: matrices and filters are rounded, while biases and
                normalisation statistics stay as they are. If None, that of the file it was read from.
        """
        dtype = dtype or self.stored_dtype
        states = [
            {key: _cast(value, dtype) for key, value in model.state_dict().items()} for model in self.models
        ]
        tensors: dict[str, Tensor] = {}
        for key, first in states[0].items():
            if len(states) > 1 and all(torch.equal(first, state[key]) for state in states[1:]):
                tensors[f"{_SHARED}/{key}"] = first
            else:
                tensors |= {
                    f"{fold}/{key}": state[key] for fold, state in zip(self.folds, states, strict=True)
                }
        metadata = self.metadata
        if self.calibrations:
            found, facts = stored_calibrations(self.calibrations)
            tensors, metadata = {**tensors, **found}, {**metadata, **facts}
        write_checkpoint(path, KIND, tensors, metadata)

    @classmethod
    def load(cls, path: Path, device: str = "cpu", test_time: int | None = None) -> "Ensemble":
        """Read a file written by `save`.

        Args:
            test_time: views of each image, 1 or 8, if not those of its config. Its calibration was fitted to
                other probabilities and is left out: `calibrate` makes a new one.

        Raises:
            UserError: missing, damaged, not an ensemble, its tensors do not fit its own description, or
                another number of views.
        """
        tensors, metadata = read_checkpoint(Path(path), KIND)
        config, conditions, folds = described(metadata, path)
        models = {}
        for fold in folds:
            model = ConditionClassifier(config, len(conditions), len(metadata.get("auxiliary", [])))
            state = {}
            for key, value in tensors.items():
                owner, _, name = key.partition("/")
                if owner in (_SHARED, fold):
                    state[name] = value
            try:
                model.load_state_dict(state)
            except RuntimeError as error:
                reason = " ".join(str(error).split())[:200]
                raise UserError(f"{path}: fold {fold} does not fit its description ({reason}).") from error
            models[fold] = model
        facts: dict[str, Any] = {key: metadata.pop(key, None) for key in ("calibration", "half_calibrations")}
        if test_time not in (None, config.data_augmentation.test_time):
            facts = {}
            config = validated(EnsembleTraining, {**config.model_dump(), "test_time": test_time})
        calibrations = read_calibrations(
            facts,
            tensors,
            forms=("whole", *HALVES) if config.images.views == "dual" else ("whole",),
            classes=len(conditions),
            folds=len(folds),
            features=models[folds[0]].features,
            path=Path(path),
        )
        found = cls(config, conditions, models, metadata, device, calibrations)
        if any(tensor.dtype == torch.float16 for tensor in tensors.values()):
            found.stored_dtype = torch.float16
        return found

    def _inputs(self, images: np.ndarray | Sequence[np.ndarray]) -> np.ndarray:
        """What the models see, uint8 [n, R, R, 3] or, of pairs, [n, R, 2R, 3]."""
        if not self.dual:
            return self._squares(images)
        side = self.resolution
        for image in images:
            if image.dtype != np.uint8 or image.shape != (side, 2 * side, 3) or not image.any():
                raise UserError(
                    f"This ensemble judges pairs of a focused and a panoramic photograph, uint8 [{side}, "
                    f"{2 * side}, 3] and not all black; got {image.dtype} {list(image.shape)}. "
                    "`Ensemble.pair` makes them."
                )
        return np.stack(list(images))

    def _squares(self, images: np.ndarray | Sequence[np.ndarray]) -> np.ndarray:
        for image in images:
            if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
                raise UserError(
                    f"Expected uint8 RGB images [H, W, 3], got {image.dtype} {list(image.shape)}."
                )
        return np.stack(
            [square(Image.fromarray(image), self.resolution, self.config.images.fit) for image in images]
        )

    def _forward(self, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """(probabilities [F, n, K] at temperature 1, joint ones [F, n, K+M], distances [F, n], forms [n]).

        Distances are 0 if there is no calibration.
        """
        pixels = to_tensor(inputs, self.device)
        outputs = [forward(model, pixels, self.config.data_augmentation.test_time) for model in self.models]
        forms = self._forms(inputs)
        distances = np.zeros((len(outputs), len(inputs)), np.float32)
        for form, calibration in self.calibrations.items():
            here = forms == form
            for position, subspace in enumerate(calibration.novelty.subspaces):
                distances[position, here] = subspace.distance(outputs[position].features[here])
        probabilities, joint = (
            [getattr(one, name) for one in outputs] for name in ("probabilities", "joint")
        )
        return np.stack(probabilities), np.stack(joint), distances, forms

    def _forms(self, inputs: np.ndarray) -> np.ndarray:
        """The `Form` of each input, str [n]."""
        if not self.dual:
            return np.full(len(inputs), "whole")
        left, right = (half.any(axis=(1, 2, 3)) for half in np.split(inputs, 2, axis=2))
        return np.where(left & right, "whole", np.where(left, *HALVES))

    def _condition_index(self, target: str | int) -> int:
        if isinstance(target, str) and target in self.conditions:
            return self.conditions.index(target)
        if isinstance(target, (int, np.integer)) and 0 <= target < len(self.conditions):
            return int(target)
        raise UserError(f"Unknown condition {target!r}; there are {', '.join(self.conditions)}.")


def _cast(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    # Batch statistics can lie outside float16's range, and vectors take no room.
    return tensor.to(dtype) if tensor.is_floating_point() and tensor.ndim >= 2 else tensor


def _portable(config: EnsembleTraining) -> EnsembleTraining:
    """Without the folders of `weights_file`: a shared model should not tell where its author works."""
    if config.network.weights_file is None:
        return config
    return config.model_copy(update={"weights_file": Path(config.network.weights_file.name)})
