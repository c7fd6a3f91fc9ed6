"""`morphoscope gestalt detect` and `rank`: what is seen in a photograph, and which syndromes are near."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from morphoscope.apps.commands.gestalt.options import (
    EncoderPath,
    FaceNumber,
    GalleryPath,
    PhotographPath,
    RankerPath,
    open_gestalt,
)
from morphoscope.apps.commands.gestalt.region_networks import open_networks, print_ranking
from morphoscope.configs import UserError
from morphoscope.runtime.terminal import say, show, table

if TYPE_CHECKING:
    from morphoscope.classify.gestalt import Ranking


def detect(
    photograph: PhotographPath,
    output: Annotated[
        Path | None,
        typer.Option(help="PNG file to draw what was found onto the photograph; it shows the face."),
    ] = None,
) -> None:
    """Show which faces are found in a photograph, and what speaks against using them."""
    from morphoscope.classify.gestalt import draw_faces, find_faces
    from morphoscope.cohort import read_image, write_image

    image = read_image(photograph)
    faces = find_faces(image)
    say(f"{photograph}: {len(faces)} face{'' if len(faces) == 1 else 's'}")
    rows = [
        (
            str(number),
            f"{face.quality.eye_distance:.0f}",
            f"{face.quality.yaw:.0f} / {face.quality.pitch:.0f} / {face.quality.roll:.0f}",
            f"{face.quality.sharpness:.2f}",
            "; ".join(face.quality.flags) or "none",
        )
        for number, face in enumerate(faces, 1)
    ]
    if rows:
        show(table(["face", "eye distance (px)", "yaw / pitch / roll", "sharpness", "flags"], rows))
    if output is not None:
        write_image(output, draw_faces(image, faces))
        say(f"Wrote {output}")


def rank(
    gallery: RankerPath,
    photograph: PhotographPath,
    face: FaceNumber = None,
    top: Annotated[int, typer.Option(min=1, help="Number of syndromes to print.")] = 10,
    output: Annotated[
        Path | None, typer.Option(help="CSV file for all syndromes. An older file is replaced.")
    ] = None,
    nearest: Annotated[
        Path | None,
        typer.Option(help="PNG file: the face beside its nearest images, of a gallery with thumbnails."),
    ] = None,
    encoder: EncoderPath = None,
) -> None:
    """Rank syndromes for a face: by their nearest image in a gallery, or by networks. Not a diagnosis."""
    from morphoscope.classify.gestalt import find_face
    from morphoscope.runtime import write_text

    if output is not None and output.suffix != ".csv":
        raise UserError(f"--output {output}: the name of the table ends in .csv.")
    networks = open_networks(gallery, nearest=nearest, encoder=encoder)
    if networks is not None:
        scored = networks.rank(find_face(photograph, face))
        print_ranking(scored, top)
        frame = scored.to_frame()
    else:
        gestalt = open_gestalt(gallery, encoder)
        found = find_face(photograph, face)
        ranking = gestalt.rank(found)
        _print_ranking(ranking, top)
        frame = ranking.to_frame()
        if nearest is not None:
            from morphoscope.classify.gestalt.nearest_figure import write_nearest_figure

            write_nearest_figure(nearest, found, ranking, gestalt.gallery)
            say(f"Wrote {nearest}")
    if output is not None:
        write_text(output, frame.to_csv(index=False))
        say(f"Wrote {output}")


def explain(
    gallery: GalleryPath,
    photograph: PhotographPath,
    syndrome: Annotated[str | None, typer.Option(help="By default the nearest one.")] = None,
    face: FaceNumber = None,
    output: Annotated[
        Path | None, typer.Option(help="PNG file for the map on the aligned face; it shows the face.")
    ] = None,
    encoder: EncoderPath = None,
) -> None:
    """Show which parts of a face speak for a syndrome and against the nearest other one."""
    from morphoscope.classify import overlay
    from morphoscope.classify.gestalt import find_evidence, find_face
    from morphoscope.cohort import write_image

    gestalt = open_gestalt(gallery, encoder)
    found = find_evidence(gestalt, find_face(photograph, face), syndrome)
    say(f"For {found.syndrome} and against {found.against}: margin {found.margin:.3f} (cosine similarity)")
    gradients = found.gradients or {}
    rows = [
        (part, f"{fall:+.3f}", f"{gradients[part]:+.3f}" if part in gradients else "–")
        for part, fall in sorted(found.occlusion.items(), key=lambda item: -item[1])
    ]
    show(table(["part", "the margin falls without it by", "integrated gradients"], rows))
    if output is None:
        return
    if found.map is None:
        raise UserError("--output: an encoder of your own has no gradients, so there is no map to draw.")
    write_image(output, overlay(found.chip, found.map))
    say(f"Wrote {output}")


def _print_ranking(ranking: "Ranking", top: int) -> None:
    from morphoscope.classify.gestalt.ranking import ALARM, ALPHA
    from morphoscope.runtime.statistics import format_p

    chosen = ranking.prediction_set
    rows = [
        (
            str(number),
            one.syndrome,
            f"{one.distance:.3f}",
            str(one.patients),
            "–" if one.p is None else f"{one.p:.3f}",
            "–" if chosen is None else "yes" if one.syndrome in chosen else "",
        )
        for number, one in enumerate(ranking.syndromes[:top], 1)
    ]
    show(table(["rank", "syndrome", "distance", "patients", "p", "in the set"], rows))
    for flag in ranking.flags:
        say(f"The photograph is not ideal: {flag}.")
    if ranking.known_photograph:
        say("This photograph is in the gallery itself, so the ranking shows nothing.")
    if ranking.novelty_p is None:
        say("Too few patients for a calibration: nothing says how far is too far.")
    elif ranking.none_of_these:
        say(
            f"None of these: the face is farther from all of them than {1 - ALARM:.0%} of the patients whose "
            f"syndrome is in the gallery ({format_p(ranking.novelty_p, named=True)})."
        )
    else:
        say(
            f"The set holds the true syndrome of about {1 - ALPHA:.0%} of patients like those of the gallery."
        )
    if ranking.syndromes[0].syndrome == ranking.unaffected:
        say(f"The nearest faces are those of people without a syndrome ({ranking.unaffected}).")
    say("This is no diagnosis.")
