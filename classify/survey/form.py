"""A survey as one HTML file that works offline and gives no answer away."""

import base64
import hashlib
import io
from dataclasses import dataclass
from importlib import resources

import jinja2
import numpy as np
from markupsafe import Markup
from PIL import Image

from morphoscope.configs.survey import SurveyBuilding

# What a form's CSV has, one row a question.
ANSWER_COLUMNS = [
    "set",
    "survey",
    "participant",
    "specialty",
    "years",
    "saved",
    "position",
    "view",
    "answer",
    "confidence",
]
_JPEG_QUALITY = 92


@dataclass(frozen=True)
class FormText:
    """What all forms of a set share.

    Attributes:
        name: the set's.
        conditions, specialties: what participants choose from, in this order.
        config: title, contact, whether to ask for confidence.
        phantom: whether the pictures show no patient.
    """

    name: str
    conditions: list[str]
    specialties: list[str]
    config: SurveyBuilding
    phantom: bool


def encode_image(pixels: np.ndarray, longest_side: int) -> bytes:
    """uint8 [H, W, 3] RGB as a JPEG file of its pixels alone, at most `longest_side` pixels wide and high."""
    image = Image.fromarray(pixels)
    image.thumbnail((longest_side, longest_side), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=_JPEG_QUALITY)
    return file.getvalue()


def render_form(text: FormText, survey: int, questions: list[tuple[str, bytes]]) -> str:
    """The HTML of one survey.

    A Content-Security-Policy forbids it every request; scripts and styles are admitted by their digests.

    Args:
        survey: its number.
        questions: view and JPEG of each, in order.
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
        script=Markup(script),  # our own files, not a user's text
        style=Markup(style),
        script_digest=_digest(script),
        style_digest=_digest(style),
    )


def _template(name: str) -> str:
    return (resources.files("morphoscope.classify.survey") / "templates" / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
