"""A survey as one HTML file that works offline and does not contain the correct answers."""

import base64
import hashlib
import io
from dataclasses import dataclass
from importlib import resources
from typing import NamedTuple

import jinja2
import numpy as np
from markupsafe import Markup
from PIL import Image

from morphoscope.configs.survey import SurveyBuilding


class AnswerRow(NamedTuple):
    """A row of the CSV that a form saves, one per question; all cells are text.

    Attributes:
        set, survey: name of the set of surveys, and number of the survey in it.
        participant, specialty, years: the participant's code, specialty and years in practice, or "".
        saved: when the file was saved, ISO 8601.
        position, view: number of the question, and view of its image.
        answer: the condition chosen, or "".
        confidence: "1" (a guess) to "5" (certain), or "".
    """

    set: str
    survey: str
    participant: str
    specialty: str
    years: str
    saved: str
    position: str
    view: str
    answer: str
    confidence: str


ANSWER_COLUMNS = list(AnswerRow._fields)
_JPEG_QUALITY = 92


@dataclass(frozen=True)
class FormText:
    """The text that all forms of a set share.

    Attributes:
        name: of the set.
        conditions, specialties: the options that participants choose from, in this order.
        config: title, contact, and whether the form has a question about confidence.
        phantom: whether the images are phantoms, which show no patient.
    """

    name: str
    conditions: list[str]
    specialties: list[str]
    config: SurveyBuilding
    phantom: bool


def encode_image(pixels: np.ndarray, longest_side: int) -> bytes:
    """Encode uint8 [H, W, 3] RGB as a JPEG without metadata, at most `longest_side` pixels wide and high."""
    image = Image.fromarray(pixels)
    image.thumbnail((longest_side, longest_side), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=_JPEG_QUALITY)
    return file.getvalue()


def render_form(text: FormText, survey: int, questions: list[tuple[str, bytes]]) -> str:
    """Render the HTML of one survey.

    Its Content-Security-Policy forbids all requests, and allows only its own script and style, by digest.

    Args:
        text: the text that all forms share.
        survey: number of the survey.
        questions: view and JPEG of each question, in order.
    """
    script, style = _template("form.js"), _template("form.css")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(_template("form.html")).render(
        text=text,
        survey=survey,
        columns=ANSWER_COLUMNS,
        views=list(dict.fromkeys(view for view, _ in questions)),
        questions=[
            {"position": position, "view": view, "image": base64.b64encode(image).decode()}
            for position, (view, image) in enumerate(questions, start=1)
        ],
        script=Markup(script),  # our own files, not text from a user
        style=Markup(style),
        script_digest=_digest(script),
        style_digest=_digest(style),
    )


def _template(name: str) -> str:
    return (resources.files("morphoscope.classify.survey") / "templates" / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
