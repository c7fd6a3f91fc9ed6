"""`classify train --held-out-conditions`: what it is about to train, and what it found."""

from collections.abc import Sequence

from morphoscope.apps.commands.classifier_output import estimate_cells
from morphoscope.apps.commands.options import comma_list
from morphoscope.classify import Estimate, HeldOut, HeldOutPlan, plan_held_out
from morphoscope.classify.held_out import alarm_limits
from morphoscope.cohort import Cohort
from morphoscope.configs.classifier import EnsembleTraining
from morphoscope.configs.views import View
from morphoscope.runtime.terminal import say, show, table

ALL = "all"


def planned(
    settings: EnsembleTraining, cohort: Cohort, chosen: str, view: View | None, folds: list[str] | None
) -> HeldOutPlan:
    """The plan for the option's value, "all" or names of conditions, which is printed with its cost."""
    names = None if chosen == ALL and ALL not in cohort.conditions else comma_list(chosen)
    plan = plan_held_out(settings, cohort, names, view=view, folds=folds)
    listed = ", ".join(f"{part.column} {part.value}" for part in plan.left_out)
    say(f"{len(plan.left_out)} more ensembles follow the first, each trained without one of: {listed}.")
    for reason in plan.skipped:
        say(reason)
    return plan


def print_held_out(held_out: Sequence[HeldOut]) -> None:
    """Print how well the alarm notices each condition, site or device that models were not trained on."""
    rows = [
        (
            f"{one.column} {one.value}",
            str(one.images),
            *estimate_cells(one.area),
            *estimate_cells(Estimate(*one.detected)),
        )
        for one in held_out
    ]
    columns = ["left out", "images", "area under ROC", "95% interval", "with an alarm", "95% interval"]
    show(table(columns, rows))
    say(alarm_limits(held_out))
