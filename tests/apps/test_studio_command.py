"""`morphoscope app`."""

from dataclasses import replace
from pathlib import Path

import pytest
from phantom_faces import phantom_gestalt
from typer.testing import CliRunner

from morphoscope.apps import studio
from morphoscope.apps.cli import app
from morphoscope.classify.gestalt import write_gallery
from morphoscope.ops import dispatch


def test_the_kernels_are_built_before_anyone_visits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """And a gallery of faces that was given is behind the page."""
    monkeypatch.setattr(dispatch, "_kernels", {})
    known: list[list[str]] = []
    pages: list[studio.app.StudioPage] = []

    def launch(page: studio.app.StudioPage, host: str, port: int) -> None:
        known.append(list(dispatch._kernels))
        pages.append(page)

    monkeypatch.setattr(studio, "launch", launch)
    gallery = tmp_path / "gallery.safetensors"
    write_gallery(gallery, phantom_gestalt().gallery)
    words = ["app", "--device", "cpu", "--faces-gallery", str(gallery)]
    assert CliRunner().invoke(app, words).exit_code == 0
    assert known == [["cpu"]]
    found = pages[0].faces.gestalt
    assert found is not None and len(found.gallery) == 12


def test_galleries_that_cannot_be_used_are_refused_at_the_start(command_line, tmp_path: Path) -> None:
    gallery = tmp_path / "gallery.safetensors"
    write_gallery(gallery, replace(phantom_gestalt().gallery, encoder="another", encoder_digest="0" * 64))
    code, _, err = command_line("app", "--faces-gallery", gallery)
    assert code == 2 and "made with the encoder another" in err
    code, _, err = command_line("app", "--faces-gallery", tmp_path / "none.safetensors")
    assert code == 2 and "none.safetensors" in err
    code, _, err = command_line("app", "--faces-encoder", tmp_path / "own.onnx")
    assert code == 2 and "--faces-gallery" in err
