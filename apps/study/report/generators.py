"""What the study's generators make, how far that is from real images, and whether they copy."""

from pathlib import Path
from typing import Any

from morphoscope.apps.study.cell import Store
from morphoscope.apps.study.cells.generators import PAIRS, SAMPLES
from morphoscope.apps.study.plan import StudyPlan
from morphoscope.runtime.reporting import Figure, Section, Table
from morphoscope.runtime.statistics import Estimate, format_estimate

_FEW_PATIENTS, _FEW_IMAGES = 50, 500
_MEASURES = [
    ("kid", "kernel distance (beside floor; floor)"),
    ("fd", "Fréchet distance (beside floor; floor)"),
]


def generator_sections(plan: StudyPlan, store: Store) -> list[Section]:
    """A section with a table of all finished generators and a sheet of the first one's images; or nothing."""
    cells = [cell for cell in plan.cells.values() if cell.kind == "generator" and store.is_finished(cell)]
    if not cells:
        return []
    values = [store.values(cell) for cell in cells]
    rows = [_row(cell.name, found) for cell, found in zip(cells, values, strict=True)]
    sheet = store.folder(cells[0]) / SAMPLES / "sheet.png"
    few = [one["real_patients"] < _FEW_PATIENTS or one["real_images"] < _FEW_IMAGES for one in values]
    alarms = []
    if any(few):
        alarms.append(
            f"{sum(few)} of {len(cells)} generators were trained on fewer than {_FEW_PATIENTS} patients or "
            f"{_FEW_IMAGES} images: distances between so few images are uncertain, and copies easy to miss."
        )
    pages = Path(*store.folder(cells[0]).parts[-2:]) / PAIRS
    text = (
        "Distances of 50 generated images per condition to the generator's training images; the floor is "
        "that of one half of these, by patient, from the other half, and beside it the same number of "
        "generated ones. Closer: probability that a generated image is closer to a training image than one "
        "of an unseen patient is; 0.5 is ideal, 1 a copy machine. The closest pairs of each generator's "
        f"images and its training images are in its folder in the store (e.g. {pages}): they show real "
        "images, and are no part of this page."
    )
    columns = ["generator", "patients", "images", *(title for _, title in _MEASURES)]
    columns += ["closer", "pull (p)"]
    figures = [Figure(sheet, "Generated images of the first generator, one row per condition, unselected.")]
    return [
        Section(
            "What the synthetic images look like",
            text,
            alarms=alarms,
            table=Table(columns, rows),
            figures=figures if sheet.is_file() else [],
        )
    ]


def _row(name: str, values: dict[str, Any]) -> list[str]:
    copying = values["copying"]
    copies = ["–", "–"]
    if copying is not None:
        copies = [
            format_estimate(Estimate(*copying["closer"]), 2),
            f"{copying['pull']:.3f} ({copying['pull_p_value']:.3f})",
        ]
    distances = [_distance(values["similarity"].get(key)) for key, _ in _MEASURES]
    return [name, str(values["real_patients"]), str(values["real_images"]), *distances, *copies]


def _distance(found: dict[str, float | None] | None) -> str:
    """E.g. "0.41 (0.43; 0.02)"."""
    names = ("value", "beside_floor", "floor")
    values = [None if found is None else found[name] for name in names]
    own, beside, floor = ("–" if value is None else f"{value:.3g}" for value in values)
    return f"{own} ({beside}; {floor})"
