"""The network of one fold: groups of parameters for an optimiser, and backbones of other families."""

from collections import Counter
from pathlib import Path

import pytest
import timm
import torch

from morphoscope.classify.network.classifier import ConditionClassifier
from morphoscope.configs import UserError
from morphoscope.configs.classifier import EnsembleTraining


def network(config: EnsembleTraining, **changes: object) -> ConditionClassifier:
    return ConditionClassifier.pretrained(config.model_copy(update=changes), 3)


def test_layer_decay_slows_layers_by_their_distance_from_the_head(config: EnsembleTraining) -> None:
    model = network(config)
    groups = model.parameter_groups(0.05, 0.5)
    scale = {id(p): group["lr_scale"] for group in groups for p in group["params"]}
    named = dict(model.backbone.named_parameters())
    assert scale[id(named["classifier.weight"])] == 1
    stem, blocks = scale[id(named["conv_stem.weight"])], []
    for index in range(5):
        blocks.append(scale[id(named[f"blocks.{index}.0.bn1.weight"])])
    assert [stem, *blocks] == sorted([stem, *blocks])
    assert stem < blocks[0] == blocks[1] / 2 == blocks[2] / 4  # one layer each
    assert {group["lr_scale"] for group in model.parameter_groups(0.05, 1.0)} == {1}


@pytest.mark.parametrize("backbone", ["test_efficientnet", "test_vit"])
def test_biases_and_norms_do_not_decay(config: EnsembleTraining, backbone: str) -> None:
    model = network(config, backbone=backbone)
    decays = {id(p): g["weight_decay"] for g in model.parameter_groups(0.05, 1.0) for p in g["params"]}
    for name, parameter in model.backbone.named_parameters():
        free = parameter.ndim == 1 or name in ("pos_embed", "cls_token")
        assert decays[id(parameter)] == (0 if free else 0.05), name


def test_groups_have_each_trainable_parameter_once(config: EnsembleTraining) -> None:
    model = network(config, freeze_stages=2)
    grouped = Counter(id(p) for group in model.parameter_groups(0.05, 0.8) for p in group["params"])
    assert grouped == Counter(id(p) for p in model.parameters() if p.requires_grad)


@pytest.mark.parametrize("backbone", ["test_convnext2", "test_vit", "test_maxvit", "test_resnet"])
@pytest.mark.parametrize("resolution", [64, 96])
def test_backbones_of_any_family_take_the_resolution(
    config: EnsembleTraining, backbone: str, resolution: int
) -> None:
    if not timm.is_model(backbone):
        pytest.skip(f"timm {timm.__version__} has no {backbone}")
    model = network(config, backbone=backbone, resolution=resolution).eval()
    images = torch.rand(2, 3, resolution, resolution)
    with torch.inference_mode():
        logits, features = model.logits_and_features(images)
        assert logits.shape == (2, 3)
        assert features.shape == (2, model.features)
        torch.testing.assert_close(model(images), logits)


def test_a_head_that_is_a_convolution_starts_as_a_linear_one_does(config: EnsembleTraining) -> None:
    model = network(config, backbone="dla34", dropout=0).eval()
    with torch.no_grad():
        logits, features = model.logits_and_features(torch.rand(2, 3, 32, 32))
    weight = model.backbone.get_submodule("fc").weight
    assert isinstance(weight, torch.Tensor)
    assert weight.shape == (3, 512, 1, 1)
    weight = weight.detach()
    assert float(weight.std()) == pytest.approx(0.01, rel=0.1)
    torch.testing.assert_close(logits, features @ weight[:, :, 0, 0].T)
    with pytest.raises(UserError, match=r"'dla34': views 'dual'"):
        network(config, backbone="dla34", views="dual")
    with pytest.raises(UserError, match=r"'caformer_s18': views 'dual'"):  # layers before the last linear one
        network(config, backbone="caformer_s18", views="dual", resolution=64)


