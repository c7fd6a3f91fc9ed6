"""`morphoscope doctor`."""

from rich.console import Console
from rich.table import Table

from morphoscope.configs import UserError


def doctor() -> None:
    """Show what runs where on this machine, and test it against the reference."""
    from morphoscope.ops import doctor as examine

    report = examine()
    console = Console()
    for name, value in report.facts:
        console.print(f"{name}: {value}", highlight=False)
    table = Table("operation", "device", "runs as", "largest difference from its reference")
    for row in report.ops:
        table.add_row(row.op, row.device, row.path, f"{row.difference:.1e}")
    console.print(table)
    wrong = [f"{row.op} on {row.device}" for row in report.ops if not row.difference < 1e-4]
    if wrong:
        raise UserError(f"Self-test failed for {', '.join(wrong)}; please report this with the table above.")
