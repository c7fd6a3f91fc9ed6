"""The Cohort: images and labels on disk. Other packages read them only through this class."""

import hashlib
import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from morphoscope.cohort.checks import CheckReport, check_cohort
from morphoscope.cohort.conditions import (
    CONDITIONS,
    MAX_CONDITIONS_BYTES,
    Description,
    conditions_csv,
    describe,
    read_conditions,
)
from morphoscope.cohort.csv_tables import MAX_TABLE_BYTES, read_table, table_text
from morphoscope.cohort.folds import assign_folds
from morphoscope.cohort.manifest import (
    DATASET,
    MANIFEST,
    MASK_SUFFIX,
    complete_rows,
    dataset_json,
    manifest_problems,
    normalise_rows,
)
from morphoscope.cohort.names import normalise_name
from morphoscope.cohort.reading import decode, read_image
from morphoscope.cohort.resizing import Fit, cached_images, check_square, square
from morphoscope.cohort.storage import (
    FolderStore,
    Store,
    new_files,
    open_store,
    unwritable_reason,
    without_leftovers,
)
from morphoscope.cohort.workers import collect_errors, raise_together
from morphoscope.configs import UserError, arguments, first_names
from morphoscope.runtime import write_text

_FOLD = re.compile(r"[0-9]*|test")


