"""What may be asked of generator training (spec 4)."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from morphoscope.configs.errors import UserError
from morphoscope.configs.loading import Config, validated

Positive = Annotated[float, Field(gt=0)]
Architecture = Literal["orig", "skip", "resnet"]


class GeneratorTraining(Config):
    """Hyperparameters of one training; fields left at None follow the paper's `auto` rule, see `resolved`."""

    # Images
    resolution: int = Field(64, description="pixels, a power of two from 8 to 1024")
    fit: Literal["crop", "letterbox"] = "crop"
    mirror: bool = Field(False, description="flip each training image with even odds")

    # Networks
    z_dim: int = Field(512, ge=1)
    w_dim: int = Field(512, ge=1)
    mapping_layers: int = Field(2, ge=1)
    channel_base: int | None = Field(None, ge=64, description="channels(res) = channel_base / res …")
    channel_max: int = Field(512, ge=1, description="… but at most this")
    g_architecture: Architecture = "skip"
    d_architecture: Architecture = "resnet"
    mbstd_group: int | None = Field(None, ge=1)
    num_fp16_res: int = Field(4, ge=0, description="highest resolutions in float16, on a GPU only")
    conv_clamp: float | None = 256.0

    # Optimisation
    kimg: Positive = Field(25_000, description="thousands of real images shown")
    batch: int | None = Field(None, ge=2)
    lr: Positive | None = None
    gamma: float | None = Field(None, ge=0, description="weight of R1")
    pl_weight: float = Field(2.0, ge=0, description="weight of the path length penalty; 0 leaves it out")
    pl_decay: float = Field(0.01, gt=0, le=1)
    pl_batch_shrink: int = Field(2, ge=1)
    style_mixing: float = Field(0.9, ge=0, le=1, description="probability")
    g_interval: int = Field(4, ge=1, description="iterations between path length penalties")
    d_interval: int = Field(16, ge=1, description="iterations between R1 penalties")
    freeze_d: int = Field(0, ge=0, description="D layers, from the input on, kept as they start (Freeze-D)")
    ema_kimg: Positive | None = None
    ema_rampup: Positive | None = 0.05

    # Adaptive augmentation
    augment: str | None = Field("bgc", description="augmentation preset; null trains without")
    ada_target: float = Field(0.6, gt=-1, lt=1)
    ada_kimg: Positive = 500
    ada_ceiling: float = Field(0.9, ge=0, le=1, description="highest augmentation probability")

    # Housekeeping
    seed: int = Field(0, ge=0, lt=2**32)
    tick_kimg: Positive = Field(4, description="thousands of images between log lines")
    snapshot_ticks: int = Field(50, ge=1, description="ticks between snapshots and sample grids")

    @model_validator(mode="after")
    def _check(self) -> "GeneratorTraining":
        if not 8 <= self.resolution <= 1024 or self.resolution & (self.resolution - 1):
            raise ValueError(f"resolution: a power of two from 8 to 1024, not {self.resolution}")
        if self.batch is not None and self.mbstd_group is not None and self.batch % self.mbstd_group:
            raise ValueError(
                f"batch: {self.batch} does not divide into groups of {self.mbstd_group} (mbstd_group)"
            )
        return self

    def resolved(self, devices: int = 1) -> "ResolvedTraining":
        """Fill every None by the `auto` rule of the published release, for `devices` processes.

        Raises:
            UserError: fields that do not go together once they are filled.
        """
        res = self.resolution
        batch = self.batch or max(min(devices * min(4096 // res, 32), 64), devices)
        if batch < devices:
            raise UserError(f"batch: {batch} images cannot be shared among {devices} devices.")
        values = {
            "batch": batch,
            "mbstd_group": self.mbstd_group or min(batch // devices, 4),
            "channel_base": self.channel_base or (32768 if res >= 512 else 16384),
            "lr": self.lr or (0.002 if res >= 1024 else 0.0025),
            "gamma": 0.0002 * res**2 / batch if self.gamma is None else self.gamma,
            "ema_kimg": self.ema_kimg or batch * 10 / 32,
        }
        return validated(ResolvedTraining, {**self.model_dump(), **values})


class ResolvedTraining(GeneratorTraining):
    """A training whose `auto` fields are filled."""

    channel_base: int
    mbstd_group: int
    batch: int
    lr: Positive
    gamma: float
    ema_kimg: Positive
