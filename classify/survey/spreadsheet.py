"""CSV files that are safe to open in a spreadsheet: no cell is run as a formula."""

from pathlib import Path

import pandas as pd

from morphoscope.cohort.csv_tables import read_table
from morphoscope.cohort.reading import read_bytes
from morphoscope.configs import UserError
from morphoscope.runtime import write_atomically

# The mark of text, and the first characters that it protects: a spreadsheet runs such cells as formulas.
_MARK, _MARKED = "'", ("=", "+", "-", "@", "\t", "\r", "\n", "'")


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Write a table; text that a spreadsheet would run gets a ' in front. Numbers stay as they are."""
    marked = table.rename(columns=_marked).map(_marked)
    with write_atomically(path) as temporary:
        marked.to_csv(temporary, index=False, float_format="%.6g", lineterminator="\n")


def read_csv(path: Path, max_bytes: int) -> pd.DataFrame:
    """Read a table written by `write_csv` or saved by a form: every cell is a string, without its mark.

    Raises:
        UserError: the file is missing, larger than `max_bytes`, or not a UTF-8 CSV with a header line.
    """
    try:
        size = path.stat().st_size
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}).") from error
    if size > max_bytes:
        raise UserError(f"{path}: {size} bytes, but at most {max_bytes} are accepted.")
    table = read_table(read_bytes(path, str(path)), str(path))
    return table.rename(columns=_unmarked).map(_unmarked)


def _marked(cell: object) -> object:
    return _MARK + cell if isinstance(cell, str) and cell.startswith(_MARKED) else cell


def _unmarked(cell: str) -> str:
    return cell[1:] if cell.startswith(_MARK) and cell[1:].startswith(_MARKED) else cell
