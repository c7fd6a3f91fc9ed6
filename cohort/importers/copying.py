"""Finding the listed images and copying them into a new cohort, with all errors in one message."""

import logging
import unicodedata
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import pandas as pd

from morphoscope.cohort.cohort import Cohort
from morphoscope.cohort.conditions import (
    CONDITIONS,
    MAX_CONDITIONS_BYTES,
    Description,
    conditions_csv,
    read_conditions,
)
from morphoscope.cohort.importers.cleaning import clean
from morphoscope.cohort.manifest import complete_rows, manifest_problems, normalise_names
from morphoscope.cohort.marked_files import is_marked_synthetic
from morphoscope.cohort.name_checks import ambiguous_names
from morphoscope.cohort.names import difference, name_key
from morphoscope.cohort.storage import FolderStore, Store, new_folder, unwritable_reason
from morphoscope.cohort.stripping import strip_paths
from morphoscope.cohort.workers import collect_errors, raise_together
from morphoscope.configs import UserError, arguments
from morphoscope.runtime import write_text

log = logging.getLogger(__name__)


def match_files(store: Store, listed: Sequence[str], suffixless: bool = True) -> tuple[list[str], list[str]]:
    """Find listed files in a store: by path, else by file name, else by name without suffix.

    Args:
        suffixless: whether a name without suffix is enough.

    Returns:
        (names in the store, "" where none was found; one message for each file that was not found, or was
        found more than once).
    """
    places: dict[str, list[str]] = {}
    for name in store.images():
        path = PurePosixPath(name)
        for key in dict.fromkeys([name, path.name, path.stem] if suffixless else [name, path.name]):
            places.setdefault(key, []).append(name)
    similar = {name_key(key): key for key in places}
    found, errors = [], []
    for entry in listed:
        wanted = entry.replace("\\", "/").removeprefix("./")
        last = wanted.rpartition("/")[2]
        candidates = [wanted] if wanted in places.get(wanted, []) else places.get(last, [])
        if len(candidates) == 1:
            found.append(candidates[0])
            continue
        found.append("")
        if candidates:
            errors.append(f"{entry}: ambiguous: {', '.join(candidates)}")
        elif (alike := similar.get(name_key(last))) is None:
            errors.append(f"{entry}: absent")
        else:
            errors.append(
                f"{entry}: absent, but there is {places[alike][0]}, whose name differs only "
                f"{difference([last, alike])}; correct one of them"
            )
    return found, errors


def unlisted_files(store: Store, listed: Sequence[str]) -> list[str]:
    """One message per image in the store that is not among `listed`."""
    known = set(listed)
    return [
        f"{name}: no row for it (or allow unlisted images)" for name in store.images() if name not in known
    ]


