"""CSV files that are safe to open in a spreadsheet: no cell is run as a formula.

A spreadsheet runs a cell such as =HYPERLINK(…), and the text may come from a file's name, a participant's
answer or a column of a hospital's table. As OWASP advises, such text gets a ' in front, which spreadsheets
take for "this is text"; `read_csv` takes it off again. All tables of results are written here. A cohort's
manifest is not: other tools look up the files that it names, so that its text stays as it is, and
`name_checks` warns.
"""

import re
from pathlib import Path

import pandas as pd

from morphoscope.cohort.csv_tables import read_table, table_text
from morphoscope.configs.user_files import read_regular
from morphoscope.runtime import write_atomically

_MARK = "'"
# The last four are the full-width forms of the first four, which some spreadsheets take for the same.
_FIRST = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?%?", re.ASCII)


def is_formula(text: str) -> bool:
    """Whether a spreadsheet may run a cell with this text; a number or a lone sign is none."""
    return text.startswith(_FIRST) and len(text) > 1 and not _NUMBER.fullmatch(text)


def csv_text(table: pd.DataFrame, float_format: str = "%.6f") -> str:
    """A table as a CSV file's text; text that a spreadsheet would run gets a ' in front, numbers stay."""
    return table_text(table.rename(columns=_marked).map(_marked), float_format)


def write_csv(path: Path, table: pd.DataFrame, float_format: str = "%.6f") -> None:
    """Write a table, as `csv_text`, atomically.

    Raises:
        UserError: the folder cannot be written or the disk is full.
    """
    with write_atomically(path) as temporary:
        temporary.write_text(csv_text(table, float_format), encoding="utf-8", newline="")


def read_csv(path: Path, max_bytes: int) -> pd.DataFrame:
    """Read a table written by `write_csv` or saved by a form: every cell is a string, without its mark.

    Raises:
        UserError: the file is missing, larger than `max_bytes`, or not a UTF-8 CSV with a header line.
    """
    table = read_table(read_regular(path, max_bytes), str(path))
    return table.rename(columns=_unmarked).map(_unmarked)


def _marked(cell: object) -> object:
    is_text = isinstance(cell, str) and (is_formula(cell) or _is_marked(cell))
    return f"{_MARK}{cell}" if is_text else cell


def _unmarked(cell: str) -> str:
    return cell[1:] if _is_marked(cell) else cell


def _is_marked(cell: str) -> bool:
    """Whether the cell is a formula behind one ' or more."""
    text = cell.lstrip(_MARK)
    return text != cell and is_formula(text)
