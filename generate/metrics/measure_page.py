"""Metrics of generated images as a page, as a table for other programs, and as tables for the terminal."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from morphoscope.cohort.spreadsheet import write_csv
from morphoscope.generate.metrics.copying import CopyingReport, RealFeatures
from morphoscope.generate.metrics.copying_table import COLUMNS, EXPLANATION, copying_rows
from morphoscope.generate.metrics.measure import KINDS, Measure, Measured, number_text
from morphoscope.generate.metrics.selection import FEWEST_IMAGES, in_proportion
from morphoscope.runtime.reporting.report import Section, Table, write_report

ALL = "all conditions"
FLOOR = (
    "The floor is the value that real images reach: those of one half of the patients against those of the "
    "other half, in the mean of ten splits. The column beside it compares as many generated images with the "
    "same halves. Only these two columns may be compared with each other: most metrics depend on the numbers "
    "of images. Of perceptual diversity they show the mean distances of two real and of two generated images."
)
_INTERVALS = (
    "Intervals are 95% intervals, by patient: they cover what other patients and other seeds would give on "
    "average with the same numbers of images. They do not cover another training. Conditions with fewer than "
    "6 patients have none. Of many conditions, one that stands out by chance is to be expected."
)


_NOTICE = (
    "These metrics compare generated images with real ones in the eyes of a network. They do not say that a "
    "generated image shows its condition correctly, nor that it helps a classifier: only an evaluation on "
    "real images says that. Values from different networks, resolutions or numbers of images are not "
    "comparable."
)
_PHANTOM = "Generator and cohort are of phantoms, procedural drawings: the values say nothing about patients."


class Numbers(NamedTuple):
    """Of images and patients that a condition was measured with."""

    generated: int
    real: int
    patients: int


def numbers_of(reals: RealFeatures, generated: Mapping[str, np.ndarray]) -> dict[str, Numbers]:
    """Of each condition, and with the key "" of all conditions in the proportions of the real images."""
    found = {}
    for name, count in zip(*np.unique(reals.conditions, return_counts=True), strict=True):
        patients = len(set(reals.of_condition(name).groups))
        found[str(name)] = Numbers(len(generated[name]), int(count), patients)
    chosen = in_proportion(generated, {name: one.real for name, one in found.items()})
    total = sum(len(part) for part in chosen.values())
    return {"": Numbers(total, len(reals.groups), len(set(reals.groups))), **found}


def write_measure_page(
    path: Path,
    measures: Sequence[Measure],
    numbers: Mapping[str, Numbers],
    copying: CopyingReport | None,
    facts: list[tuple[str, str]],
    phantom: bool,
) -> None:
    """Write the page, atomically: a table per metric, the worst condition first.

    Args:
        numbers: as `numbers_of`.
        copying: tests for copies, if there are any.
        facts: rows of (name, value) at the top.
        phantom: whether generator and cohort are of phantoms only.

    Raises:
        UserError: the file cannot be written.
    """
    sections = [
        Section("What was measured", f"{_INTERVALS} {FLOOR}", facts=[*facts, *_number_facts(numbers)])
    ]
    sections += [
        Section(measure.title, KINDS[measure.key].meaning, table=Table(*measure_table(measure)))
        for measure in measures
    ]
    if copying is not None:
        sections.append(
            Section("Copies of training images", EXPLANATION, table=Table(COLUMNS, copying_rows(copying)))
        )
    write_report(
        path,
        title="Metrics of a generator",
        lead="Generated images compared with real ones, overall and by condition, the worst condition first.",
        notice=f"{_PHANTOM} {_NOTICE}" if phantom else _NOTICE,
        sections=sections,
    )


def measure_table(measure: Measure) -> tuple[list[str], list[list[str]]]:
    """Columns and rows: all conditions together, then each, the worst first."""
    kind = KINDS[measure.key]
    rows = [[ALL, *_cells(measure.overall, kind.digits)]]
    rows += [[name, *_cells(measure.by_condition[name], kind.digits)] for name in measure.worst_first()]
    best = "lowest is best" if kind.lowest_is_best else "highest is best"
    columns = ["condition", best, *kind.comparison]
    return columns, [row[: len(columns)] for row in rows]


def write_measure_table(path: Path, measures: Sequence[Measure], numbers: Mapping[str, Numbers]) -> None:
    """Write a CSV, atomically: a row per metric and condition, the worst first.

    Raises:
        UserError: the file cannot be written.
    """
    rows = []
    for measure in measures:
        found = {"": measure.overall, **{name: measure.by_condition[name] for name in measure.worst_first()}}
        for name, one in found.items():
            rows.append(
                {
                    "metric": measure.name,
                    "network": measure.network,
                    "condition": name,
                    **numbers[name]._asdict(),
                    **one.estimate._asdict(),
                    "beside_floor": one.beside_floor,
                    "floor": one.floor,
                }
            )
    write_csv(path, pd.DataFrame(rows))


def overall_table(measures: Sequence[Measure]) -> tuple[list[str], list[list[str]]]:
    """Columns and rows: a row per metric, of all conditions together."""
    rows = [[measure.title, *_cells(measure.overall, KINDS[measure.key].digits)] for measure in measures]
    return ["all conditions", "value (95% interval)", "beside the floor", "floor"], rows


def condition_table(measures: Sequence[Measure]) -> tuple[list[str], list[list[str]]]:
    """Columns and rows: a row per condition, those with the worst value of the first metric first."""
    rows = [
        [
            name,
            *(
                number_text(measure.by_condition[name].estimate.value, KINDS[measure.key].digits)
                for measure in measures
            ),
        ]
        for name in measures[0].worst_first()
    ]
    return ["", *(KINDS[measure.key].title for measure in measures)], rows


def _cells(one: Measured, digits: int) -> list[str]:
    return [one.text(digits), number_text(one.beside_floor, digits), number_text(one.floor, digits)]


def _number_facts(numbers: Mapping[str, Numbers]) -> list[tuple[str, str]]:
    return [(name or ALL, _number_text(one)) for name, one in numbers.items()]


def _number_text(one: Numbers) -> str:
    few = ": too few for values of their own" if one.real < FEWEST_IMAGES else ""
    return f"{one.generated} generated images; {one.real} real ones of {one.patients} patients{few}"
