"""Tables are read exactly, or refused with the line: no cell may end up in another column or row."""

import csv
from io import StringIO

import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from morphoscope.cohort.csv_tables import read_table, table_text
from morphoscope.configs import UserError


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_separators_line_ends_and_byte_order_mark(separator: str, line_end: str, mark: str) -> None:
    lines = ["file,label,note", 'a.png, nv ,"x, y"', "b.png,,NA"]
    text = mark + line_end.join(lines).replace(",", separator) + line_end
    table = read_table(text.encode(), "t.csv")
    assert table.columns.tolist() == ["file", "label", "note"]
    assert table.to_numpy().tolist() == [["a.png", "nv", f"x{separator} y"], ["b.png", "", "NA"]]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_the_line_in_which_excel_states_the_separator(separator: str) -> None:
    text = f"sep={separator}\r\nfile;a,b{separator}label\r\na.png{separator}nv\r\n"
    if separator == ";":
        text = text.replace("file;a,b", "file")
    elif separator == ",":
        text = text.replace("file;a,b", "file;a")
    table = read_table(text.encode(), "t.csv")
    assert table.iloc[0].tolist() == ["a.png", "nv"]
    with pytest.raises(UserError, match="line 4 has 1"):
        read_table(f"{text}b.png\r\n".encode(), "t.csv")


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        ("a.png,nv,1,x\nb.png,mel,2\n", "line 2 has 4"),
        ("a.png,nv,1\nb.png,mel\n", "line 3 has 2"),
        ("a.png,nv,1\n\nb.png,mel\n", "line 4 has 2"),
        ('a.png,nv,"1\n2"\nb.png,mel\n', "line 4 has 2"),
        ("a.png,nv,1,\nb.png,mel,2,\n", "line 2 has 4, line 3 has 4"),
    ],
)
def test_rows_with_more_or_fewer_fields_than_the_header(body: str, lines: str) -> None:
    with pytest.raises(UserError, match=rf"t\.csv: .*{lines}"):
        read_table(f"file,label,age\n{body}".encode(), "t.csv")


@pytest.mark.parametrize("text", ["file,label,label\na,b,c\n", "file, label,label \na,b,c\n"])
def test_a_column_that_stands_twice(text: str) -> None:
    with pytest.raises(UserError, match="'label' is the name of more than one column"):
        read_table(text.encode(), "t.csv")


@pytest.mark.parametrize("blank", ["", ",,", " , ,", ",,,,,", '"",""'])
def test_blank_rows_are_ignored(blank: str) -> None:
    table = read_table(f"file,label,age\na,b,c\n{blank}\n{blank}\n".encode(), "t.csv")
    assert table.to_numpy().tolist() == [["a", "b", "c"]]


@pytest.mark.parametrize("text", ['file,label\n"a,b\nc,d\n', 'file,label\na,"b"x\n'])
def test_quotation_marks_that_do_not_match(text: str) -> None:
    with pytest.raises(UserError, match="line 2: not valid CSV"):
        read_table(text.encode(), "t.csv")


def test_a_quotation_mark_that_takes_in_the_rest_of_a_long_table() -> None:
    with pytest.raises(UserError, match="line 1: not valid CSV"):
        read_table(b'file,"label\n' + b"a.png,nv\n" * 20_000, "t.csv")


@pytest.mark.parametrize("data", [b"", b"\n\n", b" \n"])
def test_no_header(data: bytes) -> None:
    with pytest.raises(UserError, match=r"t\.csv: empty"):
        read_table(data, "t.csv")


def test_the_line_that_is_not_utf8_is_named() -> None:
    with pytest.raises(UserError, match=r"t\.csv: line 3: not a UTF-8 CSV"):
        read_table("file,label\na,b\nc,café\n".encode("latin-1"), "t.csv")


def test_a_blank_before_a_quotation_mark_is_none_of_the_value() -> None:
    assert read_table(b'file, "label"\na.png, "n,v"\n', "t.csv").loc[0].tolist() == ["a.png", "n,v"]


def test_an_index_column_without_a_name_keeps_its_place() -> None:
    table = read_table(b",file,label\n0,a.png,nv\n", "t.csv")
    assert table.loc[0].to_dict() == {"Unnamed: 0": "0", "file": "a.png", "label": "nv"}


CELL = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], list[list[str]]]:
    width = draw(st.integers(2, 5))
    header = draw(
        st.lists(CELL.filter(str.strip), min_size=width, max_size=width, unique_by=lambda name: name.strip())
    )
    return header, draw(st.lists(st.lists(CELL, min_size=width, max_size=width), max_size=6))


def written(header: list[str], rows: list[list[str]], separator: str) -> bytes:
    text = StringIO(newline="")
    csv.writer(text, delimiter=separator, quoting=csv.QUOTE_ALL).writerows([header, *rows])
    return text.getvalue().encode("utf-8-sig")


def test_a_quoted_comma_in_the_header_is_no_separator() -> None:
    assert read_table(b'0;","\n1;2\n', "t.csv").columns.tolist() == ["0", ","]


@given(tables(), st.sampled_from(",;\t"))
def test_every_cell_is_where_it_was_written(
    content: tuple[list[str], list[list[str]]], separator: str
) -> None:
    header, rows = content
    table = read_table(written(header, rows, separator), "t.csv")
    stripped = [[cell.strip() for cell in row] for row in rows]
    assert table.columns.tolist() == [name.strip() for name in header]
    assert table.to_numpy().tolist() == [row for row in stripped if any(row)]


@given(tables(), st.data())
def test_a_field_more_or_less_in_any_row_is_refused(
    content: tuple[list[str], list[list[str]]], data: st.DataObject
) -> None:
    header, rows = content
    assume(rows)
    row = rows[data.draw(st.integers(0, len(rows) - 1))]
    place = data.draw(st.integers(0, len(row) - 1))
    if data.draw(st.booleans()):
        row.insert(place, "x")
    else:
        del row[place]
    assume(any(cell.strip() for cell in row))
    with pytest.raises(UserError, match="fields of the header"):
        read_table(written(header, rows, ","), "t.csv")


CELLS = st.text(st.sampled_from("\r\n\",;\t'=a "), max_size=6).map(str.strip)


@given(st.lists(st.tuples(CELLS, CELLS), min_size=1), st.text('\r\n"=a', max_size=6).map(str.strip))
def test_any_text_that_is_written_is_read_back(rows: list[tuple[str, str]], header: str) -> None:
    """A lone carriage return was written without quotation marks, which broke its line."""
    rows = [(f"x{first}", second) for first, second in rows]  # rows without any content are not kept
    table = pd.DataFrame(rows, columns=["name", f"note{header}"], dtype=str)
    pd.testing.assert_frame_equal(read_table(table_text(table).encode(), "a.csv"), table)


def test_ordinary_text_is_written_without_quotation_marks() -> None:
    table = pd.DataFrame({"a": ["x", "y,z"], "b": [1.5, 2.0]})
    assert table_text(table) == 'a,b\nx,1.5\n"y,z",2.0\n'
    assert table_text(table, "%.3f") == 'a,b\nx,1.500\n"y,z",2.000\n'


def test_a_missing_text_is_an_empty_cell() -> None:
    table = pd.DataFrame({"a": ["x", None, "y"], "b": [1.5, float("nan"), 2.0]})
    assert table_text(table) == "a,b\nx,1.5\n,\ny,2.0\n"
