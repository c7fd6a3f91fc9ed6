"""Photographs the studio for the pages, with the bundled models: python docs/screenshots.py.

Needs Chromium. Look at every picture: the captions in gallery.md must still be true.
"""

import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from morphoscope.cohort import phantom_image, write_image

IMAGES = Path(__file__).parent / "images"
CHROMIUM, PORT = "/usr/bin/chromium", 7876
ADDRESS = f"http://127.0.0.1:{PORT}/"
_PATIENCE = 300  # seconds


def main() -> None:
    """Start the studio, and photograph each tab."""
    studio = subprocess.Popen([sys.executable, "-m", "morphoscope.apps", "app", "--port", str(PORT)])
    try:
        wait_for(ADDRESS)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM)
            for tab in (morph, explore, classify, learn, teach):
                page = browser.new_page(viewport={"width": 1180, "height": 900})
                page.set_default_timeout(1000 * _PATIENCE)
                tab(page)
                page.close()
    finally:
        studio.terminate()
        studio.wait()


def morph(page: Page) -> None:
    """A morph whose answer changes, and what spoke for it before and after."""
    page.goto(f"{ADDRESS}?from=IP&to=ML&seed=3&seed_to=3&at=0.5")
    page.wait_for_selector("[data-frames=all]")
    page.get_by_role("button", name="Why from").first.click()
    settle(page)
    photograph(page, "studio.png")


def explore(page: Page) -> None:
    """The wall of samples, one of them enlarged."""
    page.goto(f"{ADDRESS}?tab=explore")
    page.wait_for_selector("[data-shown=wall]")
    page.get_by_role("button", name="100% NF1, seed 3").click()
    settle(page)
    photograph(page, "explore.png")


def classify(page: Page) -> None:
    """A phantom of NF1 that the models have not seen, under four attribution methods."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "phantom-NF1.png"
        write_image(file, phantom_image("NF1", 4, size=256, seed=77).image)
        page.goto(f"{ADDRESS}?tab=classify")
        page.wait_for_selector("#classify .ms-nothing", state="visible")
        page.set_input_files("#classify input[name=photograph]", file)
        settle(page)
        page.locator("#classify").get_by_role("button", name="Where does the classifier look?").click()
        settle(page)
    photograph(page, "classify.jpg")


def learn(page: Page) -> None:
    """A wrong answer, and the morph from it to the truth."""
    page.goto(f"{ADDRESS}?tab=learn&quiz=5&questions=7&source=generated")
    page.locator("#learn [name=begin]").click()
    page.wait_for_selector("#learn .ms-question", state="visible")
    page.locator("#learn [name=answer][value=MA]").check()
    page.locator("#learn .ms-sures").get_by_text("fairly sure", exact=True).click()
    page.locator("#learn [name=reveal]").click()
    page.wait_for_selector("#learn .ms-revealed", state="visible")
    settle(page)
    photograph(page, "learn.jpg")


def teach(page: Page) -> None:
    """The questions of a handout."""
    page.goto(f"{ADDRESS}?tab=teach")
    page.locator("#teach [name=kind]").select_option("handout")
    page.locator("#teach [name=format]").select_option("png")
    page.locator("#teach [name=make]").click()
    page.wait_for_selector('[data-made="handout png"]')
    settle(page)
    photograph(page, "teach.jpg")


def settle(page: Page) -> None:
    """Wait until nothing is busy and no message tells of work."""
    page.wait_for_timeout(1000)
    page.wait_for_function("document.querySelector('[aria-busy=true]') === null")
    page.wait_for_function(
        "![...document.querySelectorAll('.ms-working')].some((it) => it.checkVisibility())"
    )


def photograph(page: Page, name: str) -> None:
    """Photograph the whole page: as PNG with a palette, or as JPEG."""
    path = IMAGES / name
    with tempfile.NamedTemporaryFile(suffix=".png") as file:
        page.screenshot(path=file.name, full_page=True)
        with Image.open(file.name) as opened:
            image = opened.convert("RGB")
    if path.suffix == ".jpg":
        image.save(path, quality=82, optimize=True)
    else:
        image.quantize(256, Image.Quantize.FASTOCTREE).save(path, optimize=True)


def wait_for(address: str) -> None:
    """Until the studio answers."""
    for _ in range(_PATIENCE):
        try:
            urllib.request.urlopen(address)
        except urllib.error.URLError:
            time.sleep(1)
        else:
            return
    raise TimeoutError(f"{address} does not answer")


if __name__ == "__main__":
    main()
