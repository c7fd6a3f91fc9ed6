"""`morphoscope generate sign`."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from morphoscope.configs import UserError
from morphoscope.runtime.terminal import say

_SUFFIXES = {".png", ".gif", ".mp4"}


def sign(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="Synthetic images and films, or folders (with subfolders)."),
    ],
    certificate: Annotated[
        Path, typer.Option(help="Your certificate in PEM, followed by those of its issuers.")
    ],
    key: Annotated[Path, typer.Option(help="The certificate's private key in PEM.")],
) -> None:
    """Sign synthetic images, sheets and films with Content Credentials (C2PA), by your own certificate.

    The files are replaced. Nothing is sent anywhere.
    """
    from morphoscope.cohort.credentials import read_signer, sign_file
    from morphoscope.runtime.progress import track

    chosen, unmarked = _marked(files)
    signer = read_signer(certificate, key, _password)
    for path in track(chosen, "Signing", unit="files"):
        sign_file(path, signer)
    left_out = f"; left out {unmarked} without the mark of synthesis" if unmarked else ""
    say(f"Signed {len(chosen)} file(s) as {signer.name}{left_out}.")


def _marked(given: Sequence[Path]) -> tuple[list[Path], int]:
    """The files to sign, and how many in folders are not marked; a file that is named must be marked."""
    from morphoscope.cohort.marked_files import is_marked_synthetic
    from morphoscope.cohort.reading import MAX_FILE_BYTES
    from morphoscope.configs.user_files import read_regular

    chosen, unmarked = [], 0
    for path in given:
        found = [path]
        if path.is_dir():
            found = sorted(file for file in path.rglob("*") if file.suffix.lower() in _SUFFIXES)
        marked = [file for file in found if is_marked_synthetic(read_regular(file, MAX_FILE_BYTES))]
        if not marked:
            raise UserError(f"{path}: no mark of synthesis; only synthetic images and films are signed.")
        chosen += marked
        unmarked += len(found) - len(marked)
    return list(dict.fromkeys(chosen)), unmarked


def _password() -> str:
    if not sys.stdin.isatty():
        raise UserError("The key has a password: run the command in a terminal, which prompts for it.")
    found: str = typer.prompt("Password of the key", hide_input=True, err=True)
    return found
