"""Cohorts learnt along with the own one: their classes in one softmax, and which of their images may be seen.

A large cohort of everyday lesions teaches what skin looks like, and what the own conditions are not.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from morphoscope.cohort import TEST_FOLD, Cohort
from morphoscope.configs import UserError, first_names


def joint_classes(cohort: Cohort, auxiliary: Sequence[Cohort], names: Mapping[str, str]) -> list[str]:
    """All classes of one softmax: the cohort's K conditions, then M auxiliary ones, sorted.

    Auxiliary cohorts share classes of one name.

    Args:
        names: {an auxiliary cohort's condition: its class}; others keep their name.

    Raises:
        UserError: `names` has a condition that no auxiliary cohort has, or a condition of both the cohort and
            an auxiliary one is not in `names`: whether the two are the same is the user's to say.
    """
    theirs = sorted({name for extra in auxiliary for name in extra.rows["condition"]})
    strange = sorted(set(names) - set(theirs))
    if strange:
        raise UserError(
            f"auxiliary_names: no auxiliary cohort has {', '.join(strange)}; there are "
            f"{', '.join(theirs) or 'none'}."
        )
    both = [name for name in theirs if name in cohort.conditions and name not in names]
    if both:
        raise UserError(
            f"{', '.join(both)}: a condition of {cohort.root} and of an auxiliary cohort. If they are the "
            f"same class: --set auxiliary_names.{both[0]}={both[0]}; otherwise give the auxiliary one "
            "another name in the same way."
        )
    further = {names.get(name, name) for name in theirs} - set(cohort.conditions)
    return [*cohort.conditions, *sorted(further)]


def auxiliary_targets(extra: Cohort, classes: Sequence[str], names: Mapping[str, str]) -> np.ndarray:
    """What an auxiliary cohort's images should be taken for: float32 [N, K+M], one 1 in each row."""
    index = {name: number for number, name in enumerate(classes)}
    chosen = [index[names.get(name, name)] for name in extra.rows["condition"]]
    return np.eye(len(classes), dtype=np.float32)[chosen]


def require_apart_from_test(cohort: Cohort, extra: Cohort) -> None:
    """UserError if an auxiliary cohort has generated images, or images or patients of the cohort's test fold.

    Patients are the same if their group has the same name; a group named after its own file names no patient.
    """
    generated = extra.rows["file"][extra.rows["source"] != "real"].tolist()
    if generated:
        raise UserError(f"{extra.root}: {generated[0]} is synthetic; pass such cohorts with --synthetic.")
    files = extra.rows["file"][_shared(cohort, extra, [TEST_FOLD])].tolist()
    if files:
        raise UserError(
            f"{extra.root}: {len(files)} images are, by content or by the name of their group, of the test "
            f"fold of {cohort.root}: {first_names(files)}. Leave them out of the auxiliary "
            "cohort, or rename groups that are other patients."
        )


def auxiliary_rows(cohort: Cohort, extra: Cohort, fold: str) -> np.ndarray:
    """Rows of an auxiliary cohort that fold j's model may learn from, int64.

    Not those of its own fold j (the published training held it out as well) or test, nor images or patients
    of the cohort's fold j.
    """
    held_out = extra.rows["fold"].isin([fold, TEST_FOLD]).to_numpy()
    return np.flatnonzero(~held_out & ~_shared(cohort, extra, [fold]))


def require_every_class(
    fold: str,
    auxiliary: Sequence[Cohort],
    chosen: Sequence[np.ndarray],
    names: Mapping[str, str],
) -> None:
    """UserError if fold j's model would not see some auxiliary class; `chosen` are its `auxiliary_rows`."""
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
            f"Fold {fold} would train without any image of {', '.join(sorted(every - seen))}, of the "
            "auxiliary cohorts. Leave it out there, or give it the name of a class like it "
            "(--set auxiliary_names.NAME=CLASS)."
        )


def _shared(cohort: Cohort, extra: Cohort, folds: Sequence[str]) -> np.ndarray:
    """Which rows of `extra` are images or patients of these folds of the cohort, in any view: bool [N]."""
    here = cohort.rows["fold"].isin(folds).to_numpy()
    contents, groups = np.array(cohort.image_hashes)[here], cohort.rows["group"][here]
    named = (extra.rows["group"] != extra.rows["file"]).to_numpy()
    same_patient = named & extra.rows["group"].isin(groups).to_numpy()
    return same_patient | np.isin(extra.image_hashes, contents)
