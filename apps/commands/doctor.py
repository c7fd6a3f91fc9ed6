"""`morphoscope doctor`."""

from typing import TYPE_CHECKING

from rich.table import Table

from morphoscope.configs import UserError
from morphoscope.runtime.terminal import say, show, table

if TYPE_CHECKING:
    from morphoscope.ops.doctor import Report


def doctor() -> None:
    """Show what runs where on this machine, and test it against the reference."""
    from morphoscope.ops import doctor as examine

    report = examine()
    show(_machine(report))
    show(_operations(report))
    say("Largest differences from the reference, relative to its largest value.")
    failed = [row for row in report.ops if not row.passed]
    if failed:
        names = ", ".join(f"{row.op} on {row.device}" for row in failed)
        raise UserError(
            f"Self-test failed for {names}; please report this with the tables above. "
            "Until it is fixed, set MORPHOSCOPE_BACKEND=reference, which computes correctly."
        )


def _machine(report: "Report") -> Table:
    grid = Table.grid(padding=(0, 2))
    for name, value in report.facts:
        grid.add_row(name, value)
    for device in report.devices:
        grid.add_row()
        grid.add_row(device.device, f"{device.path}: {device.detail}")
        for line in (device.fix, device.file):
            if line:
                grid.add_row("", str(line))
    return grid


def _operations(report: "Report") -> Table:
    rows = [
        (
            row.op,
            row.device,
            row.error or ", ".join(row.kernels) or "none, torch runs",
            _shown(row.difference),
            "" if row.gradient_difference is None else _shown(row.gradient_difference),
        )
        for row in report.ops
    ]
    return table(["operation", "device", "native kernels", "difference", "of gradients"], rows)


def _shown(difference: float) -> str:
    return f"{difference:.0e}" if difference else "0"
