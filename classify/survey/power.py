"""Power of the paired design: how many surveys are needed to find a difference (noncentral t)."""

import math

from scipy.stats import ncf
from scipy.stats import t as t_distribution

from morphoscope.configs import UserError

_MOST_SURVEYS = 1_000_000


def paired_power(difference: float, standard_deviation: float, surveys: int, alpha: float = 0.05) -> float:
    """Probability in [0, 1] that a two-sided paired t-test of `surveys` differences finds p < `alpha`.

    Uses the noncentral t distribution with n - 1 degrees of freedom and noncentrality √n · difference /
    standard deviation (Cohen 1988, chapter 2); both tails count.

    Args:
        difference: true mean difference of accuracies, classifier - clinicians, in [-1, 1].
        standard_deviation: of the surveys' differences, above 0.
        surveys: at least 2.
        alpha: significance level, in (0, 1).

    Raises:
        UserError: an argument is out of its range.
    """
    sensible = -1 <= difference <= 1 and 0 < standard_deviation < math.inf
    if surveys < 2 or not sensible or not 0 < alpha < 1:
        raise UserError(
            f"Power of {surveys} surveys with difference {difference}, standard deviation "
            f"{standard_deviation} and alpha {alpha}: at least two surveys, a difference in [-1, 1], a "
            "standard deviation above 0 and an alpha in (0, 1) are needed."
        )
    if difference == 0:
        return alpha
    freedom, shift_squared = surveys - 1, surveys * (difference / standard_deviation) ** 2
    critical = t_distribution.isf(alpha / 2, freedom)
    # The two tails of t are one tail of t², a noncentral F; scipy's noncentral t is nan for large shifts.
    return float(ncf.sf(critical**2, 1, freedom, shift_squared))


def surveys_needed(
    difference: float, standard_deviation: float, power: float = 0.8, alpha: float = 0.05
) -> int:
    """The smallest number of surveys whose `paired_power` is at least `power`.

    Args:
        difference, standard_deviation, alpha: as for `paired_power`; the difference is not 0.
        power: in (`alpha`, 1).

    Raises:
        UserError: an argument is out of its range, or more than a million surveys would be needed.
    """
    if difference == 0 or not alpha < power < 1:
        raise UserError(
            f"Difference {difference}, power {power}: a difference other than 0 and a power in ({alpha}, 1) "
            "are needed."
        )
    enough = 2
    while paired_power(difference, standard_deviation, enough, alpha) < power:
        enough *= 2
        if enough > _MOST_SURVEYS:
            raise UserError(f"A difference of {difference:g} would need more than {_MOST_SURVEYS} surveys.")
    few = enough // 2  # not enough, or 1
    while enough - few > 1:
        middle = (few + enough) // 2
        if paired_power(difference, standard_deviation, middle, alpha) < power:
            few = middle
        else:
            enough = middle
    return enough
