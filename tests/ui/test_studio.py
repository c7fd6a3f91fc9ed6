"""The studio as a user meets it, in headless Chromium."""

import re
from collections.abc import Iterator
from threading import Event
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from morphoscope.apps.morphing import Morph, Workbench


def drag_to(page: Page, share: float) -> None:
    """Press the pointer on the slider's left end, drag it, and let it go."""
    slider = page.locator("input[name=at]")
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    assert box is not None
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 9, y)
    page.mouse.down()
    page.mouse.move(box["x"] + 9 + share * (box["width"] - 18), y, steps=4)
    page.mouse.up()


def pixels(page: Page) -> str:
    return page.locator("#morph canvas").evaluate("it => it.toDataURL()")


def requests_of(page: Page) -> list[str]:
    """The list into which the requests of the page go from now on."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    return asked


def parameter(page: Page, name: str) -> str | None:
    return parse_qs(urlsplit(page.url).query).get(name, [None])[0]


CAPTION, ALL_FRAMES = "#morph .ms-caption", "[data-frames=all]"


class TestMorph:
    """One page for all; the first test needs it as it opens."""

    def test_says_what_it_is(self, page: Page) -> None:
        expect(page.locator("#head")).to_contain_text("research and teaching only")
        expect(page.locator("#head")).to_contain_text("phantoms")
        expect(page.locator("#morph canvas")).to_have_attribute(
            "aria-label", re.compile("^Synthetic picture")
        )
        expect(page.locator("#morph .ms-chart")).to_have_attribute(
            "aria-label", re.compile("from dark to pale")
        )

    def test_dragging_moves_picture_marker_bars_and_caption_without_a_request(self, page: Page) -> None:
        asked = requests_of(page)
        seen = set()
        for share in (0.0, 0.6, 1.0):
            drag_to(page, share)
            marker = page.locator(".ms-marker").get_attribute("transform")
            bars = page.locator("#morph .ms-bars").inner_html()
            seen |= {page.locator(CAPTION).inner_text(), pixels(page), marker, bars}
        assert len(seen) == 12
        assert page.locator(CAPTION).inner_text() == "100% pale"
        assert parameter(page, "at") == "1.000"
        assert asked == []

    def test_picture_and_curve_can_be_dragged_too(self, page: Page) -> None:
        for place, share in (("canvas", 0.02), (".ms-chart", 0.97)):
            page.locator(f"#morph {place}").scroll_into_view_if_needed()
            box = page.locator(f"#morph {place}").bounding_box()
            assert box is not None
            page.mouse.click(box["x"] + share * box["width"], box["y"] + 100)
            expect(page.locator(CAPTION)).to_have_text("100% dark" if share < 0.5 else "100% pale")

    def test_keyboard(self, page: Page) -> None:
        slider = page.locator("input[name=at]")
        slider.focus()
        page.keyboard.press("Home")
        expect(page.locator(CAPTION)).to_have_text("100% dark")
        page.keyboard.press("ArrowRight")
        expect(page.locator(CAPTION)).not_to_have_text("100% dark")
        expect(slider).to_have_attribute("aria-valuetext", re.compile(r"dark \+ .*pale\. "))
        assert slider.evaluate("it => getComputedStyle(it).outlineWidth") == "3px"

    def test_filmstrip(self, page: Page) -> None:
        page.get_by_role("button", name="Go to 100% pale").click()
        expect(page.locator(CAPTION)).to_have_text("100% pale")
        expect(page.locator(".ms-film .ms-current")).to_have_attribute("aria-label", "Go to 100% pale")

    def test_play_moves_and_pause_stops(self, page: Page) -> None:
        drag_to(page, 0.0)
        page.get_by_role("button", name="Play").click()
        expect(page.locator(CAPTION)).not_to_have_text("100% dark")
        page.get_by_role("button", name="Pause").click()
        stopped = page.locator(CAPTION).inner_text()
        page.wait_for_timeout(300)
        assert page.locator(CAPTION).inner_text() == stopped

    def test_other_condition_is_another_morph_and_undo_brings_the_first_one_back(self, page: Page) -> None:
        drag_to(page, 1.0)
        before = pixels(page)
        page.locator("select[name=b]").select_option("red")
        expect(page.locator(CAPTION)).to_have_text("100% red")
        page.wait_for_selector(ALL_FRAMES)
        assert pixels(page) != before and parameter(page, "to") == "red"
        page.get_by_role("button", name="Undo").click()
        expect(page.locator(CAPTION)).to_have_text("100% pale")
        expect(page.locator("select[name=b]")).to_have_value("pale")
        assert pixels(page) == before

    def test_ends_can_have_seeds_of_their_own_or_change_places(self, page: Page) -> None:
        page.get_by_role("button", name="Another seed for the second end").click()
        expect(page.locator("#morph .ms-working")).to_be_hidden()
        assert parameter(page, "seed_to") == page.locator("input[name=seed_b]").input_value()
        page.get_by_role("button", name="Swap ends").click()
        expect(page.locator("select[name=a]")).to_have_value("pale")
        page.get_by_role("button", name="Another skin").click()
        assert parameter(page, "seed_to") is None
        assert parameter(page, "seed") == page.locator("input[name=seed_a]").input_value()

    def test_many_changes_at_once_end_with_the_last_one(
        self, page: Page, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        computed, begun, release = Workbench.coarse, [], Event()

        def slow(self: Workbench, morph: Morph) -> Any:
            begun.append(morph)
            release.wait(60)
            return computed(self, morph)

        monkeypatch.setattr(Workbench, "coarse", slow)
        page.get_by_role("button", name="Another seed for the second end").evaluate(
            "it => { for (let n = 0; n < 5; n++) it.click(); }"
        )
        while len(begun) < 2:
            page.wait_for_timeout(50)
        release.set()
        expect(page.locator("#morph .ms-stage")).not_to_have_attribute("aria-busy", "true")
        expect(page.locator("#morph .ms-error")).to_be_hidden()
        page.wait_for_selector(ALL_FRAMES)

    def test_mixture_as_an_end(self, page: Page) -> None:
        page.locator("select[name=a]").select_option(label="a mixture …")
        page.locator("input[name=mixture_a]").fill("25% dark + 75% red")
        page.locator("input[name=mixture_a]").blur()
        page.wait_for_selector(ALL_FRAMES)
        page.locator("input[name=at]").focus()
        page.keyboard.press("Home")
        expect(page.locator(CAPTION)).to_have_text("25% dark + 75% red")

    @pytest.mark.parametrize(
        ("typed", "message"),
        [
            ("", "The field seed is empty: type a number."),
            ("4294967296", "The field seed is 4294967296: it takes numbers from 0 to 4294967295."),
        ],
    )
    def test_wrong_seed_is_reported_in_the_page(self, page: Page, typed: str, message: str) -> None:
        seed = page.locator("input[name=seed_a]")
        seed.fill(typed)
        seed.blur()
        expect(page.locator("#morph .ms-error")).to_have_text(message)
        seed.fill("7")
        seed.blur()
        expect(page.locator("#morph .ms-error")).to_be_hidden()

    def test_attribution_goes_when_the_frame_changes(self, page: Page) -> None:
        page.wait_for_selector(ALL_FRAMES)
        page.get_by_role("button", name="Where does the classifier look?").click()
        expect(page.locator("#morph .ms-maps img")).to_have_count(2)  # the map and its legend
        expect(page.locator("#morph .ms-maps")).to_contain_text("convergence delta")
        drag_to(page, 0.3)
        expect(page.locator("#morph .ms-maps img")).to_have_count(0)

    def test_attribution_by_the_chosen_method(self, page: Page) -> None:
        page.get_by_label("Method").first.select_option("Grad-CAM")
        page.get_by_role("button", name="Where does the classifier look?").click()
        expect(page.locator("#morph .ms-maps")).to_contain_text("Grad-CAM: a coarse map of where")
        expect(page.locator("#morph .ms-legend")).to_have_attribute("alt", re.compile("Violet"))

    def test_narrow_page_does_not_scroll_sideways(self, page: Page) -> None:
        page.set_viewport_size({"width": 360, "height": 740})
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        page.set_viewport_size({"width": 1280, "height": 800})


class TestLink:
    """The whole state of the tab is in its address."""

    @pytest.fixture
    def opened(self, browser: Browser, address: str) -> Iterator[Page]:
        query = urlencode({"from": "red", "to": "40% dark + 60% pale", "seed": 5, "seed_to": 6, "at": 0.25})
        page = browser.new_page(reduced_motion="reduce")
        page.goto(f"{address}?{query}&psi=0.4&even=0")
        page.wait_for_selector(ALL_FRAMES)
        yield page
        page.close()

    def test_link_opens_the_same_frame(self, opened: Page) -> None:
        expect(opened.locator(CAPTION)).to_have_text("10% dark + 15% pale + 75% red")
        values = {
            name: opened.locator(f"[name={name}]").input_value() for name in ("seed_a", "seed_b", "psi")
        }
        assert values == {"seed_a": "5", "seed_b": "6", "psi": "0.4"}
        assert not opened.locator("[name=even]").is_checked()

    def test_playing_is_slow_and_ends_where_motion_is_to_be_reduced(self, opened: Page) -> None:
        opened.locator("input[name=at]").focus()
        opened.keyboard.press("End")
        opened.keyboard.press("ArrowLeft")
        opened.get_by_role("button", name="Play").click()
        expect(opened.locator(CAPTION)).to_have_text("40% dark + 60% pale")
        expect(opened.get_by_role("button", name="Play")).to_be_visible()

    def test_why_the_classifier_changed_its_mind(self, opened: Page, address: str) -> None:
        for seed in range(20):
            opened.goto(f"{address}?from=dark&to=pale&seed={seed}")
            opened.wait_for_selector(ALL_FRAMES)
            if opened.locator(".ms-whys button").count():
                break
        opened.locator(".ms-whys button").first.click()
        expect(opened.locator("#morph .ms-three figure")).to_have_count(3)
        expect(opened.locator("#morph .ms-maps")).to_contain_text("After minus before")
