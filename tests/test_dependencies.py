"""The oldest dependencies that are tested are those that pyproject.toml promises."""

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]


def pinned(file: str) -> dict[str, Version]:
    """{name: version} of a constraints file."""
    found = re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / file).read_text(), re.MULTILINE)
    return {canonicalize_name(name): Version(version) for name, version in found}


def requirements() -> list[Requirement]:
    """What the program itself needs, without extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [Requirement(text) for text in project["dependencies"]]


def test_every_lower_bound_is_what_the_oldest_job_installs() -> None:
    bounds = {}
    for requirement in requirements():
        lower = [part.version for part in requirement.specifier if part.operator in (">=", "==")]
        assert len(lower) == 1, f"{requirement.name}: one lower bound"
        bounds[canonicalize_name(requirement.name)] = Version(lower[0])
    oldest = pinned("constraints-oldest.txt")
    assert oldest.keys() == bounds.keys()
    assert {
        name: str(oldest[name]) for name in oldest if oldest[name].release[:2] != bounds[name].release[:2]
    } == {}
    assert {name: str(oldest[name]) for name in oldest if oldest[name] < bounds[name]} == {}


def test_what_is_developed_with_fulfils_the_bounds() -> None:
    newest = pinned("constraints.txt")
    unfulfilled = [
        str(requirement)
        for requirement in requirements()
        if (version := newest.get(canonicalize_name(requirement.name)))
        and not requirement.specifier.contains(version)
    ]
    assert unfulfilled == []
