"""Tables of images as importers read them: the CSV itself, its columns, patients and ages."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from morphoscope.cohort.conditions import CONDITIONS
from morphoscope.cohort.csv_tables import MAX_TABLE_BYTES, read_table
from morphoscope.cohort.manifest import COLUMNS
from morphoscope.cohort.names import UNKNOWN_PATIENT, known_names, name_key
from morphoscope.cohort.provenance import SYNTHETIC_COLUMNS
from morphoscope.cohort.storage import Store, open_store
from morphoscope.configs import UserError, arguments, first_names

log = logging.getLogger(__name__)


def open_table(source: Path, images: Path | None) -> tuple[pd.DataFrame, Store, str]:
    """Open a CSV file and the images that it lists.

    Args:
        source: a CSV file, or a folder or zip with exactly one CSV in it.
        images: folder or zip of the images; default: the folder or zip that holds the CSV.

    Returns:
        (table with every cell a string, store of the images, name of the CSV file).

    Raises:
        UserError: no CSV or several, one that cannot be read, or one without rows.
    """
    source = arguments.path("source", source, "the path of a table, or of a folder or zip with one")
    if source.suffix.lower() == ".csv":
        store, name = open_store(source.parent), source.name
    else:
        store = open_store(source)
        tables = [entry for entry in store.names() if entry.lower().endswith(".csv") and entry != CONDITIONS]
        if len(tables) != 1:
            found = f"there are {', '.join(tables)}; give the path of one" if tables else "there is none"
            raise UserError(f"{source}: one CSV file is expected, {found}.")
        name = tables[0]
    table = read_table(store.read(name, MAX_TABLE_BYTES), f"{store.location}/{name}")
    if table.empty:
        raise UserError(f"{store.location}/{name}: no rows below the header.")
    blank = [column for column in table.columns if column.startswith("Unnamed: ") and not table[column].any()]
    table = table.drop(columns=blank)  # spreadsheets leave columns without name and content
    return table, open_store(images) if images is not None else store, name


def find_column(table: pd.DataFrame, candidates: Sequence[str], name: str, option: str = "") -> str:
    """The first of `candidates` that is a column of `table`, in whatever case.

    Args:
        name: of the table, for the error message.
        option: of `cohort import` that names another column, for the error message.

    Raises:
        UserError: there is no such column, or only several that differ in case.
    """
    for candidate in candidates:
        if (column := optional_column(table, candidate, name)) is not None:
            return column
    hint = f" Name the column with {option}." if option else ""
    raise UserError(
        f"{name}: no column {' or '.join(candidates)}; there are {', '.join(table.columns)}.{hint}"
    )


def optional_column(table: pd.DataFrame, wanted: str, name: str) -> str | None:
    """The column `wanted`, or else the one in another case; None if there is none.

    Raises:
        UserError: there are several in other cases.
    """
    if wanted in table.columns:
        return wanted
    alike = [str(column) for column in table.columns if name_key(column) == name_key(wanted)]
    if len(alike) > 1:
        raise UserError(f"{name}: {' and '.join(alike)} could be the column {wanted}; rename one of them.")
    return alike[0] if alike else None


def keep_other_columns(
    rows: pd.DataFrame, table: pd.DataFrame, reserved: Sequence[str] = SYNTHETIC_COLUMNS
) -> pd.DataFrame:
    """Add the columns of `table` to `rows`; a name that the manifest reserves gets the prefix "original_".

    Args:
        reserved: columns of synthetic rows that may not come from the table.
    """
    taken = {*COLUMNS, *reserved, "mask"}
    renamed = {column: f"original_{column}" for column in table.columns if column in taken}
    return pd.concat([rows, table.rename(columns=renamed)], axis=1)


def with_age(rows: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Add the column `age` (years) to manifest rows, "" where it is not a number of 0 or more.

    Its source is the column `age` of `table` in another case (`Age`), or else ISIC's approximate age. Without
    any of these, or where `table` has the very column `age`, the rows stay as they are.
    """
    by_lower = {str(column).lower(): column for column in table.columns}
    source = next((name for name in ("age", "age_approx", "age_approximate") if name in by_lower), None)
    if source is None or "age" in table.columns:
        return rows
    given = table[by_lower[source]]
    return rows.assign(age=given.where(pd.to_numeric(given, errors="coerce") >= 0, ""))


def patients(table: pd.DataFrame, name: str) -> pd.Series:
    """The patient of each row from `patient_id` and `lesion_id`; "" where both are unknown.

    Rows that share a patient or a lesion are of one patient, also through other rows. The name is the first
    of the patient ids, or else of the lesion ids. Patient ids that share a lesion are reported in a warning.

    Args:
        name: of the table, for messages.
    """
    unknown = pd.Series("", index=table.index)
    columns = [optional_column(table, wanted, name) for wanted in ("patient_id", "lesion_id")]
    patient, lesion = (
        unknown if column is None else known_names(table[column], UNKNOWN_PATIENT) for column in columns
    )
    joined = _joined(patient, lesion)
    patients_of: dict[int, set[str]] = {number: set() for number in joined}
    lesions_of: dict[int, set[str]] = {number: set() for number in joined}
    for number, of_patient, of_lesion in zip(joined, patient, lesion, strict=True):
        patients_of[number].add(of_patient)
        lesions_of[number].add(of_lesion)
    taken = set(patient)
    names = {}
    for number in patients_of:
        known, lesions = (sorted(found[number] - {""}) for found in (patients_of, lesions_of))
        if len(known) > 1:
            log.warning("%s: the patients %s share a lesion and count as one.", name, first_names(known))
        names[number] = (known + [f"lesion {one}" if one in taken else one for one in lesions] + [""])[0]
    return pd.Series([names[number] for number in joined], index=table.index)


def _joined(patient: pd.Series, lesion: pd.Series) -> list[int]:
    """The number of each row's component: rows with the same known patient or the same known lesion."""
    from scipy.sparse import coo_array  # only here: the other commands of a cohort start without SciPy
    from scipy.sparse.csgraph import connected_components

    rows = np.arange(len(patient))
    nodes = [
        pd.factorize(names.where(names != "", [f"\n{row}" for row in rows]))[0] for names in (patient, lesion)
    ]
    lesions = nodes[1] + len(rows)
    graph = coo_array((np.ones(len(rows)), (nodes[0], lesions)), shape=(2 * len(rows), 2 * len(rows)))
    components: list[int] = connected_components(graph, directed=False)[1][nodes[0]].tolist()
    return components
