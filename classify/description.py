"""The metadata in an ensemble's file: checked before use, since a file may come from anywhere."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_serializer,
    field_validator,
    model_validator,
)

from morphoscope.classify.held_out import HeldOut
from morphoscope.cohort.conditions import Description, describe
from morphoscope.cohort.names import require_usable_names
from morphoscope.configs import UserError, first_names
from morphoscope.configs.classifier import EnsembleTraining
from morphoscope.configs.errors import validation_problems
from morphoscope.configs.views import View

MAX_IMAGES = 1_000_000
"""Maximum number of images that a file lists one by one: about 20 MB of names in its metadata."""

Conditions = Annotated[list[str], Field(min_length=1, max_length=10_000)]
Folds = Annotated[list[str], Field(min_length=1, max_length=100)]
Frequencies = Annotated[
    list[Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]], Field(min_length=1, max_length=10_000)
]
Hashes = Annotated[list[str], Field(min_length=1, max_length=MAX_IMAGES)]


class _Recorded(BaseModel):
    """Fields that are not listed here are kept as they are."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True)


class FoldScores(_Recorded):
    """How one fold's model was trained.

    Attributes:
        balanced_accuracy: in validation, in [0, 1].
        epoch: the one that was kept, counted from 1.
        training_images: number of images by kind: real, synthetic, auxiliary.
        validation_images: number of images.
    """

    balanced_accuracy: float
    epoch: int
    training_images: dict[str, int]
    validation_images: int


class Normalisation(_Recorded):
    """Mean and standard deviation per colour of the inputs in [0, 1], applied inside the models."""

    mean: list[float]
    std: list[float]


