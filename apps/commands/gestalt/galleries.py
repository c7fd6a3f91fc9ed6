"""`morphoscope gestalt gallery` and `add`: make a gallery, and add images to it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from morphoscope.apps.commands.gestalt.options import (
    EncoderPath,
    GalleryPath,
    matching_encoder,
    open_gallery,
    passphrase,
    save_gallery,
)
from morphoscope.apps.commands.options import CohortPath
from morphoscope.configs import UserError
from morphoscope.runtime.terminal import show, table

if TYPE_CHECKING:
    from morphoscope.classify.gestalt import Enrolment
    from morphoscope.cohort import Cohort

KeepFlagged = Annotated[
    bool, typer.Option("--keep-flagged", help="Also take small, blurred, turned and hidden faces.")
]


def make_gallery(
    path: CohortPath,
    output: Annotated[Path, typer.Option(help="New .safetensors file. An older file is replaced.")],
    unaffected: Annotated[
        str, typer.Option(help="The condition that stands for people without a syndrome.")
    ] = "",
    encrypt: Annotated[
        bool,
        typer.Option("--encrypt", help="With a passphrase, from MORPHOSCOPE_PASSPHRASE or asked for."),
    ] = False,
    keep_thumbnails: Annotated[
        bool, typer.Option("--keep-thumbnails", help="Keep a small image of each face; needs --consent.")
    ] = False,
    consent: Annotated[str, typer.Option(help="Whose consent the thumbnails rest on.")] = "",
    keep_flagged: KeepFlagged = False,
    encoder: EncoderPath = None,
) -> None:
    """Make a gallery of the faces in a cohort, its test fold excepted. It is biometric data."""
    from morphoscope.classify.gestalt import enrol, labelled_rows
    from morphoscope.cohort import Cohort

    cohort = Cohort.load(path)
    if unaffected and unaffected not in cohort.conditions:
        raise UserError(
            f"--unaffected {unaffected}: no condition of {path}; there are {', '.join(cohort.conditions)}."
        )
    secret = passphrase(new=True) if encrypt else None
    enrolment = enrol(
        labelled_rows(cohort, gallery_folds(cohort)),
        matching_encoder(encoder),
        unaffected=unaffected,
        keep_flagged=keep_flagged,
        thumbnails=keep_thumbnails,
        consent=consent,
    )
    print_left_out(enrolment)
    save_gallery(output, enrolment.gallery, secret)


def add(
    gallery: GalleryPath,
    photographs: Annotated[
        list[Path], typer.Argument(metavar="PHOTOGRAPH...", help="Files, folders or quoted patterns.")
    ],
    syndrome: Annotated[str, typer.Option(help="What the patient has; may be new to the gallery.")],
    patient: Annotated[str, typer.Option(help="Pseudonym; all photographs show this patient.")],
    family: Annotated[
        str, typer.Option(help="Pseudonym of the family, if relatives are in the gallery.")
    ] = "",
    consent: Annotated[
        str, typer.Option(help="For a gallery with thumbnails: whose consent the new ones rest on.")
    ] = "",
    keep_flagged: KeepFlagged = False,
    encoder: EncoderPath = None,
) -> None:
    """Add photographs of one patient to a gallery; nothing is trained."""
    from morphoscope.apps.commands.photographs import photograph_files
    from morphoscope.classify.gestalt import Labelled, enrol

    known, secret = open_gallery(gallery)
    labelled = [
        Labelled(path, syndrome, patient, family, str(path)) for path in photograph_files(photographs)
    ]
    enrolment = enrol(
        labelled,
        matching_encoder(encoder),
        keep_flagged=keep_flagged,
        thumbnails=known.thumbnails is not None,
        consent=consent,
    )
    print_left_out(enrolment)
    save_gallery(gallery, known.joined(enrolment.gallery), secret)


def gallery_folds(cohort: "Cohort") -> list[str]:
    """All folds but the test fold."""
    from morphoscope.cohort import TEST_FOLD

    return sorted(set(cohort.rows["fold"]) - {TEST_FOLD})


def print_left_out(enrolment: "Enrolment") -> None:
    """Which photographs are not in the gallery, and which are although they have a flag."""
    rows = [(name, "left out", why) for name, why in enrolment.left_out.items()]
    rows += [(name, "kept", why) for name, why in enrolment.flagged.items()]
    if rows:
        show(table(["photograph", "", "reason"], rows))
