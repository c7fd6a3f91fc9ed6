"""A cohort without one condition, site or device, and what was left out."""

import numpy as np

from morphoscope.cohort.cohort import Cohort


def leave_out(cohort: Cohort, column: str, value: str) -> tuple[Cohort, Cohort]:
    """(the rows with another value in a column, the rows with this value).

    The first has only conditions that still occur. Patients of the first are not in the second: images of a
    known patient are no fair example of what is unknown.

    Args:
        column: of the manifest.
        value: at least one row has it, and at least one has not.
    """
    chosen = (cohort.rows[column] == value).to_numpy()
    rest = cohort.select(~chosen)
    left = set(rest.rows["condition"])
    rest.conditions = [name for name in cohort.conditions if name in left]
    known = cohort.rows["group"].isin(rest.rows["group"]).to_numpy()
    return rest, cohort.select(np.flatnonzero(chosen & ~known))
