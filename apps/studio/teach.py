"""What the Teach tab makes: sheets, strips, triangles, films and handouts, as files that are all marked."""

import base64
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
from PIL import Image

from morphoscope.apps.morphing import Workbench
from morphoscope.apps.studio.answers import file_part
from morphoscope.apps.studio.learn import PSI, Learn
from morphoscope.apps.studio.pages import PAPER, SLIDE, draw_page, encode_pdf
from morphoscope.apps.studio.requests import MAX_SEED, chosen_of, label_of, number, short_text, whole_number
from morphoscope.apps.texts import text
from morphoscope.cohort import Provenance
from morphoscope.cohort.conditions import full_name, long_name
from morphoscope.cohort.marked_files import encode_synthetic_png, media_type
from morphoscope.configs.morphs import GridDrawing, Morphing, TriangleDrawing
from morphoscope.generate.end_sheets import EndSheet, grid_sheet, triangle_sheet
from morphoscope.generate.latents import End
from morphoscope.generate.latents.parsing import WrittenEnd
from morphoscope.generate.morph_files import write_morph
from morphoscope.generate.sheets import Strip, draw_sheet

PAGES, FILMS = ("png", "slide", "pdf"), ("mp4", "gif")
KINDS: dict[str, tuple[str, ...]] = {
    "sheet": PAGES,
    "strip": PAGES,
    "triangle": PAGES,
    "film": FILMS,
    "handout": PAGES,
}
"""What can be made, and in which formats; the first is the usual one."""
MOST = 12
"""Images of a condition, in a row of a strip, and questions of a handout."""
_MOST_FRAMES, _FPS = 60, 12
_SIDE = 5  # images along a side of a triangle
_LONGEST_TITLE = 100

Values = Mapping[str, Any]


class FileAnswer(TypedDict):
    """A file: its name, media type, content as a `data:` address, and what it shows."""

    name: str
    media: str
    data: str
    alt: str


class MaterialAnswer(TypedDict):
    """Teaching material; `previews` are its pages as pictures where the files cannot be shown in a page."""

    files: list[FileAnswer]
    previews: list[FileAnswer]


@dataclass(frozen=True)
class _Page:
    """A sheet before it is laid out: its strips, what it is called, and what stands below it."""

    strips: Sequence[Strip]
    name: str
    title: str
    note: str = ""
    one_row: bool = False


class Teach:
    """The tab's answers; methods raise UserError for unusable values."""

    def __init__(self, workbench: Workbench, learn: Learn) -> None:
        self.workbench, self.learn, self.model = workbench, learn, workbench.generator
        self._drawn: dict[str, Callable[[Values], tuple[list[_Page], Provenance]]] = {
            "sheet": self._sheet,
            "strip": self._strip,
            "triangle": self._triangle,
            "handout": self._handout,
        }

    def material(self, values: Values) -> MaterialAnswer:
        """Files of a `kind` in a `format`.

        Args:
            values: kind, format, title; a, b, c: conditions or mixtures, where "" as a is all conditions of a
                sheet; seed, psi; count: images of each condition or row, frames, or questions; rows: seeds of
                a strip; captions: whether images have one.
        """
        kind = chosen_of("kind", values.get("kind"), list(KINDS))
        format_ = chosen_of("format", values.get("format"), KINDS[kind])
        if kind == "film":
            return self._film(values, format_)
        pages, provenance = self._drawn[kind](values)
        return _as_files(pages, provenance, format_)

    def _sheet(self, values: Values) -> tuple[list[_Page], Provenance]:
        """Samples with consecutive seeds, one strip per condition."""
        count, seed, psi = _count(values, MOST), _seed(values), _psi(values)
        chosen = values.get("a") or ""
        names = [chosen] if chosen else self.model.conditions
        seeds = list(range(seed, seed + count))
        strips = []
        for name in names:
            label = label_of(name, self.model)
            with self.workbench.turn:
                images = self.model.mixtures([label] * count, seeds, psi)
            captions = [text("teach.seed", seed=each) for each in seeds] if _captions(values) else []
            strips.append(Strip(name, images, full_name(name, self.model.descriptions), captions))
        title = _title(values) or text("teach.title_sheet", names=", ".join(names))
        return [_Page(strips, "sheet", title)], self.model.provenance(psi=psi)

    def _strip(self, values: Values) -> tuple[list[_Page], Provenance]:
        """A morph from a to b, one row per seed."""
        a, b = (self._end(values, name) for name in "ab")
        settings = GridDrawing(
            steps=_count(values, MOST), count=_whole("rows", values, 4), seed=_seed(values), psi=_psi(values)
        )
        with self.workbench.turn:
            sheet = grid_sheet(self.model, a, b, settings)
        note = text("teach.note_morph")
        title = _title(values) or text("teach.title_strip", a=self._long(a), b=self._long(b))
        return [_Page(_captioned(sheet, values), "strip", title, note, one_row=True)], sheet.provenance

    def _triangle(self, values: Values) -> tuple[list[_Page], Provenance]:
        """Mixtures of three conditions with one seed."""
        corners = [self._end(values, name) for name in "abc"]
        settings = TriangleDrawing(side=_SIDE, seed=_seed(values), psi=_psi(values))
        with self.workbench.turn:
            sheet = triangle_sheet(self.model, corners, settings)
        title = _title(values) or text("teach.title_triangle", names=", ".join(corners))
        page = _Page(_captioned(sheet, values), "triangle", title, text("teach.note_morph"), one_row=True)
        return [page], sheet.provenance

    def _handout(self, values: Values) -> tuple[list[_Page], Provenance]:
        """The questions of a quiz of the Learn tab on one page, the answers on another."""
        count, quiz = _count(values, MOST), _seed(values)
        asked = [self.learn.asked(quiz, each) for each in range(1, count + 1)]
        images = np.stack([image for image, _ in asked])
        names = self.learn.options
        blanks = [f"{each}: ____________" for each in range(1, count + 1)]
        answers = [f"{each}: {name}" for each, (_, name) in enumerate(asked, 1)]
        title = _title(values) or text("teach.title_handout")
        known = [long_name(name, self.model.descriptions) for name in names]
        note = text("teach.note_questions", names="; ".join(known))
        key = text("teach.note_answers", quiz=quiz)
        pages = [
            _Page([Strip("", images, captions=blanks)], "questions", title, note),
            _Page([Strip("", images, captions=answers)], "answers", text("teach.answers", title=title), key),
        ]
        return pages, self.model.provenance(psi=PSI)

    def _film(self, values: Values, format_: str) -> MaterialAnswer:
        """A morph as a film, whose files exist in a temporary folder until they are read."""
        a, b = (self._end(values, name) for name in "ab")
        seed, film = _seed(values), "mp4" if format_ == "mp4" else "gif"
        steps = max(2, _count(values, _MOST_FRAMES))
        settings = Morphing(steps=steps, film=film, fps=_FPS, seed=seed, psi=_psi(values))
        ends = [
            WrittenEnd(each, End(seed, label_of(each, self.model)), names_source=False) for each in (a, b)
        ]
        with tempfile.TemporaryDirectory(prefix="morphoscope-") as folder:
            write_morph(self.model, Path(folder), ends, settings)
            data = (Path(folder) / f"morph.{format_}").read_bytes()
        name = f"synthetic-{file_part(a)}-to-{file_part(b)}.{format_}"
        return MaterialAnswer(files=[_file(name, data, text("teach.title_strip", a=a, b=b))], previews=[])

    def _end(self, values: Values, name: str) -> str:
        """An end as text: a condition or a mixture, never anything that names a file."""
        label_of(values.get(name), self.model)
        return str(values[name]).strip()

    def _long(self, name: str) -> str:
        return long_name(name, self.model.descriptions)


