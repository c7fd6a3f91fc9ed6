"""What a prediction amounts to, in one sentence: plain text, the same wherever it is shown."""

from dataclasses import dataclass
from enum import Enum

from morphoscope.classify import Prediction
from morphoscope.classify.held_out import alarm_limits


class Kind(Enum):
    """What can be said of an image, in the order of precedence: the first that holds is the verdict."""

    UNFAMILIAR = "another kind of image"
    UNSURE = "no condition is probable"
    SEVERAL = "several conditions remain possible"
    ONE = "one condition"

    @property
    def answers(self) -> bool:
        """Whether it names a most probable condition."""
        return self in (Kind.SEVERAL, Kind.ONE)


@dataclass(frozen=True)
class Verdict:
    """The verdict on one image.

    Attributes:
        sentence: to be shown first, and alone if there is little room.
        details: how the sentence comes about and what it is worth; may be empty.
    """

    kind: Kind
    sentence: str
    details: str


def verdict(prediction: Prediction, image: int = 0) -> Verdict:
    """The verdict on an image of `prediction`, 0 to N - 1.

    Without calibration there is no alarm for another kind of image, and no set of possible conditions.
    """
    best = int(prediction.predicted[image])
    name, share = prediction.conditions[best], percent(float(prediction.combined[image, best]))
    possible = prediction.possible(image) or []
    if prediction.novel is not None and prediction.novel[image]:
        return Verdict(
            Kind.UNFAMILIAR,
            "No answer: this is another kind of image than the training images.",
            "It lies further from them than almost all images of their kind do, so the probabilities say "
            "nothing about it.",
        )
    if prediction.unsure[image]:
        return Verdict(
            Kind.UNSURE,
            "Unsure: no condition has a probability above 50%.",
            f"{name} comes first with {share}, which is not an answer. {assumption(prediction)}",
        )
    details = " ".join(
        part
        for part in (_source(prediction, image, best), assumption(prediction), _worth(prediction))
        if part
    )
    if len(possible) > 1:
        which = (
            "no condition can be ruled out"
            if len(possible) == len(prediction.conditions)
            else f"{_listed(possible)} remain possible"
        )
        sentence = f"No single answer: {which}. {name} is the most probable with {share}."
        return Verdict(Kind.SEVERAL, sentence, details)
    only = "; no other condition remains possible" if possible else ""
    return Verdict(Kind.ONE, f"Most probable condition: {name} with {share}{only}.", details)


def percent(value: float) -> str:
    """0.724 -> "72%", with "< 1%" and "> 99%" at the ends: no probability is shown as certain."""
    if value < 0.01:
        return "< 1%"
    if value > 0.99:
        return "> 99%"
    return f"{round(100 * value)}%"


def spread(low: float, high: float) -> str:
    """ "20% to 80%", or one number where both read the same."""
    lowest, highest = percent(low), percent(high)
    return lowest if lowest == highest else f"{lowest} to {highest}"


def assumption(prediction: Prediction) -> str:
    """Which frequencies of the conditions the probabilities assume, in one sentence."""
    if prediction.prior is None:
        return "Which frequencies of the conditions the probabilities assume is not known."
    return f"The probabilities assume {prediction.prior.name}."


def _source(prediction: Prediction, image: int, best: int) -> str:
    """Where the probability of the most probable condition comes from."""
    folds = prediction.per_fold[:, image, best]
    if prediction.models == 1:
        return "The probability is that of one model."
    single = spread(float(folds.min()), float(folds.max()))
    return f"The probability is that of {prediction.models} models together; single models give it {single}."


def _worth(prediction: Prediction) -> str:
    """What the list of possible conditions is worth, or why there is none."""
    if prediction.coverage is None:
        return (
            "This classifier is not calibrated: it cannot say which conditions remain possible, or whether "
            "a picture is another kind of image than the training images."
        )
    return (
        "For images like the training images, the conditions that remain possible contain the true one "
        f"{percent(prediction.coverage)} of the time. {alarm_limits(prediction.held_out)}"
    )


def _listed(names: list[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"
