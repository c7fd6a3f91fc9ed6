"""Reports: one HTML file that contains its figures and needs no network."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

import jinja2

from morphoscope.runtime.files import write_text


@dataclass(frozen=True)
class Figure:
    """An image and its caption; the image is a PNG or SVG file, the bytes of a JPEG, or SVG as text."""

    image: Path | bytes | str
    caption: str

    @property
    def data_uri(self) -> str:
        """The image as a `data:` address for the `src` of an <img>, where an SVG cannot run scripts."""
        if isinstance(self.image, Path):
            kind = "svg+xml" if self.image.suffix == ".svg" else "png"
            content = self.image.read_bytes()
        elif isinstance(self.image, bytes):
            kind, content = "jpeg", self.image
        else:
            kind, content = "svg+xml", self.image.encode()
        return f"data:image/{kind};base64," + base64.b64encode(content).decode()


@dataclass(frozen=True)
class Table:
    """Named columns and rows of cells; all columns but the first are numbers, aligned to the right."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Section:
    """A heading, followed by the parts that are given, in this order.

    Attributes:
        text: a few sentences.
        alarms: each in its own box.
        facts: rows of (name, value).
        figures: one below the other, or side by side as far as the page is wide enough if `side_by_side`.
        code: shown verbatim, e.g. a file.
    """

    title: str
    text: str = ""
    facts: list[tuple[str, str]] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)
    table: Table | None = None
    code: str = ""
    side_by_side: bool = False


def write_report(
    path: Path, title: str, lead: str, notice: str, sections: list[Section], wide: bool = False
) -> None:
    """Write a report.

    Args:
        lead: one sentence below the title.
        notice: in a box at the top, what the images are and are not.
        wide: use the width of a large screen, for figures side by side.

    Raises:
        UserError: the file cannot be written, or the disk is full.
    """
    source = (resources.files("morphoscope.runtime.reporting") / "templates" / "report.html").read_text(
        encoding="utf-8"
    )
    template = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(source)
    write_text(path, template.render(title=title, lead=lead, notice=notice, sections=sections, wide=wide))
