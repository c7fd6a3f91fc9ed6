"""`morphoscope gestalt gallery`, `add` and `align`: galleries, and a cohort of aligned faces."""

import shlex
from collections.abc import Mapping
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
from morphoscope.runtime.terminal import say, show, table

if TYPE_CHECKING:
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
    print_left_out(enrolment.left_out, enrolment.flagged)
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
        matching_encoder(encoder, known),
        keep_flagged=keep_flagged,
        thumbnails=known.thumbnails is not None,
        consent=consent,
    )
    print_left_out(enrolment.left_out, enrolment.flagged)
    save_gallery(gallery, known.joined(enrolment.gallery), secret)


def align(
    path: CohortPath,
    destination: Annotated[Path, typer.Argument(help="New folder for the cohort.")],
    size: Annotated[
        int, typer.Option(min=32, max=1024, help="Side of the images in pixels; a power of two to train.")
    ] = 128,
    keep_flagged: KeepFlagged = False,
) -> None:
    """Write the faces of a cohort upright and of one size, as a cohort for a generator of faces."""
    from morphoscope.classify.gestalt import align_cohort
    from morphoscope.cohort import Cohort

    made = align_cohort(Cohort.load(path), destination, size, keep_flagged)
    print_left_out(made.left_out, {})
    say(f"Wrote {len(made.cohort)} aligned faces of {size} px to {destination}")
    if made.enlarged:
        say(f"Enlarged, because the photograph shows the face smaller than {size} px: {made.enlarged}")
    name = shlex.quote(str(destination))
    say(f"Next: morphoscope cohort check {name}, then generate train {name} --set view=face")


def gallery_folds(cohort: "Cohort") -> list[str]:
    """All folds but the test fold."""
    from morphoscope.cohort import TEST_FOLD

    return sorted(set(cohort.rows["fold"]) - {TEST_FOLD})


def print_left_out(left_out: Mapping[str, str], flagged: Mapping[str, str]) -> None:
    """Which photographs were not used, and which were although they have a flag."""
    rows = [(name, "left out", why) for name, why in left_out.items()]
    rows += [(name, "kept", why) for name, why in flagged.items()]
    if rows:
        show(table(["photograph", "", "reason"], rows))
