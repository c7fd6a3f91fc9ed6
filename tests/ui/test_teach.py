"""The Teach tab, in headless Chromium."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from morphoscope.cohort.marked_files import file_provenance


@pytest.fixture(scope="module")
def tab(open_page: Callable[..., Page]) -> Iterator[Page]:
    """The tab, one page for all tests."""
    opened = open_page("tab=teach")
    opened.wait_for_selector("#teach [name=make]", state="visible")
    yield opened
    opened.close()


def make(page: Page, kind: str, format_: str) -> None:
    page.locator("#teach [name=kind]").select_option(kind)
    page.locator("#teach [name=format]").select_option(format_)
    page.locator("#teach [name=make]").click()
    page.wait_for_selector(f'[data-made="{kind} {format_}"]')


def saved(page: Page, name: str, folder: Path) -> bytes:
    with page.expect_download() as download:
        page.get_by_role("link", name=f"Save {name}").click()
    download.value.save_as(folder / name)
    return (folder / name).read_bytes()


def test_sheet_is_shown_and_saved_with_its_mark(tab: Page, tmp_path: Path) -> None:
    make(tab, "sheet", "png")
    expect(tab.locator("#teach .ms-made img")).to_have_attribute("alt", "Page 1: Samples of dark, pale, red")
    assert file_provenance(saved(tab, "synthetic-sheet.png", tmp_path)) is not None


def test_handout_has_questions_and_answers_on_two_pages(tab: Page, tmp_path: Path) -> None:
    make(tab, "handout", "pdf")
    expect(tab.locator("#teach .ms-made img")).to_have_count(2)
    assert b"/Count 2" in saved(tab, "synthetic-handout.pdf", tmp_path)


def test_film_plays_in_the_page(tab: Page) -> None:
    tab.locator("#teach [name=kind]").select_option("film")
    tab.locator("#teach [name=count]").fill("4")
    make(tab, "film", "gif")
    tab.wait_for_function("document.querySelector('#teach .ms-made img').naturalWidth > 0")


def test_wrong_number_is_reported_and_the_keyboard_makes_it_good(tab: Page) -> None:
    tab.locator("#teach [name=kind]").select_option("strip")
    tab.locator("#teach [name=count]").fill("50")
    tab.keyboard.press("Enter")
    expect(tab.locator("#teach .ms-error")).to_have_text(
        "The field count is 50: it takes numbers from 0 to 12."
    )
    tab.locator("#teach [name=count]").fill("3")
    tab.keyboard.press("Enter")
    tab.wait_for_selector('[data-made="strip png"]')
    expect(tab.locator("#teach .ms-error")).to_be_hidden()


def test_address_opens_the_same_settings_and_a_phone_does_not_scroll_sideways(
    tab: Page, address: str
) -> None:
    tab.goto(f"{address}?tab=teach&material=triangle&as=slide&ma=red&mb=dark&mc=pale&mseed=9&title=Three")
    tab.wait_for_selector("#teach [name=make]", state="visible")
    expected = {"kind": "triangle", "format": "slide", "a": "red", "b": "dark", "c": "pale", "seed": "9"}
    for name, value in {**expected, "title": "Three"}.items():
        expect(tab.locator(f"#teach [name={name}]")).to_have_value(value)
    tab.set_viewport_size({"width": 360, "height": 740})
    make(tab, "triangle", "slide")
    assert tab.evaluate("document.documentElement.scrollWidth") <= 360