def test_a_head_of_several_layers_is_refused(config: EnsembleTraining) -> None:
    model = ConditionClassifier(config, 3)
    model.backbone.set_submodule("classifier", torch.nn.Sequential(torch.nn.Linear(5, 3)))
    with pytest.raises(UserError, match=r"'test_efficientnet': its head 'classifier' is not linear"):
        model._reset_head("test_efficientnet")


def test_without_known_layers_all_learn_at_one_rate_or_not_at_all(
    config: EnsembleTraining, tmp_path: Path
) -> None:
    model = network(config, backbone="pit_ti_224")
    assert {group["lr_scale"] for group in model.parameter_groups(0.05, 1.0)} == {1}
    with pytest.raises(UserError, match=r"'pit_ti_224'.*layer_decay=1"):
        network(config, backbone="pit_ti_224", layer_decay=0.8)
    path = tmp_path / "w.pth"
    torch.save(model.backbone.state_dict(), path)
    with pytest.raises(UserError, match=r"'pit_ti_224'.*freeze_stages=0"):
        network(config, backbone="pit_ti_224", freeze_stages=1, weights_file=path)


@pytest.mark.parametrize(
    ("backbone", "resolution", "own"),
    [
        ("crossvit_tiny_240", 128, 240),  # its forward pass fails
        ("efficientformer_l1", 96, 224),
        ("test_vit", 100, 160),
        ("xcit_nano_12_p8_224", 100, 224),  # it cannot even be built
    ],
)
def test_a_resolution_that_a_backbone_cannot_read_is_refused_before_training(
    config: EnsembleTraining, backbone: str, resolution: int, own: int
) -> None:
    with pytest.raises(UserError, match=rf"'{backbone}'.*{resolution} px.*resolution={own}") as error:
        network(config, backbone=backbone, resolution=resolution)
    assert "\n" not in str(error.value)


def test_trying_a_network_out_changes_nothing(config: EnsembleTraining) -> None:
    """It must not change batch statistics, draw random numbers or leave the model in evaluation mode."""
    torch.manual_seed(0)
    untried = ConditionClassifier(config, 3)
    untried._reset_head("test_efficientnet")
    drawn = torch.rand(1)
    torch.manual_seed(0)
    tried = network(config)
    assert torch.equal(torch.rand(1), drawn)
    assert all(module.training for module in tried.modules())
    for name, value in untried.state_dict().items():
        assert torch.equal(value, tried.state_dict()[name]), name


def test_the_head_is_the_mean_over_several_dropouts(config: EnsembleTraining) -> None:
    """Training logits scatter around those in evaluation, with a fifth of the variance for five dropouts."""
    images = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)).expand(2, -1, -1, -1)
    spread = {}
    for dropouts in (1, 5):
        torch.manual_seed(0)
        model = network(config, dropout=0.2, head_dropouts=dropouts)
        torch.nn.init.normal_(model.backbone.get_submodule("classifier").weight)  # type: ignore[arg-type]
        model.eval()
        with torch.no_grad():
            expected = model(images)
            model.backbone.eval()
            model.training = True  # of the head alone: batch statistics would move the features
            model.backbone.training = True
            answers = torch.stack([model(images) for _ in range(400)])
        torch.testing.assert_close(answers.mean(dim=0), expected, atol=0.3, rtol=0)
        spread[dropouts] = float(answers.var(dim=0).mean())
    assert spread[1] / spread[5] == pytest.approx(5, rel=0.15)


def test_auxiliary_classes_share_the_softmax_and_stay_out_of_the_prediction(config: EnsembleTraining) -> None:
    model = ConditionClassifier.pretrained(config, 3, auxiliary=2).eval()
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        joint, (logits, _) = model.joint(images), model.logits_and_features(images)
        assert joint.shape == (2, 5)
        torch.testing.assert_close(model(images), joint[:, :3])
        torch.testing.assert_close(logits, joint)
