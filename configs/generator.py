"""What may be asked of generator training (spec 4)."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from morphoscope.configs.errors import UserError
from morphoscope.configs.loading import validated
from morphoscope.configs.schema import Config, GroupedConfig, Resume
from morphoscope.configs.views import View

# Of the generator's metrics; its weights come with the extra `offline`.
DEFAULT_NETWORK = "efficientnet_lite0"

Positive = Annotated[float, Field(gt=0)]
Architecture = Literal["orig", "skip", "resnet"]


class ImagesGroup(Config):
    """Which images are trained on, and how they are made ready."""

    resolution: int = Field(64, description="pixels, a power of two from 8 to 1024")
    fit: Literal["crop", "letterbox"] = "crop"
    view: View | None = Field(None, description="train on images of this view alone; on all if not given")
    mirror: bool = Field(False, description="flip each training image with even odds")
    sampling: Literal["natural", "balanced"] = Field(
        "natural", description="how often a condition is shown: as often as it occurs, or as often as others"
    )

    @field_validator("resolution")
    @classmethod
    def _power_of_two(cls, resolution: int) -> int:
        if not 8 <= resolution <= 1024 or resolution & (resolution - 1):
            raise ValueError(f"a power of two from 8 to 1024, not {resolution}")
        return resolution


class NetworkGroup(Config):
    """Sizes and kinds of generator (G) and discriminator (D)."""

    z_dim: Annotated[int, Resume.KEEPS_SNAPSHOTS] = Field(512, ge=1, description="width of the latent z")
    w_dim: Annotated[int, Resume.KEEPS_SNAPSHOTS] = Field(
        512, ge=1, description="width of the intermediate latent w"
    )
    mapping_layers: Annotated[int, Resume.KEEPS_SNAPSHOTS] = Field(
        2, ge=1, description="from z and label to w"
    )
    channel_base: Annotated[int | None, Resume.KEEPS_AUTOMATIC, Resume.KEEPS_SNAPSHOTS] = Field(
        None, ge=64, description="channels(res) = channel_base / res …"
    )
    channel_max: Annotated[int, Resume.KEEPS_SNAPSHOTS] = Field(512, ge=1, description="… but at most this")
    g_architecture: Annotated[Architecture, Resume.KEEPS_SNAPSHOTS] = "skip"
    d_architecture: Annotated[Architecture, Resume.KEEPS_SNAPSHOTS] = "resnet"
    mbstd_group: Annotated[int | None, Resume.MAY_CHANGE, Resume.KEEPS_AUTOMATIC] = Field(
        None, ge=1, description="images whose deviation D sees together; at most a micro-batch"
    )
    num_fp16_res: int = Field(4, ge=0, description="highest resolutions in half precision, on a GPU only")
    half_dtype: Literal["float16", "bfloat16"] = "float16"
    conv_clamp: Annotated[float | None, Resume.KEEPS_SNAPSHOTS] = Field(
        256.0, description="bound of activations; half precision needs one"
    )


class TrainingGroup(Config):
    """How long, with which steps and in which arithmetic."""

    kimg: Annotated[Positive, Resume.MAY_CHANGE] = Field(25_000, description="thousands of real images shown")
    batch: Annotated[int | None, Resume.KEEPS_AUTOMATIC] = Field(
        None, ge=2, description="images an iteration, over all processes"
    )
    micro_batch: Annotated[int | None, Resume.MAY_CHANGE, Resume.KEEPS_AUTOMATIC] = Field(
        None, ge=1, description="images a process takes at once; gradients of several are added up"
    )
    tf32: bool = Field(False, description="let float32 products of a GPU round to TF32")
    cuda_graphs: Annotated[bool, Resume.MAY_CHANGE] = Field(
        True,
        description="on a GPU, record an iteration's computations and replay them, with more memory",
    )
    lr: Annotated[Positive | None, Resume.KEEPS_AUTOMATIC] = Field(
        None, description="learning rate of Adam, both networks"
    )
    freeze_d: int = Field(0, ge=0, description="D layers, from the input on, kept as they start (Freeze-D)")
    ema_kimg: Annotated[Positive | None, Resume.KEEPS_AUTOMATIC] = Field(
        None, description="half-life of the averaged generator"
    )
    ema_rampup: Annotated[Positive | None, Resume.KEEPS_SNAPSHOTS] = Field(
        0.05, description="bounds that half-life by this share of the images seen; null does not"
    )


class LossGroup(Config):
    """Penalties and regularisation beside the adversarial loss."""

    gamma: Annotated[float | None, Resume.KEEPS_AUTOMATIC] = Field(None, ge=0, description="weight of R1")
    pl_weight: float = Field(2.0, ge=0, description="weight of the path length penalty; 0 leaves it out")
    pl_decay: float = Field(0.01, gt=0, le=1, description="of the running mean of path lengths")
    pl_batch_shrink: int = Field(2, ge=1, description="path lengths take so many times fewer images")
    style_mixing: float = Field(0.9, ge=0, le=1, description="probability")
    g_interval: int = Field(4, ge=1, description="iterations between path length penalties")
    d_interval: int = Field(16, ge=1, description="iterations between R1 penalties")
    lecam_weight: float = Field(0.0, ge=0, description="weight of LeCam regularisation; 0 leaves it out")
    lecam_decay: float = Field(0.99, gt=0, lt=1, description="of the running means that LeCam pulls towards")


class ConditionsGroup(Config):
    """How labels enter the training."""

    stages: dict[str, tuple[str, str]] = Field(
        {},
        description="{Intermediate: [Early, Late]}: a condition whose label embedding is by construction the "
        "mean of two others' (spec 8)",
    )
    conditional: bool = Field(True, description="false leaves the labels out; to start others from")
    transition_start_kimg: Annotated[float | None, Resume.KEEPS_SNAPSHOTS] = Field(
        None, ge=0, description="until here as if unconditional (arXiv 2201.06578); null trains conditionally"
    )
    transition_end_kimg: Annotated[Positive | None, Resume.KEEPS_SNAPSHOTS] = Field(
        None, description="from here on fully conditional"
    )
    unconditional_output: Annotated[bool | None, Resume.KEEPS_AUTOMATIC, Resume.KEEPS_SNAPSHOTS] = Field(
        None, description="a second output of D that sees no label; by default if there is a transition"
    )

    @model_validator(mode="after")
    def _go_together(self) -> "ConditionsGroup":
        start, end = self.transition_start_kimg, self.transition_end_kimg
        if (start is None) != (end is None):
            raise ValueError("transition_start_kimg and transition_end_kimg: give both or neither")
        if not self.conditional and (end is not None or self.stages or self.unconditional_output):
            raise ValueError(
                "conditional: without labels there are no stages, no transition and no second output of D"
            )
        if start is not None and end is not None and start >= end:
            raise ValueError(f"transition_start_kimg: {start:g} is not before transition_end_kimg, {end:g}")
        return self


class AugmentationGroup(Config):
    """Adaptive discriminator augmentation (ADA)."""

    augment: str | None = Field(
        "bgc", description="bgc and other presets of ADA, skin, diffaugment; null trains without"
    )
    ada_target: float = Field(0.6, gt=-1, lt=1, description="r_t, the mean sign of D's logits of real images")
    ada_kimg: Annotated[Positive, Resume.KEEPS_SNAPSHOTS] = Field(
        500, description="thousands of images in which p can move by 1"
    )
    ada_ceiling: float = Field(0.9, ge=0, le=1, description="highest augmentation probability")


class LoggingGroup(Config):
    """Log lines, snapshots and the metrics measured on them."""

    tick_kimg: Annotated[Positive, Resume.MAY_CHANGE] = Field(
        4, description="thousands of images between log lines"
    )
    snapshot_ticks: Annotated[int, Resume.MAY_CHANGE] = Field(
        50, ge=1, description="ticks between snapshots and sample grids"
    )
    keep_snapshots: Annotated[int, Resume.MAY_CHANGE] = Field(
        5, ge=1, description="newest snapshots to keep, besides the best"
    )
    metric_network: Annotated[str | None, Resume.MAY_CHANGE] = Field(
        DEFAULT_NETWORK,
        description="features for the metrics at every snapshot: a name or a file; null does without",
    )
    metric_images: Annotated[int, Resume.MAY_CHANGE] = Field(
        100, ge=8, description="generated images of each condition to measure"
    )
    track: Annotated[list[Literal["tensorboard", "trackio"]], Resume.MAY_CHANGE] = Field(
        [], description="where else to log; needs the extra `track`"
    )


class GeneratorTraining(GroupedConfig):
    """Hyperparameters of one training; fields left at None follow the paper's `auto` rule, see `resolved`."""

    images: ImagesGroup
    network: NetworkGroup
    training: TrainingGroup
    loss: LossGroup
    conditions: ConditionsGroup
    augmentation: AugmentationGroup
    logging: LoggingGroup
    seed: int = Field(0, ge=0, lt=2**32)

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
        """Fill every None by the `auto` rule of the published release, for `devices` processes.

        Raises:
            UserError: fields that do not go together once they are filled.
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

    network: ResolvedNetworkGroup
    training: ResolvedTrainingGroup
    loss: ResolvedLossGroup
    conditions: ResolvedConditionsGroup
