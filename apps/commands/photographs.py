"""Photographs named on the command line, in the form that an ensemble takes: images, or pairs."""

import os
from collections.abc import Callable, Mapping, Sequence
from glob import glob, has_magic
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

import numpy as np

from morphoscope.classify import Ensemble
from morphoscope.cohort import Provenance, read_image
from morphoscope.cohort.marked_files import file_provenance
from morphoscope.cohort.reading import MAX_FILE_BYTES
from morphoscope.cohort.storage import IMAGE_SUFFIXES, FolderStore
from morphoscope.cohort.workers import collect_errors, raise_together
from morphoscope.configs import UserError
from morphoscope.configs.user_files import read_regular


class Files(NamedTuple):
    """The file of a photograph or, for a dual-view ensemble, those of a pair; one of them may be missing."""

    image: Path | None
    panoramic: Path | None = None

    @property
    def given(self) -> list[Path]:
        """The files that there are."""
        return [path for path in self if path is not None]


class Photograph(NamedTuple):
    """An image to predict from, or a pair of them.

    Attributes:
        pixels: uint8 [H, W, 3].
        provenance: of a synthetic image, or of a pair with one; None for photographs.
    """

    pixels: np.ndarray
    provenance: Provenance | None = None


def photograph_files(given: Sequence[Path] | None) -> list[Path]:
    """The files that a user means by files, folders and patterns, in the order given.

    A folder stands for all images in it and its subfolders, a pattern (`*`, `?`, `[…]`, and `**` for any
    folders) for the images that fit it, both sorted by name. A path that exists is never a pattern.

    Raises:
        UserError: a folder without an image, or a pattern that fits none.
    """
    found: list[Path] = []
    for path in given or []:
        if path.is_dir():
            files = [path / name for name in FolderStore(path).images()]
        elif has_magic(str(path)) and not os.path.lexists(path):
            matches = (Path(match) for match in sorted(glob(str(path), recursive=True)))  # noqa: PTH207 (takes absolute ones)
            files = [match for match in matches if _is_image(match)]
        else:
            files = [path]
        if not files:
            raise UserError(f"{path}: no image here ({', '.join(IMAGE_SUFFIXES)}).")
        found += files
    return found


def ensemble_files(ensemble: Ensemble, images: Sequence[Path], panoramic: Sequence[Path]) -> list[Files]:
    """The files that belong together, one entry per prediction.

    Args:
        images: photographs; for a dual-view ensemble focused ones.
        panoramic: for a dual-view ensemble only; the i-th belongs to the i-th focused one, if there are any.

    Raises:
        UserError: panoramic photographs for an ensemble of single images, or unequal numbers.
    """
    if panoramic and not ensemble.dual:
        raise UserError("--panoramic: this ensemble takes single images; name the file as IMAGE.")
    if images and panoramic and len(images) != len(panoramic):
        raise UserError(
            f"{len(images)} focused photographs (IMAGE), but {len(panoramic)} panoramic ones (--panoramic): "
            "give equally many of both, in the same order, or photographs of one view only."
        )
    return [Files(*halves) for halves in zip_longest(images, panoramic)]


def short_names(files: Sequence[Files]) -> list[str]:
    """The names of the files without their folders, unless two are the same; of a pair both names."""
    names = [" + ".join(path.name for path in one.given) for one in files]
    if len(set(names)) == len(names):
        return names
    return [" + ".join(map(str, one.given)) for one in files]


def require_readable(paths: Sequence[Path]) -> None:
    """Raise UserError if there is no file, or one that cannot be read; one message names all of these."""
    _require(read_image, paths)


def inputs(ensemble: Ensemble, files: Sequence[Files]) -> Sequence[Path | np.ndarray]:
    """What `Ensemble.predict` takes: the paths, or pairs of photographs."""
    if ensemble.dual:
        return [ensemble.pair(*pair) for pair in files]
    return [path for photograph in files for path in photograph.given]


def read_together(files: Files) -> dict[Path, Photograph]:
    """The photographs of one prediction, each read once; one UserError names all that cannot be read."""
    found: dict[Path, Photograph] = {}

    def read(path: Path) -> None:
        data = read_regular(path, MAX_FILE_BYTES, str(path))
        pixels = read_image(data, str(path))  # first: it reports what is damaged
        found[path] = Photograph(pixels, file_provenance(data))

    _require(read, files.given)
    return found


def as_one(ensemble: Ensemble, files: Files, read: Mapping[Path, Photograph]) -> Photograph:
    """What the ensemble takes: the only photograph, or the pair, with the provenance of its halves."""
    shown = [read[path] for path in files.given]
    if not ensemble.dual:
        return shown[0]
    pair = ensemble.pair(*(None if path is None else read[path].pixels for path in files))
    return Photograph(pair, _shared([half.provenance for half in shown if half.provenance is not None]))


def _is_image(path: Path) -> bool:
    return path.name.lower().endswith(IMAGE_SUFFIXES) and path.is_file()


def _require(read: Callable[[Path], object], paths: Sequence[Path]) -> None:
    """Read all files, of which there is at least one; one UserError for all that cannot be read."""
    if not paths:
        raise UserError("No photograph given: name at least one file as IMAGE.")
    if len(paths) == 1:
        read(paths[0])
        return
    errors = collect_errors(read, paths, "Reading the photographs")
    raise_together([message for _, message in errors], "photograph(s) cannot be read")


def _shared(synthetic: Sequence[Provenance]) -> Provenance | None:
    """What the provenances of the synthetic images in a pair have in common; None for a pair without any."""
    if not synthetic:
        return None
    first, last = (one.model_dump() for one in (synthetic[0], synthetic[-1]))
    shared = {name: value if last[name] == value else None for name, value in first.items()}
    return Provenance(**{**shared, "phantoms_only": all(one.phantoms_only for one in synthetic)})
