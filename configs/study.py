"""Settings of a study: which arms of augmentation are compared, on which patients, and how often."""

from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from morphoscope.configs.schema import Config

REFERENCE = "real"
"""The arm that every other arm is compared with: the cohort's own images, with the usual transforms."""

SyntheticImages = Literal["plain", "filtered", "selected", "morphs"]


class Choice(Config):
    """Candidates for an arm, of which the best is chosen for every training set without its test."""

    ratio: list[float] = Field(
        [], description="synthetic images per real training image, instead of `synthetic`"
    )
    psi: list[float] = Field([], description="truncations, instead of the study's `psi`")
    snapshot: list[float] = Field(
        [], description="parts of the generator's training, e.g. [0.5, 1]: the kept snapshot that is closest"
    )

    @model_validator(mode="after")
    def _several(self) -> "Choice":
        if max(len(self.ratio), 1) * max(len(self.psi), 1) * max(len(self.snapshot), 1) < 2:
            raise ValueError("choose: needs at least two candidates, e.g. ratio: [0.5, 1, 2]")
        if any(not 0 < value <= 20 for value in self.ratio):
            raise ValueError("ratio: above 0, and at most 20")
        if any(not 0 <= value <= 2 for value in self.psi):
            raise ValueError("psi: 0 to 2")
        if any(not 0 < value <= 1 for value in self.snapshot):
            raise ValueError("snapshot: parts of the training, above 0 and at most 1")
        return self


class Arm(Config):
    """What the classifiers of one arm are trained on."""

    real: bool = Field(True, description="train on real images; false trains on synthetic ones alone")
    sampling: Literal["natural", "balanced"] = Field(
        "natural",
        description="balanced repeats images of smaller conditions until all are as frequent as the largest",
    )
    transforms: Literal["usual", "none", "flips", "paper"] = Field(
        "usual", description="random transforms of training images"
    )
    synthetic: float = Field(0, ge=0, le=20, description="synthetic images per real training image")
    fill: bool = Field(
        False,
        description="add synthetic images only to conditions that have fewer images than the largest one",
    )
    images: SyntheticImages = Field(
        "plain",
        description="which synthetic images: plain, all; filtered, without those that are closest to "
        "training images; selected, those that the classifier of the arm `real` assigns to their condition "
        "and does not find unlike its training images; morphs, mixtures of two conditions with soft labels",
    )
    choose: Choice | None = Field(
        None,
        description="candidates for ratio, psi and snapshot; for each training set the one is chosen whose "
        "classifiers recognise the calibration patients best",
    )
    folder: str | None = Field(
        None,
        description="synthetic images of another generator instead of the study's own: a path with {fold} "
        "and, if it depends on them, {shots}, whose subfolders are named after the conditions",
    )

    @property
    def needs_images(self) -> bool:
        """Whether the arm uses synthetic images."""
        return self.fill or self.synthetic > 0 or self.choose is not None

    @property
    def generated(self) -> bool:
        """Whether it uses images of the study's own generators, so that it depends on their seeds."""
        return self.needs_images and self.folder is None

    @model_validator(mode="after")
    def _makes_sense(self) -> "Arm":
        if self.choose is not None:
            self._can_choose(self.choose)
        if not self.real and not self.needs_images:
            raise ValueError("real: false needs synthetic images; set `synthetic`, e.g. to 1")
        if self.fill and (self.synthetic or not self.real):
            raise ValueError(
                "fill: adds the images that a condition lacks; leave out `synthetic`, and keep real images"
            )
        if (self.images != "plain" or self.folder) and not self.needs_images:
            raise ValueError("images, folder: the arm uses no synthetic image; set `synthetic` or `fill`")
        if self.folder is not None and self.images != "plain":
            raise ValueError("folder: images of another generator are used as they are; leave out `images`")
        if self.folder is not None and "{fold}" not in self.folder:
            raise ValueError("folder: needs {fold} in it: no generator may see the patients of its test")
        return self

    def _can_choose(self, choice: Choice) -> None:
        if self.folder is not None:
            raise ValueError("choose: not possible for images of another generator; leave out `folder`")
        if choice.ratio and (self.synthetic or self.fill):
            raise ValueError("choose.ratio: takes the place of `synthetic` and `fill`; leave these out")
        if not choice.ratio and not (self.synthetic or self.fill):
            raise ValueError("choose: how many synthetic images? Set `synthetic`, or add `ratio`")


