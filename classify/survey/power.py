"""Power of the paired design: how many surveys would show a difference (noncentral t)."""

import math

from scipy.stats import ncf
from scipy.stats import t as t_distribution

from morphoscope.configs import UserError

_MOST_SURVEYS = 1_000_000


def paired_power(difference: float, deviation: float, surveys: int, alpha: float = 0.05) -> float:
    """Probability that a two-sided paired t-test of `surveys` differences finds p < `alpha`.

    From the noncentral t distribution with n - 1 degrees of freedom and noncentrality √n · difference /
    deviation (Cohen 1988, chapter 2); both tails count.

    Args:
        difference: true mean difference of accuracies, classifier - clinicians, in [-1, 1].
        deviation: standard deviation of the surveys' differences, > 0.

    Raises:
        UserError: fewer than two surveys, or a number out of its range.
    """
    if surveys < 2 or not -1 <= difference <= 1 or not 0 < deviation < math.inf or not 0 < alpha < 1:
        raise UserError(
            f"Power with {surveys} surveys, difference {difference}, deviation {deviation}, alpha {alpha}: "
            "two surveys at least, a difference in [-1, 1], a deviation above 0 and an alpha in (0, 1) are "
            "needed."
        )
    if difference == 0:
        return alpha
    freedom, shift_squared = surveys - 1, surveys * (difference / deviation) ** 2
    critical = t_distribution.isf(alpha / 2, freedom)
    # Both tails of t are one tail of t², noncentral F; scipy's noncentral t is nan for large shifts.
    return float(ncf.sf(critical**2, 1, freedom, shift_squared))


def surveys_needed(difference: float, deviation: float, power: float = 0.8, alpha: float = 0.05) -> int:
    """The smallest number of surveys whose `paired_power` reaches `power`.

    Raises:
        UserError: no difference, a power that is not between alpha and 1, or more than a million surveys.
    """
    if difference == 0 or not alpha < power < 1:
        raise UserError(f"Difference {difference}, power {power}: a difference, and a power in ({alpha}, 1).")
    enough = 2
    while paired_power(difference, deviation, enough, alpha) < power:
        enough *= 2
        if enough > _MOST_SURVEYS:
            raise UserError(f"A difference of {difference:g} would need more than {_MOST_SURVEYS} surveys.")
    few = enough // 2  # too few, or 1
    while enough - few > 1:
        middle = (few + enough) // 2
        if paired_power(difference, deviation, middle, alpha) < power:
            few = middle
        else:
            enough = middle
    return enough
