"""Runs a cell, unless its result is already in the store."""

from collections.abc import Callable
from typing import Any

from morphoscope.apps.study.cell import Cell, Kind
from morphoscope.apps.study.cells.context import Context
from morphoscope.configs import UserError
from morphoscope.runtime import RunFolder


def run_cell(cell: Cell, context: Context) -> bool:
    """Do a cell's work; an interrupted one resumes.

    Returns:
        Whether there was anything to do.

    Raises:
        UserError: a cell that it needs is not finished, another process runs this one, or as its work does.
    """
    unfinished = [need.name for need in cell.needs.values() if not context.store.is_finished(need)]
    if unfinished:
        raise UserError(f"{cell.name}: needs {', '.join(unfinished)}; run that first.")
    with RunFolder(context.store.folder(cell)).held():
        if context.store.is_finished(cell):
            return False
        context.store.finish(cell, _work_of(cell.kind)(cell, context))
    return True


def _work_of(kind: Kind) -> Callable[[Cell, Context], dict[str, Any]]:
    """Imported when needed, since each kind loads other libraries."""
    if kind == "cohort":
        from morphoscope.apps.study.cells.cohorts import make_cohort

        return make_cohort
    if kind == "generator":
        from morphoscope.apps.study.cells.generators import make_generator

        return make_generator
    if kind == "images":
        from morphoscope.apps.study.cells.images import make_images

        return make_images
    from morphoscope.apps.study.cells import classifiers

    return {
        "classifier": classifiers.make_classifier,
        "candidate": classifiers.train_candidate,
        "choice": classifiers.make_choice,
        "chosen": classifiers.evaluate_chosen,
        "reverse": classifiers.make_reverse,
    }[kind]