class Study(Config):
    """`study plan` and `study run`."""

    command: ClassVar[str] = "study run"
    cohort: Path = Field(
        description="the cohort, a folder or zip with a manifest.csv; its fold `test`, if it has one, is "
        "left out of the study"
    )
    arms: dict[str, Arm] = Field(
        description="what is compared with the arm `real`, which need not be listed: {name: settings of the "
        "arm}; see docs/study.md"
    )
    shots: list[int | Literal["all"]] = Field(
        ["all"],
        min_length=1,
        description="patients per condition to train on, e.g. [5, 10, 20, all]; smaller sets are parts of "
        "larger ones",
    )
    folds: int = Field(5, ge=2, le=20, description="outer folds: each patient is tested in one of them")
    inner_folds: int = Field(
        4,
        ge=2,
        le=20,
        description="number of parts of the patients outside an outer fold: the first calibrates classifiers "
        "and shows whether generators copy, the others are trained on",
    )
    generator_seeds: int = Field(2, ge=1, le=50, description="generators per outer fold and number of shots")
    classifier_seeds: int = Field(3, ge=1, le=50, description="classifiers per arm and generator")
    steps: int = Field(300, ge=1, description="optimiser steps of every classifier, whatever its arm")
    classifier_preset: str = Field("lite", description="preset of `classify train`")
    classifier: dict[str, Any] = Field({}, description="further settings of `classify train`")
    generator_preset: str = Field("auto", description="preset of `generate train`")
    generator: dict[str, Any] = Field({}, description="further settings of `generate train`")
    start_from: Path | None = Field(
        None, description="snapshot from which every generator starts; `bundled` is that of the phantoms"
    )
    psi: float = Field(1.0, ge=0, le=2, description="truncation of the synthetic images")
    drop_closer: float = Field(
        0.05, gt=0, lt=1, description="quantile of the filter, as for `generate augment`"
    )
    margin: float = Field(
        0.02,
        gt=0,
        lt=1,
        description="smallest difference of balanced accuracy that would matter; choose it before the study",
    )
    disagreement: float = Field(
        0.15,
        gt=0,
        le=1,
        description="for the plan without a pilot: proportion of images to assume of which one of two arms "
        "is correct and the other is not",
    )
    seed_variation: float = Field(
        0.02,
        ge=0,
        le=1,
        description="for the plan without a pilot: standard deviation to assume between differences of "
        "balanced accuracy with different seeds",
    )
    fold_variation: float = Field(
        0.01,
        ge=0,
        le=1,
        description="for the plan without a pilot: standard deviation to assume between differences of "
        "balanced accuracy with different training sets",
    )
    seed: int = Field(0, ge=0, lt=2**32, description="random seed of folds, subsets, seeds and bootstrap")

    @field_validator("arms")
    @classmethod
    def _named(cls, arms: dict[str, Arm]) -> dict[str, Arm]:
        bad = [name for name in arms if not name.strip() or len(name) > 40 or not name.isprintable()]
        if bad:
            raise ValueError(f"the name {bad[0]!r} is empty, longer than 40 letters, or not printable")
        if REFERENCE in arms and arms[REFERENCE] != Arm():
            raise ValueError(f"`{REFERENCE}` is the arm of the real images alone; give this one another name")
        if not arms.keys() - {REFERENCE}:
            raise ValueError(f"at least one arm besides `{REFERENCE}`")
        return {REFERENCE: Arm(), **arms}

    @field_validator("shots")
    @classmethod
    def _ascending(cls, shots: list[int | Literal["all"]]) -> list[int | Literal["all"]]:
        numbers = [shot for shot in shots if isinstance(shot, int)]
        if any(number < 2 for number in numbers):
            raise ValueError("at least 2 patients per condition")
        rest: list[Literal["all"]] = ["all"] if "all" in shots else []
        return [*sorted(set(numbers)), *rest]
