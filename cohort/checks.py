"""`cohort check`: all problems of a cohort in one report."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import imagehash
import numpy as np
import pandas as pd

from morphoscope.cohort.manifest import MANIFEST, Problem, manifest_problems
from morphoscope.cohort.marked_files import is_marked_synthetic
from morphoscope.cohort.name_checks import ambiguous_names
from morphoscope.cohort.reading import decode
from morphoscope.cohort.storage import Store, unsafe_reason, unwritable_reason
from morphoscope.cohort.workers import collect_errors
from morphoscope.configs import first_names

SMALL_CONDITION = 10  # groups; with fewer a fold holds one or two patients, too few for its metrics
HASH_SIDE = 16  # perceptual hash of 16 x 16 = 256 bits (low frequencies of the grey image)
# Of 256. Copies that were saved again, scaled, brightened or trimmed by 2% differ in at most about 40 bits;
# among 740 HAM10000 images none of the 273,430 pairs of different lesions differs in fewer than 66.
NEAR_DUPLICATE_BITS = 40
SMALLEST_SIDE = 16  # pixels; smaller than any resolution that is trained at
LONGEST_SHAPE = 4  # long side / short side; beyond it a square crop keeps less than a quarter of the image
# Of 255. 14 bits in a 16-bit file reach 64 and 12 bits 16; photographs have brighter spots.
DARKEST_HIGHLIGHT = 64
_BLOCK = 1024


@dataclass(frozen=True)
class CheckReport:
    """What `Cohort.check` found; `str` gives one line per finding below a summary."""

    problems: list[Problem] = field(default_factory=list)
    images: int = 0

    @property
    def ok(self) -> bool:
        """True if nothing of severity "error" was found; warnings may remain."""
        return not any(problem.severity == "error" for problem in self.problems)

    def __str__(self) -> str:
        lines = [f"{problem.severity}: {problem.kind}: {problem.message}" for problem in self.problems]
        return "\n".join([self.summary, *lines])

    @property
    def summary(self) -> str:
        """How many images were checked, and how many errors and warnings there are."""
        errors = sum(problem.severity == "error" for problem in self.problems)
        return f"{self.images} images checked: {errors} errors, {len(self.problems) - errors} warnings."


def check_cohort(store: Store, rows: pd.DataFrame) -> CheckReport:
    """Check normalised manifest rows and every file that they list; see `Cohort.check`."""
    present = [name for name in dict.fromkeys(rows["file"]) if store.has(name)]
    looks: dict[str, _Look] = {}
    unreadable = _read(store, present, looks)
    problems = [
        *manifest_problems(rows),
        *_absent(store, rows),
        *unreadable,
        *_unreadable_masks(store, rows),
        *_generated_as_real(rows, {name for name, look in looks.items() if look.marked}),
        *_unlisted(store, rows),
        *_near_duplicates(store, rows, looks),
        *_unusual_images(looks),
        *_small_conditions(rows),
        *ambiguous_names(rows),
    ]
    problems.sort(key=lambda problem: (problem.severity, problem.kind))
    return CheckReport(problems, len(rows))


class _Look(NamedTuple):
    """What is kept of a decoded image.

    Attributes:
        hash: perceptual hash, bool [256].
        size: width and height in pixels.
        highlight: grey value, of 255, that 99.9% of the pixels do not exceed.
        marked: whether the file carries the mark of a synthetic image.
    """

    hash: np.ndarray
    size: tuple[int, int]
    highlight: int
    marked: bool


def _read(store: Store, names: list[str], looks: dict[str, _Look]) -> list[Problem]:
    """Fill `looks` for every file that can be read; the others are the problems."""

    def read(name: str) -> None:
        data = store.read(name)
        image = decode(data, name)[0]
        counts = np.cumsum(image.convert("L").histogram())
        looks[name] = _Look(
            hash=imagehash.phash(image, hash_size=HASH_SIDE).hash.ravel(),
            size=image.size,
            highlight=int(np.searchsorted(counts, 0.999 * counts[-1])),
            marked=is_marked_synthetic(data),
        )

    errors = collect_errors(read, names, "Reading images")
    return [Problem("error", "unreadable", message, [name]) for name, message in errors]


def _unreadable_masks(store: Store, rows: pd.DataFrame) -> list[Problem]:
    named = dict.fromkeys(rows["mask"]) if "mask" in rows.columns else {}
    masks = [name for name in named if store.has(name)]
    errors = collect_errors(lambda name: decode(store.read(name), name), masks, "Reading masks")
    return [Problem("error", "unreadable", message, [name]) for name, message in errors]


def _generated_as_real(rows: pd.DataFrame, marked: set[str]) -> Iterable[Problem]:
    files = list(rows["file"][rows["file"].isin(marked) & (rows["source"] != "synthetic")])
    if files:
        message = (
            f"images marked as synthetic in their files, but not in the column `source`: {', '.join(files)}. "
            "Remove them; to train with synthetic images, pass their own cohort with --synthetic."
        )
        yield Problem("error", "generated-as-real", message, files)


def _absent(store: Store, rows: pd.DataFrame) -> Iterable[Problem]:
    for column in ("file", "mask"):
        named = [name for name in rows[column] if name] if column in rows.columns else []
        missing = [name for name in named if unsafe_reason(name) is None and not store.has(name)]
        unknown = {name: reason for name in missing if (reason := unwritable_reason(name)) is not None}
        for name, reason in unknown.items():
            yield Problem("error", "unreadable", f"{name!r}: {reason}.", [name])
        missing = [name for name in missing if name not in unknown]
        if missing:
            yield Problem(
                "error",
                "absent",
                f"listed in the column `{column}`, but there is no such file: {', '.join(missing)}.",
                missing,
            )


def _unlisted(store: Store, rows: pd.DataFrame) -> Iterable[Problem]:
    listed = {*rows["file"], *(rows["mask"] if "mask" in rows.columns else [])}
    unlisted = [name for name in store.images() if name not in listed]
    if unlisted:
        message = f"images without a row in {MANIFEST}: {', '.join(unlisted)}."
        yield Problem("warning", "unlabelled", message, unlisted)


def _unusual_images(looks: Mapping[str, _Look]) -> Iterable[Problem]:
    """Images that can be read, but look like mistakes: almost black, tiny, or a thin strip."""
    dark = [name for name, look in sorted(looks.items()) if look.highlight <= DARKEST_HIGHLIGHT]
    if dark:
        message = (
            f"{len(dark)} images are almost black (99.9% of their pixels are at most {DARKEST_HIGHLIGHT} of "
            f"255): {first_names(dark)}. If they hold 10- to 14-bit values in 16-bit files, scale the values "
            "up to 16 bits and import again."
        )
        yield Problem("warning", "almost-black", message, dark)
    sizes = {name: f"{name} ({look.size[0]} x {look.size[1]})" for name, look in sorted(looks.items())}
    small = [name for name in sizes if min(looks[name].size) < SMALLEST_SIDE]
    if small:
        shown = first_names([sizes[name] for name in small])
        message = (
            f"{len(small)} images have a side below {SMALLEST_SIDE} pixels: {shown}. Remove or replace them."
        )
        yield Problem("warning", "tiny-image", message, small)
    long = [name for name in sizes if max(looks[name].size) > LONGEST_SHAPE * min(looks[name].size)]
    if long:
        shown = first_names([sizes[name] for name in long])
        message = (
            f"{len(long)} images are more than {LONGEST_SHAPE} times as long as wide: {shown}. Training "
            "sees their central square, or with fit=letterbox a thin strip; crop or remove them."
        )
        yield Problem("warning", "extreme-shape", message, long)


def _near_duplicates(store: Store, rows: pd.DataFrame, looks: Mapping[str, _Look]) -> Iterable[Problem]:
    """Pairs of real images in different groups that look the same; identical files are errors."""
    table = rows.drop_duplicates("file").set_index("file")
    kept = [name for name in table.index[table["source"] == "real"] if name in looks]
    hashes = np.array([looks[name].hash for name in kept]).reshape(len(kept), HASH_SIDE**2)
    groups = pd.factorize(table["group"].loc[kept])[0]
    folds = table["fold"].to_dict()
    for a, b, distance in _close_pairs(hashes, groups):
        first, second = kept[a], kept[b]
        identical = distance == 0 and store.sha256(first) == store.sha256(second)
        where = "in different folds" if folds[first] != folds[second] else "in different groups"
        message = (
            f"{first} and {second} are identical files {where}: give both the same group."
            if identical
            else f"{first} and {second}, {where}, look alike ({distance} of {HASH_SIDE**2} bits differ): "
            "if they show the same patient, give both the same group."
        )
        yield Problem("error" if identical else "warning", "near-duplicate", message, [first, second])


def _close_pairs(hashes: np.ndarray, groups: np.ndarray) -> Iterable[tuple[int, int, int]]:
    """(i, j, differing bits) of pairs in different groups that differ in at most NEAR_DUPLICATE_BITS.

    Args:
        hashes: bool [N, bits].
        groups: int64 [N].
    """
    signs = np.where(hashes, 1.0, -1.0).astype(np.float32)
    bits = hashes.shape[1]
    for start in range(0, len(signs), _BLOCK):
        # The product of two sign vectors is (equal bits) - (differing bits).
        distance = (bits - signs[start : start + _BLOCK] @ signs.T) / 2
        for i, j in np.argwhere(distance <= NEAR_DUPLICATE_BITS):
            if start + i < j and groups[start + i] != groups[j]:
                yield int(start + i), int(j), round(float(distance[i, j]))


def _small_conditions(rows: pd.DataFrame) -> Iterable[Problem]:
    real = rows[(rows["source"] == "real") & (rows["condition"] != "")]
    for condition, groups in real.groupby("condition")["group"].nunique().items():
        if groups < SMALL_CONDITION:
            images = int((real["condition"] == condition).sum())
            message = (
                f"'{condition}' has {groups} groups (patients) and {images} images: with fewer than "
                f"{SMALL_CONDITION} groups its metrics are unreliable, and folds cannot outnumber groups."
            )
            yield Problem("warning", "tiny-class", message, [])
