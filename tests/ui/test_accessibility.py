"""No tab has a serious fault that axe-core finds: on a desktop in light and dark, and on a phone."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from phantom_faces import photograph
from playwright.sync_api import Page

from morphoscope.cohort import write_image

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")

TABS = ["Morph", "Explore", "Classify", "Faces", "Learn", "Teach", "Models"]
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


@pytest.fixture(scope="module")
def face(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two phantom people, one smaller than the other."""
    path = tmp_path_factory.mktemp("photographs") / "faces.png"
    small = np.pad(photograph(1, 1, size=128), ((0, 64), (0, 0), (0, 0)), constant_values=128)
    write_image(path, np.concatenate([photograph(4, 1), small], axis=1))
    return path


@pytest.mark.parametrize("tab", TABS)
def test_no_serious_fault(opened: Page, tab: str, face: Path) -> None:
    found = open_tab_and_check(opened, tab, face)
    assert [f"{fault['id']}: {node['html'][:120]}" for fault in found for node in fault["nodes"]] == []


def open_tab_and_check(page: Page, tab: str, face: Path) -> list[dict[str, Any]]:
    """The serious and critical faults of an opened tab; `face` is a photograph for the tab Faces."""
    page.get_by_role("tab", name=tab, exact=True).click()
    if tab == "Faces":
        page.set_input_files("#faces input[name=photograph]", face)
        page.wait_for_selector("#faces .ms-places svg")
    if tab == "Learn":
        page.locator("#learn [name=begin]").click()
        page.wait_for_selector("#learn .ms-question", state="visible")
    page.wait_for_function("document.querySelector('[aria-busy=true]') === null")
    result = axe.Axe().run(page, options={"resultTypes": ["violations"]})
    return [each for each in result.response["violations"] if each["impact"] in ("serious", "critical")]
