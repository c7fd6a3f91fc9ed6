"""The network of one fold: normalisation, a timm backbone, a linear head."""

from collections.abc import Callable
from typing import Any, cast

import torch
from timm.models import group_parameters
from timm.optim import param_groups_layer_decay
from torch import Tensor, nn

from morphoscope.classify.inputs.pairs import photographs, present_halves
from morphoscope.classify.network.weights import (
    create_backbone,
    load_first_weights,
    resolution_error,
)
from morphoscope.configs import UserError
from morphoscope.configs.classifier import EnsembleTraining
from morphoscope.runtime.torch_timm_weights import classifier_names, pretrained_facts


class ConditionClassifier(nn.Module):
    """Images [N, 3, R, R] in [0, 1] -> logits [N, K].

    The backbone's own mean and standard deviation are applied inside. There may be M auxiliary classes, which
    are trained jointly with the K conditions in one softmax. `forward` leaves them out, so that probabilities
    are among the target conditions alone.

    A dual-view model takes pairs [N, 3, R, 2R], see `inputs.pairs`. The same backbone reads each photograph;
    the head reads the features of both, side by side. The features of a missing photograph are zero, so that
    it adds nothing to any logit: a trained sign of absence could become evidence for a condition whose
    patients often lack that view. In training, a proportion `view_dropout` of the whole pairs loses one half.

    Attributes:
        classes: K.
        backbone: the timm model, with the linear head.
        mean, std: float32 [1, 3, 1, 1], of the normalisation.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: EnsembleTraining, classes: int, auxiliary: int = 0) -> None:
        """Build the network with random weights.

        Args:
            config: settings of the training.
            classes: K, the number of conditions.
            auxiliary: M, the number of auxiliary classes.

        Raises:
            UserError: timm does not know the backbone or cannot build it for the resolution, or it does not
                end in one linear layer, which views 'dual' needs.
        """
        super().__init__()
        self.classes = classes
        self.backbone = create_backbone(config, classes + auxiliary)
        if config.images.views == "dual":
            self._widen_head(config.network.backbone)
        statistics = pretrained_facts(self.backbone)
        self.register_buffer("mean", torch.tensor(statistics["mean"]).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(statistics["std"]).view(1, 3, 1, 1), persistent=False)
        self._dropouts = config.network.head_dropouts
        self._dual, self._view_dropout = config.images.views == "dual", config.images.view_dropout
        self._frozen: list[nn.Module] = []

    @classmethod
    def pretrained(cls, config: EnsembleTraining, classes: int, auxiliary: int = 0) -> "ConditionClassifier":
        """A model ready to be trained: initial weights loaded, leading stages frozen.

        Raises:
            UserError: as for the constructor and `load_first_weights`; a backbone that cannot read images of
                the resolution, or does not name its layers where the config needs them; more stages to freeze
                than it has.
        """
        model = cls(config, classes, auxiliary)
        model._require_layers(config)
        model._try_out(config)
        load_first_weights(model.backbone, config)
        model._reset_head(config.network.backbone)
        if config.network.freeze_stages:
            model._freeze(config.network.freeze_stages)
        return model.to(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> Tensor:
        """Images [N, 3, R, R] in [0, 1], or pairs [N, 3, R, 2R] -> logits [N, K] of the conditions."""
        return self.joint(images)[:, : self.classes]

    def joint(self, images: Tensor, present: Tensor | None = None) -> Tensor:
        """Logits [N, K+M] of conditions and auxiliary classes.

        Args:
            images: as for `forward`.
            present: for pairs, bool [N, 2]: which halves are present; if None, those that are not black.
        """
        maps, present = self._maps(images, present)
        if not self.training:
            return self._logits(maps, present)
        # The mean over several dropouts of the features, all through the one linear layer.
        return torch.stack([self._logits(maps, present) for _ in range(self._dropouts)]).mean(dim=0)

    @property
    def features(self) -> int:
        """D, the number of features that the linear head reads."""
        return int(cast(int, self.backbone.head_hidden_size)) * (2 if self._dual else 1)

    def logits_and_features(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(logits [N, K+M] as from `joint`, features [N, D] of the linear head), in evaluation mode."""
        maps, present = self._maps(images, None)
        return self._logits(maps, present), self._features(maps, present)

    def parameter_groups(self, weight_decay: float, layer_decay: float) -> list[dict[str, Any]]:
        """The trainable parameters as groups of an optimiser.

        Each group has `lr_scale`: `layer_decay` to the power of the number of layers that follow it (1 for
        the head). Biases and parameters of normalisation layers have no weight decay.

        Args:
            weight_decay: of the other parameters, at least 0.
            layer_decay: in (0, 1].
        """
        no_decay: set[str] = getattr(self.backbone, "no_weight_decay", set)()  # e.g. position embeddings
        return param_groups_layer_decay(
            self.backbone, weight_decay, no_weight_decay_list=no_decay, layer_decay=layer_decay
        )

    def train(self, mode: bool = True) -> "ConditionClassifier":
        """Set the mode, except for frozen stages: their batch statistics must not change."""
        super().train(mode)
        for module in self._frozen:
            module.eval()
        return self

    def _maps(self, images: Tensor, present: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """(feature maps of images, or of the photographs present in pairs; bool [N, 2] which are present)."""
        if self._dual:
            present = self._some_dropped(present_halves(images) if present is None else present)
            # All focused ones, then all panoramic ones. Black squares would distort the batch statistics.
            images = torch.cat(photographs(images))[present.T.flatten()]
            images = images.contiguous(memory_format=torch.channels_last)
        backbone = cast(Any, self.backbone)  # every timm model has `forward_features` and `forward_head`
        return backbone.forward_features((images - self.mean) / self.std), present

    def _features(self, maps: Tensor, present: Tensor | None) -> Tensor:
        """Input of the linear head, [N, D]; for pairs the features of both, 0 for a missing photograph."""
        found = cast(Any, self.backbone).forward_head(maps, pre_logits=True)
        if present is None:
            return found
        features = found.new_zeros(present.numel(), found.shape[1])
        features[present.T.flatten()] = found
        return torch.cat(features.chunk(2), dim=1)

    def _logits(self, maps: Tensor, present: Tensor | None) -> Tensor:
        if present is None:
            return cast(Any, self.backbone).forward_head(maps)
        (head,) = classifier_names(self.backbone)
        return self.backbone.get_submodule(head)(self._features(maps, present))

    def _some_dropped(self, present: Tensor) -> Tensor:
        """In training, `view_dropout` of the whole pairs lose one half, each with the same probability."""
        if not self.training:
            return present
        whole = present.all(dim=1).nonzero()[:, 0]
        # A proportion of each batch, not a random choice for each pair: changing shapes are slow on a GPU.
        count = int(self._view_dropout * len(whole) + float(torch.rand(())))
        chosen = whole[torch.randperm(len(whole))[:count].to(whole.device)]
        present = present.clone()
        present[chosen, torch.randint(2, (count,)).to(chosen.device)] = False
        return present

    def _widen_head(self, backbone: str) -> None:
        """Make room in the linear head for the features of two photographs."""
        name, *others = classifier_names(self.backbone)
        head = self.backbone.get_submodule(name)
        # If the sizes differ, there are layers between features and head.
        read = getattr(self.backbone, "head_hidden_size", None)
        if others or not isinstance(head, nn.Linear) or head.in_features != read:
            raise UserError(f"backbone '{backbone}': views 'dual' needs one that ends in one linear layer.")
        self.backbone.set_submodule(name, nn.Linear(2 * head.in_features, head.out_features))

    def _require_layers(self, config: EnsembleTraining) -> None:
        """Raise UserError if the config needs names of layers that timm does not know for the backbone."""
        if (config.training.layer_decay < 1 or config.network.freeze_stages) and not hasattr(
            self.backbone, "group_matcher"
        ):
            raise UserError(
                f"backbone '{config.network.backbone}': timm does not know its layers; use "
                "--set layer_decay=1 --set freeze_stages=0, or another backbone."
            )

    def _try_out(self, config: EnsembleTraining) -> None:
        """Predict one image; UserError if the backbone cannot, since not each can at every resolution."""
        side = config.images.resolution
        self.eval()
        try:
            with torch.no_grad():  # not inference mode: some backbones keep a tensor for later passes
                # White: black halves of a pair would count as missing.
                self.logits_and_features(torch.ones(1, 3, side, 2 * side if self._dual else side))
        except (RuntimeError, AssertionError, ValueError, IndexError) as error:  # differs by family
            raise resolution_error(config, error) from error
        self.train()

    def _reset_head(self, backbone: str) -> None:
        """Small weights, so that training starts at equal probabilities; timm's grow with fewer classes."""
        for name in classifier_names(self.backbone):
            head = self.backbone.get_submodule(name)
            if not isinstance(head, nn.Linear | nn.Conv2d):  # a convolution of 1 x 1
                raise UserError(
                    f"backbone '{backbone}': its head '{name}' is not linear; choose another backbone."
                )
            nn.init.normal_(head.weight, std=0.01)
            if head.bias is not None:
                nn.init.zeros_(head.bias)

    def _freeze(self, stages: int) -> None:
        matcher = cast(Callable[..., dict[str, Any]], self.backbone.group_matcher)
        groups = group_parameters(self.backbone, matcher(coarse=True))
        available = len(groups) - 1  # the last group is the head, which must be trained
        if stages > available:
            raise UserError(f"freeze_stages {stages}: this backbone has {available} stages before its head.")
        names = {name for stage in sorted(groups)[:stages] for name in groups[stage]}
        for name, module in self.backbone.named_modules():
            own = [f"{name}.{key}" for key, _ in module.named_parameters(recurse=False)]
            if own and names.issuperset(own):
                module.requires_grad_(False)
                self._frozen.append(module)


class AsShown(nn.Module):
    """A dual-view model for which the halves of one pair stay present, or missing, whatever their pixels are.

    An attribution method blackens, blurs or adds noise to pixels, which must not make a photograph disappear
    or appear.
    """

    def __init__(self, model: ConditionClassifier, pair: Tensor) -> None:
        """`pair` is [1, 3, R, 2R] in [0, 1]."""
        super().__init__()
        self.model, self._present = model, present_halves(pair)

    def forward(self, images: Tensor) -> Tensor:
        """Variants of the pair, [N, 3, R, 2R] in [0, 1] -> logits [N, K]."""
        return self.model.joint(images, self._present.expand(len(images), 2))[:, : self.model.classes]
