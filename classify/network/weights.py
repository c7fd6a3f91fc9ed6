"""The initial weights of a backbone: from timm's hub, the `offline` extra, or a local file."""

from typing import Any, cast

import timm
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from morphoscope.configs import UserError
from morphoscope.configs.classifier import EnsembleTraining
from morphoscope.runtime.torch_offline_weights import OFFLINE_BACKBONE, offline_state, read_weights
from morphoscope.runtime.torch_timm_weights import hub_file, load_without_head

_LOCAL_HINT = (
    "Pass a local file instead (--set weights_file=PATH), or use the preset 'lite' with the `offline` extra."
)
_MISFIT_HINT = "Set `backbone`, or `resolution`, to that of the model that the file was saved from."

_GET_DATA = cast(Any, torch.Tensor.data).__get__


class without_initial_weights(TorchFunctionMode):  # noqa: N801 (used like a function)
    """Inside, the parameters of new modules are allocated, but not filled: for weights that are then loaded.

    The system provides memory only when it is written to. So a description of an enormous network costs
    nothing until the tensors in its file are found not to fit it, and loading saves the time of the
    initialisation. Buffers are computed as always. (Not every backbone can be built on torch's meta device,
    because some run themselves to find out their sizes.)
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        target = args[0] if args else kwargs.get("tensor")  # torch.nn.init passes everything by name
        fills = name.endswith("_") and not name.endswith("__") and name != "requires_grad_"
        if fills and isinstance(target, nn.Parameter):
            return target
        result = func(*args, **kwargs)
        if func == _GET_DATA and isinstance(target, nn.Parameter):  # some backbones fill `weight.data`
            return nn.Parameter(result, requires_grad=False)
        return result


def create_backbone(config: EnsembleTraining, classes: int) -> nn.Module:
    """A timm model with random weights and a linear head, for the config's resolution.

    Args:
        config: names the backbone and the resolution.
        classes: number of outputs.

    Raises:
        UserError: timm does not know the backbone, or cannot build it for this resolution.
    """
    known = timm.models.get_pretrained_cfg(config.network.backbone.split(".")[0])
    # Transformers are built for one size; other families take any and have no such argument.
    size: dict[str, Any] = (
        {"img_size": config.images.resolution} if known is not None and known.fixed_input_size else {}
    )
    try:
        return timm.create_model(
            config.network.backbone,
            pretrained=False,
            num_classes=classes,
            drop_rate=config.network.dropout,
            **size,
        )
    except RuntimeError as error:  # raised for an unknown model or tag
        raise UserError(
            f"backbone '{config.network.backbone}': timm {timm.__version__} cannot build it ({error})."
        ) from error
    except (AssertionError, ValueError) as error:  # raised where the parts do not fit the size
        raise resolution_error(config, error) from error


def resolution_error(config: EnsembleTraining, error: Exception) -> UserError:
    """The error for a backbone that failed at the config's resolution."""
    known = timm.models.get_pretrained_cfg(config.network.backbone)
    own = f" (it was made for --set resolution={known.input_size[-1]})" if known is not None else ""
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    return UserError(
        f"backbone '{config.network.backbone}' cannot read images of {config.images.resolution} px: "
        f"{reason}. Choose another resolution{own} or another backbone."
    )


def load_first_weights(model: nn.Module, config: EnsembleTraining) -> None:
    """Load the weights that `config` selects into all of `model` except its linear head.

    Raises:
        UserError: the hub cannot be reached, the `offline` extra is missing or belongs to another backbone,
            or a file cannot be read or does not fit the backbone.
    """
    backbone = config.network.backbone
    if config.network.weights_file is not None:
        source, state = str(config.network.weights_file), read_weights(config.network.weights_file)
    elif config.network.weights == "hub":
        path = hub_file(backbone, _LOCAL_HINT)
        source, state = str(path), read_weights(path)
    elif config.network.weights == "offline":
        source, state = "the `offline` extra", _offline_state(backbone, model)
    else:
        return
    load_without_head(model, state, source, backbone, _MISFIT_HINT)


def _offline_state(backbone: str, model: nn.Module) -> dict[str, torch.Tensor]:
    if backbone.split(".")[0] != OFFLINE_BACKBONE:
        raise UserError(
            f"weights 'offline' are those of {OFFLINE_BACKBONE}, not of '{backbone}'. Use --set weights=hub "
            "or --set weights_file=PATH."
        )
    return offline_state(list(model.state_dict()))
