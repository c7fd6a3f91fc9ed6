"""Perceptual distances: LPIPS is the package's own, and what cannot be had is named."""

import urllib.error

import pytest
import torch

from morphoscope.configs import UserError
from morphoscope.generate.metrics.perceptual import load_perceptual_network


@pytest.fixture
def images():
    randomness = torch.Generator().manual_seed(0)
    return torch.rand([3, 3, 64, 64], generator=randomness) * 2 - 1


@pytest.fixture(scope="module")
def alexnet(tmp_path_factory):
    """Random weights under torchvision's names."""
    from torchvision.models import alexnet

    path = tmp_path_factory.mktemp("weights") / "alexnet.pth"
    torch.manual_seed(0)
    torch.save({k: v for k, v in alexnet().state_dict().items() if k.startswith("features")}, path)
    return path


def test_lpips_is_that_of_the_package(alexnet, images):
    lpips = pytest.importorskip("lpips", reason="the extra lpips is not installed")
    network = load_perceptual_network(str(alexnet))
    assert network.name == f"lpips_{network.digest[:8]}"  # not the published weights
    own = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False)
    stored = torch.load(alexnet, weights_only=True)
    own.net.load_state_dict({k: stored["features." + k.partition(".")[2]] for k in own.net.state_dict()})
    features = network.features(images)
    found = network.distance(features[:1], features[1:])
    expected = own(images[:1].expand(2, -1, -1, -1), images[1:]).flatten()
    assert torch.allclose(found, expected, rtol=1e-4)


def test_lite0_is_differentiable(images):
    network = load_perceptual_network()
    assert network.name == "efficientnet_lite0"
    features = network.features(images)
    assert network.distance(features, features).tolist() == [0, 0, 0]
    near = network.features(images[:1] + 0.01)
    assert network.distance(near, features[:1]) < network.distance(features[1:2], features[:1])
    image = images[:1].clone().requires_grad_()
    network.distance(network.features(image), features[1:2]).sum().backward()
    assert image.grad.abs().sum() > 0


def test_no_connection(monkeypatch, tmp_path):
    def offline(*_, **__):
        raise urllib.error.URLError("no route")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    with pytest.raises(UserError, match=r"cannot be downloaded.*no route.*efficientnet_lite0"):
        load_perceptual_network("lpips")


@pytest.mark.parametrize("content", [{}, {"features.0.weight": torch.zeros(1)}])
def test_other_weights(tmp_path, content):
    pytest.importorskip("lpips", reason="the extra lpips is not installed")
    path = tmp_path / "other.pth"
    torch.save(content, path)
    with pytest.raises(UserError, match=r"other\.pth: not torchvision's weights"):
        load_perceptual_network(str(path))


def test_no_such_file():
    with pytest.raises(UserError, match="neither 'efficientnet_lite0' nor 'lpips'"):
        load_perceptual_network("vgg")
