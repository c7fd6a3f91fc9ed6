"""What may be asked of generator training (spec 4)."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from morphoscope.configs.errors import UserError
from morphoscope.configs.loading import Config, validated
from morphoscope.configs.views import View

# Of the generator's metrics; its weights come with the extra `offline`.
DEFAULT_NETWORK = "efficientnet_lite0"

Positive = Annotated[float, Field(gt=0)]
Architecture = Literal["orig", "skip", "resnet"]


class GeneratorTraining(Config):
    """Hyperparameters of one training; fields left at None follow the paper's `auto` rule, see `resolved`."""

    # Images
    resolution: int = Field(64, description="pixels, a power of two from 8 to 1024")
    fit: Literal["crop", "letterbox"] = "crop"
    view: View | None = Field(None, description="train on images of this view alone; on all if not given")
    mirror: bool = Field(False, description="flip each training image with even odds")
    sampling: Literal["natural", "balanced"] = Field(
        "natural", description="how often a condition is shown: as often as it occurs, or as often as others"
    )

    # Networks
    z_dim: int = Field(512, ge=1, description="width of the latent z")
    w_dim: int = Field(512, ge=1, description="width of the intermediate latent w")
    mapping_layers: int = Field(2, ge=1, description="from z and label to w")
    channel_base: int | None = Field(None, ge=64, description="channels(res) = channel_base / res …")
    channel_max: int = Field(512, ge=1, description="… but at most this")
    g_architecture: Architecture = "skip"
    d_architecture: Architecture = "resnet"
    mbstd_group: int | None = Field(
        None, ge=1, description="images whose deviation D sees together; at most a micro-batch"
    )
    num_fp16_res: int = Field(4, ge=0, description="highest resolutions in half precision, on a GPU only")
    half_dtype: Literal["float16", "bfloat16"] = "float16"
    conv_clamp: float | None = Field(256.0, description="bound of activations; half precision needs one")

    # Optimisation
    kimg: Positive = Field(25_000, description="thousands of real images shown")
    batch: int | None = Field(None, ge=2, description="images an iteration, over all processes")
    micro_batch: int | None = Field(
        None, ge=1, description="images a process takes at once; gradients of several are added up"
    )
    tf32: bool = Field(False, description="let float32 products of a GPU round to TF32")
    cuda_graphs: bool = Field(
        True,
        description="on a GPU, record an iteration's computations and replay them, with more memory",
    )
    lr: Positive | None = Field(None, description="learning rate of Adam, both networks")
    gamma: float | None = Field(None, ge=0, description="weight of R1")
    pl_weight: float = Field(2.0, ge=0, description="weight of the path length penalty; 0 leaves it out")
    pl_decay: float = Field(0.01, gt=0, le=1, description="of the running mean of path lengths")
    pl_batch_shrink: int = Field(2, ge=1, description="path lengths take so many times fewer images")
    style_mixing: float = Field(0.9, ge=0, le=1, description="probability")
    g_interval: int = Field(4, ge=1, description="iterations between path length penalties")
    d_interval: int = Field(16, ge=1, description="iterations between R1 penalties")
    freeze_d: int = Field(0, ge=0, description="D layers, from the input on, kept as they start (Freeze-D)")
    ema_kimg: Positive | None = Field(None, description="half-life of the averaged generator")
    ema_rampup: Positive | None = Field(
        0.05, description="bounds that half-life by this share of the images seen; null does not"
    )

    # Conditions
    stages: dict[str, tuple[str, str]] = Field(
        {},
        description="{Intermediate: [Early, Late]}: a condition whose label embedding is by construction the "
        "mean of two others' (spec 8)",
    )
    conditional: bool = Field(True, description="false leaves the labels out; to start others from")
    transition_start_kimg: float | None = Field(
        None, ge=0, description="until here as if unconditional (arXiv 2201.06578); null trains conditionally"
    )
    transition_end_kimg: Positive | None = Field(None, description="from here on fully conditional")
    unconditional_output: bool | None = Field(
        None, description="a second output of D that sees no label; by default if there is a transition"
    )
    lecam_weight: float = Field(0.0, ge=0, description="weight of LeCam regularisation; 0 leaves it out")
    lecam_decay: float = Field(0.99, gt=0, lt=1, description="of the running means that LeCam pulls towards")

    # Augmentation
    augment: str | None = Field(
        "bgc", description="bgc and other presets of ADA, skin, diffaugment; null trains without"
    )
    ada_target: float = Field(0.6, gt=-1, lt=1, description="r_t, the mean sign of D's logits of real images")
    ada_kimg: Positive = Field(500, description="thousands of images in which p can move by 1")
    ada_ceiling: float = Field(0.9, ge=0, le=1, description="highest augmentation probability")

    # Housekeeping
    seed: int = Field(0, ge=0, lt=2**32)
    tick_kimg: Positive = Field(4, description="thousands of images between log lines")
    snapshot_ticks: int = Field(50, ge=1, description="ticks between snapshots and sample grids")
    keep_snapshots: int = Field(5, ge=1, description="newest snapshots to keep, besides the best")
    metric_network: str | None = Field(
        DEFAULT_NETWORK,
        description="features for the metrics at every snapshot: a name or a file; null does without",
    )
    metric_images: int = Field(100, ge=8, description="generated images of each condition to measure")
    track: list[Literal["tensorboard", "trackio"]] = Field(
        [], description="where else to log; needs the extra `track`"
    )

    @model_validator(mode="after")
    def _check(self) -> "GeneratorTraining":
        if not 8 <= self.resolution <= 1024 or self.resolution & (self.resolution - 1):
            raise ValueError(f"resolution: a power of two from 8 to 1024, not {self.resolution}")
        name = "batch" if self.micro_batch in (None, self.batch) else "micro_batch"
        together = getattr(self, name)
        if (
            together is not None
            and self.mbstd_group is not None
            and together % min(self.mbstd_group, together)
        ):
            raise ValueError(
                f"{name}: {together} does not divide into groups of {self.mbstd_group} (mbstd_group)"
            )
        if (self.transition_start_kimg is None) != (self.transition_end_kimg is None):
            raise ValueError("transition_start_kimg and transition_end_kimg: give both or neither")
        if not self.conditional and (
            self.transition_end_kimg is not None or self.stages or self.unconditional_output
        ):
            raise ValueError(
                "conditional: without labels there are no stages, no transition and no second output of D"
            )
        start, end = self.transition_start_kimg, self.transition_end_kimg
        if start is not None and end is not None and start >= end:
            raise ValueError(f"transition_start_kimg: {start:g} is not before transition_end_kimg, {end:g}")
        return self

    def resolved(self, devices: int = 1) -> "ResolvedTraining":
        """Fill every None by the `auto` rule of the published release, for `devices` processes.

        Raises:
            UserError: fields that do not go together once they are filled.
        """
        res = self.resolution
        batch = self.batch or max(min(devices * min(4096 // res, 32), 64), devices)
        if batch % devices:
            raise UserError(f"batch: {batch} images cannot be shared evenly among {devices} processes.")
        micro_batch = self.micro_batch or batch // devices
        if (batch // devices) % micro_batch:
            raise UserError(
                f"micro_batch: {micro_batch} does not divide the {batch // devices} images of each process."
            )
        values = {
            "batch": batch,
            "micro_batch": micro_batch,
            "mbstd_group": self.mbstd_group or max(k for k in (1, 2, 3, 4) if micro_batch % k == 0),
            "channel_base": self.channel_base or (32768 if res >= 512 else 16384),
            "lr": self.lr or (0.002 if res >= 1024 else 0.0025),
            "gamma": 0.0002 * res**2 / batch if self.gamma is None else self.gamma,
            "ema_kimg": self.ema_kimg or batch * 10 / 32,
            "unconditional_output": (
                self.transition_end_kimg is not None
                if self.unconditional_output is None
                else self.unconditional_output
            ),
        }
        return validated(ResolvedTraining, {**self.model_dump(), **values})


class ResolvedTraining(GeneratorTraining):
    """A training whose `auto` fields are filled."""

    channel_base: int
    mbstd_group: int
    batch: int
    micro_batch: int
    unconditional_output: bool
    lr: Positive
    gamma: float
    ema_kimg: Positive
