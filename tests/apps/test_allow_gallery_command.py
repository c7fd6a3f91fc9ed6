"""`morphoscope classify allow-gallery`: the owner of an ensemble decides whether its images are shown."""

import shutil
from pathlib import Path

import pytest

from morphoscope.apps.bundled_models import ENSEMBLE
from morphoscope.classify import Ensemble


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One model of the bundled ensemble, as if it was trained on patients."""
    path = tmp_path_factory.mktemp("allow") / "ensemble.safetensors"
    one = Ensemble.load(ENSEMBLE).fold("0")
    one.metadata = one.metadata.model_copy(update={"phantom": False})
    one.save(path)
    return path


def test_permission_is_given_and_withdrawn(private: Path, command_line) -> None:
    assert not Ensemble.load(private).metadata.may_show_training_images
    code, out, _ = command_line("classify", "allow-gallery", private)
    assert code == 0 and "may show its training images" in " ".join(out.split())
    assert Ensemble.load(private).metadata.may_show_training_images
    code, out, _ = command_line("classify", "allow-gallery", private, "--revoke")
    assert code == 0 and "may not show" in " ".join(out.split())
    assert not Ensemble.load(private).metadata.may_show_training_images


def test_phantoms_need_none(tmp_path: Path, command_line) -> None:
    path = tmp_path / "ensemble.safetensors"
    shutil.copy(ENSEMBLE, path)
    code, out, _ = command_line("classify", "allow-gallery", path, "--revoke")
    assert code == 0 and "they are phantoms" in " ".join(out.split())
