"""Settings of the training of a classifier ensemble."""

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from morphoscope.configs.schema import Config, GroupedConfig, Resume

Precision = Literal["auto", "float32", "bfloat16", "float16"]
Transforms = Literal["usual", "paper", "flips"]


class ImagesGroup(Config):
    """Which images to train on, and how to prepare them."""

    resolution: int = Field(ge=32, le=1024, description="side of the square input in pixels")
    fit: Literal["crop", "letterbox"] = Field(
        "crop",
        description="how an image that is not square becomes square: crop keeps the central square, "
        "letterbox pads the image",
    )
    views: Literal["single", "dual"] = Field(
        "single",
        description="what a model sees: single, one photograph; dual, a focused and a panoramic photograph "
        "of the same lesion",
    )
    view_dropout: float = Field(
        0.5,
        ge=0,
        lt=1,
        description="for dual views: fraction of training pairs shown with only one photograph (either, "
        "with equal probability), so that the model can also predict from one photograph",
    )
    synthetic_per_real: float | None = Field(
        None,
        gt=0,
        description="largest number of synthetic images per real training image; by default all are used",
    )
    real_images: bool = Field(
        True,
        description="train on the cohort's own images; false trains on the synthetic ones alone, and still "
        "validates on real ones",
    )
    sampling: Literal["natural", "balanced"] = Field(
        "natural",
        description="how often a condition is shown: natural, in proportion to its number of images; "
        "balanced, as often as the largest one, by repeating images of the others",
    )
    auxiliary_names: dict[str, str] = Field(
        {},
        description="names of auxiliary classes, as {condition of an auxiliary cohort: name}; the name of a "
        "target condition makes the two one class",
    )


class NetworkGroup(Config):
    """Backbone, initial weights and head."""

    backbone: str = Field(
        pattern=r"^[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)?$",  # a checkpoint may name it: no "hf-hub:", no path
        description="name of a timm model, e.g. tf_efficientnet_b4.ns_jft_in1k",
    )
    weights: Literal["hub", "offline", "none"] = Field(
        "hub",
        description="initial weights: hub, which timm downloads; offline, from the `offline` extra; or "
        "none, random numbers",
    )
    weights_file: Path | None = Field(
        None, description="initial weights from this .safetensors or torch file, instead of `weights`"
    )
    freeze_stages: int = Field(
        0,
        ge=0,
        description="number of leading stages (the stem is the first, then each group of blocks) that are "
        "not trained, nor are their batch statistics; the file of the ensemble holds them once for all folds",
    )
    dropout: float = Field(0.2, ge=0, lt=1, description="dropout probability before the linear head")
    head_dropouts: int = Field(
        1,
        ge=1,
        le=32,
        description="in training, the output of the head is the mean over this number of dropout samples",
    )

    @model_validator(mode="after")
    def _frozen_stages_need_weights(self) -> "NetworkGroup":
        if self.freeze_stages and self.weights == "none" and self.weights_file is None:
            raise ValueError(
                "freeze_stages: stages that are not trained need initial weights; with weights 'none' they "
                "would stay random"
            )
        return self


