"""Importer for photographs in a folder per condition. Metadata is removed, see `copy_in`."""

import logging
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple, get_args

import pandas as pd

from morphoscope.cohort.cohort import Cohort
from morphoscope.cohort.importers.copying import copy_in
from morphoscope.cohort.manifest import TEST_FOLD
from morphoscope.cohort.names import UNKNOWN_PATIENT, known_name, normalise_name
from morphoscope.cohort.storage import open_store
from morphoscope.configs import UserError, arguments, first_names
from morphoscope.configs.views import View

# Files beside photographs that are not meant as images; every other file must be readable.
_NOT_IMAGES = (
    ".txt",
    ".md",
    ".csv",
    ".tsv",
    ".json",
    ".yaml",
    ".yml",
    ".xlsx",
    ".pdf",
    ".db",
    ".ini",
    ".mask",
)
_SPLIT = re.compile(
    r"(?:train(?:ing)?|val(?:id(?:ation)?)?|dev|(?P<test>test(?:ing)?)|fold[ _-]?(?P<fold>[0-9]+))"
    r"(?:[ _-]?(?:set|data|images|split))?",
    re.IGNORECASE,
)
_EXPECTED = "Expected condition/photo.jpg or condition/patient/photo.jpg"

log = logging.getLogger(__name__)


class _Place(NamedTuple):
    """Where a photograph lies: the folder of its split ("" without one), then condition[/patient]/file."""

    name: str
    split: str
    parts: tuple[str, ...]


def import_folder(
    source: Path,
    destination: Path,
    *,
    view: str = "other",
    group_pattern: str | None = None,
    split_folders: bool = False,
    step_inside: bool = False,
    to_srgb: bool = False,
) -> Cohort:
    """Import a folder (or zip) with one subfolder per condition, named after it.

    The group of `condition/patient/photo.jpg` is `condition/patient`; an image directly in the folder of its
    condition is its own group.

    Args:
        destination: a new folder for the cohort.
        view: focused, panoramic, face or other.
        group_pattern: regular expression that is searched for in the relative path; its first group (or, if
            it has none, the whole match) is the patient or source image, e.g. r"(P[0-9]+)_".
        split_folders: the folders train, val and test (or fold1, fold2, …) hold the conditions' folders, or
            lie in them. Images of `test` get the fold "test", those of `fold1` the fold "1", all others none;
            the column `split` keeps the folder's name.
        step_inside: the source holds a single folder, and that holds the conditions' folders.
        to_srgb: convert images with a colour profile (ICC) to sRGB, and drop the profile.

    Raises:
        UserError: folders named like splits (train, test …) without `split_folders`, a single folder with
            subfolders without `step_inside`; in one message: images outside the conditions' folders,
            unreadable images, paths that the pattern does not match, and patients in `test` and elsewhere;
            or no image at all.
    """
    store, destination = open_store(source), arguments.path("destination", destination)
    arguments.one_of("view", view, get_args(View))
    if group_pattern is not None:
        arguments.text("group_pattern", group_pattern)
    arguments.flag("split_folders", split_folders)
    arguments.flag("step_inside", step_inside)
    names = [name for name in store.names() if not name.lower().endswith(_NOT_IMAGES)]
    if not names:
        raise UserError(f"{source}: no image found. {_EXPECTED}.")
    places = [_Place(name, "", PurePosixPath(name).parts) for name in names]
    places = _below_top_folder(places, source, step_inside, split_folders)
    places = _without_splits(places, source, split_folders)
    errors = [f"{place.name}: not in a condition's folder" for place in places if len(place.parts) < 2]
    places = [place for place in places if len(place.parts) > 1]
    conditions = [known_name(place.parts[0]) for place in places]
    errors += [
        f"{place.name}: no label, since {place.parts[0]!r} means that it is unknown; rename the folder"
        for place, condition in zip(places, conditions, strict=True)
        if not condition
    ]
    groups = [_group(place, group_pattern, errors) for place in places]
    rows = pd.DataFrame(
        {
            "file": [place.name for place in places],
            "condition": conditions,
            "group": groups,
            "view": view,
            "fold": [_fold(place.split) for place in places],
        },
        dtype=object,
    )
    if split_folders:
        rows["split"] = [place.split for place in places]
        errors += _patients_in_test_and_elsewhere(rows)
    if len(set(conditions)) == 1 and not errors:
        log.warning(
            "%s: %r is the only condition, since all images are in its folder.", source, conditions[0]
        )
    return copy_in(store, rows, destination, errors, to_srgb=to_srgb)


