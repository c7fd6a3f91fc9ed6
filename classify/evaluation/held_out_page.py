"""What the alarm was measured to notice, as a page and as a section of others."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from morphoscope.classify.held_out import HeldOut, alarm_limits
from morphoscope.cohort.conditions import Description, long_name
from morphoscope.runtime.reporting import Section, Table, write_report
from morphoscope.runtime.statistics import Estimate, format_estimate

_HOW = (
    "Ensembles were trained with the same settings and folds, each without one condition, site or device. "
    "Their alarm then saw the images left out, and images like those of the training. The area under the ROC "
    "curve is the probability that an image left out is farther from the training images than one of the "
    "others: 0.5 is chance. 95% intervals count patients. An interval that contains 0.5 shows nothing."
)


def held_out_section(held_out: Sequence[HeldOut], descriptions: Mapping[str, Description]) -> Section:
    """A table of what was held out, with a sentence on what it means.

    Args:
        held_out: at least one.
        descriptions: of the conditions, as far as they are known.
    """
    rows = [
        [
            long_name(one.value, descriptions) if one.column == "condition" else f"{one.column} {one.value}",
            str(one.images),
            str(one.groups),
            format_estimate(one.area),
            format_estimate(Estimate(*one.detected)),
            format_estimate(Estimate(*one.false_alarms)),
        ]
        for one in sorted(held_out, key=lambda one: (one.column != "condition", one.column, one.area.value))
    ]
    columns = [
        "left out of training",
        "images",
        "patients",
        "area under the ROC curve (95% interval)",
        "images with an alarm",
        "other images with an alarm",
    ]
    return Section(
        "Conditions and sources that the models never saw",
        f"{alarm_limits(held_out)} {_HOW}",
        table=Table(columns, rows),
    )


def write_held_out_page(
    held_out: Sequence[HeldOut], folder: Path, descriptions: Mapping[str, Description], skipped: Sequence[str]
) -> None:
    """Write report.html into `folder`; `skipped` are sentences on what could not be held out.

    Raises:
        UserError: the file cannot be written.
    """
    section = held_out_section(held_out, descriptions)
    section.alarms.extend(skipped)
    write_report(
        folder / "report.html",
        title="What the alarm notices",
        lead="Does the alarm notice conditions and sources of images that the models were not trained on?",
        notice="For research and teaching. Nothing here is a diagnosis.",
        sections=[section],
    )