def copy_in(
    store: Store,
    rows: pd.DataFrame,
    destination: Path,
    errors: Sequence[str] = (),
    described: Sequence[Description] = (),
    to_srgb: bool = False,
) -> Cohort:
    """Copy the images that `rows` lists into a new cohort folder; after an error nothing is left.

    Metadata is removed (see `strip_metadata`). An upright 8-bit RGB PNG or baseline JPEG keeps its compressed
    pixels bit for bit, once it has been decoded as a test and nothing but pixels was found in them; any other
    file is written as a normalised PNG, with ".png" added to its name. ICC profiles of RGB images are kept,
    since they say what the colours are; a message gives their number. Absolute paths are removed too (see
    `strip_paths`); the files keep their relative names, in Unicode NFC. What is ambiguous in names (see
    `ambiguous_names`) is logged before anything is copied.

    Args:
        rows: manifest rows whose `file` is a name in `store`, or "" for a file that is known to be absent.
        errors: what the importer has found already; raised together with what is found here.
        described: what the conditions' names stand for; a table `conditions.csv` in `store` goes before them.
        to_srgb: convert images with an ICC profile to sRGB and drop the profile, which may hold names.

    Raises:
        UserError: `errors`, rows that break a rule of the manifest, all files that cannot be read or are
            marked as synthetic without source = synthetic in their row, file names that this system cannot
            write, or a destination that is not empty. Before any image is written, except for the last.
    """
    if store.has(CONDITIONS):
        described = read_conditions(
            store.read(CONDITIONS, MAX_CONDITIONS_BYTES), f"{store.location}/{CONDITIONS}"
        )
    arguments.flag("to_srgb", to_srgb)
    sources = list(rows["file"])
    raise_together(_unwritable(store, sources), "file name(s) cannot be used")
    targets = [_target(name) for name in sources]
    rows = normalise_names(strip_paths(rows.reset_index(drop=True).assign(file=targets)))
    errors = [*errors, *_written_twice(sources, targets), *_broken_rules(rows)]
    if not errors:
        for problem in ambiguous_names(complete_rows(rows)):
            log.warning("%s", problem.message)
    is_synthetic = complete_rows(rows)["source"] == "synthetic"
    with new_folder(destination) as folder:

        def copy(i: int) -> None:
            name = sources[i]
            data = store.read(name)
            if is_marked_synthetic(data) and not is_synthetic.iloc[i]:
                raise UserError(
                    f"{name}: marked as a synthetic image, but would be imported as a real one; keep its "
                    "synthetic cohort as it is and pass that with --synthetic"
                )
            cleaned = clean(data, name, to_srgb)
            if errors:
                return  # all files are read, so that one message names all problems, but nothing is written
            profiles[i] = cleaned.has_profile
            if cleaned.is_new_png and not targets[i].lower().endswith(".png"):
                targets[i] = f"{targets[i]}.png"
            target = folder / targets[i]
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(cleaned.data)

        present = [i for i, name in enumerate(sources) if name]
        profiles = [False] * len(sources)
        unreadable = collect_errors(copy, present, "Importing images")
        raise_together([*errors, *(message for _, message in unreadable)], "problem(s) in the source")
        raise_together(_written_twice(sources, targets), "problem(s) in the source")
        if not targets:
            raise UserError(f"{store.location}: no image found.")
        Cohort(FolderStore(folder), complete_rows(rows.assign(file=targets))).save()
        if described:
            write_text(folder / CONDITIONS, conditions_csv(described))
        Cohort.load(folder)  # no manifest that breaks a rule may be left
    if any(profiles):
        log.info(
            "%d images carry a colour profile (ICC), which may hold the name of a person or computer. It is "
            "kept; to replace it, import again with --to-srgb.",
            sum(profiles),
        )
    return Cohort.load(destination)


def _target(name: str) -> str:
    """The file's name in the new cohort, "" for ""."""
    composed = unicodedata.normalize("NFC", name)
    return composed if not name or composed.startswith("images/") else f"images/{composed}"


def _unwritable(store: Store, sources: Sequence[str]) -> list[str]:
    """A message per file whose name the file system or a manifest cannot hold, listed or not."""
    reasons = {name: unwritable_reason(name) for name in dict.fromkeys([*sources, *store.images()])}
    return [f"{name!r}: {reason}" for name, reason in reasons.items() if reason is not None]


def _written_twice(sources: Sequence[str], targets: Sequence[str]) -> list[str]:
    """A message per target, in any case, that more than one of the N sources have."""
    by_target: dict[str, list[str]] = {}
    for source, target in zip(sources, targets, strict=True):
        by_target.setdefault(target.lower(), []).append(source)
    return [
        f"{' and '.join(dict.fromkeys(names))} would be written twice: list each file once, or rename one"
        for target, names in by_target.items()
        if target and len(names) > 1
    ]


def _broken_rules(rows: pd.DataFrame) -> list[str]:
    """The rules of the manifest that rows with files break, except for what importers report themselves."""
    problems = manifest_problems(complete_rows(rows[rows["file"] != ""]))
    reported = ("unlabelled", "duplicate-row")
    return [
        problem.message
        for problem in problems
        if problem.severity == "error" and problem.kind not in reported
    ]