def _as_files(pages: Sequence[_Page], provenance: Provenance, format_: str) -> MaterialAnswer:
    if format_ == "png":
        sheets = [
            draw_sheet(page.strips, f"{page.title}. {provenance.sheet_caption}", page.one_row)
            for page in pages
        ]
        return MaterialAnswer(files=_pictures(pages, sheets, provenance), previews=[])
    layout = SLIDE if format_ == "slide" else PAPER
    drawn = [
        draw_page(
            draw_sheet(page.strips, "", page.one_row, layout.aspect),
            layout,
            page.title,
            f"{page.note} {provenance.sheet_caption}.".strip(),
            provenance,
        )
        for page in pages
    ]
    pictures = _pictures(pages, drawn, provenance)
    if format_ == "slide":
        return MaterialAnswer(files=pictures, previews=[])
    data = encode_pdf(drawn, layout, pages[0].title, provenance)
    name = f"synthetic-{'handout' if len(pages) > 1 else pages[0].name}.pdf"
    return MaterialAnswer(files=[_file(name, data, pages[0].title)], previews=pictures)


def _pictures(
    pages: Sequence[_Page], drawn: Sequence[Image.Image], provenance: Provenance
) -> list[FileAnswer]:
    return [
        _file(f"synthetic-{page.name}.png", encode_synthetic_png(picture, provenance), page.title)
        for page, picture in zip(pages, drawn, strict=True)
    ]


def _file(name: str, data: bytes, alt: str) -> FileAnswer:
    media = media_type(data) or "application/pdf"
    encoded = base64.b64encode(data).decode()
    return FileAnswer(name=name, media=media, data=f"data:{media};base64,{encoded}", alt=alt)


def _captioned(sheet: EndSheet, values: Values) -> Sequence[Strip]:
    return sheet.strips if _captions(values) else [strip._replace(captions=()) for strip in sheet.strips]


def _title(values: Values) -> str:
    return short_text("title", values.get("title", ""), _LONGEST_TITLE)


def _captions(values: Values) -> bool:
    return values.get("captions", True) is True


def _count(values: Values, most: int) -> int:
    return _whole("count", values, most)


def _whole(name: str, values: Values, most: int) -> int:
    return max(1, whole_number(name, values.get(name), most))


def _seed(values: Values) -> int:
    """Of the first image; further ones follow it."""
    return whole_number("seed", values.get("seed"), MAX_SEED - MOST)


def _psi(values: Values) -> float:
    return number("psi", values.get("psi"), 1)
