"""The Classify tab, in headless Chromium."""

import base64
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from morphoscope.cohort import phantom_image, write_image

PASTE = """(data) => {
    const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
    const clipboardData = new DataTransfer();
    clipboardData.items.add(new File([bytes], "pasted.png", { type: "image/png" }));
    document.dispatchEvent(new ClipboardEvent("paste", { clipboardData, cancelable: true }));
}"""
UPLOAD = "#classify input[name=photograph]"
CAPTION, ERROR, ROWS = "#classify .ms-caption", "#classify .ms-error", "#classify .ms-bars tbody tr"
BOX, SEEN = "#classify .ms-crop", "#classify .ms-seen img"


@pytest.fixture(scope="module")
def photograph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photographs") / "arm.png"
    write_image(path, phantom_image("ML", 3, size=128).image[:, :96])
    return path


@pytest.fixture(scope="module")
def tab(open_page: Callable[..., Page]) -> Iterator[Page]:
    """The tab, one page for all tests."""
    opened = open_page("tab=classify")
    opened.wait_for_selector("#classify .ms-nothing", state="visible")
    yield opened
    opened.close()


def upload(page: Page, file: Path) -> None:
    page.set_input_files(UPLOAD, file)
    expect(page.locator(CAPTION)).to_have_text(file.name)
    expect(page.locator("#classify .ms-stage")).not_to_have_attribute("aria-busy", "true")


def test_uploaded_photograph_is_classified_and_not_kept(tab: Page, photograph: Path, uploads: Path) -> None:
    upload(tab, photograph)
    expect(tab.locator(ROWS)).to_have_count(3)
    expect(tab.locator("#classify .ms-size")).to_have_text("96 x 128 pixels")
    expect(tab.locator("#classify .ms-certainty dt")).to_have_count(3)
    expect(tab.locator("#classify .ms-notes")).to_contain_text("central square")
    expect(tab.locator("#classify .ms-printed")).to_be_hidden()
    assert "image=" not in tab.url
    assert [file for file in uploads.rglob("*") if file.is_file() and file.stat().st_size > 0] == []


@pytest.mark.parametrize("width", [390, 768, 980, 1280])
def test_text_has_room_at_every_width(tab: Page, photograph: Path, width: int) -> None:
    """On a tablet, the answers once stood in a column of one word."""
    upload(tab, photograph)
    tab.set_viewport_size({"width": width, "height": 800})
    box = tab.locator("#classify .ms-certainty").bounding_box()
    tab.set_viewport_size({"width": 1280, "height": 900})
    assert box is not None and box["width"] >= 250


def test_box_cuts_out_what_the_models_see(tab: Page, photograph: Path) -> None:
    upload(tab, photograph)
    whole = tab.locator(SEEN).get_attribute("src")
    tab.locator("#classify [name=cropping]").check()
    expect(tab.locator(SEEN)).not_to_have_attribute("src", str(whole))
    expect(tab.locator("#classify .ms-notes p")).to_have_count(0)
    middle = tab.locator(SEEN).get_attribute("src")
    box = tab.locator(BOX).bounding_box()
    assert box is not None
    tab.mouse.move(box["x"] + 30, box["y"] + 30)
    tab.mouse.down()
    tab.mouse.move(box["x"] - 300, box["y"] - 300, steps=3)
    tab.mouse.up()
    expect(tab.locator(BOX)).to_have_attribute("aria-valuetext", re.compile("25% from the left and 19%"))
    expect(tab.locator(SEEN)).not_to_have_attribute("src", str(middle))
    tab.locator("#classify [name=cropping]").uncheck()
    expect(tab.locator(SEEN)).to_have_attribute("src", str(whole))


def test_box_is_moved_and_resized_by_keys_and_at_its_corner(tab: Page, photograph: Path) -> None:
    upload(tab, photograph)
    tab.locator("#classify [name=cropping]").check()
    expect(tab.locator(BOX)).to_be_focused()
    before = tab.locator(BOX).get_attribute("aria-valuetext")
    tab.keyboard.press("ArrowRight")
    expect(tab.locator(BOX)).not_to_have_attribute("aria-valuetext", str(before))
    side = int(tab.locator(BOX).get_attribute("aria-valuenow") or 0)
    tab.keyboard.press("+")
    expect(tab.locator(BOX)).to_have_attribute("aria-valuenow", str(side + 4))
    expect(tab).to_have_url(re.compile("crop=0"))
    corner = tab.locator("#classify .ms-corner").bounding_box()
    assert corner is not None
    tab.mouse.move(corner["x"] + 18, corner["y"] + 18)
    tab.mouse.down()
    tab.mouse.move(corner["x"] - 400, corner["y"] - 400, steps=3)
    tab.mouse.up()
    expect(tab.locator(BOX)).to_have_attribute("aria-valuenow", "10")
    tab.locator("#classify [name=cropping]").uncheck()


