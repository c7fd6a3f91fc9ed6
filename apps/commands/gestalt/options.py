"""Options of several commands for faces, and how galleries are opened and written."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from morphoscope.configs import UserError
from morphoscope.runtime.terminal import say

if TYPE_CHECKING:
    from morphoscope.classify.gestalt import Encoder, Gallery, Gestalt

PASSPHRASE = "MORPHOSCOPE_PASSPHRASE"

GalleryPath = Annotated[Path, typer.Argument(metavar="GALLERY", help="A gallery's .safetensors file.")]
RankerPath = Annotated[
    Path,
    typer.Argument(
        metavar="GALLERY|NETWORKS", help="A gallery's file, or region networks from `gestalt train`."
    ),
]
PhotographPath = Annotated[Path, typer.Argument(metavar="PHOTOGRAPH", help="A photograph with a face.")]
EncoderPath = Annotated[
    Path | None,
    typer.Option(
        "--encoder",
        help="ONNX file of an encoder of your own (112 px, aligned as for ArcFace) instead of dlib's.",
    ),
]
FaceNumber = Annotated[
    int | None, typer.Option("--face", help="Number of the face if there are several; 1 is the largest.")
]


def passphrase(new: bool) -> str:
    """From the environment variable MORPHOSCOPE_PASSPHRASE, or asked for on the terminal.

    Args:
        new: whether it is chosen now, and so has to be typed twice.
    """
    if found := os.environ.get(PASSPHRASE):
        return found
    return str(typer.prompt("Passphrase of the gallery", hide_input=True, confirmation_prompt=new))


def open_gallery(path: Path) -> "tuple[Gallery, str | None]":
    """(gallery, passphrase of its file, None if it is not encrypted)."""
    from morphoscope.classify.gestalt.gallery_file import is_encrypted_gallery, read_gallery

    secret = passphrase(new=False) if is_encrypted_gallery(path) else None
    return read_gallery(path, secret), secret


def open_gestalt(path: Path, encoder: Path | None) -> "Gestalt":
    """A gallery with its encoder."""
    from morphoscope.classify.gestalt import Gestalt

    return Gestalt(open_gallery(path)[0], matching_encoder(encoder))


def matching_encoder(encoder: Path | None, gallery: "Gallery | None" = None) -> "Encoder":
    """The bundled encoder, or a user's, with the head of a gallery if that has one."""
    from morphoscope.classify.gestalt import load_encoder, with_head

    return with_head(load_encoder(encoder), None if gallery is None else gallery.head)


def save_gallery(path: Path, gallery: "Gallery", secret: str | None) -> None:
    """Write a gallery, and say what it is."""
    from morphoscope.classify.gestalt.gallery import BIOMETRIC
    from morphoscope.classify.gestalt.gallery_file import write_gallery

    if path.suffix != ".safetensors":
        raise UserError(f"{path}: the name of a gallery ends in .safetensors.")
    write_gallery(path, gallery, secret)
    patients = len(set(gallery.patients))
    say(f"Wrote {path}: {len(gallery)} images of {patients} patients, {len(gallery.syndromes)} syndromes")
    say(BIOMETRIC)
