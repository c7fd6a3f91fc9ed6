"""What every cell may use: the study's inputs, the store, and the device."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from morphoscope.apps.study.cell import Cell, Store

COHORT, IMAGES, RUN = "cohort", "images", "run"
"""Subfolders of a cell's folder: a cohort, synthetic images, and the run folder of a training."""


@dataclass(frozen=True)
class Context:
    """Where cells read and write.

    Attributes:
        store: of the cells.
        cohort: the study's cohort on disk.
        start_from: snapshot that generators start from.
        device: auto, cpu, cuda or cuda:N; results may depend on it in the last digits, names of cells do not.
    """

    store: Store
    cohort: Path
    start_from: Path | None
    device: str

    def needed(self, cell: Cell, role: str, folder: str) -> Path:
        """A subfolder of a cell that this one needs."""
        return self.store.folder(cell.needs[role]) / folder

    def values(self, cell: Cell, role: str) -> dict[str, Any]:
        """What a cell that this one needs has measured."""
        return self.store.values(cell.needs[role])
