"""Agreement of raters: intraclass correlations (ICC) with F-based 95% intervals (McGraw & Wong 1996)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.stats import f as f_distribution

from morphoscope.configs import UserError
from morphoscope.runtime.statistics import Estimate

Form = Literal["ICC(1,1)", "ICC(C,1)"]
_QUANTILE = 0.975  # for a two-sided 95% interval


@dataclass(frozen=True)
class Agreement:
    """Intraclass correlations of single ratings, of n subjects by k raters.

    Attributes:
        one_way: ICC(1,1): each subject may have different raters.
        absolute: ICC(A,1), Shrout & Fleiss' ICC(2,1): the same raters for all subjects, absolute agreement.
        consistency: ICC(C,1), Shrout & Fleiss' ICC(3,1): the same raters for all subjects, consistency; the
            raters' means may differ.
        subjects: n.
        raters: k; the mean number of ratings per subject if subjects have different raters.

    `absolute` and `consistency` are None if subjects have different raters: both depend on which rating
    belongs to which rater.
    """

    one_way: Estimate
    absolute: Estimate | None
    consistency: Estimate | None
    subjects: int
    raters: float

    @property
    def forms(self) -> dict[str, Estimate]:
        """The estimates that are defined, by the name of their form."""
        every = {"ICC(1,1)": self.one_way, "ICC(A,1)": self.absolute, "ICC(C,1)": self.consistency}
        return {name: estimate for name, estimate in every.items() if estimate is not None}


def agreement(ratings: np.ndarray) -> Agreement:
    """Compute the intraclass correlations of a complete table of ratings.

    Args:
        ratings: [n subjects, k raters], any unit.

    Raises:
        UserError: fewer than two subjects or raters, a missing rating, or all ratings are the same.
    """
    ratings = np.asarray(ratings, np.float64)
    if ratings.ndim != 2 or min(ratings.shape) < 2:
        raise UserError(f"Ratings {list(ratings.shape)}: at least two subjects and two raters are needed.")
    if not np.isfinite(ratings).all():
        missing = int((~np.isfinite(ratings)).any(axis=1).sum())
        raise UserError(f"{missing} of {len(ratings)} subjects lack a rating: add it, or leave them out.")
    if np.ptp(ratings) == 0:
        raise UserError("All ratings are the same, so that agreement is not defined.")
    n, k = ratings.shape
    deviations = ratings - ratings.mean()
    by_subject = k * float((deviations.mean(axis=1) ** 2).sum())
    by_rater = n * float((deviations.mean(axis=0) ** 2).sum())
    within = max(0.0, float((deviations**2).sum()) - by_subject)  # within subjects: raters and error together
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


def one_way_agreement(ratings: Sequence[np.ndarray]) -> Agreement:
    """ICC(1,1) of subjects that each have their own raters, in any number and order.

    The mean squares are those of the one-way analysis of variance; k is replaced by
    (N - sum of k_i^2 / N) / (n - 1), with k_i ratings of subject i and N in all. The interval is exact for
    equal k_i, and an approximation otherwise.

    Args:
        ratings: the ratings of each of n subjects, [k_i] with k_i >= 1, any unit.

    Raises:
        UserError: fewer than two subjects, no subject with two ratings, a missing rating, or all ratings are
            the same.
    """
    counts, every = np.array([len(own) for own in ratings]), np.concatenate([np.zeros(0), *ratings])
    n, total = len(counts), len(every)
    if n < 2 or total == n:
        raise UserError(f"{total} ratings of {n} subjects: at least two subjects and two raters are needed.")
    if not np.isfinite(every).all():
        raise UserError("A rating is missing: add it, or leave the subject out.")
    if np.ptp(every) == 0:
        raise UserError("All ratings are the same, so that agreement is not defined.")
    means = np.array([own.mean() for own in ratings])
    between = float((counts * (means - every.mean()) ** 2).sum()) / (n - 1)
    within = sum(float(((own - own.mean()) ** 2).sum()) for own in ratings) / (total - n)
    k = (total - float((counts**2).sum()) / total) / (n - 1)
    return Agreement(_from_mean_squares(between, within, n, k, total - n), None, None, n, total / n)


def interval(value: float, n: int, k: int, form: Form = "ICC(1,1)") -> Estimate:
    """The 95% interval of a published ICC, computed from its value alone (F = (1 + (k - 1) r) / (1 - r)).

    ICC(A,1) is not supported: its interval also depends on how much the raters' means differ.

    Args:
        value: in [-1/(k - 1), 1].
        n, k: number of subjects and of raters, each at least 2.

    Raises:
        UserError: a value outside its range, or fewer than two subjects or raters.
    """
    if min(n, k) < 2 or not -1 / (k - 1) <= value <= 1:
        raise UserError(
            f"ICC {value} of {n} subjects and {k} raters: it must be in [-1/(k - 1), 1], with n, k ≥ 2."
        )
    freedom = n * (k - 1) if form == "ICC(1,1)" else (n - 1) * (k - 1)
    return _from_mean_squares(1 + (k - 1) * value, 1 - value, n, k, freedom)


def _from_mean_squares(between: float, within: float, n: int, k: float, freedom: int) -> Estimate:
    """ICC and interval for F = between / within (McGraw & Wong 1996, tables 4 and 7)."""
    lower = f_distribution.ppf(_QUANTILE, n - 1, freedom)
    upper = f_distribution.ppf(_QUANTILE, freedom, n - 1)
    return Estimate(
        _correlation(between, within, k),
        _correlation(between / lower, within, k),
        _correlation(between * upper, within, k),
    )


def _correlation(between: float, within: float, k: float) -> float:
    return float((between - within) / (between + (k - 1) * within))


def _absolute(msr: float, msc: float, mse: float, n: int, k: int) -> Estimate:
    """ICC(A,1), with Satterthwaite's degrees of freedom (McGraw & Wong 1996, table 7)."""
    value = (msr - mse) / (msr + (k - 1) * mse + k / n * (msc - mse))
    # Their a and b, multiplied by n (1 - r): same degrees of freedom, and no division by 0 for r = 1.
    a, b = k * value, n * (1 - value) + k * value * (n - 1)
    spread = (a * msc) ** 2 / (k - 1) + (b * mse) ** 2 / ((n - 1) * (k - 1))
    if spread == 0:  # perfect agreement
        return Estimate(value, value, value)
    # For a negative ICC a is negative and the sum may be 0; with positive terms freedom is at least k - 1.
    freedom = max(k - 1, (a * msc + b * mse) ** 2 / spread)
    lower = f_distribution.ppf(_QUANTILE, n - 1, freedom)
    upper = f_distribution.ppf(_QUANTILE, freedom, n - 1)
    rest = k * msc + (k * n - k - n) * mse
    return Estimate(
        float(value),
        float(n * (msr - lower * mse) / (lower * rest + n * msr)),
        float(n * (upper * msr - mse) / (rest + n * upper * msr)),
    )
