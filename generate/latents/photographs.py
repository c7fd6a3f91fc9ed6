"""Files of projected photographs: safetensors with JSON metadata, in which nothing is pickled."""

import hashlib
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from morphoscope.configs import UserError
from morphoscope.configs.errors import validation_problems
from morphoscope.generate.latents.ends import ProjectedPhotograph
from morphoscope.generate.model import GeneratorModel, file_digest
from morphoscope.runtime.torch_checkpoints import parse_checkpoint, read_checkpoint, write_checkpoint

_KIND = "projected photograph"
_CODES, _SYNTHESIS = "codes", "synthesis."
_Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{1,64}$")]


class _Metadata(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, allow_inf_nan=False)

    photograph: _Digest
    generator: _Digest
    space: Literal["w", "w_plus", "tuned"]
    label: dict[str, float] = Field(min_length=1, max_length=1000)
    record: dict[str, Any] = {}


def write_photograph(path: Path, photograph: ProjectedPhotograph) -> None:
    """Write a projected photograph, atomically.

    Raises:
        UserError: the folder cannot be written or the disk is full.
    """
    tensors = {f"{_SYNTHESIS}{name}": tensor for name, tensor in photograph.synthesis.items()}
    metadata = {
        "photograph": photograph.digest,
        "generator": photograph.generator,
        "space": photograph.space,
        "label": dict(photograph.label),
        "record": dict(photograph.record),
    }
    write_checkpoint(path, _KIND, {_CODES: photograph.codes, **tensors}, metadata)


def read_photograph(path: Path, model: GeneratorModel) -> ProjectedPhotograph:
    """Read what `write_photograph` wrote; tensors are on the device of the model.

    Raises:
        UserError: no projected photograph, damaged, or projected with another generator than `model`.
    """
    return _photograph(*read_checkpoint(path, _KIND), str(path), file_digest(path), model)


def parse_photograph(data: bytes, name: str, model: GeneratorModel) -> ProjectedPhotograph:
    """What `read_photograph` reads, from the bytes of a file; `name` stands for it in errors."""
    digest = hashlib.sha256(data).hexdigest()[:16]
    return _photograph(*parse_checkpoint(data, name, _KIND), name, digest, model)


def _photograph(
    tensors: dict[str, torch.Tensor], stored: dict[str, Any], file: str, digest: str, model: GeneratorModel
) -> ProjectedPhotograph:
    try:
        metadata = _Metadata.model_validate(stored)
    except ValidationError as error:
        raise UserError(f"{file}: the metadata cannot be used ({validation_problems(error)}).") from error
    if metadata.generator != model.digest:
        raise UserError(
            f"{file}: projected with generator {metadata.generator}, not with this one, {model.digest}. Give "
            "the generator that it was projected with, or project the photograph again."
        )
    model.label(metadata.label)
    known = {_CODES: (model.G.num_ws, model.G.w_dim)}
    known |= {f"{_SYNTHESIS}{name}": tuple(t.shape) for name, t in model.G.synthesis.state_dict().items()}
    for name, tensor in tensors.items():
        if known.get(name) != tuple(tensor.shape):
            raise UserError(f"{file}: tensor {name[:80]!r} of shape {list(tensor.shape)} does not fit.")
    if _CODES not in tensors:
        raise UserError(f"{file}: has no tensor {_CODES!r}; project the photograph again.")
    on_device = {name: t.to(model.class_means.device, torch.float32) for name, t in tensors.items()}
    return ProjectedPhotograph(
        metadata.photograph,
        metadata.generator,
        metadata.space,
        metadata.label,
        on_device.pop(_CODES),
        {name.removeprefix(_SYNTHESIS): tensor for name, tensor in on_device.items()},
        metadata.record,
        digest,
    )
