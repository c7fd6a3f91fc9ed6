"""Settings of networks that look at the regions of a face."""

from typing import Annotated, ClassVar, Literal, get_args

from pydantic import Field, field_validator, model_validator

from morphoscope.configs.classifier import Precision
from morphoscope.configs.schema import Config, GroupedConfig, Resume

Seed = Annotated[int, Field(ge=0, lt=2**32, description="random seed")]
Region = Literal["whole", "upper", "middle", "lower", "left", "right", "eyes", "nose", "mouth"]
"""The crops of DeepGestalt (Gurovich et al. 2019)."""


class RegionsGroup(Config):
    """Which regions of a face there are networks for, and how large these are."""

    regions: list[Region] = Field(
        list(get_args(Region)),
        min_length=1,
        description="regions of the face, each with a network of its own",
    )
    resolution: int = Field(
        100, ge=32, le=256, description="side of the square, grey crop of a region in pixels"
    )
    width: float = Field(
        1.0,
        ge=0.1,
        le=2,
        description="factor of the number of channels of every layer; 1 is the published network",
    )
    dropout: float = Field(0.5, ge=0, lt=1, description="dropout probability before the linear head")

    @field_validator("regions")
    @classmethod
    def _each_once(cls, regions: list[Region]) -> list[Region]:
        if len(set(regions)) < len(regions):
            raise ValueError("a region is named twice")
        return regions


class RegionStepsGroup(Config):
    """Length, batches and optimiser of the training of each network."""

    epochs: int = Field(40, ge=1, le=10_000, description="epochs per region; the last one is kept")
    batch: int = Field(64, ge=2, description="faces per step")
    micro_batch: Annotated[int | None, Resume.MAY_CHANGE] = Field(
        None,
        ge=2,
        description="faces computed at once, if a whole batch does not fit into the memory of the GPU",
    )
    learning_rate: float = Field(
        1e-3,
        gt=0,
        description="peak learning rate of AdamW, after a warm-up of one epoch; then half a cosine to zero",
    )
    weight_decay: float = Field(
        0.01, ge=0, description="decoupled weight decay of filters and the linear head"
    )
    class_balance: float = Field(
        1.0,
        ge=0,
        le=1,
        description="the loss weight of a label is its number of images to the power of minus this value: 1 "
        "balances fully, 0 not at all",
    )
    precision: Precision = Field(
        "auto",
        description="arithmetic: auto is float32 on a CPU; on a GPU it is bfloat16 or, if the GPU lacks "
        "that, float16 with scaled gradients",
    )

    @model_validator(mode="after")
    def _micro_batches_are_smaller(self) -> "RegionStepsGroup":
        if self.micro_batch is not None and self.micro_batch > self.batch:
            raise ValueError(f"micro_batch: {self.micro_batch} faces are more than the batch of {self.batch}")
        return self


class FaceChangesGroup(Config):
    """Random changes of training images."""

    rotation: float = Field(5.0, ge=0, le=45, description="largest rotation in degrees, to either side")
    shift: float = Field(
        0.02, ge=0, le=0.25, description="largest shift and change of size, as a fraction of the crop's side"
    )
    mirror: bool = Field(True, description="mirror half of the crops")
    jitter: float = Field(0.2, ge=0, le=1, description="largest relative change of brightness and contrast")


class RegionTraining(GroupedConfig):
    """`gestalt train`: one network per region of the face, all trained with the same settings."""

    command: ClassVar[str] = "gestalt train"
    network: RegionsGroup
    training: RegionStepsGroup
    changes: FaceChangesGroup
    seed: Seed = 0


class HeadTuning(Config):
    """`gestalt tune`: a linear head over the embeddings of a gallery."""

    command: ClassVar[str] = "gestalt tune"
    frequent: int = Field(
        7, ge=2, description="families from which a syndrome is trained on; rarer ones are only looked up"
    )
    held_out: float = Field(
        0.25,
        gt=0,
        le=0.75,
        description="fraction of the families of each such syndrome, at least one, that is not trained on, "
        "to evaluate and calibrate the rankings",
    )
    steps: int = Field(300, ge=1, le=100_000, description="steps of Adam, each on all images")
    learning_rate: float = Field(0.003, gt=0, description="learning rate of Adam")
    scale: float = Field(16.0, gt=0, description="factor of the cosines in ArcFace")
    margin: float = Field(0.2, ge=0, lt=1.5, description="angle in radians that ArcFace adds")
    pull: float = Field(
        0.1,
        ge=0,
        description="weight of the squared distance to the identity, which keeps the embedding near "
        "to that of the encoder",
    )
    seed: Seed = 0
