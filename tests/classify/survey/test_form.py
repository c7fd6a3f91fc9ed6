"""A form as a participant uses it, in headless Chromium; skipped if there is none."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from morphoscope.classify.survey.answers import read_answers
from morphoscope.classify.survey.building import Surveys


@pytest.fixture
def page(browser, built: Path) -> Iterator:
    """Survey 2, opened from its file; it must send no request and raise no error."""
    page = browser.new_page()
    page.set_default_timeout(10_000)
    requests, errors = [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text))
    page.goto((built / "forms" / "survey-02.html").as_uri())
    yield page
    page.close()
    assert errors == []
    assert [url for url in requests[1:] if not url.startswith(("data:", "blob:"))] == []


def begin(page) -> None:
    page.fill("#code", "p-07")
    page.select_option("#specialty", "medical genetics")
    page.fill("#years", "12")
    page.check("#consent")
    page.get_by_role("button", name="Begin").click()


def save(page, folder: Path) -> Path:
    with page.expect_download() as download:
        page.locator("#download").click()
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def test_round_trip(page, surveys: Surveys, tmp_path: Path) -> None:
    key = surveys.key[surveys.key["survey"] == 2].reset_index()
    begin(page)
    for _, question in key.iterrows():
        shown = page.locator(".question:visible")
        assert shown.get_attribute("data-view") == question["view"]
        if question["position"] == 1:  # by mouse; the others by keyboard
            shown.get_by_role("radio", name=question["condition"], exact=True).check()
            shown.get_by_role("radio", name="4", exact=True).check()
            shown.get_by_role("button", name="Next").click()
        else:
            page.keyboard.press(str(1 + surveys.conditions.index(question["condition"])))
            page.keyboard.press("Enter")
    assert page.locator("#done").inner_text() == "12 of 12 answered"
    assert page.locator("#complete").is_visible() and not page.locator("#incomplete").is_visible()
    file = save(page, tmp_path)
    assert file.name == f"answers-{surveys.name}-survey-02-p-07.csv"
    rows = read_answers(file, surveys).rows
    assert rows["answer"].tolist() == key["condition"].tolist()
    assert rows["confidence"].tolist() == ["4", *[""] * 11]
    assert set(rows["specialty"]) == {"medical genetics"} and set(rows["years"]) == {"12"}
    assert set(rows["participant"]) == {"p-07"} and set(rows["survey"]) == {2}


def test_unanswered_questions_are_listed_before_saving(page, surveys: Surveys, tmp_path: Path) -> None:
    begin(page)
    for position in range(1, 13):
        if position not in (2, 9):
            page.keyboard.press("1")
        page.keyboard.press("Enter")
    assert page.locator("#incomplete").is_visible()
    assert page.locator("#missing button").all_inner_texts() == ["Image 2", "Image 9"]
    left_out = read_answers(save(page, tmp_path), surveys).left_out
    assert left_out == ["p-07, survey 2: 10 of 12 questions answered; more than 95% are needed."]
    page.get_by_role("button", name="Image 2").click()
    assert page.locator(".question:visible").get_attribute("data-position") == "2"
    page.keyboard.press("3")  # an unanswered close-up can still be answered
    page.locator(".question:visible [data-step='1']").click()
    # An answered one is locked.
    assert page.locator(".question:visible .answer input").first.is_disabled()


def test_the_survey_does_not_begin_without_code_specialty_and_consent(page) -> None:
    page.get_by_role("button", name="Begin").click()
    assert page.locator("#start").is_visible()
    page.fill("#code", "Dr Jane Doe")
    page.select_option("#specialty", "other")
    page.check("#consent")
    page.get_by_role("button", name="Begin").click()
    assert page.locator("#start").is_visible()  # a name is not a code
    page.fill("#code", "j1")
    page.get_by_role("button", name="Begin").click()
    assert page.locator(".question:visible").count() == 1


def test_page_cannot_send_requests(browser, built: Path) -> None:
    page = browser.new_page()
    page.goto((built / "forms" / "survey-01.html").as_uri())
    tried = page.evaluate("fetch('http://127.0.0.1:9/').then(() => 'sent', error => String(error))")
    blocked = page.evaluate(
        "new Promise(done => { document.addEventListener('securitypolicyviolation', "
        "event => done(event.effectiveDirective)); fetch('http://127.0.0.1:9/').catch(() => {}); })"
    )
    assert tried != "sent" and blocked == "connect-src"
    page.close()


def test_narrow_page_does_not_scroll_sideways(page) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    begin(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
