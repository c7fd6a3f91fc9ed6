"""The Learn tab, in headless Chromium."""

import csv
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

CONDITIONS = ["dark", "pale", "red"]


@pytest.fixture(scope="module")
def tab(open_page: Callable[..., Page]) -> Iterator[Page]:
    """The tab, one page for all tests."""
    opened = open_page("tab=learn&quiz=5&questions=7&source=generated")
    opened.wait_for_selector("#learn [name=begin]", state="visible")
    yield opened
    opened.close()


def begin(page: Page) -> None:
    page.locator("#learn [name=begin]").click()
    question(page, 1)


def question(page: Page, number: int) -> None:
    expect(page.locator("#learn .ms-where")).to_contain_text(re.compile(rf"^Question {number} of \d+"))
    expect(page.locator("#learn .ms-question")).to_be_visible()


def choose(page: Page, name: str, sure: str = "fairly sure") -> str:
    """Answer the present question; returns what the image was."""
    page.locator(f"#learn [name=answer][value={name}]").check()
    page.locator("#learn .ms-sures").get_by_text(sure, exact=True).click()
    page.locator("#learn [name=reveal]").click()
    expect(page.locator("#learn .ms-revealed")).to_be_visible()
    found = re.search(r"it is (\w+)", page.locator("#learn .ms-truth").inner_text(), re.IGNORECASE)
    assert found is not None
    return found[1]


def test_quiz_from_the_first_question_to_the_saved_table(tab: Page, tmp_path: Path) -> None:
    tab.locator("#learn [name=adaptive]").uncheck()
    begin(tab)
    expect(tab.locator("#learn .ms-asked")).to_have_attribute("alt", "Image of question 1")
    expect(tab.locator("#learn .ms-printed")).to_contain_text("not a photograph")
    expect(tab.locator("#learn [name=reveal]")).to_be_disabled()
    truths = []
    for number in range(1, 8):
        question(tab, number)
        truths.append(choose(tab, "dark"))
        tab.locator("#learn [name=next]").click()
    expect(tab.locator("#learn .ms-score")).to_be_visible()
    expect(tab.locator("#learn .ms-said")).to_contain_text(f"You: {truths.count('dark')} of 7 correct")
    expect(tab.locator("#learn .ms-said")).to_contain_text("By chance: 33%.")
    expect(tab.locator("#learn .ms-confusion tbody tr")).to_have_count(3)
    with tab.expect_download() as download:
        tab.locator("#learn [name=csv]").click()
    download.value.save_as(tmp_path / "quiz.csv")
    rows = list(csv.DictReader((tmp_path / "quiz.csv").open()))
    assert [row["condition"] for row in rows] == truths
    assert {row["confidence"] for row in rows} == {"3"}
    assert truths[3] == truths[0] or truths[0] == "dark"  # what was wrong comes again
    assert tab.evaluate("JSON.stringify(localStorage)").count("dark") == 0


def test_way_from_the_answer_to_the_truth_and_the_evidence(tab: Page) -> None:
    begin(tab)
    truth = choose(tab, "pale", sure="a guess")
    caption = tab.locator("#learn .ms-between-caption")
    expect(caption).to_have_text(f"100% {truth}")
    tab.locator("#learn [name=between]").focus()
    tab.keyboard.press("Home")
    if truth != "pale":
        expect(caption).to_have_text("100% pale")
    expect(tab.locator("#learn canvas")).to_have_attribute("aria-label", re.compile("Synthetic picture"))
    tab.locator("#learn [name=evidence]").click()
    expect(tab.locator("#learn .ms-maps img")).to_have_count(2)


def test_keyboard_alone(tab: Page) -> None:
    begin(tab)
    tab.locator("#learn .ms-where").click()
    tab.keyboard.press("2")
    expect(tab.locator("#learn [name=answer][value=pale]")).to_be_checked()
    tab.keyboard.press("Tab")
    tab.keyboard.press("Space")
    expect(tab.locator("#learn [name=reveal]")).to_be_enabled()
    tab.keyboard.press("Enter")
    expect(tab.locator("#learn .ms-truth")).to_be_focused()
    tab.keyboard.press("Enter")
    question(tab, 2)


def test_photographs_begin_with_close_ups(tab: Page) -> None:
    tab.locator("#learn [name=source]").select_option("photographs")
    expect(tab.locator("#learn .ms-of-generated")).to_be_hidden()
    begin(tab)
    expect(tab.locator("#learn .ms-where")).to_have_text("Question 1 of 7 · close-up")
    expect(tab.locator("#learn .ms-printed")).to_be_hidden()
    tab.locator("#learn [name=source]").select_option("generated")


def test_address_has_the_settings_and_a_phone_does_not_scroll_sideways(tab: Page, address: str) -> None:
    tab.goto(f"{address}?tab=learn&quiz=77&questions=14&adaptive=0")
    tab.wait_for_selector("#learn [name=begin]", state="visible")
    for name, value in {"quiz": "77", "count": "14"}.items():
        expect(tab.locator(f"#learn [name={name}]")).to_have_value(value)
    expect(tab.locator("#learn [name=adaptive]")).not_to_be_checked()
    tab.locator("#learn [name=roll]").click()
    expect(tab).not_to_have_url(re.compile("quiz=77"))
    tab.set_viewport_size({"width": 360, "height": 740})
    begin(tab)
    assert tab.evaluate("document.documentElement.scrollWidth") <= 360
    choose(tab, "dark")
    assert tab.evaluate("document.documentElement.scrollWidth") <= 360


def test_text_beside_the_morph_has_room_at_every_width(tab: Page) -> None:
    """On a tablet, it once stood in a column of one word."""
    begin(tab)
    number = 1
    while choose(tab, "dark") == "dark":
        tab.locator("#learn [name=next]").click()
        number += 1
        question(tab, number)
    for width in (390, 768, 980, 1280):
        tab.set_viewport_size({"width": width, "height": 800})
        box = tab.locator("#learn .ms-between > div").bounding_box()
        assert box is not None and box["width"] >= 200, width
