"""The section on copies in the report of a training."""

import numpy as np

from morphoscope.generate.metrics import COPYING_COLUMNS, COPYING_EXPLANATION, copying_rows
from morphoscope.generate.training.copying_alarm import copied_conditions
from morphoscope.generate.training.curves import Curve, draw_curves
from morphoscope.generate.training.records import Measurement
from morphoscope.runtime.reporting.report import Figure, Section, Table


def copying_section(network: str, measured: list[Measurement]) -> Section | None:
    """A table of the newest tests for copies, and their curve; None if there is no test."""
    reports = [(one.kimg, one.copying) for one in measured if one.copying is not None]
    if not reports:
        return None
    kimg, newest = reports[-1]
    copied = copied_conditions(newest)
    rows = [[row[0] + (" (alarm)" if row[0] in copied else ""), *row[1:]] for row in copying_rows(newest)]
    x = np.array([kimg for kimg, _ in reports])
    names = ["all", *dict.fromkeys(name for _, report in reports for name in report.by_condition)]
    curves = []
    for k, name in enumerate(names):
        tests = [report.overall if name == "all" else report.by_condition.get(name) for _, report in reports]
        y = np.array([np.nan if one is None else one.closer.value for one in tests])
        curves.append(Curve(name, x, y, None if name == "all" else k - 1))
    return Section(
        f"Copies of training images by {network}",
        f"The table shows the values at {kimg:g} kimg. {COPYING_EXPLANATION}",
        table=Table(COPYING_COLUMNS, rows),
        figures=[
            Figure(
                draw_curves(curves, "closer than held-out photographs", line=(0.5, "ideal"), span=(0, 1)),
                "Probability that a generated image is closer to the training images than a held-out one.",
            )
        ],
    )
