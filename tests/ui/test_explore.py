"""The Explore tab, in headless Chromium."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

PICTURE = "#explore canvas"


@pytest.fixture
def explore(browser: Browser, address: str) -> Iterator[Page]:
    opened = browser.new_page(viewport={"width": 1280, "height": 900})
    opened.goto(address)
    opened.get_by_role("tab", name="Explore").click()
    opened.wait_for_selector("[data-shown=wall]")
    yield opened
    opened.close()


def show(page: Page, view: str) -> None:
    page.locator("#explore select[name=view]").select_option(view)
    page.wait_for_selector(f"[data-shown={view}]")


def pixels(page: Page) -> str:
    return page.locator(PICTURE).evaluate("it => it.toDataURL()")


def caption(page: Page) -> str:
    return page.locator("#explore .ms-caption").inner_text()


def test_sample_of_the_wall_becomes_an_end_of_a_morph(explore: Page) -> None:
    expect(explore.locator("#explore .ms-wall button")).to_have_count(18)
    explore.get_by_role("button", name="100% red, seed 3").click()
    expect(explore.locator(PICTURE)).to_have_attribute("aria-label", "Synthetic picture: 100% red")
    explore.get_by_role("button", name="Morph to here").click()
    expect(explore.locator("#morph select[name=b]")).to_have_value("red")
    expect(explore.locator("#morph input[name=seed_b]")).to_have_value("3")
    expect(explore.get_by_role("tab", name="Morph")).to_have_attribute("aria-selected", "true")


def test_point_of_the_triangle_is_dragged_and_moved_by_keys(explore: Page) -> None:
    show(explore, "triangle")
    first = pixels(explore)
    box = explore.locator("#explore .ms-triangle svg").bounding_box()
    assert box is not None
    explore.mouse.click(box["x"] + box["width"] / 2, box["y"] + 0.09 * box["height"])
    assert caption(explore) == "100% dark" and pixels(explore) != first
    explore.locator("#explore .ms-triangle").focus()
    for _ in range(8):
        explore.keyboard.press("ArrowDown")
    assert caption(explore) == "100% pale"
    explore.keyboard.press("ArrowRight")
    expect(explore.locator("#explore .ms-triangle")).to_have_attribute("aria-valuetext", "88% pale + 12% red")


def test_mixed_style_is_classified(explore: Page) -> None:
    show(explore, "mix")
    expect(explore.get_by_role("button", name="Morph from here")).to_be_disabled()
    explore.locator("#explore .ms-wall button").nth(8).click()
    explore.locator("#explore [name=send]").click()
    expect(explore.locator("#classify .ms-caption")).to_have_text("Synthetic picture: Mixed styles")
    expect(explore.locator("#classify .ms-bars tbody tr")).to_have_count(3)


def test_directions_move_the_image(explore: Page) -> None:
    show(explore, "moved")
    before = pixels(explore)
    explore.locator("#explore input[name=d1]").focus()
    explore.keyboard.press("End")
    explore.wait_for_function(
        f"before => document.querySelector('{PICTURE}').toDataURL() !== before", arg=before
    )
    expect(explore.get_by_role("button", name="Morph from here")).to_be_disabled()


def test_address_opens_the_same_view_and_a_narrow_page_does_not_scroll_sideways(
    explore: Page, address: str
) -> None:
    show(explore, "triangle")
    expect(explore).to_have_url(re.compile("tab=explore&view=triangle"))
    explore.goto(f"{address}?tab=explore&view=mix&a=red&b=dark&layers=fine&eseed=4")
    explore.wait_for_selector("[data-shown=mix]")
    for name, value in {"ea": "red", "eb": "dark", "layers": "fine", "eseed": "4"}.items():
        expect(explore.locator(f"#explore [name={name}]")).to_have_value(value)
    explore.set_viewport_size({"width": 360, "height": 740})
    assert explore.evaluate("document.documentElement.scrollWidth") <= 360
