"""The bundled encoder, encoders that a user brings, and the embedding of a face."""

import numpy as np
import pytest
import torch
from phantom_faces import photograph

from morphoscope.classify.gestalt import find_face, load_encoder
from morphoscope.classify.gestalt.encoders import embed_chip
from morphoscope.classify.gestalt.resnet import face_resnet
from morphoscope.configs import UserError


@pytest.fixture(scope="module")
def encoder():
    return load_encoder()


def chip(encoder, *which):
    return find_face(photograph(*which)).aligned(encoder.template)


def distance(a, b):
    return float(np.linalg.norm(a - b))


def test_the_network_is_dlibs():
    network = face_resnet()
    convolutions = [module for module in network.modules() if isinstance(module, torch.nn.Conv2d)]
    assert len(convolutions) == 29
    found = network(torch.linspace(0, 255, 3 * 150 * 150).reshape(1, 3, 150, 150))
    assert found.shape == (1, 128)
    assert found[0, :4].tolist() == pytest.approx([-0.0378, 0.1362, 0.0516, -0.0168], abs=2e-3)


def test_one_face_in_other_light_mirrored_or_turned_stays_near(encoder):
    own, other = chip(encoder, 0), chip(encoder, 1)
    dark = (own * 0.5).astype(np.uint8)
    base, mirrored, darker, stranger = encoder.encode(np.stack([own, own[:, ::-1], dark, other]))
    turned = encoder.encode(np.rot90(own, 0)[None])[0]
    assert distance(base, turned) < 1e-4
    assert distance(base, mirrored) < 0.4
    assert distance(base, darker) < 0.4
    assert distance(base, stranger) > max(distance(base, mirrored), distance(base, darker))


def test_people_are_told_apart(encoder):
    found = np.stack(
        [embed_chip(encoder, chip(encoder, person, shot)) for person in range(3) for shot in (0, 1)]
    )
    likeness = found @ found.T - 2 * np.eye(6)
    assert (likeness.argmax(axis=1) // 2 == np.arange(6) // 2).all()


def test_embeddings_have_length_one_and_ignore_mirroring(encoder):
    own = chip(encoder, 2)
    first, mirrored = embed_chip(encoder, own), embed_chip(encoder, own[:, ::-1])
    assert np.linalg.norm(first) == pytest.approx(1, abs=1e-5)
    assert np.allclose(first, mirrored, atol=1e-5)


@pytest.fixture
def onnx_file(tmp_path):
    onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")
    pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")

    def write(side=112):
        value = onnx.helper.make_tensor_value_info
        graph = onnx.helper.make_graph(
            [onnx.helper.make_node("ReduceMean", ["faces", "axes"], ["embedding"], keepdims=0)],
            "encoder",
            [value("faces", onnx.TensorProto.FLOAT, [1, 3, side, side])],
            [value("embedding", onnx.TensorProto.FLOAT, [1, side])],
            [onnx.numpy_helper.from_array(np.array([1, 2]), "axes")],
        )
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=10)
        onnx.save(model, tmp_path / "encoder.onnx")
        return tmp_path / "encoder.onnx"

    return write


def test_a_users_encoder_takes_arcface_chips(onnx_file):
    encoder = load_encoder(onnx_file())
    own = chip(encoder, 0)
    assert own.shape == (112, 112, 3)
    found = encoder.encode(np.stack([own, own]))
    assert np.allclose(found[0], ((own.astype(float) - 127.5) / 127.5).mean(axis=(0, 2)), atol=1e-5)
    assert len(encoder.digest) == 64


def test_an_encoder_of_another_size_is_refused(onnx_file):
    with pytest.raises(UserError, match=r"\[N, 3, 112, 112\]"):
        load_encoder(onnx_file(side=64))


def test_what_is_no_encoder_is_refused(tmp_path):
    pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    (tmp_path / "no.onnx").write_bytes(b"no model")
    with pytest.raises(UserError, match="not an ONNX model"):
        load_encoder(tmp_path / "no.onnx")
    with pytest.raises(UserError, match="no such file"):
        load_encoder(tmp_path / "missing.onnx")
