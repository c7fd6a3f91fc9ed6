"""The metadata of snapshots, checked before anything is built from them: a file may come from anywhere."""

from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from morphoscope.cohort import Fit
from morphoscope.cohort.conditions import Description, describe
from morphoscope.cohort.names import require_usable_names
from morphoscope.configs import UserError
from morphoscope.configs.errors import validation_problems
from morphoscope.configs.views import View
from morphoscope.generate.networks.mapping import check_stages

Width = Annotated[int, Field(ge=1, le=2**16)]
Resolution = Annotated[int, Field(ge=8, le=1024)]
HalfDtype = Literal["float16", "bfloat16"]
Stage = Annotated[list[int], Field(min_length=3, max_length=3)]
Architecture = Literal["orig", "skip", "resnet"]
Clamp = Annotated[float, Field(gt=0)] | None
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{1,64}$")]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Folds = Annotated[list[Name], Field(max_length=1000)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class MappingKeywords(_Strict):
    """Further keywords of `MappingNetwork`."""

    num_layers: int = Field(8, ge=1, le=32)
    lr_multiplier: float = Field(0.01, gt=0)
    w_avg_beta: float = Field(0.995, ge=0, le=1)
    stages: list[Stage] = Field([], max_length=1000)


class SynthesisKeywords(_Strict):
    """Further keywords of `SynthesisNetwork`."""

    channel_base: Width = 32768
    channel_max: Width = 512
    architecture: Architecture = "skip"
    num_fp16_res: int = Field(0, ge=0, le=16)
    conv_clamp: Clamp = None
    half_dtype: HalfDtype = "float16"


class _Network(_Strict):
    c_dim: int = Field(ge=0, le=1000)
    img_resolution: Resolution
    img_channels: Literal[1, 3]
    mapping_kwargs: MappingKeywords | None = None

    @field_validator("img_resolution")
    @classmethod
    def _power_of_two(cls, resolution: int) -> int:
        if resolution & (resolution - 1):
            raise ValueError(f"a power of two is needed, not {resolution}")
        return resolution


class GeneratorKeywords(_Network):
    """Keywords of `Generator`."""

    z_dim: Width
    w_dim: Width
    synthesis_kwargs: SynthesisKeywords | None = None


class EpilogueKeywords(_Strict):
    """Further keywords of `DiscriminatorEpilogue`."""

    mbstd_group_size: int = Field(4, ge=1, le=2**16)
    unconditional_output: bool = False


class DiscriminatorKeywords(_Network):
    """Keywords of `Discriminator`."""

    architecture: Architecture = "resnet"
    channel_base: Width = 32768
    channel_max: Width = 512
    num_fp16_res: int = Field(0, ge=0, le=16)
    conv_clamp: Clamp = None
    half_dtype: HalfDtype = "float16"
    cmap_dim: Width | None = None
    epilogue_kwargs: EpilogueKeywords | None = None


def _without_digest(values: Any) -> Any:
    """A model without a cohort digest is foreign: it may say nothing of folds and phantoms."""
    if isinstance(values, dict) and values.get("cohort_digest") is None:
        return {"trained_on_folds": [], "phantom": False, **values, "cohort_digest": None}
    return values


class Ancestor(_Strict):
    """What an earlier snapshot that a training builds on was trained on; without a digest it is foreign."""

    cohort_digest: Digest | None
    trained_on_folds: Folds
    phantom: bool

    _unknown = model_validator(mode="before")(_without_digest)

    @property
    def foreign(self) -> bool:
        """Whether its training images are unknown, as those of a model that was made elsewhere."""
        return self.cohort_digest is None