def _below_top_folder(
    places: Sequence[_Place], source: Path, step_inside: bool, split_folders: bool
) -> list[_Place]:
    """The places without the single folder that holds all of them, if it holds the conditions' folders."""
    top, *others = {place.parts[0] for place in places}
    depth = min(len(place.parts) for place in places)
    is_single = not others and depth > 2 and not (split_folders and (_is_split(top) or depth == 3))
    if step_inside and not is_single:
        raise UserError(f"{source}: --step-inside needs a single folder that holds the conditions' folders.")
    if step_inside:
        return [place._replace(parts=place.parts[1:]) for place in places]
    if is_single:
        inner = sorted({place.parts[1] for place in places})
        also = " --split-folders" if any(map(_is_split, inner)) else ""
        raise UserError(
            f"{source}: all images are in subfolders of one folder, {top!r}: {first_names(inner)}. If these "
            f"are the conditions, import with --step-inside{also}. If {top!r} is the only condition, list "
            "its images and patients in a table (`cohort import csv`)."
        )
    return list(places)


def _without_splits(places: Sequence[_Place], source: Path, split_folders: bool) -> list[_Place]:
    """The places with folders of splits taken out of their parts; UserError unless all or none lie in one."""
    found = [list(filter(_is_split, place.parts[:-1][:2])) for place in places]
    named = sorted({part for splits in found for part in splits})
    if not split_folders:
        if named:
            raise UserError(
                f"{source}: {first_names(named)}: folders named like splits, not like conditions or "
                f"patients. {_EXPECTED}. Import with --split-folders to read them as splits; if they are "
                "conditions or patients, rename them."
            )
        return list(places)
    wrong = [place.name for place, splits in zip(places, found, strict=True) if len(splits) != 1]
    if wrong:
        raise UserError(
            f"{source}: not in one folder named like a split (train, val, test …): {first_names(wrong)}. "
            "With --split-folders each image lies in split/condition/ or in condition/split/."
        )
    return [
        place._replace(split=split, parts=_without(place.parts, split))
        for place, (split,) in zip(places, found, strict=True)
    ]


def _without(parts: tuple[str, ...], part: str) -> tuple[str, ...]:
    at = parts.index(part)
    return parts[:at] + parts[at + 1 :]


def _is_split(folder: str) -> bool:
    return _SPLIT.fullmatch(normalise_name(folder)) is not None


def _fold(split: str) -> str:
    found = _SPLIT.fullmatch(normalise_name(split))
    if found is None:
        return ""
    return TEST_FOLD if found["test"] else str(int(found["fold"])) if found["fold"] else ""


def _group(place: _Place, pattern: str | None, errors: list[str]) -> str:
    """The patient, "" where none is known; adds to `errors` where the pattern does not match."""
    if pattern is None:
        patient = known_name(place.parts[1], UNKNOWN_PATIENT) if len(place.parts) > 2 else ""
        return f"{known_name(place.parts[0])}/{patient}" if patient else ""
    try:
        match = re.search(pattern, place.name)
    except re.error as error:
        raise UserError(f"group_pattern {pattern!r}: not a regular expression ({error}).") from error
    group = "" if match is None else str(match[1] if match.re.groups else match[0])
    if not group:
        errors.append(f"{place.name}: the group pattern {pattern!r} does not match")
    return known_name(group, UNKNOWN_PATIENT)


def _patients_in_test_and_elsewhere(rows: pd.DataFrame) -> list[str]:
    """A message for each patient with images in the test fold and outside; `group` "" is no patient."""
    splits = rows[rows["group"] != ""].groupby("group")["split"].agg(lambda names: sorted(set(names)))
    return [
        f"patient {group!r} is in {' and '.join(names)}; all images of one patient belong in the same split"
        for group, names in splits.items()
        if len({_fold(name) for name in names}) > 1 and TEST_FOLD in map(_fold, names)
    ]
