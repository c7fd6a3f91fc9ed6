"""A gallery's file: safetensors that says it is biometric data, encrypted if a passphrase is given."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, ValidationError

from morphoscope.classify.gestalt.gallery import BIOMETRIC, Entry, Gallery
from morphoscope.classify.gestalt.head import Head
from morphoscope.configs import UserError
from morphoscope.configs.errors import validation_problems
from morphoscope.configs.user_files import read_regular
from morphoscope.runtime import write_atomically
from morphoscope.runtime.encryption import decrypt, encrypt, is_encrypted
from morphoscope.runtime.torch_checkpoints import checkpoint_bytes, parse_checkpoint

_KIND = "face gallery"
_MAX_BYTES = 4 * 2**30
_PRIVATE = 0o600  # for its owner alone


class _Image(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    syndrome: str
    patient: str
    family: str
    digest: str


class _Metadata(BaseModel):
    model_config = ConfigDict(strict=True)  # kind, version and revision are the checkpoint's

    encoder: str
    encoder_digest: str
    unaffected: str
    consent: str
    images: list[_Image]
    head_trained_on: list[str] = []


def write_gallery(path: Path, gallery: Gallery, passphrase: str | None = None) -> None:
    """Write a gallery, readable by its owner alone, and encrypted with a passphrase if there is one.

    Raises:
        UserError: the file cannot be written, or the passphrase is too short.
    """
    tensors = {"embeddings": torch.from_numpy(gallery.embeddings)}
    if gallery.thumbnails is not None:
        tensors["thumbnails"] = torch.from_numpy(gallery.thumbnails)
    if gallery.head is not None:
        tensors["head"] = torch.from_numpy(gallery.head.weights)
    metadata = _Metadata(
        encoder=gallery.encoder,
        encoder_digest=gallery.encoder_digest,
        unaffected=gallery.unaffected,
        consent=gallery.consent,
        images=[_Image(**vars(entry)) for entry in gallery.entries],
        head_trained_on=sorted(gallery.head.trained_on) if gallery.head is not None else [],
    )
    data = checkpoint_bytes(_KIND, tensors, {"notice": BIOMETRIC, **metadata.model_dump()})
    if passphrase is not None:
        data = encrypt(data, passphrase)
    with write_atomically(path, _PRIVATE) as temporary:
        temporary.write_bytes(data)


def read_gallery(path: Path, passphrase: str | None = None) -> Gallery:
    """Read what `write_gallery` wrote.

    Raises:
        UserError: the file is missing, damaged or no gallery; it is encrypted and the passphrase is missing
            or wrong.
    """
    data = read_regular(path, _MAX_BYTES)
    if is_encrypted(data):
        if passphrase is None:
            raise UserError(f"{path}: the gallery is encrypted; its passphrase is needed.")
        data = decrypt(data, passphrase, str(path))
    tensors, values = parse_checkpoint(data, str(path), _KIND)
    try:
        metadata = _Metadata.model_validate(values)
    except ValidationError as error:
        raise UserError(f"{path}: damaged gallery ({validation_problems(error)}).") from error
    embeddings, thumbnails, head = (tensors.get(name) for name in ("embeddings", "thumbnails", "head"))
    count = len(metadata.images)
    if embeddings is None or embeddings.dtype != torch.float32 or not _counts(embeddings, count, 2):
        raise UserError(f"{path}: damaged gallery (its embeddings do not fit its list of images).")
    if thumbnails is not None and (thumbnails.dtype != torch.uint8 or not _counts(thumbnails, count, 4)):
        raise UserError(f"{path}: damaged gallery (its thumbnails do not fit its list of images).")
    if head is not None and (head.dtype != torch.float32 or head.shape != 2 * embeddings.shape[1:]):
        raise UserError(f"{path}: damaged gallery (its head does not fit its embeddings).")
    return Gallery(
        embeddings=embeddings.numpy(),
        entries=tuple(Entry(**image.model_dump()) for image in metadata.images),
        encoder=metadata.encoder,
        encoder_digest=metadata.encoder_digest,
        unaffected=metadata.unaffected,
        thumbnails=None if thumbnails is None else np.asarray(thumbnails.numpy(), np.uint8),
        consent=metadata.consent,
        head=None if head is None else Head(head.numpy(), frozenset(metadata.head_trained_on)),
    )


def is_encrypted_gallery(path: Path) -> bool:
    """Whether a gallery's passphrase is needed.

    Raises:
        UserError: the file cannot be read.
    """
    return is_encrypted(read_regular(path, _MAX_BYTES))


def _counts(tensor: Any, count: int, axes: int) -> bool:
    return tensor.ndim == axes and len(tensor) == count
