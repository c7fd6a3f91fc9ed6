"""What a snapshot says of itself, checked before anything is built from it: a file may come from anywhere."""

import unicodedata
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from morphoscope.cohort import Fit
from morphoscope.configs import UserError
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


class _Mapping(_Strict):
    num_layers: int = Field(8, ge=1, le=32)
    lr_multiplier: float = Field(0.01, gt=0)
    w_avg_beta: float = Field(0.995, ge=0, le=1)
    stages: list[Stage] = Field([], max_length=1000)


class _Synthesis(_Strict):
    channel_base: Width = 32768
    channel_max: Width = 512
    architecture: Architecture = "skip"
    num_fp16_res: int = Field(0, ge=0, le=16)
    conv_clamp: Clamp = None
    half_dtype: HalfDtype = "float16"


class _Network(_Strict):
    c_dim: int = Field(ge=0, le=1000)
    img_resolution: Resolution
    img_channels: Literal[3]
    mapping_kwargs: _Mapping | None = None

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
    synthesis_kwargs: _Synthesis | None = None


class _Epilogue(_Strict):
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
    epilogue_kwargs: _Epilogue | None = None


class Ancestor(_Strict):
    """A snapshot that a training started from: what it had been trained on."""

    cohort_digest: Digest
    trained_on_folds: Folds
    phantom: bool


class Description(BaseModel):
    """The metadata of a snapshot; further fields (config, kimg, version …) are only carried along.

    Attributes:
        discriminator: None where the file holds no discriminator.
        started_from: the snapshots trained on before, the last one first; empty if absent. Older files name
            at most one, not in a list.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    conditions: list[Name] = Field(min_length=1, max_length=1000)
    generator: GeneratorKeywords
    discriminator: DiscriminatorKeywords | None = None
    cohort_digest: Digest
    trained_on_folds: Folds
    phantom: bool
    started_from: list[Ancestor] = Field([], max_length=1000)

    @property
    def phantoms_only(self) -> bool:
        """Whether neither this training nor any that it started from has seen anything but phantoms."""
        return self.phantom and all(ancestor.phantom for ancestor in self.started_from)

    @field_validator("started_from", mode="before")
    @classmethod
    def _as_list(cls, value: Any) -> Any:
        if value is None:
            return []
        return [value] if isinstance(value, dict) else value

    @field_validator("conditions")
    @classmethod
    def _names(cls, names: list[str]) -> list[str]:
        if len(set(names)) < len(names):
            raise ValueError("a name occurs twice")
        for name in names:
            if not name.strip() or any(unicodedata.category(letter) in ("Cc", "Cs") for letter in name):
                raise ValueError(f"{name!r} is blank or has a control character")
        return names

    @model_validator(mode="after")
    def _fits(self) -> "Description":
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


def checked_metadata(path: Path, metadata: dict[str, Any]) -> tuple[Description, dict[str, Any]]:
    """The description in the metadata of `path`, and the metadata with `started_from` as a list.

    Raises:
        UserError: a field is missing, of another type or out of range; the message names file and fields.
    """
    try:
        description = Description.model_validate(metadata)
    except ValidationError as error:
        problems = []
        for problem in error.errors(include_url=False, include_input=False):
            field = ".".join(str(part) for part in problem["loc"])
            message = problem["msg"].removeprefix("Value error, ")
            problems.append(f"{field}: {message}" if field else message)
        raise UserError(
            f"{path}: what it says of the generator cannot be used ({'; '.join(problems[:5])})."
        ) from error
    return description, {**metadata, "started_from": [link.model_dump() for link in description.started_from]}


def training_fit(metadata: dict[str, Any]) -> Fit:
    """How a generator's training images were made square, by its snapshot's metadata; "crop" if unsaid."""
    return "letterbox" if _setting(metadata, "fit") == "letterbox" else "crop"


def training_view(metadata: dict[str, Any]) -> View | None:
    """The one view that a generator has learnt from, by its snapshot's metadata; None for all."""
    said = _setting(metadata, "view")
    return next((view for view in get_args(View) if view == said), None)


def _setting(metadata: dict[str, Any], name: str) -> Any:
    config = metadata.get("config")
    return config.get(name) if isinstance(config, dict) else None
