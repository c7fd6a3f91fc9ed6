"""What the Teach tab makes, without a page."""

import base64
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from studio_models import Brightness, tiny_generator

from morphoscope.apps.morphing import Workbench
from morphoscope.apps.studio.learn import Learn
from morphoscope.apps.studio.pages import PAPER, SLIDE, draw_page
from morphoscope.apps.studio.teach import KINDS, Teach
from morphoscope.cohort import Provenance
from morphoscope.cohort.marked_files import file_provenance
from morphoscope.cohort.marking import mark_strip
from morphoscope.configs import UserError

CONDITIONS = ["dark", "pale", "red"]
VALUES: dict[str, Any] = {
    "kind": "sheet",
    "format": "png",
    "title": "",
    "a": "dark",
    "b": "pale",
    "c": "red",
    "seed": 3,
    "psi": 0.7,
    "count": 3,
    "rows": 2,
    "captions": True,
}


@pytest.fixture(scope="module")
def teach(tmp_path_factory: pytest.TempPathFactory) -> Teach:
    folder: Path = tmp_path_factory.mktemp("teach")
    bench = Workbench(tiny_generator(folder, CONDITIONS), Brightness())  # type: ignore[arg-type]
    return Teach(bench, Learn(bench, None))


def content(file: dict[str, str]) -> bytes:
    return base64.b64decode(file["data"].partition(",")[2])


def picture(file: Any) -> Image.Image:
    return Image.open(BytesIO(content(file)))


@pytest.mark.parametrize("kind", ["sheet", "strip", "triangle", "handout"])
@pytest.mark.parametrize(("format_", "size"), [("slide", SLIDE[:2]), ("png", None)])
def test_every_picture_is_marked(teach: Teach, kind: str, format_: str, size: tuple[int, int] | None) -> None:
    answer = teach.material({**VALUES, "kind": kind, "format": format_})
    assert len(answer["files"]) == (2 if kind == "handout" else 1) and answer["previews"] == []
    for file in answer["files"]:
        assert file["name"].startswith("synthetic-") and file["media"] == "image/png"
        origin = file_provenance(content(file))
        assert origin is not None and origin.generator == teach.model.digest
        assert size is None or picture(file).size == size


def test_page_has_the_printed_mark_at_its_foot() -> None:
    origin = Provenance(generator="ab", psi=0.7)
    for layout in (PAPER, SLIDE):
        page = draw_page(Image.new("RGB", (300, 200), "red"), layout, "Title", "Note", origin)
        strip = mark_strip(layout.width // 3, origin.summary)
        np.testing.assert_array_equal(np.asarray(page)[-len(strip) :, : strip.shape[1]], strip)
        red = (np.asarray(page) == (255, 0, 0)).all(axis=2)
        assert 0.3 < red.mean() < 0.9


class TestHandout:
    """Questions on one page, answers on another."""

    @pytest.fixture
    def values(self) -> dict[str, Any]:
        return {**VALUES, "kind": "handout", "count": 4}

    def test_pdf_has_two_pages_and_says_what_it_is(self, teach: Teach, values: dict[str, Any]) -> None:
        answer = teach.material({**values, "format": "pdf"})
        (file,) = answer["files"]
        data = content(file)
        assert file["name"] == "synthetic-handout.pdf" and file["media"] == "application/pdf"
        assert data.startswith(b"%PDF") and b"/Count 2" in data
        assert "Synthetic? yes".encode("utf-16-be") in data or b"Synthetic? yes" in data
        assert [one["name"] for one in answer["previews"]] == [
            "synthetic-questions.png",
            "synthetic-answers.png",
        ]
        assert picture(answer["previews"][0]).size == PAPER[:2]

    def test_questions_are_those_of_the_quiz(self, teach: Teach, values: dict[str, Any]) -> None:
        pages, origin = teach._handout(values)
        assert origin.label is None and origin.seed is None
        for number in range(1, 5):
            request = {"quiz": 3, "number": number, "count": 4, "level": 0, "source": "generated"}
            truth = teach.learn.reveal({**request, "answer": "dark"})["truth"]
            assert pages[0].strips[0].captions[number - 1].startswith(f"{number}: ____")
            assert pages[1].strips[0].captions[number - 1] == f"{number}: {truth}"
        assert "dark; pale; red" in pages[0].note and "quiz number 3" in pages[1].note


def test_sheet_is_of_all_conditions_or_of_one(teach: Teach) -> None:
    every, _ = teach._sheet({**VALUES, "a": ""})
    assert [strip.name for strip in every[0].strips] == CONDITIONS
    one, _ = teach._sheet({**VALUES, "captions": False})
    (strip,) = one[0].strips
    assert strip.captions == [] and strip.images.shape == (3, 16, 16, 3)
    np.testing.assert_array_equal(strip.images[1], teach.model.sample("dark", [4])[0])


def test_strip_has_a_row_for_each_seed(teach: Teach) -> None:
    pages, origin = teach._strip({**VALUES, "a": "50% dark + 50% red", "title": "Two skins"})
    assert [len(strip.images) for strip in pages[0].strips] == [3, 3] and pages[0].title == "Two skins"
    assert origin.paths is not None and len(origin.paths) == 2


@pytest.mark.parametrize("format_", KINDS["film"])
def test_film_is_marked_and_leaves_no_file_behind(
    teach: Teach, format_: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (file,) = teach.material({**VALUES, "kind": "film", "format": format_})["files"]
    assert file["name"] == f"synthetic-dark-to-pale.{format_}"
    assert file_provenance(content(file)) is not None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"kind": "book"}, "The field kind is 'book'; choose one of sheet, strip, triangle, film, handout."),
        ({"format": "mp4"}, "The field format is 'mp4'; choose one of png, slide, pdf."),
        ({"kind": "film", "format": "pdf"}, "The field format is 'pdf'; choose one of mp4, gif."),
        ({"count": 13}, "The field count is 13"),
        ({"kind": "strip", "rows": 5}, "The field rows is 5"),
        ({"title": "x" * 101}, "The field title takes text of up to 100 characters."),
        ({"title": ["x"]}, "The field title takes text"),
        ({"seed": -1}, "The field seed is -1"),
        ({"a": "/etc/passwd"}, "Unknown condition"),
        ({"kind": "strip", "a": "arm.safetensors:dark"}, "Unknown condition"),
        ({"kind": "film", "format": "gif", "b": "dark:7"}, "Unknown condition"),
        ({"kind": "triangle", "c": "dark@1=2"}, "Unknown condition"),
    ],
)
def test_unusable_values_are_refused(teach: Teach, values: dict[str, Any], reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        teach.material({**VALUES, **values})