class SnapshotMetadata(BaseModel):
    """The metadata of a snapshot: what it is, and what it was trained on.

    Fields that are not listed (version, git_revision …) are kept as they are.

    Attributes:
        conditions: names in the order of the label vector.
        described: what they stand for; empty if not recorded. See `descriptions`.
        cohort_digest: digest of the cohort that this training took its images from; None for a foreign model,
            which was made elsewhere, of unknown images.
        trained_on_folds: folds of that cohort whose images this training or an earlier one saw.
        started_from: the snapshots that this training builds on, the most recent first. Older files name
            at most one, not in a list.
        images: number of training images.
        phantom: whether that cohort shows phantoms only; `phantoms_only` covers the ancestors too.
        config: the resolved config of the training; empty if not recorded.
        generator, discriminator: keywords of the networks; None where the file holds no discriminator.
        kimg: thousands of real images shown before the snapshot was taken.
    """

    model_config = ConfigDict(frozen=True, extra="allow", strict=True)

    conditions: list[Name] = Field(min_length=1, max_length=1000)
    described: list[Description] = Field([], max_length=1000)
    cohort_digest: Digest | None
    trained_on_folds: Folds
    started_from: list[Ancestor] = Field([], max_length=1000)
    images: int | None = None
    phantom: bool
    config: dict[str, Any] = {}
    generator: GeneratorKeywords
    discriminator: DiscriminatorKeywords | None = None
    kimg: float | None = None

    @classmethod
    def from_json(cls, values: dict[str, Any], path: Path) -> "SnapshotMetadata":
        """The metadata stored in `path`, checked.

        Raises:
            UserError: a field is missing, of another type or out of range; the message names file and fields.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise UserError(f"{path}: the metadata cannot be used ({validation_problems(error)}).") from error

    def as_json(self) -> dict[str, Any]:
        """What `from_json` reads: plain values, without the fields that were never given."""
        return self.model_dump(exclude_unset=True)

    @property
    def descriptions(self) -> dict[str, Description]:
        """What the names of the conditions stand for: as recorded, else as far as it is built in."""
        return describe(self.conditions, self.described)

    @property
    def lineage(self) -> list[Ancestor]:
        """What this training and those that it builds on were trained on, the most recent first."""
        own = {name: getattr(self, name) for name in Ancestor.model_fields}
        return [Ancestor(**own), *self.started_from]

    @property
    def phantoms_only(self) -> bool:
        """Whether neither this training nor any that it builds on has seen anything but phantoms."""
        return all(training.phantom and not training.foreign for training in self.lineage)

    @property
    def foreign(self) -> bool:
        """Whether the images of this training, or of one that it builds on, are unknown."""
        return any(training.foreign for training in self.lineage)

    @property
    def origin(self) -> str:
        """For people: the digest of the training cohort, and what is not known."""
        if self.cohort_digest is None:
            return "unknown images (a foreign model)"
        start = ", starting from a foreign model of unknown images" if self.foreign else ""
        return f"{self.cohort_digest}{start}"

    @property
    def fit(self) -> Fit:
        """How the training images were made square; "crop" if not recorded."""
        return "letterbox" if self.config.get("fit") == "letterbox" else "crop"

    @property
    def view(self) -> View | None:
        """The only view among the training images; None for all views."""
        return next((view for view in get_args(View) if view == self.config.get("view")), None)

    _unknown = model_validator(mode="before")(_without_digest)

    @field_validator("started_from", mode="before")
    @classmethod
    def _as_list(cls, value: Any) -> Any:
        if value is None:
            return []
        return [value] if isinstance(value, dict) else value

    @field_validator("config", mode="before")
    @classmethod
    def _as_dict(cls, value: Any) -> Any:
        return value if isinstance(value, dict) else {}

    @field_validator("conditions")
    @classmethod
    def _names(cls, names: list[str]) -> list[str]:
        if len(set(names)) < len(names):
            raise ValueError("a name occurs twice")
        require_usable_names(names)
        return names

    @model_validator(mode="after")
    def _fits(self) -> "SnapshotMetadata":
        networks: dict[str, _Network | None] = {
            "generator": self.generator,
            "discriminator": self.discriminator,
        }
        for name, network in networks.items():
            if network is None:
                continue
            if network.c_dim not in (0, len(self.conditions)):  # 0: trained without labels
                raise ValueError(f"{name}.c_dim: {network.c_dim} for {len(self.conditions)} conditions")
            if network.mapping_kwargs is not None:
                try:
                    check_stages(network.mapping_kwargs.stages, range(network.c_dim))
                except ValueError as error:
                    raise ValueError(f"{name}.mapping_kwargs.stages: {error}") from error
        return self
