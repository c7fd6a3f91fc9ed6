"""`make docs`: the site builds without a warning, and its pages load nothing from other hosts."""

import os
import re
import subprocess
import sys
from html import escape
from pathlib import Path

import pytest

from morphoscope.apps.commands.settings import SCHEMAS
from morphoscope.configs.help import meaning
from morphoscope.configs.schema import fields_of

pytest.importorskip("sphinx", reason="needs the extra docs")
pytestmark = pytest.mark.slow  # half a minute: every room is imported and every page written

# What a browser fetches by itself: scripts, stylesheets, images, frames. Links to follow are no such thing.
LOADED = re.compile(
    r"<(?:script|img|iframe|source|video|link(?![^>]*rel=\"(?:next|prev|search|index)\"))\b[^>]*?"
    r"\b(?:src|href)=[\"'](?P<address>[^\"']+)"
)


@pytest.fixture(scope="module")
def site(root, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-d", folder / "doctrees"]
    offline = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    done = subprocess.run(
        [*command, root / "docs", folder / "html"],
        env={**os.environ, **offline},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder / "html"


def test_pages_load_nothing_from_other_hosts(site):
    addresses = [
        (page.name, found["address"])
        for page in site.rglob("*.html")
        for found in LOADED.finditer(page.read_text(encoding="utf-8"))
    ]
    assert len(addresses) > 100
    assert [found for found in addresses if re.match(r"(https?:)?//", found[1])] == []
    styles = "".join(sheet.read_text(encoding="utf-8") for sheet in site.rglob("*.css"))
    assert re.findall(r"(?:@import|url\()\s*[\"']?(?:https?:)?//[^\"')]+", styles) == []


def test_the_command_line_is_described_from_the_program(site):
    page = (site / "reference" / "command-line.html").read_text(encoding="utf-8")
    for words in (
        'id="morphoscope-generate-train"',
        "--exclude-folds",
        'id="morphoscope-classify-survey-build"',
    ):
        assert words in page


def test_every_setting_is_described(site):
    page = (site / "reference" / "settings.html").read_text(encoding="utf-8")
    for schema in SCHEMAS:
        for name, field in fields_of(schema).items():
            assert f">{name}</span>" in page, name
            plain = re.split("['`]", meaning(field.info))[0]  # the page has typographic quotes
            assert escape(plain) in page, name


def test_docstrings_are_there(site):
    page = (site / "reference" / "generate.html").read_text(encoding="utf-8")
    assert "morphoscope.generate.GeneratorModel.morph" in page
    assert "mixture (1 - r) a + r b" in " ".join(page.split())
