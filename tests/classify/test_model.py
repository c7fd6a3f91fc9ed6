"""One fold's network: its parameters in an optimiser's groups, and backbones of other families."""

from collections import Counter

import pytest
import torch

from morphoscope.classify.model import ConditionClassifier
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


def test_groups_hold_each_parameter_that_trains_once(config: EnsembleTraining) -> None:
    model = network(config, freeze_stages=2)
    grouped = Counter(id(p) for group in model.parameter_groups(0.05, 0.8) for p in group["params"])
    assert grouped == Counter(id(p) for p in model.parameters() if p.requires_grad)


@pytest.mark.parametrize("backbone", ["test_convnext2", "test_vit", "test_maxvit", "test_resnet"])
@pytest.mark.parametrize("resolution", [64, 96])
def test_backbones_of_any_family_take_the_resolution(
    config: EnsembleTraining, backbone: str, resolution: int
) -> None:
    model = network(config, backbone=backbone, resolution=resolution).eval()
    images = torch.rand(2, 3, resolution, resolution)
    with torch.inference_mode():
        logits, features = model.judge(images)
        assert logits.shape == (2, 3)
        assert features.shape == (2, model.features)
        torch.testing.assert_close(model(images), logits)


def test_the_head_is_the_mean_over_several_dropouts(config: EnsembleTraining) -> None:
    """Each answer in training scatters about that of evaluation, five times less in variance for five."""
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


def test_auxiliary_classes_share_the_softmax_and_stay_out_of_the_answer(config: EnsembleTraining) -> None:
    model = ConditionClassifier.pretrained(config, 3, auxiliary=2).eval()
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        joint, (judged, _) = model.joint(images), model.judge(images)
        assert joint.shape == (2, 5)
        torch.testing.assert_close(model(images), joint[:, :3])
        torch.testing.assert_close(judged, joint)
