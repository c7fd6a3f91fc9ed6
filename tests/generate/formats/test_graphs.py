"""Written graphs make our images, for any number of them, in other programs."""

import json

import numpy as np
import pytest
import torch

from morphoscope.configs import UserError
from morphoscope.generate.formats.graphs import OPSETS, write_onnx, write_program
from morphoscope.generate.formats.importing import import_stylegan2
from morphoscope.generate.model import GeneratorModel, draw_latents


@pytest.fixture(scope="module")
def model(tmp_path_factory, checkpoint):
    folder = tmp_path_factory.mktemp("graphs")
    (folder / "model.pkl").write_bytes(checkpoint)
    import_stylegan2(folder / "model.pkl", folder / "model.safetensors", ["NF1", "TSC"])
    return GeneratorModel.load(folder / "model.safetensors")


def levels(images):
    return (np.asarray(images) * 127.5 + 128).clip(0, 255).transpose(0, 2, 3, 1)


@pytest.mark.parametrize("images", [1, 4])
@pytest.mark.parametrize("psi", [0.0, 0.7, 1.0])
def test_onnx_makes_our_images(tmp_path_factory, model, images, psi):
    runtime = pytest.importorskip("onnxruntime")
    path = tmp_path_factory.getbasetemp() / "graph.onnx"
    if not path.exists():
        report = write_onnx(model, path)
        assert report.difference < 1e-4
    session = runtime.InferenceSession(str(path))
    properties = json.loads(session.get_modelmeta().custom_metadata_map["morphoscope"])
    assert properties["conditions"] == ["NF1", "TSC"]
    assert properties["generator"] == model.digest
    labels = np.zeros((images, 2), np.float32)
    labels[:, 1] = 1
    z = draw_latents(range(images), model.G.z_dim).numpy()
    (made,) = session.run(None, {"z": z, "label": labels, "psi": np.array(psi, np.float32)})
    ours = model.sample("TSC", range(images), psi)
    assert np.abs(levels(made) - ours).max() < 1.01  # ours are cut to whole levels


def test_a_program_of_torch_makes_our_images(tmp_path, model):
    report = write_program(model, tmp_path / "graph.pt2")
    assert report.difference < 1e-4
    run = torch.export.load(tmp_path / "graph.pt2").module()
    label = torch.tensor([[1.0, 0.0]]).expand(3, -1)
    made = run(draw_latents([7, 8, 9], model.G.z_dim), label, torch.tensor(0.7)).detach()
    assert np.abs(levels(made) - model.sample("NF1", [7, 8, 9], 0.7)).max() < 1.01


@pytest.mark.parametrize("opset", [OPSETS[0] - 1, OPSETS[-1] + 1])
def test_an_opset_that_is_not_there_is_refused_and_nothing_is_written(tmp_path, model, opset):
    with pytest.raises(UserError, match=f"opset {opset}: graphs can be written for 18 to 24"):
        write_onnx(model, tmp_path / "graph.onnx", opset)
    assert not list(tmp_path.iterdir())


def test_a_missing_package_is_named(tmp_path, model, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(UserError, match=r"needs the package onnx: pip install 'morphoscope\[onnx\]'"):
        write_onnx(model, tmp_path / "graph.onnx")
