"""`generate morph | loop | grid | triangle | mix | directions` as a user calls them."""

import pytest

from morphoscope.apps.bundled_models import GENERATOR
from morphoscope.generate import load
from morphoscope.generate.latents import ProjectedPhotograph, write_photograph


@pytest.fixture(scope="module")
def photograph(tmp_path_factory):
    """A projected photograph in a file that names a patient."""
    model = load(GENERATOR)
    path = tmp_path_factory.mktemp("patients") / "jane-doe.safetensors"
    codes = model.G.mapping.w_avg.repeat(model.G.num_ws, 1)
    write_photograph(path, ProjectedPhotograph("ab12", model.digest, "w", {"NF1": 1.0}, codes))
    return path


@pytest.mark.parametrize(
    "words",
    [
        ["morph", "{end}", "TSC", "--steps", "2"],
        ["loop", "{end}", "{end}:TSC", "--steps", "2", "--film", "none"],
        ["grid", "{end}", "TSC", "--steps", "2", "--count", "1", "--way", "w"],
        ["triangle", "{end}", "TSC", "IP", "--side", "2", "--set", "way=w"],
        ["mix", "--row={end}", "--column", "TSC", "--column", "{end}:IP"],
        ["directions", "{end}@1=2", "--count", "1"],
    ],
    ids=lambda words: words[0],
)
def test_no_file_names_the_photograph(command_line, photograph, tmp_path, words):
    command, *rest = (word.format(end=photograph) for word in words)
    code, _, err = command_line("generate", command, GENERATOR, *rest, "--run", tmp_path / "run")
    assert code == 0, err
    for path in (tmp_path / "run").rglob("*"):
        assert path.is_dir() or b"jane" not in path.read_bytes(), path
    assert "photograph ab12:NF1" in (tmp_path / "run/config.yaml").read_text()


def test_another_projection_of_the_photograph_is_another_run(command_line, photograph, tmp_path):
    model = load(GENERATOR)
    other = tmp_path / "other.safetensors"
    codes = 0.5 * model.G.mapping.w_avg.repeat(model.G.num_ws, 1)
    write_photograph(other, ProjectedPhotograph("ab12", model.digest, "w", {"NF1": 1.0}, codes))
    words = ["TSC", "--steps", "2", "--run", tmp_path / "run"]
    assert command_line("generate", "morph", GENERATOR, photograph, *words)[0] == 0
    code, _, err = command_line("generate", "morph", GENERATOR, other, *words)
    assert code == 2 and "another run" in err
