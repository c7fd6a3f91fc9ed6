"""`morphoscope doctor`."""

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from morphoscope.configs import UserError

if TYPE_CHECKING:
    from morphoscope.ops.doctor import Report


def doctor() -> None:
    """Show what runs where on this machine, and test it against the reference."""
    from morphoscope.ops import doctor as examine

    report = examine()
    console = Console(highlight=False)
    console.print(_machine(report))
    console.print(_operations(report))
    console.print("Largest differences from the reference, relative to its largest value.")
    failed = [row for row in report.ops if not row.passed]
    if failed:
        names = ", ".join(f"{row.op} on {row.device}" for row in failed)
        raise UserError(
            f"Self-test failed for {names}; please report this with the tables above. "
            "Until it is mended, MORPHOSCOPE_BACKEND=reference computes rightly."
        )


def _machine(report: "Report") -> Table:
    table = Table.grid(padding=(0, 2))
    for name, value in report.facts:
        table.add_row(name, value)
    for device in report.devices:
        table.add_row()
        table.add_row(device.device, f"{device.path}: {device.detail}")
        for line in (device.remedy, device.file):
            if line:
                table.add_row("", str(line))
    return table


def _operations(report: "Report") -> Table:
    table = Table("operation", "device", "native kernels", "difference", "of gradients")
    for row in report.ops:
        table.add_row(
            row.op,
            row.device,
            row.error or ", ".join(row.kernels) or "none, torch runs",
            _shown(row.difference),
            "" if row.gradient_difference is None else _shown(row.gradient_difference),
        )
    return table


def _shown(difference: float) -> str:
    return f"{difference:.0e}" if difference else "0"
