"""Which rows of a cohort networks are trained to tell apart, and by which labels."""

from dataclasses import dataclass

import pandas as pd

from morphoscope.cohort import Cohort
from morphoscope.configs import UserError, first_names

REST = "others"
"""The label of all other faces where one syndrome is compared with the rest."""


@dataclass(frozen=True)
class Question:
    """What networks tell apart.

    Attributes:
        column: of the manifest, whose values are the labels; rows without a value do not count.
        only: a syndrome (`condition`), to which the question is restricted; "" for all.
        against_rest: a value of the column; all others become one label. "" to tell all values apart.
    """

    column: str = "condition"
    only: str = ""
    against_rest: str = ""

    def labels(self, cohort: Cohort) -> pd.Series:
        """The label of each row, "" for rows that the question is not about.

        Raises:
            UserError: the cohort has no such column, syndrome or value.
        """
        rows = cohort.rows
        if self.column not in rows.columns:
            raise UserError(f"--column {self.column}: the manifest has {', '.join(rows.columns)}.")
        if self.only and self.only not in cohort.conditions:
            raise UserError(f"--only {self.only}: no condition; there are {first_names(cohort.conditions)}.")
        chosen = rows["source"] == "real"
        if self.only:
            chosen &= rows["condition"] == self.only
        labels = rows[self.column].where(chosen, "")
        if not self.against_rest:
            return labels
        found = sorted(set(labels) - {""})
        if self.against_rest not in found:
            raise UserError(
                f"--against-rest {self.against_rest}: no value of {self.column}; there are "
                f"{first_names(found)}."
            )
        if REST in found:
            raise UserError(f"--against-rest: a label is {REST!r} already; rename it.")
        return labels.where(labels.isin(["", self.against_rest]), REST)
