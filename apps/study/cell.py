"""A cell of a study: one piece of work, named by the digest of everything that determines its result."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from morphoscope.configs import UserError
from morphoscope.configs.user_files import read_regular
from morphoscope.runtime import write_text
from morphoscope.runtime.version import version

Kind = Literal["cohort", "generator", "images", "candidate", "choice", "chosen", "classifier", "reverse"]
FINISHED = "cell.json"
"""Written into a cell's folder when it is finished: what it did, and the values that it measured."""

_MOST_BYTES = 16 * 2**20


@dataclass(frozen=True)
class Cell:
    """One piece of work.

    Attributes:
        kind: what it makes: cohort, the images of an outer fold; generator; images, synthetic ones;
            classifier, trained and evaluated; candidate, trained but not tested; choice, among candidates;
            chosen, that candidate evaluated; or reverse, a classifier of real images evaluated on synthetic
            ones.
        settings: JSON values that determine it, beside `needs`.
        needs: cells whose results it uses, by what they are to it.
    """

    kind: Kind
    settings: dict[str, Any]
    needs: dict[str, "Cell"]

    @property
    def name(self) -> str:
        """E.g. "classifier-0123456789abcdef"; the program's version is part of the digest."""
        facts = [version(), self.settings, {role: cell.name for role, cell in self.needs.items()}]
        digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
        return f"{self.kind}-{digest}"

    def as_json(self) -> dict[str, Any]:
        """What `read_cells` reads."""
        needs = {role: cell.name for role, cell in self.needs.items()}
        return {"kind": self.kind, "settings": self.settings, "needs": needs}


class Store:
    """The folder in which finished cells are kept, for all studies."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)

    def folder(self, cell: Cell) -> Path:
        """Where a cell writes."""
        return self.path / cell.kind / cell.name

    def is_finished(self, cell: Cell) -> bool:
        """Whether its result is there."""
        return (self.folder(cell) / FINISHED).is_file()

    def finish(self, cell: Cell, values: dict[str, Any]) -> None:
        """Record that a cell is finished, and what it measured."""
        content = {**cell.as_json(), "name": cell.name, "values": values}
        write_text(self.folder(cell) / FINISHED, json.dumps(content, indent=1) + "\n")

    def values(self, cell: Cell) -> dict[str, Any]:
        """What a finished cell measured.

        Raises:
            UserError: it is not finished, or its record is damaged.
        """
        path = self.folder(cell) / FINISHED
        content = read_json(path)
        if content.get("name") != cell.name:
            raise UserError(f"{path}: not the record of the cell {cell.name}; delete its folder.")
        return dict(content["values"])


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file; UserError if there is none."""
    try:
        return dict(json.loads(read_regular(path, _MOST_BYTES)))
    except (ValueError, TypeError, RecursionError) as error:
        raise UserError(f"{path}: damaged ({error}); delete it, and run the command again.") from error


def read_cells(recorded: dict[str, Any]) -> dict[str, Cell]:
    """{name: cell} from {name: `Cell.as_json`}, in which a cell stands after those that it needs."""
    cells: dict[str, Cell] = {}
    for name, facts in recorded.items():
        needs = {role: cells[needed] for role, needed in facts["needs"].items()}
        cells[name] = Cell(facts["kind"], facts["settings"], needs)
    return cells
