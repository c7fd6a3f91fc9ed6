"""A whole study: plan, checks, cells, report. Called again with the same folder, it resumes."""

import platform
from importlib.metadata import version as version_of
from pathlib import Path

from morphoscope.apps.study.analysis import analyse
from morphoscope.apps.study.cell import Store
from morphoscope.apps.study.collect import collect
from morphoscope.apps.study.leaks import check_leaks, read_checks, write_checks
from morphoscope.apps.study.plan import StudyPlan, plan_study
from morphoscope.apps.study.report.page import write_study_report
from morphoscope.apps.study.workflow.engine import LOGS, Engine, failures
from morphoscope.cohort import Cohort
from morphoscope.configs import UserError
from morphoscope.configs.study import Study
from morphoscope.runtime import RunFolder
from morphoscope.runtime.progress import working
from morphoscope.runtime.terminal import say
from morphoscope.runtime.version import version

_PACKAGES = ("torch", "torchvision", "timm", "numpy", "scipy")
_SHOWN = 3  # failed cells on the terminal


def run_study(study: Study, cohort: Cohort, folder: RunFolder, store: Store, engine: Engine) -> Path | None:
    """Run the cells that are not finished, and write the report.

    Args:
        folder: held and claimed.

    Returns:
        The report's path; None for a dry run.

    Raises:
        UserError: a leak, before anything trains; too few patients; or the engine does not run.
        KeyboardInterrupt: stopped; finished cells are kept.
    """
    plan = plan_study(study, cohort)
    with working("Looking for leaks", transient=True):
        checks = check_leaks(plan, cohort)
    plan.write(folder.path)
    write_checks(folder.path, checks)
    say(f"{len(checks)} checks against leaks passed; {len(plan.cells)} cells.")
    try:
        engine.run(folder.path, store)
    except KeyboardInterrupt as stop:
        done = sum(store.is_finished(cell) for cell in plan.cells.values())
        raise KeyboardInterrupt(
            f"Stopped; {done} of {len(plan.cells)} cells are finished and kept. {folder.how_to_resume}"
        ) from stop
    folder.own(LOGS)
    return None if engine.dry_run else report_study(folder.path, store)


def report_study(run: Path, store: Store) -> Path:
    """Write the report from the cells that are finished, and say which failed.

    Raises:
        UserError: no study in the folder, or no cell of a classifier has finished.
    """
    plan = StudyPlan.read(run)
    failed = failures(run, plan, store)
    for failure in [one for one in failed if one.lines][:_SHOWN]:
        say("\n".join([f"Failed: {failure.name}", *(f"  {line}" for line in failure.lines)]), stderr=True)
    if failed:
        say(
            f"{len(failed)} of {len(plan.cells)} cells have no result; logs are in {run / LOGS}.", stderr=True
        )
    with working("Comparing the arms", transient=True):
        predictions = collect(plan, store)
        if not predictions.folds:
            raise UserError(f"{run}: no classifier has finished, so that there is nothing to report.")
        cohort = Cohort.load(plan.study.cohort)
        analysis = analyse(plan.study, predictions, cohort.rows)
        return write_study_report(
            run, plan, store, cohort, analysis, read_checks(run), failed, _environment()
        )


def _environment() -> dict[str, str]:
    """Versions of what computes."""
    packages = {name: version_of(name) for name in _PACKAGES}
    return {
        "morphoscope": version(),
        "Python": platform.python_version(),
        "machine": platform.machine(),
        **packages,
    }
