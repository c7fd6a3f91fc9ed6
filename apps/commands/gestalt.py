"""`morphoscope gestalt …`: faces, and syndromes ranked by similarity."""

from pathlib import Path
from typing import Annotated

import typer

from morphoscope.runtime.terminal import say, show, table

app = typer.Typer(help="Faces: syndromes ranked by similarity. Not a diagnosis.", no_args_is_help=True)

PhotographPath = Annotated[Path, typer.Argument(metavar="PHOTOGRAPH", help="A photograph with a face.")]


@app.command()
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
