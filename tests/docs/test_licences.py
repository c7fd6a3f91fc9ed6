"""The list of licences is that of the packages the tests run with, and none of them is one to avoid."""

import runpy
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import pytest
from packaging.utils import canonicalize_name


@pytest.fixture(scope="module")
def licences(root: Path) -> dict[str, Any]:
    return runpy.run_path(str(root / "docs" / "licences.py"))


@pytest.fixture(scope="module")
def listed(root: Path) -> dict[str, list[str]]:
    """{canonical name: its row} of the page."""
    page = (root / "docs" / "licences.md").read_text(encoding="utf-8")
    rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("|")]
    return {canonicalize_name(row[0]): row for row in rows[2:]}


def test_every_package_and_version_is_listed(licences, listed):
    pinned = {canonicalize_name(name): number for name, number in licences["pinned"]().items()}
    assert {name: row[1] for name, row in listed.items()} == pinned


def test_every_direct_dependency_is_listed_with_a_known_licence(licences, listed):
    direct = licences["direct"]()
    assert {"torch", "gradio", "imageio-ffmpeg"} <= direct.keys()
    assert {name for name in direct if name not in listed} == set()
    assert {name: row[2] for name, row in listed.items() if row[2] in ("", licences["UNKNOWN"])} == {}
    assert {name: listed[name][3] for name in direct} == {name: ", ".join(direct[name]) for name in direct}


def test_the_list_is_what_the_packages_state(licences, listed):
    """For the packages that are installed in the version of the list; the oldest versions are not."""
    stated = {
        name: licences["licence_of"](package)
        for package in distributions()
        if (name := canonicalize_name(package.name)) in listed and package.version == listed[name][1]
    }
    assert stated
    assert stated == {name: listed[name][2] for name in stated}


def test_nothing_that_is_installed_is_under_the_agpl(licences):
    found = {package.name: licences["licence_of"](package) for package in distributions()}
    assert len(found) > 50
    assert [name for name, text in found.items() if "AGPL" in text or "Affero" in text] == []


def test_the_gpl_is_on_the_page_where_it_is(root, listed):
    """A new package under the GPL is a decision to take, not one to find out about."""
    named = {name for name, row in listed.items() if "GPL" in row[2] or "General Public" in row[2]}
    assert named <= {"docutils"}  # also in the public domain and under BSD; needed by `make docs` only
    assert "ffmpeg is under the GPL" in (root / "docs" / "licences.md").read_text(encoding="utf-8")
