"""Files of projected photographs."""

import dataclasses

import pytest
import torch

from morphoscope.configs import UserError
from morphoscope.generate.latents import read_photograph, write_photograph
from morphoscope.runtime.torch_checkpoints import write_checkpoint


def test_round_trip(model, photograph, tmp_path):
    path = tmp_path / "face.safetensors"
    write_photograph(path, photograph)
    found = read_photograph(path, model)
    assert (found.digest, found.space, found.label, found.record) == (
        "ab12",
        "tuned",
        {"early": 1.0},
        {"psnr": 30.5},
    )
    assert found.codes.equal(photograph.codes)
    assert found.synthesis["b16.conv1.weight"].equal(photograph.synthesis["b16.conv1.weight"])


def test_of_another_generator(model, photograph, tmp_path):
    path = tmp_path / "face.safetensors"
    write_photograph(path, dataclasses.replace(photograph, generator="cd34"))
    with pytest.raises(UserError, match=r"face\.safetensors: projected with generator cd34"):
        read_photograph(path, model)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"codes": torch.zeros(1, 8)}, "codes"),
        ({"synthesis": {"b16.conv1.weight": torch.zeros(1)}}, "does not fit"),
        ({"synthesis": {"os.system": torch.zeros(1)}}, "os.system"),
        ({"label": {"psoriasis": 1.0}}, "psoriasis"),
        ({"label": {"early": 0.4}}, "sum 1"),
        ({"space": "z"}, "space"),
        ({"codes": torch.full([6, 8], torch.nan)}, "not numbers"),
    ],
)
def test_content_that_does_not_fit(model, photograph, tmp_path, change, message):
    path = tmp_path / "face.safetensors"
    write_photograph(path, dataclasses.replace(photograph, **change))
    with pytest.raises(UserError, match=message):
        read_photograph(path, model)


def test_a_generator_is_no_photograph(model, tmp_path):
    path = tmp_path / "face.safetensors"
    write_checkpoint(path, "generator", {"codes": torch.zeros(1)}, {})
    with pytest.raises(UserError, match="kind 'projected photograph'"):
        read_photograph(path, model)
