"""The training film: the sheets of generated images in a run folder, in order."""

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

from morphoscope.cohort import Provenance
from morphoscope.configs import UserError
from morphoscope.generate.films import write_mp4
from morphoscope.generate.sheets import UNREADABLE, read_sheet
from morphoscope.generate.training.records import list_sheets, snapshot_images

FILM = "film.mp4"
_LARGEST = 1920  # pixels, either side
_PAPER = (255, 255, 255)
_BANNER = (31, 36, 48)


def write_film(run: Path, fps: float = 4) -> Path | None:
    """Write `film.mp4` (H.264, 4:2:0) from the sheets of generated images a run folder, in order.

    A banner above each sheet shows SYNTHETIC and its kimg; the film's metadata describe it as synthetic too.
    The first sheet determines the size, at most 1920 px wide and high; others are scaled to fit.

    Args:
        fps: sheets per second.

    Returns:
        The film's path; None if the run has no sheet yet.

    Raises:
        UserError: a sheet that cannot be read, or a film that cannot be encoded or written. An earlier film
            stays as it was.
    """
    sheets = sheets_by_kimg(run)
    if not sheets:
        return None
    first, provenance = _read(sheets[0][1])
    provenance = provenance.model_copy(update={"generator": None})  # each sheet is of another snapshot
    path = run / FILM
    frames = (_frame(kimg, sheet, first.size) for kimg, sheet in sheets)
    write_mp4(path, frames, _frame_size(first.size), fps, "a training film", provenance)
    return path


def sheets_by_kimg(run: Path) -> list[tuple[float, Path]]:
    """(kimg, path) of the sheets of generated images in a run folder, in order."""
    return [(snapshot_images(path.name) / 1000, path) for path in list_sheets(run)]


def _read(path: Path) -> tuple[Image.Image, Provenance]:
    """A sheet and its provenance."""
    try:
        image, provenance = read_sheet(path)
    except UNREADABLE as error:
        raise UserError(f"{path}: the sheet cannot be read ({error}); remove it.") from error
    return image, provenance or Provenance()


def _frame(kimg: float, path: Path, first_size: tuple[int, int]) -> bytes:
    """One frame, RGB bytes: the banner and below it the sheet."""
    width, height = _frame_size(first_size)
    top = _banner_height(width)
    canvas = Image.new("RGB", (width, height), _BANNER)
    sheet = ImageOps.pad(_read(path)[0], (width, height - top), Image.Resampling.LANCZOS, color=_PAPER)
    canvas.paste(sheet, (0, top))
    font = ImageFont.load_default(size=max(10, round(0.6 * top)))
    draw = ImageDraw.Draw(canvas)
    draw.text((top // 3, top // 2), f"SYNTHETIC · {kimg:.10g} kimg", fill=_PAPER, font=font, anchor="lm")
    return canvas.tobytes()


def _frame_size(sheet: tuple[int, int]) -> tuple[int, int]:
    """Width and height with the banner, at most `_LARGEST`; even, as 4:2:0 requires."""
    width, height = sheet[0], sheet[1] + _banner_height(sheet[0])
    scale = min(1.0, _LARGEST / max(width, height))
    return max(2, int(width * scale) // 2 * 2), max(2, int(height * scale) // 2 * 2)


def _banner_height(width: int) -> int:
    return max(20, width // 36)
