"""A cohort as other programs read it: a folder for each condition, or StyleGAN's images with dataset.json.

What these layouts cannot hold (patients, folds, provenance columns) is lost; the mark of a synthetic image,
which is in its file, stays.
"""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from PIL import Image

from morphoscope.cohort.cohort import Cohort
from morphoscope.cohort.manifest import DATASET, dataset_json
from morphoscope.cohort.marked_files import carry_mark
from morphoscope.cohort.reading import encode_png
from morphoscope.cohort.resizing import Fit, check_square
from morphoscope.cohort.storage import new_files, new_folder, unwritable_reason
from morphoscope.configs import UserError, arguments
from morphoscope.runtime.progress import track

_IMAGES_PER_FOLDER = 1000  # as StyleGAN's own tools write them


def export_folders(cohort: Cohort, destination: Path) -> None:
    """Copy the image files to `<condition>/<name>`, the layout of torchvision's ImageFolder.

    Args:
        destination: new folder.

    Raises:
        UserError: a condition that cannot be the name of a folder, or the folder exists or cannot be written.
    """
    _check(cohort)
    for condition in cohort.conditions:
        reason = "it has a slash" if "/" in condition else unwritable_reason(condition)
        if reason is not None:
            raise UserError(f"{condition!r} cannot be the name of a folder: {reason}; rename the condition.")
    with new_folder(destination) as folder:
        for number, (file, condition) in _rows(cohort):
            # Numbers keep names apart that lay in different folders, and tell no patient.
            target = folder / condition / f"{number:06d}{PurePosixPath(file).suffix.lower()}"
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(cohort.store.read(file))


def export_dataset_json(cohort: Cohort, destination: Path, resolution: int, *, fit: Fit = "crop") -> None:
    """Write square PNGs and dataset.json, as StyleGAN's tools read them.

    Args:
        destination: new folder, or uncompressed zip if the name ends in .zip.
        resolution: side in pixels, a power of two from 4 to 1024.
        fit: how images become square, as `square`.

    Raises:
        UserError: a resolution out of range, an image that cannot be read, or `destination` exists or cannot
            be written.
    """
    _check(cohort)
    check_square(resolution, fit)
    if not 4 <= resolution <= 1024 or resolution & (resolution - 1):
        raise UserError(f"resolution {resolution}: StyleGAN takes powers of two from 4 to 1024.")
    names = [f"{i // _IMAGES_PER_FOLDER:05d}/img{i:08d}.png" for i in range(len(cohort))]
    with new_files(arguments.path("destination", destination)) as write:
        images = cohort.images(resolution, fit)
        for number, (file, _) in _rows(cohort):
            png = encode_png(Image.fromarray(images[number]))
            write(names[number], carry_mark(cohort.store.read(file), png))
        write(DATASET, dataset_json(cohort.rows.assign(file=names), cohort.conditions).encode())


def _check(cohort: Cohort) -> None:
    arguments.instance("cohort", cohort, Cohort, "a Cohort, as Cohort.load gives it")


def _rows(cohort: Cohort) -> Iterator[tuple[int, tuple[str, str]]]:
    """(number, (file, condition)) of every image, with progress."""
    pairs = list(zip(cohort.rows["file"], cohort.rows["condition"], strict=True))
    return iter(track(enumerate(pairs), "Writing images", total=len(pairs), unit="images"))
