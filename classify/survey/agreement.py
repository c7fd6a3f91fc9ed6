"""Agreement of raters: intraclass correlations with F-based 95% intervals (McGraw & Wong 1996)."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.stats import f as f_distribution

from morphoscope.configs import UserError
from morphoscope.runtime.statistics import Estimate

Form = Literal["ICC(1,1)", "ICC(C,1)"]
_TAIL = 0.975  # of each end of a two-sided 95% interval


@dataclass(frozen=True)
class Agreement:
    """Intraclass correlations of single ratings of n subjects by k raters.

    Attributes:
        one_way: ICC(1,1): every subject may have had raters of its own.
        absolute: ICC(A,1), Shrout & Fleiss' ICC(2,1): the same raters throughout, who should agree in value.
        consistency: ICC(C,1), Shrout & Fleiss' ICC(3,1): the same raters, whose levels may differ.
    """

    one_way: Estimate
    absolute: Estimate
    consistency: Estimate
    subjects: int
    raters: int


def agreement(ratings: np.ndarray) -> Agreement:
    """Intraclass correlations of a complete table of ratings.

    Args:
        ratings: [n subjects, k raters], any unit.

    Raises:
        UserError: fewer than two subjects or raters, a missing rating, or ratings that are all the same.
    """
    ratings = np.asarray(ratings, np.float64)
    if ratings.ndim != 2 or min(ratings.shape) < 2:
        raise UserError(f"Ratings {list(ratings.shape)}: two subjects and two raters at least are needed.")
    if not np.isfinite(ratings).all():
        missing = int((~np.isfinite(ratings)).any(axis=1).sum())
        raise UserError(f"{missing} of {len(ratings)} subjects lack a rating: leave them out, or fill it in.")
    if np.ptp(ratings) == 0:
        raise UserError("All ratings are the same: agreement is not defined without differences.")
    n, k = ratings.shape
    deviations = ratings - ratings.mean()
    by_subject = k * float((deviations.mean(axis=1) ** 2).sum())
    by_rater = n * float((deviations.mean(axis=0) ** 2).sum())
    within = max(0.0, float((deviations**2).sum()) - by_subject)  # of subjects: raters and error together
    error = max(0.0, within - by_rater)
    msr, msw = by_subject / (n - 1), within / (n * (k - 1))
    msc, mse = by_rater / (k - 1), error / ((n - 1) * (k - 1))
    return Agreement(
        _from_mean_squares(msr, msw, n, k, n * (k - 1)),
        _absolute(msr, msc, mse, n, k),
        _from_mean_squares(msr, mse, n, k, (n - 1) * (k - 1)),
        n,
        k,
    )


def interval(value: float, n: int, k: int, form: Form = "ICC(1,1)") -> Estimate:
    """The 95% interval of a published ICC, from nothing but its value (F = (1 + (k - 1) r) / (1 - r)).

    ICC(A,1) is not among the forms: its interval also depends on how much the raters' means differ.

    Args:
        value: in [-1/(k - 1), 1].
        n, k: numbers of subjects and of raters.

    Raises:
        UserError: a value that no ratings can have, or fewer than two subjects or raters.
    """
    if min(n, k) < 2 or not -1 / (k - 1) <= value <= 1:
        raise UserError(f"ICC {value} of {n} subjects and {k} raters: it lies in [-1/(k - 1), 1]; n, k ≥ 2.")
    freedom = n * (k - 1) if form == "ICC(1,1)" else (n - 1) * (k - 1)
    return _from_mean_squares(1 + (k - 1) * value, 1 - value, n, k, freedom)


def _from_mean_squares(between: float, within: float, n: int, k: int, freedom: int) -> Estimate:
    """ICC and interval of ratio F = between / within (McGraw & Wong 1996, tables 4 and 7)."""
    lower = f_distribution.ppf(_TAIL, n - 1, freedom)
    upper = f_distribution.ppf(_TAIL, freedom, n - 1)
    return Estimate(
        _correlation(between, within, k),
        _correlation(between / lower, within, k),
        _correlation(between * upper, within, k),
    )


def _correlation(between: float, within: float, k: int) -> float:
    return float((between - within) / (between + (k - 1) * within))


def _absolute(msr: float, msc: float, mse: float, n: int, k: int) -> Estimate:
    """ICC(A,1); degrees of freedom after Satterthwaite (McGraw & Wong 1996, table 7)."""
    value = (msr - mse) / (msr + (k - 1) * mse + k / n * (msc - mse))
    # Their a and b, multiplied by n (1 - r): the degrees of freedom stay the same, and r = 1 divides nothing.
    a, b = k * value, n * (1 - value) + k * value * (n - 1)
    spread = (a * msc) ** 2 / (k - 1) + (b * mse) ** 2 / ((n - 1) * (k - 1))
    if spread == 0:  # perfect agreement
        return Estimate(value, value, value)
    # With a negative value a is negative and the sum may vanish; with positive terms it is k - 1 at least.
    freedom = max(k - 1, (a * msc + b * mse) ** 2 / spread)
    lower = f_distribution.ppf(_TAIL, n - 1, freedom)
    upper = f_distribution.ppf(_TAIL, freedom, n - 1)
    rest = k * msc + (k * n - k - n) * mse
    return Estimate(
        float(value),
        float(n * (msr - lower * mse) / (lower * rest + n * msr)),
        float(n * (upper * msr - mse) / (rest + n * upper * msr)),
    )
