"""One cell of a planned study, by its name."""

from pathlib import Path

from morphoscope.apps.study.cell import Store
from morphoscope.apps.study.cells.context import Context
from morphoscope.apps.study.cells.running import run_cell
from morphoscope.apps.study.plan import StudyPlan, start_file
from morphoscope.configs import UserError


def run_one(run: Path, name: str, store: Path, device: str) -> bool:
    """Run a cell of the study in the folder `run`; whether there was anything to do.

    Raises:
        UserError: no such cell, or as `run_cell`.
    """
    plan = StudyPlan.read(run)
    if name not in plan.cells:
        raise UserError(f"{run}: has no cell {name}; plan.json lists them.")
    context = Context(Store(store), plan.study.cohort, start_file(plan.study), device)
    return run_cell(plan.cells[name], context)
