"""`cohort check`: all problems of a cohort in one report."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import imagehash
import numpy as np
import pandas as pd

from morphoscope.cohort.manifest import MANIFEST, Problem, manifest_problems
from morphoscope.cohort.provenance import is_marked_synthetic
from morphoscope.cohort.reading import decode
from morphoscope.cohort.storage import Store, unsafe_reason
from morphoscope.cohort.workers import collect_errors

SMALL_CONDITION = 10  # groups; with fewer a fold holds one or two patients, too few for its metrics
HASH_SIDE = 16  # perceptual hash of 16 x 16 = 256 bits (low frequencies of the grey image)
# Of 256. Copies that were saved again, scaled, brightened or trimmed by 2% differ in at most about 40 bits;
# among 740 HAM10000 images none of the 273,430 pairs of different lesions differs in fewer than 66.
NEAR_DUPLICATE_BITS = 40
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
    hashes = np.zeros((len(present), HASH_SIDE**2), bool)
    marked: set[str] = set()
    unreadable = _read_and_hash(store, present, hashes, marked)
    problems = [
        *manifest_problems(rows),
        *_absent(store, rows),
        *unreadable,
        *_unreadable_masks(store, rows),
        *_generated_as_real(rows, marked),
        *_unlisted(store, rows),
        *_near_duplicates(
            store, rows, present, hashes, {name for problem in unreadable for name in problem.files}
        ),
        *_small_conditions(rows),
    ]
    problems.sort(key=lambda problem: (problem.severity, problem.kind))
    return CheckReport(problems, len(rows))


def _read_and_hash(store: Store, names: list[str], hashes: np.ndarray, marked: set[str]) -> list[Problem]:
    """Fill `hashes`, bool [N, 256], and `marked` with the names that carry the mark of a synthetic image."""

    def read(i: int) -> None:
        data = store.read(names[i])
        if is_marked_synthetic(data):
            marked.add(names[i])
        image = decode(data, names[i])[0]
        hashes[i] = imagehash.phash(image, hash_size=HASH_SIDE).hash.ravel()

    errors = collect_errors(read, range(len(names)), "Reading images")
    return [Problem("error", "unreadable", message, [names[i]]) for i, message in errors]


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


def _near_duplicates(
    store: Store, rows: pd.DataFrame, names: list[str], hashes: np.ndarray, unreadable: set[str]
) -> Iterable[Problem]:
    """Pairs of real images in different groups that look the same; identical files are errors.

    Args:
        names: the N files that exist.
        hashes: perceptual hashes, bool [N, 256].
        unreadable: files without a hash.
    """
    table = rows.drop_duplicates("file").set_index("file").loc[names]
    use = (table["source"] == "real").to_numpy() & ~table.index.isin(unreadable)
    kept = [name for name, keep in zip(names, use, strict=True) if keep]
    groups = pd.factorize(table["group"])[0][use]
    folds = table["fold"].to_dict()
    for a, b, distance in _close_pairs(hashes[use], groups):
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