def test_part_that_is_too_small_leaves_the_picture(tab: Page, tmp_path: Path) -> None:
    small = tmp_path / "small.png"
    write_image(small, phantom_image("ML", 3, size=32).image[:14, :14])
    upload(tab, small)
    tab.locator("#classify [name=cropping]").check()
    expect(tab.locator(ERROR)).to_contain_text("needs at least 8 x 8 pixels")
    expect(tab.locator(CAPTION)).to_be_visible()
    tab.locator("#classify [name=cropping]").uncheck()
    expect(tab.locator(ERROR)).to_be_hidden()


def test_methods_stand_side_by_side_and_go_with_the_picture(tab: Page, photograph: Path) -> None:
    upload(tab, photograph)
    tab.locator("#classify [name=target]").select_option("red")
    tab.locator("#classify [name=explain]").click()
    expect(tab.locator("#classify .ms-maps figure")).to_have_count(4)
    expect(tab.locator("#classify .ms-maps")).to_contain_text("Evidence for red")
    expect(tab.locator("#classify .ms-maps > p")).to_contain_text("not where the disease is")
    assert "evidence=red" in tab.url
    upload(tab, photograph)
    expect(tab.locator("#classify .ms-maps figure")).to_have_count(0)


def test_similar_images(tab: Page, photograph: Path) -> None:
    upload(tab, photograph)
    tab.locator("#classify [name=similar]").click()
    expect(tab.locator("#classify .ms-neighbours").first.locator("figure")).to_have_count(6)
    expect(tab.locator("#classify .ms-neighbours").nth(1).locator("img").first).to_have_attribute(
        "alt", re.compile("100% .*, seed")
    )


def test_photograph_is_pasted(tab: Page, photograph: Path) -> None:
    tab.evaluate(PASTE, base64.b64encode(photograph.read_bytes()).decode())
    expect(tab.locator(CAPTION)).to_have_text("pasted.png")


def test_photograph_of_the_camera(tab: Page) -> None:
    tab.get_by_role("button", name="Use the camera").click()
    tab.wait_for_function("document.querySelector('#classify video').videoWidth > 0")
    tab.get_by_role("button", name="Take the photograph").click()
    expect(tab.locator(CAPTION)).to_have_text("camera.jpg")
    expect(tab.locator("#classify .ms-camera")).to_be_hidden()
    assert tab.evaluate("document.querySelector('#classify video').srcObject.active") is False


def test_broken_files_get_a_message_and_the_next_upload_works(
    tab: Page, photograph: Path, tmp_path: Path
) -> None:
    text, empty, huge, large = (tmp_path / f"{name}.png" for name in ("text", "empty", "huge", "large"))
    text.write_text("no picture at all")
    empty.touch()
    Image.new("1", (9_000, 9_000)).save(huge)
    large.write_bytes(bytes(33 * 2**20))
    for file, reason in [
        (text, "text.png: not an image"),
        (empty, "empty.png: empty file"),
        (huge, "huge.png: 9000 x 9000 pixels"),
        (large, "larger than 32 MB"),
    ]:
        tab.set_input_files(UPLOAD, file)
        expect(tab.locator(ERROR)).to_contain_text(reason)
        for gone in (".ms-given", ".ms-result", ".ms-questions"):
            expect(tab.locator(f"#classify {gone}")).to_be_hidden()
    upload(tab, photograph)
    expect(tab.locator(ERROR)).to_be_hidden()
    expect(tab.locator(ROWS)).to_have_count(3)


def test_frame_sent_from_morph_keeps_its_mark_and_its_address_opens_it(tab: Page) -> None:
    tab.get_by_role("tab", name="Morph").click()
    tab.wait_for_selector("[data-frames=all]")
    tab.get_by_role("button", name="Send to Classify").click()
    expect(tab.locator(CAPTION)).to_have_text(re.compile("Synthetic picture: .*% dark"))
    expect(tab.locator("#classify .ms-printed")).to_contain_text("not a photograph")
    expect(tab.locator(ROWS)).to_have_count(3)
    caption = tab.locator(CAPTION).inner_text()
    tab.goto(tab.url)
    expect(tab.locator(CAPTION)).to_have_text(caption)


def test_phone(tab: Page, photograph: Path) -> None:
    tab.set_viewport_size({"width": 360, "height": 740})
    upload(tab, photograph)
    assert tab.evaluate("document.documentElement.scrollWidth") <= 360
