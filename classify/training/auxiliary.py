"""Auxiliary cohorts, trained jointly with the target conditions: their classes, and which images may be seen.

A large cohort of common lesions teaches a model what skin looks like, and what the target conditions are not.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from morphoscope.cohort import TEST_FOLD, Cohort
from morphoscope.configs import UserError, first_names


def joint_classes(cohort: Cohort, auxiliary: Sequence[Cohort], names: Mapping[str, str]) -> list[str]:
    """All classes of the joint softmax: the cohort's K conditions, then the M auxiliary classes, sorted.

    Conditions of the same name in several auxiliary cohorts are one class.

    Args:
        cohort: with the target conditions.
        auxiliary: cohorts of other conditions.
        names: {condition of an auxiliary cohort: its class}; other conditions keep their name.

    Raises:
        UserError: `names` has a condition that no auxiliary cohort has, or the cohort and an auxiliary cohort
            share a condition that is not in `names`: only the user knows whether the two are the same.
    """
    theirs = sorted({name for extra in auxiliary for name in extra.rows["condition"]})
    unknown = sorted(set(names) - set(theirs))
    if unknown:
        raise UserError(
            f"auxiliary_names: no auxiliary cohort has {', '.join(unknown)}; there are "
            f"{', '.join(theirs) or 'none'}."
        )
    both = [name for name in theirs if name in cohort.conditions and name not in names]
    if both:
        raise UserError(
            f"{', '.join(both)}: in {cohort.root} and in an auxiliary cohort. If the two are the same "
            f"condition: --set auxiliary_names.{both[0]}={both[0]}; if not, give the auxiliary one another "
            "name in the same way."
        )
    further = {names.get(name, name) for name in theirs} - set(cohort.conditions)
    return [*cohort.conditions, *sorted(further)]


def auxiliary_targets(extra: Cohort, classes: Sequence[str], names: Mapping[str, str]) -> np.ndarray:
    """Targets of an auxiliary cohort's images: float32 [N, K+M], one 1 in each row.

    Args:
        extra: the auxiliary cohort, N images.
        classes: K+M names, as `joint_classes` gives them.
        names: as for `joint_classes`.
    """
    index = {name: number for number, name in enumerate(classes)}
    chosen = [index[names.get(name, name)] for name in extra.rows["condition"]]
    return np.eye(len(classes), dtype=np.float32)[chosen]


def require_apart_from_test(cohort: Cohort, extra: Cohort) -> None:
    """Refuse an auxiliary cohort with synthetic images, or with images or patients of the cohort's test fold.

    Patients are the same if their groups have the same name; a group that has its file's name is no patient.

    Raises:
        UserError: it names the images.
    """
    generated = extra.rows["file"][extra.rows["source"] != "real"].tolist()
    if generated:
        raise UserError(f"{extra.root}: {generated[0]} is synthetic; pass such cohorts with --synthetic.")
    files = extra.rows["file"][_shared(cohort, extra, [TEST_FOLD])].tolist()
    if files:
        raise UserError(
            f"{extra.root}: {len(files)} images have the content, or the group's name, of images in the test "
            f"fold of {cohort.root}: {first_names(files)}. Remove them from the auxiliary cohort, or rename "
            "groups that are other patients."
        )


def auxiliary_rows(cohort: Cohort, extra: Cohort, fold: str) -> np.ndarray:
    """Row numbers of an auxiliary cohort that fold j's model may be trained on, int64.

    Excluded are its own fold j (the published training held it out as well) and test fold, and images or
    patients of the cohort's fold j.
    """
    held_out = extra.rows["fold"].isin([fold, TEST_FOLD]).to_numpy()
    return np.flatnonzero(~held_out & ~_shared(cohort, extra, [fold]))


def require_every_class(
    fold: str,
    auxiliary: Sequence[Cohort],
    chosen: Sequence[np.ndarray],
    names: Mapping[str, str],
) -> None:
    """Refuse a fold whose model would not see every auxiliary class.

    Args:
        fold: its name.
        auxiliary: the auxiliary cohorts.
        chosen: the fold's `auxiliary_rows` in each.
        names: as for `joint_classes`.

    Raises:
        UserError: it names the classes.
    """
    every, seen = (
        {
            names.get(name, name)
            for extra, rows in zip(auxiliary, picked, strict=True)
            for name in extra.rows["condition"].iloc[rows]
        }
        for picked in ([np.arange(len(extra)) for extra in auxiliary], chosen)
    )
    if every - seen:
        raise UserError(
            f"Fold {fold} would train without any image of {', '.join(sorted(every - seen))} from the "
            "auxiliary cohorts. Remove that condition there, or merge it with a similar class "
            "(--set auxiliary_names.NAME=CLASS)."
        )


def _shared(cohort: Cohort, extra: Cohort, folds: Sequence[str]) -> np.ndarray:
    """Which rows of `extra` show images or patients of these folds of the cohort, in any view: bool [N]."""
    here = cohort.rows["fold"].isin(folds).to_numpy()
    contents, groups = np.array(cohort.image_hashes)[here], cohort.rows["group"][here]
    named = (extra.rows["group"] != extra.rows["file"]).to_numpy()
    same_patient = named & extra.rows["group"].isin(groups).to_numpy()
    return same_patient | np.isin(extra.image_hashes, contents)
