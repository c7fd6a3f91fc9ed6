"""The ensemble: one classifier per fold, whose predictions are combined."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from morphoscope.classify.attribution.maps import Attribution, onto_image
from morphoscope.classify.attribution.methods import attribution_settings, explain
from morphoscope.classify.certainty import Calibration, OutOfFold, Subspace
from morphoscope.classify.certainty.prior import Prior, shift_to_images
from morphoscope.classify.description import EnsembleMetadata, Normalisation
from morphoscope.classify.ensemble_file import StoredEnsemble, read_ensemble, write_ensemble
from morphoscope.classify.frequencies import Prevalence, assumed_prior, cohort_prior, requested_prior
from morphoscope.classify.inputs.pairs import HALVES, Form, samples
from morphoscope.classify.inputs.photographs import Photograph, Photographs, as_array, as_arrays
from morphoscope.classify.inputs.preparation import InputPreparation
from morphoscope.classify.inputs.tensors import images_at_a_time, to_tensor
from morphoscope.classify.inputs.views import in_view
from morphoscope.classify.network.classifier import AsShown, ConditionClassifier
from morphoscope.classify.network.forward import ForwardOutput, forward
from morphoscope.classify.prediction import Prediction, pool, with_calibration
from morphoscope.cohort import Cohort
from morphoscope.cohort.conditions import Description
from morphoscope.cohort.manifest import TEST_FOLD
from morphoscope.configs import UserError, arguments
from morphoscope.configs.attribution import Method
from morphoscope.configs.classifier import EnsembleTraining
from morphoscope.configs.views import View
from morphoscope.runtime.progress import track
from morphoscope.runtime.torch_devices import resolve_device
from morphoscope.runtime.torch_timm_weights import pretrained_facts


class _Output(NamedTuple):
    """Output of F models for N inputs, before calibration.

    Attributes:
        probabilities: float32 [F, N, K], at temperature 1.
        joint: float32 [F, N, K+M], over conditions and auxiliary classes.
        distances: float32 [F, N], to each model's subspace; 0 if there is no calibration.
        forms: the `Form` of each input, str [N].
    """

    probabilities: np.ndarray
    joint: np.ndarray
    distances: np.ndarray
    forms: np.ndarray


class Ensemble:
    """The trained classifiers of all folds.

    Attributes:
        metadata: settings, conditions, folds, and what the models were trained on.
        models: in the order of `folds`, in evaluation mode on `device`, without gradients.
        device: where they compute.
        calibrations: temperature, prediction sets and novelty, by the form of the input: whole images or
            pairs, and for a dual-view ensemble also each half alone; empty if it is not calibrated.
        stored_dtype: of the matrices in the file it was read from; float32 if it was not read from a file.
    """

    def __init__(
        self,
        metadata: EnsembleMetadata,
        models: Mapping[str, ConditionClassifier],
        device: str | torch.device = "cpu",
        calibrations: Mapping[Form, Calibration] | None = None,
    ) -> None:
        """Put models together.

        Args:
            metadata: its `folds` and `normalisation` are set to those of the models.
            models: {fold that the model was not trained on: model}, at least one.
            device: auto, cpu, cuda or cuda:N.
            calibrations: see the attribute.
        """
        self.device = resolve_device(device)
        self.calibrations: dict[Form, Calibration] = dict(calibrations or {})
        self.stored_dtype = torch.float32
        self.models = [
            model.eval().requires_grad_(False).to(self.device).to(memory_format=torch.channels_last)
            for model in models.values()
        ]
        backbone = pretrained_facts(self.models[0].backbone)
        normalisation = Normalisation(mean=list(backbone["mean"]), std=list(backbone["std"]))
        self.metadata = metadata.model_copy(update={"folds": list(models), "normalisation": normalisation})

    def __repr__(self) -> str:
        return f"<Ensemble: {self.metadata.summary}; {'' if self.calibrations else 'not '}calibrated>"

    @property
    def config(self) -> EnsembleTraining:
        """The settings that it was trained with."""
        return self.metadata.config

    @property
    def conditions(self) -> list[str]:
        """K class names, in the order of the probabilities."""
        return self.metadata.conditions

    @cached_property
    def descriptions(self) -> dict[str, Description]:
        """What the names of the conditions stand for, as far as it is known."""
        return self.metadata.descriptions

    @property
    def auxiliary(self) -> list[str]:
        """Names of the M auxiliary classes, which were trained jointly with the conditions."""
        return self.metadata.auxiliary

    @property
    def folds(self) -> list[str]:
        """Names of the F folds, each of which one model was not trained on."""
        return self.metadata.folds

    @property
    def resolution(self) -> int:
        """Side of the square images that the models see, pixels."""
        return self.config.images.resolution

    @property
    def view(self) -> View | None:
        """The only view among its training images; None for all views."""
        return self.metadata.view

    @property
    def dual(self) -> bool:
        """Whether it predicts pairs of a focused and a panoramic photograph."""
        return self.config.images.views == "dual"

    @property
    def calibration(self) -> Calibration | None:
        """That of whole images or pairs; None if it is not calibrated."""
        return self.calibrations.get("whole")

    @property
    def prior(self) -> Prior | None:
        """Frequencies of the conditions that its probabilities assume; None if unknown."""
        return assumed_prior(self.metadata, self._calibration_counts)

    @property
    def cohort_prior(self) -> Prior | None:
        """The frequencies of the conditions among its real training images; None if unknown."""
        return cohort_prior(self.metadata, self._calibration_counts)

    @property
    def _calibration_counts(self) -> np.ndarray | None:
        """Number of calibration images of each condition, int64 [K]."""
        return None if self.calibration is None else self.calibration.counts(len(self.conditions))

    def pair(self, focused: Photograph | None, panoramic: Photograph | None) -> np.ndarray:
        """The input of a dual-view ensemble: both photographs side by side, uint8 [R, 2R, 3].

        Args:
            focused, panoramic: path, Pillow image or uint8 RGB [H, W, 3] of any size; None if missing.

        Raises:
            UserError: both are missing, or one cannot be read or is not uint8 RGB.
        """
        return self._preparation.pair(as_array(focused), as_array(panoramic))

    def predict(
        self, images: Photographs, batch: int | None = None, prevalence: Prevalence | None = None
    ) -> Prediction:
        """Predict the condition in images of any size.

        Args:
            images: one or a sequence of paths, Pillow images and uint8 RGB [H, W, 3], or an array [N, H, W,
                3]; N may be 0. Files are read like those of the command (`cohort.read_image`), a batch at a
                time. All are made square like the training images (crop or letterbox) and resized,
                antialiased, to the models' resolution. For a dual-view ensemble pairs, as `pair` makes them.
            batch: images per forward pass; chosen by resolution if None.
            prevalence: how frequent the conditions are among the patients; as in training (`prior`) if None.

        Returns:
            Probabilities averaged over the orientations that `config` sets in `test_time`.

        Raises:
            UserError: no such images, no pairs where they are expected, or as `requested_prior`.
        """
        images = as_arrays(images)
        if batch is not None:
            arguments.whole_number("batch", batch, 1)
        wanted = None if prevalence is None else self.requested_prior(prevalence)
        raw, joint, distances, forms = self._outputs(images, batch or images_at_a_time(self.resolution))
        known: dict[str, Any] = {"prior": self.prior, "held_out": self.metadata.held_out}
        plain = Prediction(self.conditions, raw, *pool(raw), auxiliary=self.auxiliary, joint=joint, **known)
        if self.calibrations:
            plain = with_calibration(plain, self.calibrations, distances, forms)
        return plain if wanted is None else plain.with_prior(wanted)

    def requested_prior(self, prevalence: Prevalence) -> Prior:
        """The prior that `prevalence` names.

        Raises:
            UserError: it does not fit the conditions, or the ensemble does not record what it names.
        """
        return requested_prior(prevalence, self.conditions, self.cohort_prior)

    def predict_fold(self, fold: str, images: Photographs) -> ForwardOutput:
        """Predict with the model of one fold, without calibration.

        Args:
            fold: its name.
            images: N >= 1 images, as for `predict`.

        Raises:
            UserError: as for `predict`.
        """
        images = as_arrays(images, fewest=1)
        model, batch = self.models[self._position(fold)], images_at_a_time(self.resolution)
        parts = []
        for start in track(range(0, len(images), batch), f"Predicting with the model of fold {fold}"):
            pixels = to_tensor(self._preparation.inputs(images[start : start + batch]), self.device)
            parts.append(forward(model, pixels, self.config.data_augmentation.test_time))
        return ForwardOutput(*(np.concatenate(column) for column in zip(*parts, strict=True)))

    def calibrate(self, cohort: Cohort) -> None:
        """Fit temperature, prediction sets and novelty to out-of-fold predictions; training ends with it.

        Each image of the ensemble's folds and view is predicted by the one model that was not trained on it;
        each fold's novelty is the distance from its own real training images. A dual-view ensemble is
        calibrated on the whole pairs, and separately on all focused and on all panoramic images alone.

        Args:
            cohort: the cohort of the training, with the same folds.

        Raises:
            UserError: another cohort or split.
        """
        self.require_training_cohort(cohort)
        used = (cohort.rows["fold"] != TEST_FOLD).to_numpy() & in_view(cohort, self.view)
        self.calibrations = {"whole": self._calibrated(cohort, used, "whole")}
        if self.dual:
            for half in HALVES:
                self.calibrations[half] = self._calibrated(cohort, used & in_view(cohort, half), half)

    def require_training_cohort(self, cohort: Cohort) -> None:
        """Raise UserError unless `cohort` is the cohort of the training, split in the same way."""
        arguments.instance("cohort", cohort, Cohort, "a Cohort, e.g. from Cohort.load")
        trained_on = self.metadata.cohort_digest
        if cohort.digest != trained_on:
            raise UserError(
                f"{cohort.root} is not the cohort, or not the split, that the ensemble was trained on "
                f"(digest {cohort.digest} instead of {trained_on}), so its folds do not show what the "
                "models have seen. For a cohort of other patients use rows 'all'."
            )

    def seen(self, image: Photograph) -> np.ndarray:
        """An image as the models see it, uint8 [R, R, 3]; of a pair [R, 2R, 3]. Errors as for `attribute`."""
        return self._preparation.inputs([as_array(image)])[0]

    def attribute(
        self,
        image: Photograph,
        target: str | int,
        method: Method = "integrated_gradients",
        **options: Any,
    ) -> Attribution:
        """Compute which pixels the probability of a condition, averaged over the models, depends on.

        In a pair, as `pair` makes it, a missing half stays missing, so that no evidence lies in it.

        Args:
            image: path, Pillow image or uint8 RGB [H, W, 3] of any size, or a pair.
            target: the condition's name, or its index from 0 to K - 1.
            method: see `configs.attribution.Method`.
            options: fields of `configs.attribution.AttributionSettings`. Pixels of the baseline's colour get
                no attribution from integrated gradients, so a black baseline is blind to dark lesions.

        Raises:
            UserError: an unknown condition, method or option, or not a uint8 RGB image.
        """
        settings = attribution_settings(method, options)
        index, array = self.metadata.condition_index(target), as_array(image)
        pixels = to_tensor(self.seen(array)[None], self.device)
        models = [AsShown(model, pixels) for model in self.models] if self.dual else self.models
        batch = max(1, images_at_a_time(self.resolution) // 4)  # gradients keep all activations
        found = explain(models, pixels, index, method, settings, batch)
        whole_map = found.per_fold.mean(axis=0)
        if not self.dual:
            whole_map = onto_image(whole_map, array.shape[:2], self.config.images.fit)
        baseline = settings.baseline if method in ("integrated_gradients", "occlusion") else None
        return Attribution(whole_map, *found, target=self.conditions[index], method=method, baseline=baseline)

    def fold(self, name: str) -> "Ensemble":
        """The ensemble of one fold's model only, not calibrated; UserError for an unknown fold."""
        return self.with_models({name: self.models[self._position(name)]})

    def _position(self, fold: str) -> int:
        """Where the model of a fold stands among `models`."""
        return self.folds.index(arguments.one_of("fold", fold, self.folds))

    def with_models(self, models: Mapping[str, ConditionClassifier]) -> "Ensemble":
        """The same ensemble with other models, {fold: model}, not calibrated.

        Raises:
            UserError: no such mapping.
        """
        takes = "at least one model, {fold: ConditionClassifier}"
        if not arguments.instance("models", models, Mapping, takes):
            arguments.refuse("models", takes, models)
        for fold, model in models.items():
            arguments.text("A fold", fold)
            arguments.instance("A model", model, ConditionClassifier, "a ConditionClassifier")
        return Ensemble(self.metadata, models, self.device)

    def save(self, path: Path, dtype: torch.dtype | None = None) -> None:
        """Write one safetensors file; tensors that are the same in all folds are stored once.

        Args:
            path: of the file.
            dtype: torch.float16 halves the file: matrices and filters are rounded, while biases and
                normalisation statistics are kept as they are. If None, that of the file it was read from.

        Raises:
            UserError: the file cannot be written.
        """
        path = arguments.path("path", path, "the path of the new file")
        if dtype is not None and not isinstance(dtype, torch.dtype):
            arguments.refuse("dtype", "a torch.dtype, or None", dtype)
        models = dict(zip(self.folds, self.models, strict=True))
        dtype = dtype or self.stored_dtype
        write_ensemble(path, StoredEnsemble(self.metadata, models, self.calibrations, dtype))

    @classmethod
    def load(cls, path: Path, device: str = "cpu", test_time: int | None = None) -> "Ensemble":
        """Read a file written by `save`.

        Args:
            path: of the file.
            device: auto, cpu, cuda or cuda:N.
            test_time: number of orientations of each image, 1 or 8, if not that of its config. The
                calibration was then fitted to other probabilities and is left out; `calibrate` fits another.

        Raises:
            UserError: the file is missing, damaged or not an ensemble, its tensors do not fit its metadata,
                or `test_time` is neither 1 nor 8.
        """
        path = arguments.path("path", path, "the path of an ensemble's file")
        where = resolve_device(device)
        if test_time is not None:
            arguments.whole_number("test_time", test_time)
        stored = read_ensemble(path, test_time)
        ensemble = cls(stored.metadata, stored.models, where, stored.calibrations)
        ensemble.stored_dtype = stored.dtype
        return ensemble

    @property
    def _preparation(self) -> InputPreparation:
        return InputPreparation.of(self.config)

    def _outputs(self, images: np.ndarray | Sequence[np.ndarray], batch: int) -> _Output:
        """Output of all models for N >= 0 images, `batch` at a time."""
        classes, every = len(self.conditions), len(self.conditions) + len(self.auxiliary)
        none = np.zeros((len(self.folds), 0, every), np.float32)
        parts = [_Output(none[:, :, :classes], none, none[:, :, 0], np.zeros(0, str))]
        for start in track(range(0, len(images), batch), "Predicting"):
            parts.append(self._forward(self._preparation.inputs(images[start : start + batch])))
        return _Output(
            *(np.concatenate(column, axis=min(column[0].ndim - 1, 1)) for column in zip(*parts, strict=True))
        )

    def _forward(self, inputs: np.ndarray) -> _Output:
        """Output of all models for one batch of inputs, uint8 [n, R, R, 3] or, for pairs, [n, R, 2R, 3]."""
        pixels = to_tensor(inputs, self.device)
        outputs = [forward(model, pixels, self.config.data_augmentation.test_time) for model in self.models]
        forms = self._preparation.forms(inputs)
        distances = np.zeros((len(outputs), len(inputs)), np.float32)
        for form, calibration in self.calibrations.items():
            here = forms == form
            for position, subspace in enumerate(calibration.novelty.subspaces):
                distances[position, here] = subspace.distance(outputs[position].features[here])
        probabilities = np.stack([output.probabilities for output in outputs])
        return _Output(probabilities, np.stack([output.joint for output in outputs]), distances, forms)

    def _calibrated(self, cohort: Cohort, used: np.ndarray, form: Form) -> Calibration:
        """Calibration on the rows `used`, bool [N]."""
        shown = samples(cohort, self.config, used, form == "whole")
        chosen = cohort.rows.iloc[shown.rows]
        fold_of = chosen["fold"].to_numpy(dtype=str)
        truth = np.array([self.conditions.index(name) for name in chosen["condition"]], np.int64)
        known = np.isin(fold_of, self.folds)
        subspaces, probabilities = [], []
        distances = np.zeros(len(fold_of), np.float32)
        for fold in self.folds:
            output = self.predict_fold(fold, shown.images)
            subspaces.append(Subspace.fit(output.features[fold_of != fold]))
            probabilities.append(output.probabilities[known])
            distances[fold_of == fold] = subspaces[-1].distance(output.features[fold_of == fold])
        position = np.array([self.folds.index(fold) for fold in fold_of[known]], np.int64)
        predicted = OutOfFold(np.stack(probabilities), truth[known], position, distances[known])
        k = len(self.conditions)
        prior = assumed_prior(self.metadata, np.bincount(predicted.truth, minlength=k))
        return Calibration.fit(predicted, subspaces, shift_to_images(prior, predicted.truth, k))
