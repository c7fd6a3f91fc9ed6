"""`morphoscope gestalt evaluate`, `alike` and `map`: what a gallery is worth, and what is alike in it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from morphoscope.apps.commands.gestalt.galleries import print_left_out
from morphoscope.apps.commands.gestalt.options import (
    EncoderPath,
    GalleryPath,
    RankerPath,
    matching_encoder,
    open_gallery,
    open_gestalt,
)
from morphoscope.apps.commands.gestalt.region_networks import open_networks, print_evaluation
from morphoscope.apps.commands.options import comma_list
from morphoscope.configs import UserError
from morphoscope.runtime.terminal import say, show, table

if TYPE_CHECKING:
    import pandas as pd

    from morphoscope.classify.gestalt import Encoder, Gallery, GalleryEvaluation
    from morphoscope.classify.gestalt.region_networks import RegionNetworks


def evaluate(
    gallery: RankerPath,
    cohort: Annotated[
        Path | None,
        typer.Argument(
            metavar="[COHORT]",
            help="Rank its test fold (all images if it has none); without it, a gallery's own images.",
        ),
    ] = None,
    output: Annotated[Path | None, typer.Option(help="CSV file for the table.")] = None,
    frequent: Annotated[
        int, typer.Option(min=2, help="Patients from which a syndrome counts as frequent.")
    ] = 7,
    encoder: EncoderPath = None,
) -> None:
    """Measure the accuracy of rankings, with 95% intervals by patient. Networks need a COHORT."""
    from morphoscope.classify.gestalt import evaluate_gallery
    from morphoscope.runtime import write_text

    networks = open_networks(gallery, encoder=encoder)
    if networks is not None:
        frame = _evaluate_networks(networks, gallery, cohort)
    else:
        known, _ = open_gallery(gallery)
        test = None if cohort is None else _test_images(cohort, matching_encoder(encoder, known))
        found = evaluate_gallery(known, test, frequent)
        print_gallery_evaluation(found)
        frame = found.to_frame()
    if output is not None:
        write_text(output, frame.to_csv(index=False))
        say(f"Wrote {output}")


def alike(
    gallery: GalleryPath,
    syndrome: Annotated[str, typer.Option(help="Compare the patients of this syndrome.")] = "",
    patients: Annotated[str, typer.Option(help="Or compare these, comma-separated.")] = "",
    output: Annotated[Path | None, typer.Option(help="CSV file for the matrix of distances.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the random groups.")] = 0,
) -> None:
    """Test whether patients look more alike than random groups of the gallery's patients."""
    from morphoscope.classify.gestalt import measure_likeness
    from morphoscope.runtime import write_text
    from morphoscope.runtime.statistics import format_p

    known, _ = open_gallery(gallery)
    if bool(syndrome) == bool(patients):
        raise UserError("Give either --syndrome or --patients.")
    if syndrome and syndrome not in known.syndromes:
        raise UserError(f"--syndrome {syndrome}: not in the gallery.")
    names = comma_list(patients) or sorted(
        {entry.patient for entry in known.entries if entry.syndrome == syndrome}
    )
    found = measure_likeness(known, names, seed)
    say(
        f"{len(found.patients)} patients: mean distance {found.mean:.3f}; of random groups "
        f"{found.chance:.3f} "
        f"(permutation test, {format_p(found.p, named=True)})"
    )
    if output is not None:
        write_text(output, found.to_frame().to_csv())
        say(f"Wrote {output}")


def draw_map(
    gallery: GalleryPath,
    output: Annotated[Path, typer.Option(help="PNG file.")],
    photograph: Annotated[Path | None, typer.Option(help="A face to place on the map.")] = None,
    encoder: EncoderPath = None,
) -> None:
    """Draw the gallery's faces on the plane of their two principal components, coloured by syndrome."""
    from morphoscope.classify.gestalt.map_figure import write_face_map

    gestalt = open_gestalt(gallery, encoder)
    embedding = None if photograph is None else gestalt.embed(photograph)
    write_face_map(output, gestalt.gallery, embedding)
    say(f"Wrote {output}")


def _evaluate_networks(networks: "RegionNetworks", path: Path, cohort: Path | None) -> "pd.DataFrame":
    from morphoscope.classify.gestalt.region_networks import evaluate_region_networks
    from morphoscope.cohort import Cohort

    if cohort is None:
        raise UserError(
            f"{path}: region networks hold no images; give a COHORT of people they have not seen."
        )
    found = evaluate_region_networks(networks, Cohort.load(cohort))
    print_evaluation(found)
    return found.to_frame()


def _test_images(path: Path, encoder: "Encoder") -> "Gallery":
    """The test fold of a cohort, or all of its images if it has none."""
    from morphoscope.classify.gestalt import enrol, labelled_rows
    from morphoscope.cohort import TEST_FOLD, Cohort

    cohort = Cohort.load(path)
    folds = [TEST_FOLD] if (cohort.rows["fold"] == TEST_FOLD).any() else None
    enrolment = enrol(labelled_rows(cohort, folds), encoder, keep_flagged=True)
    print_left_out(enrolment.left_out, enrolment.flagged)
    return enrolment.gallery


def print_gallery_evaluation(found: "GalleryEvaluation") -> None:
    """Accuracy by protocol, and what "none of these" is worth."""
    from morphoscope.runtime.statistics import format_estimate

    rows = [
        (
            protocol.name,
            f"{protocol.images} of {protocol.patients} patients, {protocol.syndromes} syndromes",
            str(protocol.candidates),
            *(format_estimate(estimate) for estimate in protocol.accuracy.values()),
        )
        for protocol in found.protocols
    ]
    depths = [f"top {depth}" for depth in found.protocols[0].accuracy] if found.protocols else []
    show(table(["protocol", "images", "candidates", *depths], rows))
    say("Means over syndromes, with 95% intervals by patient.")
    if found.not_tested:
        say(f"Not tested: {found.not_tested} images, of syndromes without another patient in the gallery.")
    if found.trained:
        say(f"Not tested: {found.trained} images of people whom the gallery's head was trained on.")
    if found.calibration is not None:
        say(
            f"None of these: AUROC {format_estimate(found.calibration.detection)} between faces whose "
            f"syndrome is in "
            f"the gallery and faces whose syndrome was left out; at a false alarm for 5% of the former, "
            f"{format_estimate(found.calibration.missed)} of the latter are missed."
        )
    if found.unaffected is not None:
        say(f"Unaffected against affected: AUROC {format_estimate(found.unaffected)}")
