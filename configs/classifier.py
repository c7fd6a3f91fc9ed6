"""What may be asked of the classifier ensemble's training."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from morphoscope.configs.schema import Config, GroupedConfig, Resume

Precision = Literal["auto", "float32", "bfloat16", "float16"]


class ImagesGroup(Config):
    """Which images are trained on, and how they are made ready."""

    resolution: int = Field(ge=32, le=1024, description="side of the square input, pixels")
    fit: Literal["crop", "letterbox"] = Field(
        "crop", description="how an image that is not square becomes square"
    )
    views: Literal["single", "dual"] = Field(
        "single",
        description="what a model sees: one photograph; or a focused and a panoramic one of the same lesion",
    )
    view_dropout: float = Field(
        0.5,
        ge=0,
        lt=1,
        description="share of a dual-view model's pairs that train with one photograph only, either at even "
        "odds, so that it can answer with one",
    )
    synthetic_per_real: float | None = Field(
        None,
        gt=0,
        description="at most so many synthetic images for each real training image; all if not given",
    )
    auxiliary_names: dict[str, str] = Field(
        {},
        description="an auxiliary cohort's condition: its name here; the name of one of the cohort's own "
        "conditions makes the two one class",
    )


class NetworkGroup(Config):
    """The backbone, the weights it starts from, and its head."""

    backbone: str = Field(
        pattern=r"^[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)?$",  # a checkpoint may name it: no "hf-hub:", no path
        description="timm model name, e.g. tf_efficientnet_b4.ns_jft_in1k",
    )
    weights: Literal["hub", "offline", "none"] = Field(
        "hub",
        description="start from timm's hub weights, the weights of the `offline` extra, or random numbers",
    )
    weights_file: Path | None = Field(
        None, description="local .safetensors or torch file; goes before `weights`"
    )
    freeze_stages: int = Field(
        0,
        ge=0,
        description="leading stages (stem = 1, each block group one more) kept as they start, with their "
        "batch statistics; all folds share them, so that the ensemble's file holds them once",
    )
    dropout: float = Field(0.2, ge=0, lt=1, description="before the linear head")
    head_dropouts: int = Field(
        1, ge=1, le=32, description="the head's answer in training is the mean over so many dropouts"
    )

    @model_validator(mode="after")
    def _frozen_stages_need_weights(self) -> "NetworkGroup":
        if self.freeze_stages and self.weights == "none" and self.weights_file is None:
            raise ValueError(
                "freeze_stages keeps stages as they start; with weights 'none' that is random numbers"
            )
        return self


class TrainingGroup(Config):
    """How long, with which steps and in which arithmetic."""

    epochs: int = Field(ge=1, le=10_000)
    batch: int = Field(ge=2, description="images a step")
    micro_batch: Annotated[int | None, Resume.MAY_CHANGE] = Field(
        None,
        ge=2,
        description="images at once, if a whole batch does not fit the card; gradients of several are added "
        "up. Batch normalisation then sees these fewer images, as on a smaller batch",
    )
    precision: Precision = Field(
        "auto",
        description="of training's products; auto is float32 on a CPU, bfloat16 on a GPU or, where it has "
        "none, float16 with scaled gradients",
    )
    optimizer: Literal["adamw", "adam"] = "adamw"
    schedule: Literal["cosine", "paper"] = Field(
        "cosine",
        description="warm-up and cosine to zero; or the published one, whose second epoch has ten times the "
        "first one's rate",
    )
    learning_rate: float = Field(gt=0, description="peak of the cosine; the paper's first epoch")
    warmup_epochs: float = Field(1.0, ge=0, description="linear warm-up, before the cosine")
    weight_decay: float = Field(
        0.01, ge=0, description="AdamW's, decoupled; Adam's is an L2 penalty; of neither biases nor norms"
    )
    layer_decay: float = Field(
        1.0,
        gt=0,
        le=1,
        description="each layer's learning rate, relative to that of the next one towards the head",
    )
    ema_decay: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="judge and keep a running mean of the weights, which holds on to this share of itself a "
        "step (to less in the first steps); 0 keeps the weights themselves",
    )
    patience: int | None = Field(
        10,
        ge=1,
        description="keep the epoch with the best balanced accuracy in validation, and stop a fold after so "
        "many epochs without a better one; null keeps the last epoch, so that validation chooses nothing and "
        "out-of-fold figures are of images that played no part",
    )

    @model_validator(mode="after")
    def _go_together(self) -> "TrainingGroup":
        if self.micro_batch is not None and self.micro_batch > self.batch:
            raise ValueError(f"micro_batch: {self.micro_batch} images are more than the batch, {self.batch}")
        if self.schedule == "paper" and self.epochs < 2:
            raise ValueError("schedule 'paper' needs at least 2 epochs")
        return self


class LossGroup(Config):
    """How much each class and each target counts."""

    class_balance: float = Field(
        1.0,
        ge=0,
        le=1,
        description="loss weight of a condition is its size to the power of minus this: 1 balances fully",
    )
    balance: Literal["inverse", "effective"] = Field(
        "inverse",
        description="a condition's size: its number of images, or their effective number (arXiv 1901.05555)",
    )
    balance_beta: float = Field(
        0.999, ge=0, lt=1, description="of the effective number, which comes close to 1 / (1 - beta) at most"
    )
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    own_weight: float = Field(
        1.0, gt=0, description="loss weight of the cohort's conditions, relative to auxiliary classes"
    )


class DataAugmentationGroup(Config):
    """Random changes of training images, and averaging at test time."""

    transforms: Literal["usual", "paper"] = Field(
        "usual", description="random transforms of training images; the paper's also distort"
    )
    augmentation: float = Field(
        1.0, ge=0, le=2, description="strength of the usual random transforms; 0 = none"
    )
    mixup: float = Field(
        0.0, ge=0, description="alpha of mixup's shares (arXiv 1710.09412), e.g. 0.2; 0 does without"
    )
    cutmix: float = Field(
        0.0, ge=0, description="alpha of cutmix's shares (arXiv 1905.04899), e.g. 1; 0 does without"
    )
    test_time: Literal[1, 8] = Field(
        1, description="views of an image whose probabilities are averaged: itself; or flips x transpose"
    )

    @model_validator(mode="after")
    def _published_transforms_have_no_strength(self) -> "DataAugmentationGroup":
        if self.transforms == "paper" and self.augmentation != 1:
            raise ValueError(
                f"augmentation {self.augmentation}: only the usual transforms have a strength; the paper's "
                "are as published"
            )
        return self


class EnsembleTraining(GroupedConfig):
    """Settings of one classifier ensemble: one model a fold, all with the same settings."""

    images: ImagesGroup
    network: NetworkGroup
    training: TrainingGroup
    loss: LossGroup
    data_augmentation: DataAugmentationGroup
    seed: int = Field(0, ge=0, lt=2**32)

    @model_validator(mode="after")
    def _pairs_are_not_mixed(self) -> "EnsembleTraining":
        if self.images.views == "dual" and (self.data_augmentation.mixup or self.data_augmentation.cutmix):
            raise ValueError("views 'dual': mixup and cutmix would mix photographs of different views")
        return self
