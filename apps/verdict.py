"""What a prediction amounts to, in one sentence: plain text, the same wherever it is shown."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from morphoscope.apps.texts import text
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
            text("verdict.unfamiliar"),
            text("verdict.unfamiliar_details"),
        )
    if prediction.unsure[image]:
        return Verdict(
            Kind.UNSURE,
            text("verdict.unsure"),
            f"{text('verdict.unsure_details', name=name, share=share)} {assumption(prediction)}",
        )
    details = " ".join(
        part
        for part in (_source(prediction, image, best), assumption(prediction), _worth(prediction))
        if part
    )
    if len(possible) > 1:
        every = len(possible) == len(prediction.conditions)
        kept = text("verdict.none_ruled_out") if every else text("verdict.remain", names=listed(possible))
        sentence = text("verdict.several", which=kept, name=name, share=share)
        return Verdict(Kind.SEVERAL, sentence, details)
    sentence = text("verdict.only" if possible else "verdict.one", name=name, share=share)
    return Verdict(Kind.ONE, sentence, details)


def percent(value: float) -> str:
    """0.724 -> "72%", with "< 1%" and "> 99%" at the ends: no probability is shown as certain."""
    if value < 0.01:
        return text("percent.low")
    if value > 0.99:
        return text("percent.high")
    return f"{round(100 * value)}%"


def spread(low: float, high: float) -> str:
    """ "20% to 80%", or one number where both read the same."""
    lowest, highest = percent(low), percent(high)
    return lowest if lowest == highest else text("percent.spread", low=lowest, high=highest)


def assumption(prediction: Prediction) -> str:
    """Which frequencies of the conditions the probabilities assume, in one sentence."""
    if prediction.prior is None:
        return text("verdict.prior_unknown")
    return text("verdict.prior", name=prediction.prior.name)


def _source(prediction: Prediction, image: int, best: int) -> str:
    """Where the probability of the most probable condition comes from."""
    folds = prediction.per_fold[:, image, best]
    if prediction.models == 1:
        return text("verdict.one_model")
    single = spread(float(folds.min()), float(folds.max()))
    return text("verdict.models", count=prediction.models, single=single)


def _worth(prediction: Prediction) -> str:
    """What the list of possible conditions is worth, or why there is none."""
    if prediction.coverage is None:
        return text("verdict.not_calibrated")
    worth = text("verdict.coverage", share=percent(prediction.coverage))
    return f"{worth} {alarm_limits(prediction.held_out)}"


def listed(names: Sequence[str]) -> str:
    """Names as one alternative: "NF1", "NF1 or TSC", "IP, NF1 or TSC"."""
    if len(names) == 1:
        return names[0]
    return text("verdict.or", names=", ".join(names[:-1]), last=names[-1])
