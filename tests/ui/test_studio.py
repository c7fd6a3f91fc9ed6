"""The studio as a user meets it, in headless Chromium."""

import base64
import re
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from morphoscope.apps.studio import figures
from morphoscope.cohort import phantom_image, write_image

PASTE = """(data) => {
    const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
    const clipboardData = new DataTransfer();
    clipboardData.items.add(new File([bytes], "pasted.png", { type: "image/png" }));
    document.dispatchEvent(new ClipboardEvent("paste", { clipboardData, cancelable: true }));
}"""
UPLOAD = "#classify-upload input[type=file]"


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    path = tmp_path / "arm.png"
    write_image(path, phantom_image("ML", 3, size=64).image)
    return path


def set_share(page: Page, share: float) -> None:
    slider = page.locator("#morph-share input[type=range]")
    slider.evaluate(
        "(input, value) => { input.value = value; "
        "for (const kind of ['input', 'change']) input.dispatchEvent(new Event(kind, { bubbles: true })); }",
        str(share),
    )


def picture(page: Page) -> str:
    return page.locator("#morph-frame img").get_attribute("src") or ""


def to_classify(page: Page) -> None:
    page.get_by_role("tab", name="Classify").click()
    page.wait_for_selector(UPLOAD, state="attached")


class Held:
    """A function that starts, and then waits until it is let go, at the latest when the block ends."""

    def __init__(self, function: Callable[..., str]) -> None:
        self.function, self.started, self.let_go = function, Event(), Event()

    def __call__(self, *arguments: Any) -> str:
        self.started.set()
        self.let_go.wait()
        return self.function(*arguments)

    def __enter__(self) -> "Held":
        return self

    def __exit__(self, *_: object) -> None:
        self.let_go.set()


