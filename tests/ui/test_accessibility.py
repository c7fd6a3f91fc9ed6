"""No tab has a serious fault that axe-core finds: on a desktop in light and dark, and on a phone."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")

TABS = ["Morph", "Explore", "Classify", "Learn", "Teach", "Models"]
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture(
    scope="module",
    params=[("light", DESKTOP), ("dark", DESKTOP), ("dark", PHONE)],
    ids=["light", "dark", "phone"],
)
def opened(request: pytest.FixtureRequest, open_page: Callable[..., Page]) -> Iterator[Page]:
    """The studio in one colour scheme and size, with an image sent to Classify."""
    scheme, size = request.param
    page = open_page(f"__theme={scheme}&crop=0.5+0.5+0.5", viewport=size, color_scheme=scheme)
    page.wait_for_selector("[data-frames=all]")
    page.get_by_role("button", name="Send to Classify").click()
    page.wait_for_selector("#classify .ms-crop", state="visible")
    yield page
    page.close()


@pytest.mark.parametrize("tab", TABS)
def test_no_serious_fault(opened: Page, tab: str) -> None:
    found = open_tab_and_check(opened, tab)
    assert [f"{fault['id']}: {node['html'][:120]}" for fault in found for node in fault["nodes"]] == []


def open_tab_and_check(page: Page, tab: str) -> list[dict[str, Any]]:
    """The serious and critical faults of an opened tab."""
    page.get_by_role("tab", name=tab, exact=True).click()
    if tab == "Learn":
        page.locator("#learn [name=begin]").click()
        page.wait_for_selector("#learn .ms-question", state="visible")
    page.wait_for_function("document.querySelector('[aria-busy=true]') === null")
    result = axe.Axe().run(page, options={"resultTypes": ["violations"]})
    return [each for each in result.response["violations"] if each["impact"] in ("serious", "critical")]
