"""README, guides and reference name commands, settings, files and functions that exist; nothing is run."""

import importlib
import re
import shlex
from pathlib import Path

import pytest
import typer
from PIL import Image

from morphoscope.apps.cli import app
from morphoscope.configs import list_presets, load_config
from morphoscope.configs.classifier import EnsembleTraining
from morphoscope.configs.generator import GeneratorTraining
from morphoscope.configs.schema import fields_of
from morphoscope.configs.study import Study

WITH_PRESETS = {"generate": GeneratorTraining, "classify": EnsembleTraining, "study": Study}
PUBLIC = ["ops", "cohort", "generate", "classify", "apps.studio", "configs"]


def test_the_chain_is_there(commands):
    verbs = {" ".join(command.split()[1:3]) for command in commands}
    assert {"cohort import", "cohort split", "generate train", "generate morph", "generate augment"} <= verbs
    assert {"classify train", "classify evaluate", "classify explain"} <= verbs


def test_a_command_parses(command):
    """Each command of the program is known, with all of its options and arguments."""
    words = shlex.split(command)
    if "morphoscope.apps" in words:  # under torchrun
        words = words[words.index("morphoscope.apps") :]
    elif words[0] != "morphoscope":
        return
    family, name, found = words[1], words.pop(0), typer.main.get_command(app)
    while hasattr(found, "commands"):
        name = words.pop(0)
        found = found.commands[name]
    context = found.make_context(name, words)  # raises on an unknown option or a missing argument
    assert bool(context.params) == bool(found.params)
    if preset := context.params.get("preset"):
        assert preset in list_presets(family)
        schema = WITH_PRESETS[family]
        given = {name: context.params.get(name) for name in ("cohort",) if name in schema.model_fields}
        load_config(schema, family=family, preset=preset, overrides=context.params.get("set_"), **given)


def test_make_targets_exist(root, pages):
    makefile = (root / "Makefile").read_text()
    named = {
        name for page in pages for name in re.findall(r"(?:`|^)make (\w+)", page.read_text(), re.MULTILINE)
    }
    assert {"demo", "test", "app", "docs"} <= named
    assert [name for name in named if not re.search(rf"^{name}:", makefile, re.MULTILINE)] == []


def test_links_between_files_lead_somewhere(root, pages):
    """Links to pages, images and source files; the site's build also checks the anchors."""
    broken = []
    for page in [*pages, root / "CHANGELOG.md"]:
        links = re.findall(r"\]\(([^)#:\s]+)[)#]", page.read_text(encoding="utf-8"))
        broken += [f"{page.name}: {link}" for link in links if not (page.parent / link).exists()]
    assert broken == []


def test_settings_that_the_guide_names_exist(root):
    """Words in code style that look like a setting: `name` or `name: value` or `name=value`."""
    guide = (root / "docs" / "training.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z]+_[a-z0-9_]+)(?:[:=] ?[^`]+)?`", guide))
    assert {"transition_start_kimg", "lecam_weight", "micro_batch", "half_dtype"} <= named
    assert named <= set(fields_of(GeneratorTraining))


@pytest.mark.parametrize("room", PUBLIC)
def test_the_reference_has_every_public_name(root, room):
    page = (root / "docs" / "reference" / f"{room.partition('.')[0]}.md").read_text(encoding="utf-8")
    missing = [name for name in importlib.import_module(f"morphoscope.{room}").__all__ if name not in page]
    assert missing == []


def test_generated_images_carry_their_mark(root):
    drawn = ("explain-nf1.png", "gradcam-nf1.png")  # of phantoms that a program has drawn, not generated
    gallery = (root / "docs" / "images" / "gallery").iterdir()
    generated = [path for path in gallery if path.name not in drawn]
    assert len(generated) >= 6
    assert [path.name for path in generated if "Synthetic" not in Image.open(path).info] == []


def test_every_image_is_shown_somewhere(root, pages):
    text = "".join(Path(page).read_text(encoding="utf-8") for page in pages)
    images = [*(root / "docs").rglob("*.png"), *(root / "docs").rglob("*.jpg")]
    assert images
    assert [image.name for image in images if image.name not in text] == []
    assert sum(image.stat().st_size for image in images) < 6_000_000
