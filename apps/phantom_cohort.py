"""The phantom cohort as the demo and `make models` use it."""

from pathlib import Path

from morphoscope.cohort import Cohort, phantom


def phantom_cohort(path: Path, *, per_condition: int, seed: int, folds: int, test_fraction: float) -> Cohort:
    """The cohort at `path`: drawn if it does not exist yet, and split if it has no folds yet."""
    if not (path / "manifest.csv").exists():
        phantom(path, per_condition=per_condition, seed=seed)
    cohort = Cohort.load(path)
    if (cohort.rows["fold"] == "").any():
        cohort = cohort.split(folds=folds, seed=0, test_fraction=test_fraction)
        cohort.save()
    return cohort
