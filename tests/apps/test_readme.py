"""The commands of README and guides exist and parse; `make` targets they name are there."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from morphoscope.apps.cli import app
from morphoscope.configs import list_presets, load_config
from morphoscope.configs.classifier import EnsembleTraining
from morphoscope.configs.generator import GeneratorTraining

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
GUIDE = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
CLASSIFYING = (ROOT / "docs" / "classifying.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```sh\n(.*?)```", README + GUIDE + CLASSIFYING, re.DOTALL)
TRAININGS = {"generate": GeneratorTraining, "classify": EnsembleTraining}
LINES = [line for block in BLOCKS for line in block.splitlines() if line.startswith("morphoscope ")]


def test_the_chain_is_there():
    verbs = {" ".join(line.split()[1:3]) for line in LINES}
    assert {"cohort import", "cohort split", "generate train", "generate morph", "generate augment"} <= verbs
    assert {"classify train", "classify evaluate", "classify explain"} <= verbs


@pytest.mark.parametrize("line", LINES)
def test_command_parses(line):
    words = shlex.split(line, comments=True)[1:]
    family = words[0]
    command = typer.main.get_command(app)
    name = "morphoscope"
    while hasattr(command, "commands"):
        name = words.pop(0)
        command = command.commands[name]
    context = command.make_context(name, words)  # raises on an unknown option or a missing argument
    assert bool(context.params) == bool(command.params)
    if preset := context.params.get("preset"):
        assert preset in list_presets(family)
        load_config(TRAININGS[family], family=family, preset=preset, overrides=context.params["set_"])


@pytest.mark.parametrize("target", sorted(set(re.findall(r"`?make (\w+)", README))))
def test_make_target_exists(target):
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize(
    "page", ["README.md", "CONTRIBUTING.md", "docs/lab-notes.md", "docs/model-card.md", "docs/training.md"]
)
def test_links_between_pages_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#:]+\.md)\)", (ROOT / page).read_text(encoding="utf-8"))
    assert [link for link in links if not ((ROOT / page).parent / link).is_file()] == []


def test_settings_that_the_guide_names_exist():
    """Words in code style that look like a setting: `name` or `name: value` or `name=value`."""
    named = set(re.findall(r"`([a-z]+_[a-z0-9_]+)(?:[:=] ?[^`]+)?`", GUIDE))
    assert {"transition_start_kimg", "lecam_weight", "micro_batch", "half_dtype"} <= named
    assert named <= set(GeneratorTraining.model_fields)