class TrainingGroup(Config):
    """Length, batches and optimiser of the training."""

    epochs: int = Field(ge=1, le=10_000, description="epochs per fold")
    batch: int = Field(ge=2, description="images per step")
    images_per_epoch: int | None = Field(
        None,
        ge=2,
        description="training images shown per epoch, so that trainings on different numbers of images take "
        "equally many steps: fewer images are repeated, of more a random part is shown; by default each "
        "image once",
    )
    micro_batch: Annotated[int | None, Resume.MAY_CHANGE] = Field(
        None,
        ge=2,
        description="images computed at once, if a whole batch does not fit into the memory of the GPU; the "
        "gradients of several micro-batches are added up. Batch normalisation then sees these fewer images, "
        "as with a smaller batch",
    )
    precision: Precision = Field(
        "auto",
        description="arithmetic: auto is float32 on a CPU; on a GPU it is bfloat16 or, if the GPU lacks "
        "that, float16 with scaled gradients",
    )
    optimizer: Literal["adamw", "adam"] = Field("adamw", description="which form of Adam; see weight_decay")
    schedule: Literal["cosine", "paper"] = Field(
        "cosine",
        description="learning rate over time: cosine, a linear warm-up and then half a cosine to zero; or "
        "paper, the published schedule, whose second epoch has ten times the rate of the first",
    )
    learning_rate: float = Field(
        gt=0,
        description="peak learning rate with the cosine schedule; rate of the first epoch with the "
        "published one",
    )
    warmup_epochs: float = Field(1.0, ge=0, description="length of the linear warm-up before the cosine")
    weight_decay: float = Field(
        0.01,
        ge=0,
        description="weight decay: decoupled with adamw, an L2 penalty with adam; biases and normalisation "
        "layers have none",
    )
    layer_decay: float = Field(
        1.0,
        gt=0,
        le=1,
        description="learning rate of each layer, relative to that of the next layer towards the head",
    )
    ema_decay: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="validate and keep a running average of the weights, which retains this fraction of "
        "itself per step (less in the first steps); 0 keeps the weights themselves",
    )
    answer: Literal["targets", "published"] = Field(
        "targets",
        description="what counts as a model's answer where epochs are chosen, and first in evaluations: "
        "targets, the most probable target condition; published, the most probable of all classes, so that "
        "an auxiliary class is a wrong answer",
    )
    patience: int | None = Field(
        10,
        ge=1,
        description="keep the epoch with the best balanced accuracy in validation, and stop a fold after "
        "this number of epochs without a better one; null keeps the last epoch, so that validation chooses "
        "nothing and the out-of-fold metrics come from images that played no part",
    )

    @model_validator(mode="after")
    def _go_together(self) -> "TrainingGroup":
        if self.micro_batch is not None and self.micro_batch > self.batch:
            raise ValueError(
                f"micro_batch: {self.micro_batch} images are more than the batch of {self.batch}"
            )
        if self.schedule == "paper" and self.epochs < 2:
            raise ValueError("epochs: the schedule 'paper' needs at least 2")
        return self


class LossGroup(Config):
    """Weights of the classes, and soft targets."""

    class_balance: float = Field(
        1.0,
        ge=0,
        le=1,
        description="the loss weight of a condition is its size to the power of minus this value: 1 "
        "balances fully, 0 not at all",
    )
    balance: Literal["inverse", "effective"] = Field(
        "inverse",
        description="size of a condition: inverse, its number of images; effective, their effective number "
        "(arXiv 1901.05555)",
    )
    balance_beta: float = Field(
        0.999, ge=0, lt=1, description="beta of the effective number, which is at most 1 / (1 - beta)"
    )
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="probability that each target spreads evenly over all classes"
    )
    own_weight: float = Field(
        1.0, gt=0, description="loss weight of the target conditions, relative to that of auxiliary classes"
    )


class DataAugmentationGroup(Config):
    """Random changes of training images, and averaging at test time."""

    transforms: Transforms = Field(
        "usual",
        description="random transforms of training images: the usual ones; those of the paper, which also "
        "distort; or flips and transpositions alone",
    )
    augmentation: float = Field(
        1.0, ge=0, le=2, description="strength of the usual transforms; 0 applies none"
    )
    mixup: float = Field(
        0.0, ge=0, description="alpha of mixup (arXiv 1710.09412), e.g. 0.2; 0 leaves it out"
    )
    cutmix: float = Field(
        0.0, ge=0, description="alpha of cutmix (arXiv 1905.04899), e.g. 1; 0 leaves it out"
    )
    test_time: Literal[1, 8] = Field(
        1,
        description="number of orientations of an image whose probabilities are averaged: 1, the image as "
        "it is; 8, its flips and transpositions",
    )

    @model_validator(mode="after")
    def _only_the_usual_transforms_have_a_strength(self) -> "DataAugmentationGroup":
        if self.transforms != "usual" and self.augmentation != 1:
            raise ValueError(
                f"augmentation: {self.augmentation:g} is for the usual transforms; those of the paper, and "
                "flips, have no strength, so leave it at 1"
            )
        return self


class EnsembleTraining(GroupedConfig):
    """Settings of one ensemble, which has one model per fold, all trained with the same settings."""

    command: ClassVar[str] = "classify train"
    images: ImagesGroup
    network: NetworkGroup
    training: TrainingGroup
    loss: LossGroup
    data_augmentation: DataAugmentationGroup
    seed: int = Field(0, ge=0, lt=2**32, description="random seed")

    @model_validator(mode="after")
    def _pairs_are_not_mixed(self) -> "EnsembleTraining":
        if self.images.views == "dual" and (self.data_augmentation.mixup or self.data_augmentation.cutmix):
            raise ValueError(
                "mixup, cutmix: not with views 'dual', since they would mix photographs of different views"
            )
        return self
