"""What an alarm was measured to notice: conditions, sites and devices that models were not trained on."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from morphoscope.runtime.statistics import Estimate

NOTICED = 0.8
"""Mean area under the ROC curve from which on unknown conditions are said to be noticed."""

ELSEWHERE = 0.60
"""Mean area of the seven conditions of HAM10000, each left out in turn (docs/lab-notes.md)."""

HeldOutColumn = Literal["condition", "site", "device"]
_Proportion = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
_Interval = Annotated[list[_Proportion], Field(min_length=3, max_length=3)]


class HeldOut(BaseModel):
    """How well models that never saw one condition, site or device notice its images.

    Attributes:
        column: the manifest's column that says which images were held out.
        value: their cell in it.
        images, groups: number of images that were held out, and of their patients.
        compared: number of other images, unseen like these, that they are compared with.
        auroc: area under the ROC curve of the novelty of held-out against other images: value, low and high
            end of its 95% interval by patient.
        detected: proportion of the held-out images with an alarm, likewise.
        false_alarms: proportion of the other images with an alarm, likewise.
    """

    model_config = ConfigDict(frozen=True, extra="allow", strict=True)

    column: HeldOutColumn
    value: Annotated[str, Field(min_length=1, max_length=500)]
    images: Annotated[int, Field(ge=1)]
    groups: Annotated[int, Field(ge=1)]
    compared: Annotated[int, Field(ge=1)]
    auroc: _Interval
    detected: _Interval
    false_alarms: _Interval

    @property
    def area(self) -> Estimate:
        """`auroc` as an estimate."""
        return Estimate(*self.auroc)


def alarm_limits(held_out: Sequence[HeldOut]) -> str:
    """What the alarm was measured to notice, and what not, in one or a few sentences."""
    conditions = _of("condition", held_out)
    if not conditions:
        return (
            "Assume that the alarm does not notice a condition that the classifier was not trained on. "
            "This was not measured for this classifier; on skin lesions left out of training, the area under "
            f"the ROC curve was {ELSEWHERE:.2f} on average, where 0.5 is chance."
        )
    mean = _mean(conditions)
    notices = "notices most images of" if mean >= NOTICED else "cannot be relied on to notice"
    return " ".join(
        [
            f"The alarm {notices} a condition that the classifier was not trained on: "
            f"{_measured(conditions)}. An area of 0.5 is chance.",
            *(
                f"Of another {column}: {_measured(sources)}."
                for column in ("site", "device")
                if (sources := _of(column, held_out))
            ),
        ]
    )


def _of(column: str, held_out: Sequence[HeldOut]) -> list[HeldOut]:
    return [one for one in held_out if one.column == column]


def _mean(held_out: Sequence[HeldOut]) -> float:
    return sum(one.area.value for one in held_out) / len(held_out)


def _measured(held_out: Sequence[HeldOut]) -> str:
    """The area under the ROC curve with each left out, and between which it lies."""
    if len(held_out) == 1:
        (only,) = held_out
        return (
            f"with {only.value} left out of training, the area under the ROC curve for it was "
            f"{only.area.value:.2f}"
        )
    least, *_, most = sorted(held_out, key=lambda one: one.area.value)
    return (
        f"with each of {len(held_out)} left out of training in turn, the area under the ROC curve for it was "
        f"{_mean(held_out):.2f} on average ({least.area.value:.2f} for {least.value} to "
        f"{most.area.value:.2f} for {most.value})"
    )