class EnsembleMetadata(_Recorded):
    """What an ensemble's file records beside weights and calibration.

    Fields that are not listed (version, git_revision …) are kept as they are.

    Attributes:
        cohort, cohort_digest: name of the training cohort's folder, and its digest; None if not recorded.
        view: the only view among the training images; None for all views.
        phantom: whether all training images show phantoms.
        training_images_shown: whether the owner of the model allows programs to show training images, e.g.
            beside a photograph that resembles them (`classify allow-gallery`); no, unless the file says so.
        generators: digests of the generators whose images were trained on.
        foreign_generators: those among them that started from a foreign model.
        scores: how each fold's model was trained.
        auxiliary_cohorts: name and digest of each.
        auxiliary: names of the auxiliary classes.
        seen_images: first 12 hex digits of the SHA-256 of every training and validation file; None in files
            of earlier versions, and where there are more than `MAX_IMAGES`.
        config: settings of the training. The folder of `weights_file` is removed: a shared model should not
            reveal where its author works.
        conditions: class names, in the order of the probabilities.
        described: what they stand for; empty if not recorded. See `descriptions`.
        folds: names of the folds, each of which one model was not trained on.
        normalisation: of the backbone.
        prior: the frequencies of the conditions that the probabilities assume, which follow from the training
            images and the loss weights; None in files of earlier versions.
        prevalence: the frequencies of the conditions among the real training images; likewise.
        held_out: how well ensembles trained without one condition, site or device notice its images; empty
            if that was not measured.
    """

    cohort: str | None = None
    cohort_digest: str | None = None
    view: View | None = None
    phantom: bool = False
    training_images_shown: bool = False
    generators: list[str] = []
    foreign_generators: list[str] = []
    scores: dict[str, FoldScores] = {}
    auxiliary_cohorts: list[str] = []
    auxiliary: Annotated[list[str], Field(max_length=10_000)] = []
    seen_images: Hashes | None = None
    config: EnsembleTraining
    conditions: Conditions
    described: Annotated[list[Description], Field(max_length=10_000)] = []
    folds: Folds
    normalisation: Normalisation | None = None
    prior: Frequencies | None = None
    prevalence: Frequencies | None = None
    held_out: Annotated[list[HeldOut], Field(max_length=10_000)] = []

    @classmethod
    def from_json(cls, values: dict[str, Any], path: Path) -> "EnsembleMetadata":
        """The metadata stored in `path`, checked.

        Raises:
            UserError: a field is missing, of another type or out of range; the message names file and fields.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise UserError(
                f"{path}: damaged description, or from another version ({validation_problems(error)})."
            ) from error

    @property
    def descriptions(self) -> dict[str, Description]:
        """What the names of the conditions stand for: as recorded, else as far as it is built in."""
        return describe(self.conditions, self.described)

    @property
    def may_show_training_images(self) -> bool:
        """Whether training images may be shown: phantoms, or with the permission of the model's owner."""
        return self.phantom or self.training_images_shown

    @property
    def summary(self) -> str:
        """Models, conditions, size and cohort in two lines, for people."""
        shown = "phantoms only" if self.phantom else f"cohort {self.cohort or 'unknown'}"
        auxiliary = f" and {len(self.auxiliary)} auxiliary classes" if self.auxiliary else ""
        backbone, images = self.config.network.backbone, self.config.images
        return (
            f"{len(self.folds)} models ({backbone}, {images.resolution} px, {images.views}-view); "
            f"{len(self.conditions)} conditions ({first_names(self.conditions)}){auxiliary};\n"
            f" trained on {shown} (digest {self.cohort_digest or 'unknown'})"
            + (f". {self.leak_note}" if self.leak_note else "")
        )

    @property
    def leak_note(self) -> str | None:
        """What the leak check could not cover; None if it covered everything."""
        return foreign_note(self.foreign_generators) if self.foreign_generators else None

    def condition_index(self, target: str | int) -> int:
        """The position, 0 to K - 1, of a condition given by name or position; UserError if unknown."""
        if isinstance(target, str) and target in self.conditions:
            return self.conditions.index(target)
        if isinstance(target, int | np.integer) and 0 <= int(target) < len(self.conditions):
            return int(target)
        raise UserError(f"Unknown condition {target!r}; there are {', '.join(self.conditions)}.")

    def as_json(self) -> dict[str, Any]:
        """What `from_json` reads: plain values, without the fields that were never given."""
        return self.model_dump(mode="json", exclude_unset=True)

    @field_validator("conditions", "folds", "auxiliary", "seen_images")
    @classmethod
    def _unique(cls, names: list[str] | None) -> list[str] | None:
        if names is not None and len(set(names)) < len(names):
            raise ValueError("a name occurs twice")
        return names

    @field_validator("conditions", "folds", "auxiliary")
    @classmethod
    def _usable(cls, names: list[str]) -> list[str]:
        require_usable_names(names)
        return names

    @field_validator("config")
    @classmethod
    def _portable(cls, config: EnsembleTraining) -> EnsembleTraining:
        file = config.network.weights_file
        return config if file is None else config.model_copy(update={"weights_file": Path(file.name)})

    @field_serializer("config")
    def _all_settings(self, config: EnsembleTraining) -> dict[str, Any]:
        return config.model_dump(mode="json")

    @model_validator(mode="after")
    def _one_frequency_per_condition(self) -> "EnsembleMetadata":
        for name in ("prior", "prevalence"):
            found = getattr(self, name)
            if found is not None and (len(found) != len(self.conditions) or abs(sum(found) - 1) > 1e-6):
                raise ValueError(f"{name}: not one frequency per condition, with a sum of 1")
        return self

    @model_validator(mode="after")
    def _auxiliary_classes_are_others(self) -> "EnsembleMetadata":
        if not set(self.auxiliary).isdisjoint(self.conditions):
            raise ValueError("auxiliary: it names a condition")
        return self


def foreign_note(generators: Sequence[str]) -> str:
    """What the leak check cannot cover, given digests of generators that started from a foreign model."""
    return (
        f"Synthetic images come from generator {', '.join(generators)}, which started from a foreign model. "
        "The training images of that model are unknown, so the leak check does not cover them: they may be "
        "among those that this classifier is evaluated on."
    )
