"""The Faces tab, in headless Chromium."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from phantom_faces import photograph
from playwright.sync_api import Page, expect

from morphoscope.cohort import write_image

UPLOAD, ERROR, VERDICT = "#faces input[name=photograph]", "#faces .ms-error", "#faces .ms-verdict"
CAPTION, SEEN, ROWS = "#faces .ms-caption", "#faces .ms-seen-faces", "#faces .ms-ranking tbody tr"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs: a person of the gallery's syndrome s1, two people, and nobody."""
    found = tmp_path_factory.mktemp("photographs")
    write_image(found / "face.png", photograph(4, 1))
    write_image(found / "two.png", np.concatenate([photograph(0, 1), photograph(1, 1)], axis=1))
    write_image(found / "wall.png", np.full((64, 64, 3), 128, np.uint8))
    return found


@pytest.fixture(scope="module")
def tab(open_page: Callable[..., Page]) -> Iterator[Page]:
    """The tab, one page for all tests."""
    opened = open_page("tab=faces&syndrome=s2")
    opened.wait_for_selector("#faces .ms-nothing", state="visible")
    yield opened
    opened.close()


def upload(page: Page, file: Path) -> None:
    page.set_input_files(UPLOAD, file)
    expect(page.locator(CAPTION)).to_have_text(file.name)
    expect(page.locator("#faces .ms-stage")).not_to_have_attribute("aria-busy", "true")


def test_says_what_it_is_before_anything_is_uploaded(tab: Page) -> None:
    expect(tab.locator("#faces .ms-note").first).to_contain_text("no diagnosis")
    expect(tab.locator("#faces .ms-note").first).to_contain_text("biometric data")
    expect(tab.locator("#faces .ms-note").first).to_contain_text("no image is kept")
    expect(tab.locator("#faces .ms-how")).to_be_hidden()


def test_syndromes_are_ranked_and_the_photograph_is_not_kept(tab: Page, folder: Path, uploads: Path) -> None:
    upload(tab, folder / "face.png")
    expect(tab.locator(SEEN)).to_have_text("One face was found.")
    expect(tab.locator(VERDICT)).to_contain_text("Most similar: s1")
    expect(tab.locator(ROWS)).to_have_count(3)
    expect(tab.locator(ROWS).first).to_contain_text("4 patients")
    expect(tab.locator("#faces .ms-certainty dt")).to_have_count(4)
    expect(tab.locator("#faces .ms-chips .ms-key li")).to_have_count(6)
    expect(tab.locator("#faces .ms-parts")).to_be_visible()
    assert "face.png" not in tab.url and "photograph" not in tab.url
    assert [file for file in uploads.rglob("*") if file.is_file() and file.stat().st_size > 0] == []


def test_map_and_nearest_images(tab: Page, folder: Path) -> None:
    upload(tab, folder / "face.png")
    expect(tab.locator("#faces .ms-places")).to_have_attribute("aria-label", re.compile("Map of 12 images"))
    expect(tab.locator("#faces .ms-places path")).to_have_count(13)
    expect(tab.locator("#faces .ms-places-key")).to_contain_text("this photograph")
    expect(tab.locator("#faces .ms-nearest img").first).to_have_attribute("alt", "Nearest image of s1")
    expect(tab.locator("#faces .ms-nearest")).to_contain_text("phantoms")


def test_evidence_for_the_syndrome_of_the_address(tab: Page, folder: Path) -> None:
    upload(tab, folder / "face.png")
    expect(tab.locator("#faces [name=syndrome]")).to_have_value("s2")
    tab.locator("#faces [name=explain]").click()
    expect(tab.locator("#faces .ms-maps h3")).to_have_text("What speaks for s2")
    expect(tab.locator("#faces .ms-maps figure")).to_have_count(2)
    expect(tab.locator("#faces .ms-maps tbody tr")).to_have_count(6)
    expect(tab.locator("#faces progress")).to_be_hidden()
    tab.locator("#faces [name=syndrome]").select_option("s0")
    expect(tab.locator("#faces .ms-maps figure")).to_have_count(0)
    expect(tab).to_have_url(re.compile("syndrome=s0"))


def test_one_of_two_faces_is_chosen_by_keyboard(tab: Page, folder: Path) -> None:
    upload(tab, folder / "two.png")
    expect(tab.locator(SEEN)).to_contain_text("2 faces of about the same size")
    expect(tab.locator("#faces .ms-result")).to_be_hidden()
    tab.locator("#faces [name=face]").first.focus()
    tab.keyboard.press("Space")
    expect(tab.locator(SEEN)).to_contain_text("face 1 is used")
    expect(tab.locator(VERDICT)).to_be_visible()
    expect(tab.locator("#faces [name=face]").first).to_be_focused()
    tab.keyboard.press("ArrowDown")
    expect(tab.locator(SEEN)).to_contain_text("face 2 is used")


def test_photograph_without_a_face_and_broken_file(tab: Page, folder: Path, tmp_path: Path) -> None:
    upload(tab, folder / "wall.png")
    expect(tab.locator(SEEN)).to_contain_text("No face was found")
    expect(tab.locator("#faces .ms-result")).to_be_hidden()
    (tmp_path / "text.png").write_text("no picture at all")
    tab.set_input_files(UPLOAD, tmp_path / "text.png")
    expect(tab.locator(ERROR)).to_contain_text("text.png: not an image")
    expect(tab.locator("#faces .ms-given")).to_be_hidden()
    upload(tab, folder / "face.png")
    expect(tab.locator(ERROR)).to_be_hidden()
    expect(tab.locator(VERDICT)).to_be_visible()


def test_camera_of_this_tab(tab: Page) -> None:
    tab.locator("#faces [name=camera]").click()
    tab.wait_for_function("document.querySelector('#faces video').videoWidth > 0")
    tab.locator("#faces [name=take]").click()
    expect(tab.locator(CAPTION)).to_have_text("camera.jpg")
    expect(tab.locator("#faces .ms-camera")).to_be_hidden()


def test_phone(tab: Page, folder: Path) -> None:
    tab.set_viewport_size({"width": 360, "height": 740})
    upload(tab, folder / "face.png")
    expect(tab.locator(VERDICT)).to_be_visible()
    assert tab.evaluate("document.documentElement.scrollWidth") <= 360
