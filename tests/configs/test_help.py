"""Type, range, default and meaning of a field as text."""

from pathlib import Path
from typing import Literal

import pytest
from pydantic import Field

from morphoscope.configs.classifier import EnsembleTraining
from morphoscope.configs.commands import Sampling, Splitting
from morphoscope.configs.help import default_text, help_text, range_text, type_text
from morphoscope.configs.schema import Config, fields_of


class Example(Config):
    """A field of every kind."""

    count: int = Field(3, ge=1, le=10)
    seed: int = Field(0, ge=0, lt=2**32)
    share: float = Field(0.25, ge=0, lt=1, description="share of the groups")
    rate: float = Field(gt=0)
    half: float | None = Field(None, gt=0, le=0.5)
    fit: Literal["crop", "letterbox"] | None = None
    views: Literal[1, 8] = 1
    flag: bool = True
    names: list[str] = Field(["a", "b"])
    files: list[Path] = Field([])
    renamed: dict[str, str] = Field({})


@pytest.mark.parametrize(
    ("name", "kind", "bounds", "default"),
    [
        ("count", "integer", "1 to 10", "3"),
        ("seed", "integer", "0 to 4294967295", "0"),
        ("share", "number", "at least 0, below 1", "0.25"),
        ("rate", "number", "above 0", ""),
        ("half", "number or null", "above 0, at most 0.5", "null"),
        ("fit", "crop, letterbox or null", "", "null"),
        ("views", "1 or 8", "", "1"),
        ("flag", "true or false", "", "true"),
        ("names", "list of text", "", "[a, b]"),
        ("files", "list of file", "", "[]"),
        ("renamed", "mapping", "", "{}"),
    ],
)
def test_type_range_and_default(name: str, kind: str, bounds: str, default: str) -> None:
    info = fields_of(Example)[name].info
    assert (type_text(info), range_text(info), default_text(info)) == (kind, bounds, default)


def test_help_of_an_option() -> None:
    fields = fields_of(Example)
    assert help_text(fields["share"]) == "Share of the groups (at least 0, below 1; default: 0.25)."
    assert help_text(fields["share"], preset=True, note="repeatable") == (
        "Share of the groups (repeatable; at least 0, below 1; default: 0.25, or the preset's)."
    )
    training = fields_of(EnsembleTraining)
    assert help_text(training["batch"], preset=True) == "Images per step (at least 2; default: the preset's)."


def test_psi_is_explained() -> None:
    assert "mean image" in help_text(fields_of(Sampling)["psi"])
    assert help_text(fields_of(Splitting)["folds"]).endswith("(2 to 100; default: 5).")
