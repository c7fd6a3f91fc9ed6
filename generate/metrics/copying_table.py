"""The tests for copies as a table, for reports and the terminal."""

from morphoscope.generate.metrics.copying import CopyingReport
from morphoscope.runtime.statistics import format_estimate

COLUMNS = ["condition", "generated", "held out", "patients", "closer", "C_T", "p", "pull", "p (pull)"]
EXPLANATION = (
    "Closer is the probability that a generated image is closer to its nearest training image than a "
    "held-out photograph is to its own, with its 95% interval by patient: 0.5 is ideal, 1 is a copy "
    "machine. C_T is the statistic of Meehan et al. (2020), which is negative for copies, but also for "
    "images without detail, because these are close to all others. Pull tells the two apart: it is how much "
    "closer generated images are to training images than to held-out ones, beyond what chance explains (0 "
    "is ideal). The generator copies only if both p-values are small."
)


def copying_rows(report: CopyingReport) -> list[list[str]]:
    """One row for all conditions together and one per condition."""
    return [
        [
            name,
            str(one.generated),
            str(one.held_out),
            str(one.patients),
            format_estimate(one.closer, 2),
            f"{one.c_t:.2f}",
            f"{one.p_value:.2g}",
            f"{one.pull:.3f}",
            f"{one.pull_p_value:.2g}",
        ]
        for name, one in [("all", report.overall), *report.by_condition.items()]
    ]
