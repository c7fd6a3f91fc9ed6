"""What `study plan` prints, and what `study run` prepares."""

from pathlib import Path

from morphoscope.apps.study.cell import Store, read_json
from morphoscope.apps.study.costs import Costs, measure_costs
from morphoscope.apps.study.leaks import check_leaks
from morphoscope.apps.study.partition import cell_cohort, outer_folds
from morphoscope.apps.study.plan import StudyPlan, plan_study
from morphoscope.apps.study.power import Variation, detectable_difference, tests_of
from morphoscope.cohort import Cohort
from morphoscope.configs import UserError
from morphoscope.configs.study import Study
from morphoscope.runtime.nested_statistics import Components
from morphoscope.runtime.progress import format_duration, working
from morphoscope.runtime.terminal import say, show, table

RESULTS = "results.json"
"""Of a finished study: the values of its report, and what `--pilot` reads."""


def print_plan(study: Study, store_path: Path, pilot: Path | None, device: str) -> None:
    """Check for leaks, measure, and print cells, hours, disk and the detectable difference.

    Raises:
        UserError: a leak, settings that do not exist, or a pilot without results.
    """
    cohort = Cohort.load(study.cohort)
    plan = plan_study(study, cohort)
    checks = check_leaks(plan, cohort)
    split = outer_folds(cohort, study.folds, study.seed)
    part = cell_cohort(split, "0", study.shots[-1], study.inner_folds, study.seed)
    costs = measure_costs(plan, Store(store_path), cohort, part, device)
    variation = Variation.assumed(study) if pilot is None else _of_pilot(pilot)
    with working("Simulating studies", transient=True):
        difference = detectable_difference(
            tests_of(split.rows), study.generator_seeds, study.classifier_seeds, variation, study.seed
        )
    show(
        table(
            ["item", "value"],
            [*_design(study, plan), *_costs(costs), ("leak checks passed", str(len(checks)))],
        )
    )
    source = "assumed variances" if pilot is None else f"the variances of {pilot}"
    say(
        f"With {source}, this design finds a difference of balanced accuracy of {difference:.3f} between an "
        "arm and 'real' in 80% of studies (two-sided, 5%, without correction for several arms). The smallest "
        f"that would matter is set to {study.margin:g}."
    )
    if difference > study.margin:
        say("That is more than would matter: add folds, seeds or patients, or expect an open result.")


def _design(study: Study, plan: StudyPlan) -> list[tuple[str, str]]:
    return [
        ("arms", ", ".join(study.arms)),
        ("shots (patients per condition)", ", ".join(map(str, study.shots))),
        ("outer folds", str(study.folds)),
        ("generator seeds", str(study.generator_seeds)),
        ("classifier seeds", str(study.classifier_seeds)),
        ("steps of each classifier", str(study.steps)),
        ("classifiers in the design", str(len(plan.places))),
    ]


def _costs(costs: Costs) -> list[tuple[str, str]]:
    def counted(kind: str, number: int) -> tuple[str, str]:
        done = costs.finished.get(kind, 0)
        return f"cells: {kind}", f"{number} ({done} finished already)" if done else str(number)

    return [
        *(counted(kind, number) for kind, number in costs.cells.items()),
        ("one generator", format_duration(costs.generator_seconds)),
        ("one classifier", f"{costs.step_seconds:.2f} s per step, and {costs.fixed_seconds:.0f} s"),
        ("all, one after the other", f"{costs.seconds / 3600:.1f} hours on this machine, as it is now"),
        ("disk", f"{costs.gigabytes:.2f} GB"),
    ]


def _of_pilot(run: Path) -> Variation:
    content = read_json(run / RESULTS)
    pilot = content.get("pilot")
    if not pilot:
        raise UserError(f"{run / RESULTS}: has no variances; the study has not finished enough cells.")
    return Variation.of_pilot(Components(**pilot["components"]), pilot["images"])
