"""CSV files read exactly: each row has the header's fields, or its line is named in an error."""

import csv
import re
from collections import Counter
from contextlib import suppress
from io import StringIO
from itertools import chain
from typing import Literal

import pandas as pd

from morphoscope.configs import UserError, first_names

_SEPARATOR_LINE = re.compile(r"sep=([,;\t])\r?\n", re.IGNORECASE)
MAX_TABLE_BYTES = 64 * 2**20  # of a table of images; 400,000 rows of 160 characters
_MAX_LINES, _MAX_CELLS = 1_000_000, 5_000_000  # which take about half a gigabyte
_HEADER_LENGTH = 100_000  # characters; below the longest field that the csv module takes


def read_table(data: bytes, name: str) -> pd.DataFrame:
    """Read a CSV (comma, semicolon or tab; UTF-8) with every cell a string; no value counts as missing.

    Blanks around a cell are removed. Rows without any content, as spreadsheets leave them, are ignored. So is
    Excel's first line "sep=;", which states the separator.

    Raises:
        UserError: not a UTF-8 CSV with a header line, rows with more or fewer fields than the header (all
            their lines are named), a column named twice, or more than a million lines or 5 million cells.
    """
    if data.count(b"\n") > _MAX_LINES:
        raise UserError(f"{name}: more than {_MAX_LINES} lines; divide the table.")
    text = _decoded(data, name)
    declared = _SEPARATOR_LINE.match(text)
    separator = declared[1] if declared else max(",;\t", key=lambda character: _separates(text, character))
    # A blank before a quotation mark does not make the mark part of the value.
    lines = StringIO(text, newline="")
    lines.seek(declared.end() if declared else 0)
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True)
    rows: list[tuple[int, list[str]]] = []
    count = 0
    first = line = 2 if declared else 1
    try:
        for fields in reader:
            cells = [field.strip() for field in fields]
            if any(cells):
                rows.append((line, cells))
                count += len(cells)
            if count > _MAX_CELLS:
                raise UserError(f"{name}: more than {_MAX_CELLS} cells; remove columns, or divide the table.")
            line = reader.line_num + first
    except csv.Error as error:
        raise UserError(
            f"{name}: line {line}: not valid CSV ({error}). Check the quotation marks."
        ) from error
    if not rows:
        raise UserError(f"{name}: empty; expected a UTF-8 CSV file with a header line.")
    header = [column or f"Unnamed: {number}" for number, column in enumerate(rows[0][1])]
    twice = [repr(column) for column, count in Counter(header).items() if count > 1]
    if twice:
        raise UserError(f"{name}: {', '.join(twice)} is the name of more than one column; rename one.")
    uneven = [f"line {line} has {len(cells)}" for line, cells in rows if len(cells) != len(header)]
    if uneven:
        raise UserError(
            f"{name}: {len(uneven)} row(s) do not have the {len(header)} fields of the header: "
            f"{first_names(uneven)}. A value that contains the separator {separator!r} needs quotation marks."
        )
    return pd.DataFrame([cells for _, cells in rows[1:]], columns=header, dtype=str)


def table_text(table: pd.DataFrame, float_format: str | None = None) -> str:
    """CSV that `read_table` reads back: comma, UTF-8, lines that end in a line feed.

    The csv module leaves a lone carriage return without quotation marks, although it ends a line for readers;
    where a cell has one, all text is quoted.
    """
    texts = (table[column] for column in table.columns if not pd.api.types.is_numeric_dtype(table[column]))
    cells = chain(map(str, table.columns), *(column.astype(str) for column in texts))
    broken = any(isinstance(cell, str) and "\r" in cell for cell in cells)
    quoting: Literal[0, 2] = csv.QUOTE_NONNUMERIC if broken else csv.QUOTE_MINIMAL
    return table.to_csv(index=False, float_format=float_format, lineterminator="\n", quoting=quoting)


def _separates(text: str, separator: str) -> tuple[int, bool]:
    """How well `separator` suits the first line: the number of fields, and whether without fault."""
    counts = []
    for strict in (True, False):
        start = StringIO(text[:_HEADER_LENGTH], newline="")
        reader = csv.reader(start, delimiter=separator, skipinitialspace=True, strict=strict)
        with suppress(csv.Error):
            counts.append(next((len(fields) for fields in reader if any(map(str.strip, fields))), 0))
    return counts[-1], len(counts) == 2


def _decoded(data: bytes, name: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{name}: line {line}: not a UTF-8 CSV file ({error.reason}). Save the table as CSV in UTF-8."
        ) from error