class TestMorph:
    """One page for all; the first test needs it as it opens."""

    def test_slider_moves_frame_curve_and_caption(self, page: Page) -> None:
        expect(page.locator("#morph-frame figcaption")).to_contain_text("50% dark + 50% pale")
        before, predicted = picture(page), page.locator("#morph-prediction").inner_html()
        marker = page.locator(".ms-wide .curve-marker")
        assert marker.get_attribute("data-share") == "0.5000"
        x = float(marker.locator("line").get_attribute("x1") or "nan")
        set_share(page, 0.9)
        expect(page.locator("#morph-frame figcaption")).to_contain_text("10% dark + 90% pale")
        expect(marker).to_have_attribute("data-share", "0.9000")
        assert float(marker.locator("line").get_attribute("x1") or "nan") > x
        assert picture(page) != before
        assert page.locator("#morph-prediction").inner_html() != predicted

    def test_other_condition_draws_another_curve(self, page: Page) -> None:
        lines = page.locator("#morph-curve .ms-wide svg").inner_html()
        page.get_by_label("To condition").click()
        page.get_by_role("option", name="red").click()
        curve = page.locator("#morph-curve .ms-curve")
        expect(curve).to_have_attribute("aria-label", re.compile("morph from dark to red"))
        assert page.locator("#morph-curve .ms-wide svg").inner_html() != lines
        expect(page.locator("#morph-share")).to_contain_text("Share of red")
        expect(page.locator("#morph-frame figcaption")).to_contain_text("red")

    def test_focus_is_visible_and_leaves_no_list_behind(self, page: Page) -> None:
        page.get_by_label("From condition").focus()
        expect(page.get_by_role("listbox")).to_have_count(1)
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        expect(page.locator("#morph-seed input")).to_be_focused()
        expect(page.get_by_role("option")).to_have_count(0)
        for control in ("#morph-seed input", "#morph-share input[type=range]", "#morph-a input"):
            page.locator(control).focus()
            assert page.locator(control).evaluate("it => getComputedStyle(it).outlineWidth") == "3px"
        page.keyboard.press("Escape")
        page.locator("#morph-seed input").focus()

    def test_another_seed_makes_another_picture(self, page: Page) -> None:
        before = picture(page)
        page.get_by_role("button", name="Another seed").click()
        page.wait_for_function(
            "before => document.querySelector('#morph-frame img').src !== before", arg=before
        )
        assert picture(page).startswith("data:image/png")

    @pytest.mark.parametrize(
        ("typed", "message"),
        [
            ("", "The field seed is empty: type a number."),
            ("4294967296", "The field seed is 4294967296: it takes numbers from 0 to 4294967295."),
        ],
    )
    def test_wrong_seed_is_reported_once(self, page: Page, typed: str, message: str) -> None:
        seed = page.locator("#morph-seed input")
        before = seed.input_value()
        seed.fill(typed)
        seed.blur()
        toasts = page.locator(".toast-body")
        expect(toasts).to_have_count(1)
        expect(toasts).to_contain_text(message)
        toasts.get_by_test_id("toast-close").click()
        seed.fill(before)
        seed.blur()
        expect(toasts).to_have_count(0)
        expect(page.locator("#morph-curve .ms-wide svg")).to_have_count(1)

    def test_attribution_of_the_frame_goes_when_the_frame_changes(self, page: Page) -> None:
        page.locator("#morph-ask").click()
        expect(page.locator("#morph-map img")).to_have_count(2)  # the map and its legend
        expect(page.locator("#morph-map")).to_contain_text("convergence delta")
        set_share(page, 0.1)
        expect(page.locator("#morph-map img")).to_have_count(0)

    def test_attribution_stays_when_its_own_frame_arrives_late(
        self, page: Page, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with Held(figures.frame) as slow:
            monkeypatch.setattr(figures, "frame", slow)
            set_share(page, 0.3)
            slow.started.wait()
            page.locator("#morph-ask").click()
            expect(page.locator("#morph-map img")).to_have_count(2)
        expect(page.locator("#morph-frame figcaption")).to_contain_text("30% red")
        expect(page.locator("#morph-map img")).to_have_count(2)

    def test_attribution_of_an_earlier_frame_is_not_shown(
        self, page: Page, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with Held(lambda *_: "a map of the earlier frame") as slow:
            monkeypatch.setattr(figures, "attribution", slow)
            page.locator("#morph-ask").click()
            slow.started.wait()
            set_share(page, 0.6)
            expect(page.locator("#morph-frame figcaption")).to_contain_text("60% red")
        waiting = page.locator("#morph-map [data-testid=status-tracker]")
        expect(waiting).to_have_class(re.compile(r"\bhide\b"))
        expect(page.locator("#morph-map")).to_contain_text("Press the button")

    def test_attribution_by_the_chosen_method(self, page: Page) -> None:
        page.locator("#morph-method input").click()
        page.get_by_role("option", name="Grad-CAM").click()
        page.locator("#morph-ask").click()
        expect(page.locator("#morph-map")).to_contain_text("Grad-CAM: a coarse map of where")
        expect(page.locator("#morph-map .ms-legend")).to_have_attribute("alt", re.compile("Violet"))

    def test_says_what_it_is(self, page: Page) -> None:
        expect(page.locator("#head")).to_contain_text("research and teaching only")
        expect(page.locator("#head")).to_contain_text("phantoms")
        expect(page.locator("#morph-frame img")).to_have_attribute("alt", re.compile("Synthetic"))

    def test_narrow_page_does_not_scroll_sideways(self, page: Page) -> None:
        page.set_viewport_size({"width": 360, "height": 740})
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        page.set_viewport_size({"width": 1280, "height": 800})


class TestClassify:
    """One page for all; the first test needs it as it opens."""

    def test_attribution_without_a_picture_says_so(self, page: Page) -> None:
        to_classify(page)
        page.locator("#classify-ask").click()
        expect(page.locator("#classify-map")).to_contain_text("upload a photograph first")

    def test_uploaded_photograph_is_classified_and_not_kept(
        self, page: Page, photograph: Path, uploads: Path
    ) -> None:
        to_classify(page)
        page.set_input_files(UPLOAD, photograph)
        expect(page.locator("#classify-picture")).to_contain_text("arm.png")
        expect(page.locator("#classify-prediction tbody tr")).to_have_count(3)
        expect(page.locator("#classify-prediction")).to_contain_text("%")
        page.locator("#classify-ask").click()
        expect(page.locator("#classify-map")).to_contain_text("Evidence for")
        assert [file for file in uploads.rglob("*") if file.is_file() and file.stat().st_size > 0] == []

    def test_broken_files_get_a_message_and_the_next_upload_works(
        self, page: Page, photograph: Path, tmp_path: Path
    ) -> None:
        to_classify(page)
        text = tmp_path / "text.png"
        text.write_text("no picture at all")
        empty = tmp_path / "empty.png"
        empty.touch()
        huge = tmp_path / "huge.png"
        Image.new("1", (9_000, 9_000)).save(huge)
        for file, reason in [
            (text, "text.png: not an image"),
            (empty, "empty.png: empty file"),
            (huge, "huge.png: 9000 x 9000 pixels"),
        ]:
            page.set_input_files(UPLOAD, file)
            expect(page.locator("#classify-prediction .ms-error")).to_contain_text(reason)
            expect(page.locator("#classify-prediction table")).to_have_count(0)
        page.set_input_files(UPLOAD, photograph)
        expect(page.locator("#classify-prediction tbody tr")).to_have_count(3)
        expect(page.locator("#classify-prediction .ms-error")).to_have_count(0)

    def test_photograph_is_pasted(self, page: Page, photograph: Path) -> None:
        to_classify(page)
        page.evaluate(PASTE, base64.b64encode(photograph.read_bytes()).decode())
        expect(page.locator("#classify-picture")).to_contain_text("pasted.png")
        expect(page.locator("#classify-prediction tbody tr")).to_have_count(3)

    def test_refused_upload_leaves_nothing_of_the_earlier_one(self, page: Page, tmp_path: Path) -> None:
        to_classify(page)
        expect(page.locator("#classify-picture img")).to_have_count(1)
        large = tmp_path / "large.png"
        large.write_bytes(bytes(33 * 2**20))
        page.set_input_files(UPLOAD, large)
        expect(page.locator("#classify-prediction .ms-error")).to_contain_text("larger than 32 MB")
        expect(page.locator("#classify-picture img")).to_have_count(0)
        expect(page.locator("#classify-prediction table")).to_have_count(0)
        expect(page.locator(".toast-body")).to_have_count(0)

    def test_frame_sent_from_morph_keeps_its_mark(self, page: Page) -> None:
        page.get_by_role("tab", name="Morph").click()
        page.get_by_role("button", name="Send to Classify").click()
        expect(page.locator("#classify-picture")).to_contain_text("Synthetic picture: 50% dark + 50% pale")
        expect(page.locator("#classify-prediction tbody tr")).to_have_count(3)