class Cohort:
    """A folder or zip of images with one manifest row per image. Treat `rows` as read-only.

    Attributes:
        root: the folder or zip file.
        rows: manifest columns (see `morphoscope.cohort`), RangeIndex, every cell a string, "" for unknown;
            numbers through `pandas.to_numeric`.
        conditions: sorted label names; a selection keeps those of the cohort it was selected from.
        store: the files; for use inside this package.
    """

    def __init__(
        self,
        store: Store,
        rows: pd.DataFrame,
        conditions: Sequence[str] | None = None,
        whole: "Cohort | None" = None,
        described: Sequence[Description] | None = None,
    ) -> None:
        """For use inside this package; others call `load`, `from_rows` or an importer."""
        self.root = store.location
        self.store = store
        self.rows = rows.reset_index(drop=True)
        self.conditions = (
            list(conditions) if conditions is not None else sorted(set(rows["condition"]) - {""})
        )
        self._whole = whole  # the cohort that this one was selected from, and …
        self._index = np.arange(len(rows))  # … which of its rows these are
        self._given = described  # instead of the table in the store

    @classmethod
    def load(cls, path: Path, strict: bool = True) -> "Cohort":
        """Open a folder or zip file with a manifest.csv.

        Args:
            strict: refuse a manifest that breaks a rule; if False, `check` reports the problems instead. An
                image is never read through a path that leads out of the folder.

        Raises:
            UserError: no such folder, no manifest, or (strict) rows that break a rule: a path that leads out,
                a missing label, a group in two folds, a synthetic image in a fold …; all are listed.
        """
        store = open_store(path)
        arguments.flag("strict", strict)
        if not store.has(MANIFEST):
            raise UserError(f"{path}: no {MANIFEST} in it; create one with an importer (`cohort import`).")
        rows = complete_rows(read_table(store.read(MANIFEST, MAX_TABLE_BYTES), f"{path}/{MANIFEST}"))
        return cls.from_store(store, rows) if strict else cls(store, rows)

    @classmethod
    def from_rows(cls, root: Path, rows: pd.DataFrame, conditions: Sequence[str] | None = None) -> "Cohort":
        """A cohort over images already in the folder (or zip) `root`; `save` writes its manifest.

        Args:
            rows: at least `file` and `condition`; other columns get defaults, further ones are kept. Names of
                conditions and groups are normalised: Unicode NFC, no superfluous blanks, `10` for `10.0`.
            conditions: label names; default: those in `rows`, sorted.

        Raises:
            UserError: as for `load`, a row's condition is not among `conditions`, a name with a line break,
                or a column or condition that is named twice.
        """
        store = open_store(root)
        arguments.instance("rows", rows, pd.DataFrame, "a table, a pandas.DataFrame")
        if conditions is not None:
            conditions = arguments.listed("conditions", conditions, str, "a list of names")
            conditions = [normalise_name(condition) for condition in conditions]
            if len(set(conditions)) < len(conditions):
                raise UserError(f"{root}: a condition is listed twice: {', '.join(conditions)}.")
        return cls.from_store(store, normalise_rows(rows), conditions)

    @classmethod
    def from_store(
        cls,
        store: Store,
        rows: pd.DataFrame,
        conditions: Sequence[str] | None = None,
        described: Sequence[Description] | None = None,
    ) -> "Cohort":
        """For use inside this package: a cohort of normalised rows; errors as for `from_rows`."""
        messages = [problem.message for problem in manifest_problems(rows) if problem.severity == "error"]
        raise_together(messages, f"problem(s) in the manifest of {store.location}")
        if rows.empty:
            raise UserError(f"{store.location}: the manifest lists no image.")
        unknown = sorted(set(rows["condition"]) - set(conditions)) if conditions is not None else []
        if unknown:
            raise UserError(f"{store.location}: unknown conditions: {', '.join(unknown)}.")
        return cls(store, rows, conditions, described=described)

    def __repr__(self) -> str:
        known = (
            f", digest {self.digest}" if "digest" in self.__dict__ else ""
        )  # computing it reads every image
        names, phantom = first_names(self.conditions), ", phantoms only" if self.phantom else ""
        counts = f"{len(self)} images of {self.rows['group'].nunique()} groups{phantom}"
        return f"<Cohort {self.root.name}: {counts};\n {len(self.conditions)} conditions ({names}){known}>"

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def labels(self) -> np.ndarray:
        """int64 [N]: index into `conditions`.

        Raises:
            UserError: a row has no condition (possible only after `load(strict=False)`).
        """
        index = {condition: number for number, condition in enumerate(self.conditions)}
        missing = list(self.rows["file"][~self.rows["condition"].isin(self.conditions)])
        if missing:
            raise UserError(f"No condition given for {', '.join(missing)}.")
        return self.rows["condition"].map(index).to_numpy(dtype=np.int64)

    @property
    def descriptions(self) -> dict[str, Description]:
        """What the names of this cohort's conditions stand for, as far as it is known.

        From the table `conditions.csv` beside the manifest; without one, what is built in for those names.

        Raises:
            UserError: the table cannot be read.
        """
        return describe(self.conditions, self.described)

    @cached_property
    def described(self) -> Sequence[Description]:
        """The rows of the cohort's own table `conditions.csv`; none if there is no such table."""
        if self._given is not None:
            return self._given
        if not self.store.has(CONDITIONS):
            return ()
        return read_conditions(self.store.read(CONDITIONS, MAX_CONDITIONS_BYTES), f"{self.root}/{CONDITIONS}")

    @property
    def cache_folder(self) -> Path:
        """Where arrays computed from the images are kept, beside them; safe to delete."""
        return (self.root if self.root.is_dir() else self.root.parent) / ".cache"

    @property
    def phantom(self) -> bool:
        """Whether the cohort shows no patient: every real row (or, without any, every row) is a phantom's."""
        if "phantom" not in self.rows.columns:
            return False
        real = (self.rows["source"] == "real").to_numpy()
        cells = self.rows["phantom"][real] if real.any() else self.rows["phantom"]
        return len(cells) > 0 and bool((cells.str.lower() == "true").all())

    @cached_property
    def image_hashes(self) -> list[str]:
        """12 hex digits (of a SHA-256) of each image file's bytes, [N]; errors as for `digest`."""
        self._hash_images()
        return [self.store.sha256(name)[:12] for name in self.rows["file"]]

    @cached_property
    def digest(self) -> str:
        """16 hex digits (of a SHA-256) over the manifest's content and the bytes of every image.

        A mask counts by its name without the suffix `.mask`, which earlier versions did not add.

        Raises:
            UserError: some images cannot be read; all of them are named.
        """
        rows = self.rows
        if "mask" in rows.columns:
            rows = rows.assign(mask=rows["mask"].str.removesuffix(MASK_SUFFIX))
        whole = hashlib.sha256(rows.to_csv(index=False, lineterminator="\n").encode())
        whole.update("\n".join(self.conditions).encode())
        whole.update(self._image_digest.encode())
        return whole.hexdigest()[:16]

    @cached_property
    def _image_digest(self) -> str:
        """Over file names and bytes only, so that cached arrays stay valid after a new split or label."""
        self._hash_images()
        lines = (f"{self.store.sha256(name)} {name}\n" for name in self.rows["file"])
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    def _hash_images(self) -> None:
        """Hash every file in threads; the store caches the digests."""
        errors = collect_errors(self.store.sha256, list(self.rows["file"]), "Hashing images")
        raise_together([message for _, message in errors], f"image(s) of {self.root} cannot be read")

    def select(self, mask_or_index: Sequence[bool] | Sequence[int] | np.ndarray | pd.Series) -> "Cohort":
        """The rows where a boolean mask [N] is true, or the rows of an index list in its order.

        `conditions` stay those of this cohort, so that class indices do not change.

        Raises:
            UserError: a mask of another length, a row that does not exist, or something else.
        """
        rows = len(self.rows)
        try:
            chosen = np.asarray(mask_or_index)
            index = np.arange(rows)[chosen if chosen.size else chosen.astype(np.int64)]
            assert index.ndim == 1, "one row per entry"
        except (IndexError, TypeError, ValueError, AssertionError):
            takes = f"a boolean mask of {rows} entries or a list of row numbers from 0 to {rows - 1}"
            arguments.refuse("select", takes, mask_or_index)
        selected = Cohort(self.store, self.rows.iloc[index], self.conditions, whole=self._whole or self)
        selected._index = self._index[index]
        return selected

    def as_one_condition(self, name: str) -> "Cohort":
        """The same rows, all with the condition `name`."""
        arguments.text("name", name)
        rows = self.rows.assign(condition=name)
        merged = Cohort(self.store, rows, [name], whole=self._whole or self)
        merged._index = self._index
        return merged

    def image(self, i: int) -> np.ndarray:
        """Image i as uint8 [H, W, 3] RGB at its stored size; UserError if the file cannot be read."""
        name = self.rows["file"].iloc[arguments.whole_number("The image's number", i, 0, len(self) - 1)]
        return read_image(self.store.read(name), name)

    def images(self, size: int, fit: Fit = "crop") -> np.ndarray:
        """All images as squares: uint8 [N, size, size, 3] RGB, read-only.

        The array is computed once, stored beside the images (in `cache_folder`) and memory-mapped from then
        on. A selection copies its rows into memory: for large cohorts call this on the whole cohort.

        Args:
            size: side in pixels; Lanczos resampling.
            fit: "crop" cuts out the largest central square; "letterbox" keeps the whole image, on black.

        Raises:
            UserError: a size or fit out of range, or some images cannot be read; all are named, with reasons.
        """
        check_square(size, fit)
        if self._whole is not None:
            return self._whole.images(size, fit)[self._index]
        names = list(self.rows["file"])
        return cached_images(self.store, names, self._image_digest, self.cache_folder, size, fit)

    def lesion_mask(self, i: int, size: int, fit: Fit = "crop") -> np.ndarray | None:
        """Where the lesion of row i lies in the square that `images` gives: bool [size, size].

        Returns:
            None if the row names no mask.

        Raises:
            UserError: the mask's file cannot be read as an image.
        """
        i = arguments.whole_number("The image's number", i, 0, len(self) - 1)
        check_square(size, fit)
        name = self.rows["mask"].iloc[i] if "mask" in self.rows.columns else ""
        if not name:
            return None
        return square(decode(self.store.read(name), name)[0], size, fit)[..., 0] > 127

    def check(self) -> CheckReport:
        """Look for problems in rows and files; all are reported, none is raised."""
        return check_cohort(self.store, self.rows)

    def split(self, folds: int = 5, seed: int = 0, test_fraction: float = 0.0) -> "Cohort":
        """A cohort whose column `fold` is set: "0" … str(folds - 1), or "test".

        Every group (patient) is in one fold and every condition in every fold. Which groups of a condition
        are tested is chance, whatever their sizes; the others are balanced by size. `assign_folds` states
        the bounds. Synthetic rows get no fold.

        Args:
            seed: the same seed and rows give the same folds.
            test_fraction: proportion of each condition's groups that becomes the fold "test", in [0, 1); with
                0, rows that are already in the fold "test" stay there; otherwise the test fold is redrawn.

        Raises:
            UserError: a condition has fewer groups than folds; all such conditions are named.
        """
        return self.with_folds(assign_folds(self.rows, folds, seed, test_fraction)["fold"])

    def with_folds(self, folds: pd.Series) -> "Cohort":
        """A cohort of the same rows with other folds; the manifest on disk stays as it is.

        Args:
            folds: name of each row's fold, [N]: a number, "test", or "" for none.

        Raises:
            UserError: another number of names, or anything but names of folds.
        """
        folds = arguments.instance("folds", folds, pd.Series, "a pandas Series with a name for each row")
        if len(folds) != len(self):
            raise UserError(f"folds: {len(folds)} names for {len(self)} rows.")
        bad = [name for name in folds if not isinstance(name, str) or not _FOLD.fullmatch(name)]
        if bad:
            raise UserError(f"folds: {bad[0]!r} is neither a number nor 'test' nor empty.")
        result = Cohort(self.store, self.rows.assign(fold=list(folds)), self.conditions, self._whole)
        result._index = self._index
        return result

    def save(self) -> None:
        """Write manifest.csv and dataset.json into the cohort's folder.

        The manifest alone decides how a cohort is read, so a kill between the two files loses nothing.

        Raises:
            UserError: a zip file or a selection (use `save_as`), or the folder cannot be written.
        """
        if not isinstance(self.store, FolderStore):
            raise UserError(f"{self.root}: a zip file cannot be changed; save_as a new folder or zip.")
        if self._whole is not None:
            raise UserError(f"{self.root}: a selection would overwrite the whole manifest; use save_as.")
        texts = {
            MANIFEST: table_text(self.rows),
            DATASET: dataset_json(self.rows, self.conditions),
        }
        with without_leftovers(self.root, texts):
            for name, text in texts.items():
                write_text(self.root / name, text)

    def save_as(self, path: Path) -> "Cohort":
        """Copy images, masks and manifest to a new folder, or to an uncompressed zip if `path` ends in .zip.

        Raises:
            UserError: `path` exists or cannot be written, or an image cannot be read.
        """
        path = arguments.path("path", path)
        is_zip = path.suffix.lower() == ".zip"
        names = list(self.rows["file"])
        if "mask" in self.rows.columns:
            names += [name for name in self.rows["mask"] if name]
        texts = {
            MANIFEST: table_text(self.rows),
            DATASET: dataset_json(self.rows, self.conditions),
        }
        if self.described:
            texts[CONDITIONS] = conditions_csv(self.described)
        reasons = {} if is_zip else {name: unwritable_reason(name) for name in names}
        bad = [f"{name!r}: {reason}" for name, reason in reasons.items() if reason is not None]
        raise_together(bad, f"file name(s) cannot be written to {path}")
        with new_files(path) as write:
            for name in names:
                write(name, self.store.read(name))
            for name, text in texts.items():
                write(name, text.encode())
        return Cohort.load(path)
