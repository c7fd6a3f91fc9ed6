"""Settings of generator training (spec 4)."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from morphoscope.configs.errors import UserError
from morphoscope.configs.loading import validated
from morphoscope.configs.precision import PrecisionOnCpu
from morphoscope.configs.schema import Config, GroupedConfig, Resume
from morphoscope.configs.views import View

# Feature network of the metrics; its weights come with the extra `offline`.
DEFAULT_NETWORK = "efficientnet_lite0"

Positive = Annotated[float, Field(gt=0)]
Architecture = Literal["orig", "skip", "resnet"]


class ImagesGroup(Config):
    """Which images to train on, and how to prepare them."""

    resolution: int = Field(
        64, description="side of the square images in pixels; a power of two from 8 to 1024"
    )
    img_channels: Literal[1, 3] = Field(
        3,
        description="channels of the images: 3 for RGB, 1 for grey (colour images become their luma)",
    )
    fit: Literal["crop", "letterbox"] = Field(
        "crop",
        description="how an image that is not square becomes square: crop keeps the central square, "
        "letterbox pads the image",
    )
    view: View | None = Field(None, description="train on images of this view only; by default on all images")
    mirror: bool = Field(False, description="flip each training image horizontally with probability 0.5")
    sampling: Literal["natural", "balanced", "grouped"] = Field(
        "natural",
        description="how often a condition is shown: natural, in proportion to its number of images; "
        "balanced, as often as every other condition; grouped, as balanced, and D's minibatch standard "
        "deviation compares images of one condition, against conditions whose images are all alike",
    )

    @field_validator("resolution")
    @classmethod
    def _power_of_two(cls, resolution: int) -> int:
        if not 8 <= resolution <= 1024 or resolution & (resolution - 1):
            raise ValueError(f"should be a power of two from 8 to 1024, not {resolution}")
        return resolution


class NetworkGroup(Config):
    """Shape and arithmetic of the generator and the discriminator."""

    z_dim: Annotated[int, Resume.KEEPS_SNAPSHOTS] = Field(
        512, ge=1, description="width of the latent vector z"
    )
    w_dim: Annotated[int, Resume.KEEPS_SNAPSHOTS] = Field(
        512, ge=1, description="width of the intermediate latent vector w"
    )
    mapping_layers: Annotated[int, Resume.KEEPS_SNAPSHOTS] = Field(
        2, ge=1, description="number of layers of the mapping network, from z and label to w"
    )
    channel_base: Annotated[int | None, Resume.KEEPS_AUTOMATIC, Resume.KEEPS_SNAPSHOTS] = Field(
        None,
        ge=64,
        description="a layer at resolution r has channel_base / r channels, up to channel_max; by default "
        "32768 from 512 pixels on, otherwise 16384",
    )
    channel_max: Annotated[int, Resume.KEEPS_SNAPSHOTS] = Field(
        512, ge=1, description="largest number of channels of a layer"
    )
    g_architecture: Annotated[Architecture, Resume.KEEPS_SNAPSHOTS] = Field(
        "skip", description="how the blocks of the generator are connected, as named in StyleGAN2"
    )
    d_architecture: Annotated[Architecture, Resume.KEEPS_SNAPSHOTS] = Field(
        "resnet", description="how the blocks of the discriminator are connected, as named in StyleGAN2"
    )
    mbstd_group: Annotated[int | None, Resume.MAY_CHANGE, Resume.KEEPS_AUTOMATIC] = Field(
        None,
        ge=1,
        description="number of images over which the discriminator computes the minibatch standard "
        "deviation, at most a micro-batch; by default the largest of 1 to 4 that divides the micro-batch",
    )
    noise_from: int = Field(
        4,
        ge=4,
        description="lowest resolution at which training adds random numbers to the pixels of the "
        "generator's layers; what the layers below show depends on z and the label alone",
    )
    num_fp16_res: int = Field(
        4,
        ge=0,
        description="number of the highest resolutions that are computed in half precision, on a GPU only",
    )
    half_dtype: Literal["float16", "bfloat16"] = Field("float16", description="the half-precision type")
    conv_clamp: Annotated[float | None, Resume.KEEPS_SNAPSHOTS] = Field(
        256.0,
        description="bound on the absolute value of activations, which half precision needs; null sets none",
    )


class TrainingGroup(Config):
    """Length, batches and optimiser of the training."""

    kimg: Annotated[Positive, Resume.MAY_CHANGE] = Field(
        25_000, description="length of the training, in thousands of real images shown to the discriminator"
    )
    batch: Annotated[int | None, Resume.KEEPS_AUTOMATIC] = Field(
        None,
        ge=2,
        description="images per iteration, over all processes; by default from 4 to 64, depending on the "
        "resolution and the number of processes",
    )
    micro_batch: Annotated[int | None, Resume.MAY_CHANGE, Resume.KEEPS_AUTOMATIC] = Field(
        None,
        ge=1,
        description="images that a process computes at once; the gradients of several micro-batches are "
        "added up. By default the whole share of a process",
    )
    precision: PrecisionOnCpu = "float32"
    tf32: bool = Field(False, description="on a GPU, let float32 products round to TF32")
    cuda_graphs: Annotated[bool, Resume.MAY_CHANGE] = Field(
        True,
        description="on a GPU, record the computations of an iteration and replay them: faster, with more "
        "memory",
    )
    lr: Annotated[float | None, Resume.KEEPS_AUTOMATIC] = Field(
        None,
        gt=0,
        description="learning rate of Adam for both networks; by default 0.002 at 1024 pixels, otherwise "
        "0.0025",
    )
    freeze_d: int = Field(
        0,
        ge=0,
        description="number of discriminator layers, counted from the input, that are not trained (Freeze-D)",
    )
    layer_decay: float = Field(
        1.0,
        gt=0,
        le=1,
        description="factor by which the learning rate falls with every doubling of the resolution, in both "
        "networks; below 1, layers near the image change less, for trainings that start from a snapshot",
    )
    ema_kimg: Annotated[float | None, Resume.KEEPS_AUTOMATIC] = Field(
        None,
        gt=0,
        description="half-life of the running average of the weights of the generator, in thousands of "
        "images; by default 10 / 32 of the batch",
    )
    ema_rampup: Annotated[float | None, Resume.KEEPS_SNAPSHOTS] = Field(
        0.05,
        gt=0,
        description="limit that half-life to this fraction of the images seen so far; null sets no limit",
    )


class LossGroup(Config):
    """Penalties and regularisation beside the adversarial loss."""

    gamma: Annotated[float | None, Resume.KEEPS_AUTOMATIC] = Field(
        None,
        ge=0,
        description="weight of the R1 penalty; 0 leaves it out; by default 0.0002 × resolution² / batch",
    )
    pl_weight: float = Field(2.0, ge=0, description="weight of the path length penalty; 0 leaves it out")
    pl_decay: float = Field(
        0.01, gt=0, le=1, description="weight of the newest value in the running mean of path lengths"
    )
    pl_batch_shrink: int = Field(
        2, ge=1, description="the path length penalty uses this many times fewer images than a micro-batch"
    )
    style_mixing: float = Field(
        0.9, ge=0, le=1, description="probability that the images of a step mix the styles of two latents"
    )
    g_interval: int = Field(
        4, ge=1, description="number of iterations from one path length penalty to the next"
    )
    d_interval: int = Field(16, ge=1, description="number of iterations from one R1 penalty to the next")
    lecam_weight: float = Field(
        0.0, ge=0, description="weight of LeCam regularisation (arXiv 2104.03310); 0 leaves it out"
    )
    lecam_decay: float = Field(
        0.99,
        gt=0,
        lt=1,
        description="decay of the running means of the discriminator outputs in LeCam regularisation",
    )


class ConditionsGroup(Config):
    """How the labels enter the training."""

    stages: dict[str, tuple[str, str]] = Field(
        {},
        description="conditions that lie between two others, as {Intermediate: [Early, Late]}: the label "
        "embedding of each is the mean of the two others",
    )
    conditional: bool = Field(
        True,
        description="train with labels; without them the images form one condition, e.g. to start other "
        "trainings from",
    )
    transition_start_kimg: Annotated[float | None, Resume.KEEPS_SNAPSHOTS] = Field(
        None,
        ge=0,
        description="until this many thousands of images the labels have no influence (arXiv 2201.06578); "
        "null trains with labels from the beginning",
    )
    transition_end_kimg: Annotated[float | None, Resume.KEEPS_SNAPSHOTS] = Field(
        None, gt=0, description="from this many thousands of images on the labels have their full influence"
    )
    unconditional_output: Annotated[bool | None, Resume.KEEPS_AUTOMATIC, Resume.KEEPS_SNAPSHOTS] = Field(
        None,
        description="give the discriminator a second output that sees no label; by default if there is a "
        "transition",
    )

    @model_validator(mode="after")
    def _go_together(self) -> "ConditionsGroup":
        start, end = self.transition_start_kimg, self.transition_end_kimg
        if (start is None) != (end is None):
            raise ValueError("transition_start_kimg and transition_end_kimg: give both or neither")
        if not self.conditional and (end is not None or self.stages or self.unconditional_output):
            raise ValueError(
                "conditional: without labels there are no stages, no transition and no second output of the "
                "discriminator (unconditional_output)"
            )
        if start is not None and end is not None and start >= end:
            raise ValueError(f"transition_start_kimg: {start:g} is not before transition_end_kimg, {end:g}")
        return self


class AugmentationGroup(Config):
    """Augmentation of the images that the discriminator sees (ADA)."""

    augment: str | None = Field(
        "bgc",
        description="augmentation of what the discriminator sees: bgc or another preset of ADA, skin, or "
        "diffaugment; null for none",
    )
    ada_target: float = Field(
        0.6,
        gt=-1,
        lt=1,
        description="ADA augments more while r_t, the mean sign of the discriminator outputs for real "
        "images, is above this value, and less below",
    )
    ada_kimg: Annotated[Positive, Resume.KEEPS_SNAPSHOTS] = Field(
        500, description="thousands of images in which the augmentation probability p can change by 1"
    )
    ada_ceiling: float = Field(0.9, ge=0, le=1, description="highest augmentation probability p")


class LoggingGroup(Config):
    """Log lines, snapshots and the metrics measured on them."""

    tick_kimg: Annotated[Positive, Resume.MAY_CHANGE] = Field(
        4, description="length of a tick, from one log line to the next, in thousands of images"
    )
    snapshot_ticks: Annotated[int, Resume.MAY_CHANGE] = Field(
        50, ge=1, description="number of ticks from one snapshot and sample sheet to the next"
    )
    keep_snapshots: Annotated[int, Resume.MAY_CHANGE] = Field(
        5, ge=1, description="number of newest snapshots to keep; the best one is kept in addition"
    )
    metric_network: Annotated[str | None, Resume.MAY_CHANGE] = Field(
        DEFAULT_NETWORK,
        description="network in whose features the metrics of every snapshot are computed: "
        "efficientnet_lite0, a model of timm (timm:NAME, or timm:NAME=FILE with weights from a file), or a "
        "file of Inception weights; null computes none",
    )
    metric_images: Annotated[int, Resume.MAY_CHANGE] = Field(
        100, ge=8, description="number of generated images per condition for the metrics"
    )
    track: Annotated[list[Literal["tensorboard", "trackio"]], Resume.MAY_CHANGE] = Field(
        [], description="further places to log to, inside the run folder; needs the extra `track`"
    )


class GeneratorTraining(GroupedConfig):
    """Settings of one training; `resolved` derives fields left at None by the published automatic rule."""

    command: ClassVar[str] = "generate train"
    images: ImagesGroup
    network: NetworkGroup
    training: TrainingGroup
    loss: LossGroup
    conditions: ConditionsGroup
    augmentation: AugmentationGroup
    logging: LoggingGroup
    seed: int = Field(0, ge=0, lt=2**32, description="random seed")

    @model_validator(mode="after")
    def _groups_divide_batches(self) -> "GeneratorTraining":
        group, batch, micro_batch = (
            self.network.mbstd_group,
            self.training.batch,
            self.training.micro_batch,
        )
        name, together = ("batch", batch) if micro_batch in (None, batch) else ("micro_batch", micro_batch)
        if together is not None and group is not None and together % min(group, together):
            raise ValueError(f"{name}: {together} does not divide into groups of {group} (mbstd_group)")
        return self

    def resolved(self, devices: int = 1) -> "ResolvedTraining":
        """Fill every automatic field by the rule of the published release, for `devices` processes.

        Raises:
            UserError: the batch cannot be divided among the processes, or into micro-batches or groups.
        """
        network, training, loss, conditions = self.network, self.training, self.loss, self.conditions
        res = self.images.resolution
        batch = training.batch or max(min(devices * min(4096 // res, 32), 64), devices)
        if batch % devices:
            raise UserError(f"batch: {batch} images cannot be shared evenly among {devices} processes.")
        micro_batch = training.micro_batch or batch // devices
        if (batch // devices) % micro_batch:
            raise UserError(
                f"micro_batch: {micro_batch} does not divide the {batch // devices} images of each process."
            )
        values = {
            "batch": batch,
            "micro_batch": micro_batch,
            "mbstd_group": network.mbstd_group or max(k for k in (1, 2, 3, 4) if micro_batch % k == 0),
            "channel_base": network.channel_base or (32768 if res >= 512 else 16384),
            "lr": training.lr or (0.002 if res >= 1024 else 0.0025),
            "gamma": 0.0002 * res**2 / batch if loss.gamma is None else loss.gamma,
            "ema_kimg": training.ema_kimg or batch * 10 / 32,
            "unconditional_output": (
                conditions.transition_end_kimg is not None
                if conditions.unconditional_output is None
                else conditions.unconditional_output
            ),
        }
        return validated(ResolvedTraining, {**self.model_dump(), **values})


class ResolvedNetworkGroup(NetworkGroup):
    """`NetworkGroup` with its automatic fields filled."""

    channel_base: int
    mbstd_group: int


class ResolvedTrainingGroup(TrainingGroup):
    """`TrainingGroup` with its automatic fields filled."""

    batch: int
    micro_batch: int
    lr: Positive
    ema_kimg: Positive


class ResolvedLossGroup(LossGroup):
    """`LossGroup` with its automatic field filled."""

    gamma: float


class ResolvedConditionsGroup(ConditionsGroup):
    """`ConditionsGroup` with its automatic field filled."""

    unconditional_output: bool


class ResolvedTraining(GeneratorTraining):
    """A training whose automatic fields are filled."""

    @classmethod
    def from_earlier(cls, values: Mapping[str, Any]) -> "ResolvedTraining":
        """As in every schema; automatic fields that an earlier version did not know are derived."""
        return GeneratorTraining.from_earlier(values).resolved()

    network: ResolvedNetworkGroup
    training: ResolvedTrainingGroup
    loss: ResolvedLossGroup
    conditions: ResolvedConditionsGroup
