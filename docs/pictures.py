"""Makes the pictures of the pages again after the bundled models have changed.

    python docs/pictures.py FOLDER

Each picture is made by the command that its page prints; FOLDER receives what the commands write. Then look
at every one of them: the captions and the text around must still be true. `docs/screenshots.py` makes those
of the studio.
"""

import argparse
import re
import shlex
import subprocess
import sys
from pathlib import Path

from PIL import Image

DOCS = Path(__file__).parent
IMAGES = DOCS / "images"
# Picture -> the page whose commands make it, and the file that they write.
PICTURES = {
    "gallery/conditions.png": ("gallery.md", "runs/look/sheet.png"),
    "gallery/morph-nf1-tsc.png": ("gallery.md", "runs/morph/strip.png"),
    "gallery/morph-ip-hmi.png": ("gallery.md", "runs/strip/strip.png"),
    "gallery/morph-ml-other.png": ("gallery.md", "runs/ml-other/strip.png"),
    "gallery/psi-0.3.png": ("gallery.md", "runs/typical/sheet.png"),
    "gallery/psi-1.png": ("gallery.md", "runs/varied/sheet.png"),
    "gallery/lecture.png": ("gallery.md", "runs/lecture/sheet.png"),
    "gallery/explain-nf1.png": ("gallery.md", "runs/explain/overlay.png"),
    "gallery/gradcam-nf1.png": ("gallery.md", "runs/gradcam/overlay.png"),
    "morphs/even.png": ("morphs.md", "runs/even/strip.png"),
    "morphs/triangle.png": ("morphs.md", "runs/triangle/triangle.png"),
    "morphs/mix.png": ("morphs.md", "runs/mix/mix.png"),
    "morphs/axes.png": ("morphs.md", "runs/axes/directions.png"),
}
_COLOURS = 128  # of a palette: keeps the pages small
_LARGEST_SIDE = 1300  # pixels


def main() -> None:
    """Run the commands of both pages, and store what they made."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args().folder
    for page in sorted({page for page, _ in PICTURES.values()}):
        wanted = [file for of, file in PICTURES.values() if of == page]
        for command in commands(DOCS / page):
            if (
                any(f"--run {file.rpartition('/')[0]}" in command for file in wanted)
                or "cohort phantom" in command
            ):
                run(command, folder)
    for picture, (_, file) in PICTURES.items():
        store(folder / file, IMAGES / picture)


def commands(page: Path) -> list[str]:
    """The commands of a page's shell blocks."""
    blocks = re.findall(r"^```sh\n(.*?)^```", page.read_text(), re.M | re.S)
    return [line for block in blocks for line in block.splitlines() if line.startswith("morphoscope ")]


def run(command: str, folder: Path) -> None:
    """Run a command of a page in `folder`, where the bundled models lie as in a clone."""
    folder.mkdir(parents=True, exist_ok=True)
    models = folder / "apps"
    if not models.exists():
        models.symlink_to(DOCS.parent / "apps")
    print(command, flush=True)
    subprocess.run(
        [sys.executable, "-m", "morphoscope.apps", *shlex.split(command)[1:]], cwd=folder, check=True
    )


def store(made: Path, picture: Path) -> None:
    """Write a picture with a palette, and no larger than pages show it."""
    with Image.open(made) as opened:
        image = opened.convert("RGB")
    image.thumbnail((_LARGEST_SIDE, _LARGEST_SIDE), Image.Resampling.LANCZOS)
    image.quantize(_COLOURS, Image.Quantize.MEDIANCUT, dither=Image.Dither.FLOYDSTEINBERG).save(
        picture, optimize=True
    )


if __name__ == "__main__":
    main()
