"""Finding the listed images and copying them into a new cohort, with all errors in one message."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import pandas as pd

from morphoscope.cohort.cohort import Cohort
from morphoscope.cohort.manifest import normalise_rows
from morphoscope.cohort.provenance import carry_mark, is_marked_synthetic
from morphoscope.cohort.reading import decode, encode_png
from morphoscope.cohort.storage import FolderStore, Store, new_folder
from morphoscope.cohort.stripping import strip_metadata, strip_paths
from morphoscope.cohort.workers import collect_errors, raise_together
from morphoscope.configs import UserError


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
    found, errors = [], []
    for entry in listed:
        wanted = entry.replace("\\", "/").removeprefix("./")
        candidates = (
            [wanted] if wanted in places.get(wanted, []) else places.get(wanted.rpartition("/")[2], [])
        )
        if len(candidates) == 1:
            found.append(candidates[0])
            continue
        found.append("")
        errors.append(f"{entry}: {'absent' if not candidates else 'ambiguous: ' + ', '.join(candidates)}")
    return found, errors


def unlisted_files(store: Store, listed: Sequence[str]) -> list[str]:
    """One message per image in the store that is not among `listed`."""
    known = set(listed)
    return [
        f"{name}: no row for it (or allow unlisted images)" for name in store.images() if name not in known
    ]


def copy_in(store: Store, rows: pd.DataFrame, destination: Path, errors: Sequence[str] = ()) -> Cohort:
    """Copy the images that `rows` lists into a new cohort folder; after an error nothing is left.

    Metadata is removed (see `strip_metadata`). An upright 8-bit RGB JPEG or PNG keeps its compressed pixels
    bit for bit, once it has been decoded as a test; any other file is written as a normalised PNG, with
    ".png" added to its name. Absolute paths are removed too (see `strip_paths`); the files keep their
    relative names.

    Args:
        rows: manifest rows whose `file` is a name in `store`, or "" for a file that is known to be absent.
        errors: what the importer has found already; raised together with what is found here.

    Raises:
        UserError: `errors`, all files that cannot be read or are marked as synthetic without source =
            synthetic in their row, or a destination that is not empty.
    """
    rows = strip_paths(rows.reset_index(drop=True))
    is_synthetic = rows["source"] == "synthetic" if "source" in rows.columns else pd.Series(False, rows.index)
    written = [""] * len(rows)
    with new_folder(Path(destination)) as folder:

        def copy(i: int) -> None:
            name = rows["file"].iloc[i]
            data = store.read(name)
            if is_marked_synthetic(data) and not is_synthetic.iloc[i]:
                raise UserError(
                    f"{name}: marked as a synthetic image, but would be imported as a real one; keep its "
                    "synthetic cohort as it is and pass that with --synthetic"
                )
            image, plain = decode(data, name)
            stripped = strip_metadata(data) if plain else None
            if stripped is None:
                # Not plain, or with a structure in which metadata could hide: only the pixels are kept.
                stripped = carry_mark(data, encode_png(image))
                name = name if name.lower().endswith(".png") else f"{name}.png"
            written[i] = name if name.startswith("images/") else f"images/{name}"
            target = folder / written[i]
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(stripped)

        present = [i for i, name in enumerate(rows["file"]) if name]
        unreadable = collect_errors(copy, present, "Importing images")
        raise_together([*errors, *(message for _, message in unreadable)], "problem(s) in the source")
        if len({name.lower() for name in written}) < len(written):
            twice = pd.Series(written)[pd.Series(written).str.lower().duplicated()]
            raise UserError(f"{twice.iloc[0]} would be written twice: list each file once, or rename one.")
        if not written:
            raise UserError(f"{store.location}: no image found.")
        Cohort(FolderStore(folder), normalise_rows(rows.assign(file=written))).save()
        Cohort.load(folder)  # no manifest that breaks a rule may be left
    return Cohort.load(destination)
