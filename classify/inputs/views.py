"""Focused and panoramic images of one cohort: the rows of a view, and whether a test is fair to both."""

import numpy as np

from morphoscope.classify.inputs.pairs import HALVES, form_pairs, lesions
from morphoscope.cohort import TEST_FOLD, Cohort
from morphoscope.configs import UserError, first_names
from morphoscope.configs.views import View


def in_view(cohort: Cohort, view: View | None) -> np.ndarray:
    """Which rows are of this view, bool [N]; all if None.

    Raises:
        UserError: the cohort has no such image.
    """
    views = cohort.rows["view"].to_numpy(dtype=str)
    if view is None:
        return np.ones(len(views), bool)
    chosen = views == view
    if not chosen.any():
        raise UserError(f"{cohort.root}: no {view} image; its views are {', '.join(sorted(set(views)))}.")
    return chosen


def require_pair(cohort: Cohort, rows: np.ndarray, purpose: str) -> None:
    """Raise UserError, which names the purpose, unless there is a whole pair among these row numbers."""
    if not (form_pairs(cohort.rows, rows) >= 0).all(axis=1).any():
        raise UserError(
            f"{cohort.root}: views 'dual': no focused and panoramic image of one group and condition "
            f"{purpose}. See the manifest's columns `view` and `group`, split the cohort again, or train on "
            "single images."
        )


def require_halves(extra: Cohort) -> None:
    """Raise UserError if a synthetic or auxiliary cohort has images other than focused or panoramic ones."""
    files = extra.rows["file"][~extra.rows["view"].isin(HALVES)].tolist()
    if files:
        raise UserError(
            f"{extra.root}: views 'dual': {len(files)} images are neither focused nor panoramic: "
            f"{first_names(files)}. Set the column `view` of its manifest to focused or panoramic."
        )


def require_paired_test(cohort: Cohort) -> None:
    """The test rule for two views: both must show the same lesions, none of which was trained on.

    Each panoramic image of the fold "test" has exactly one focused partner there: the focused image of its
    lesion (see `lesions`). No image of a test group, in either view, is in another fold, and no file outside
    the test fold has the content of a test image.

    Raises:
        UserError: the rule is violated; it names the images.
    """
    rows = cohort.rows[cohort.rows["source"] == "real"]
    tested = rows["fold"] == TEST_FOLD
    test = rows[tested]
    focused, lesion = (test["view"] == "focused").to_numpy(), lesions(test)
    partners = np.bincount(lesion, weights=focused)[lesion]
    unpaired = test["file"][(test["view"] == "panoramic") & (partners != 1)]
    if len(unpaired):
        raise UserError(
            f"{cohort.root}: {len(unpaired)} panoramic test images do not have exactly one focused test "
            f"image of their group and condition: {first_names(list(unpaired))}. Leave out those without a "
            "partner. Where a group has several lesions, give the images of each the same value in a column "
            "`pair`."
        )
    contents = np.array(cohort.image_hashes)[rows.index]
    leaked = rows["group"].isin(set(rows["group"][tested])) | np.isin(contents, contents[tested])
    leaked &= ~tested
    if leaked.any():
        raise UserError(
            f"{cohort.root}: {leaked.sum()} images outside the test fold are of test groups, or the same "
            f"file as a test image: {first_names(list(rows['file'][leaked]))}. Move them to the fold 'test', "
            "or leave them out."
        )
