"""Reports: one HTML file that carries its pictures and needs no network."""

import base64
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

import jinja2

from morphoscope.ops.runtime import write_text


@dataclass(frozen=True)
class Figure:
    """A PNG or SVG file and what it shows."""

    image: Path
    caption: str

    @property
    def data_uri(self) -> str:
        """The picture itself, for the `src` of an <img>."""
        kind = "svg+xml" if self.image.suffix == ".svg" else "png"
        return f"data:image/{kind};base64," + base64.b64encode(self.image.read_bytes()).decode()


@dataclass(frozen=True)
class Section:
    """A heading, a few sentences, a table of (name, value) rows, and figures."""

    title: str
    text: str = ""
    facts: list[tuple[str, str]] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)


def write_report(path: Path, title: str, lead: str, notice: str, sections: list[Section]) -> None:
    """Write a report; `notice` stands in a box at the top (what the pictures are, and are not)."""
    source = (resources.files("morphoscope.ops.runtime") / "templates" / "report.html").read_text(
        encoding="utf-8"
    )
    template = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(source)
    write_text(path, template.render(title=title, lead=lead, notice=notice, sections=sections))
