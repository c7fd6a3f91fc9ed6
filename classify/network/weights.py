"""The initial weights of a backbone: from timm's hub, the `offline` extra, or a local file."""

import importlib
import os
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, cast

import timm
import torch
from huggingface_hub import constants, hf_hub_download, try_to_load_from_cache
from huggingface_hub.errors import HfHubHTTPError
from torch import nn
from torch.overrides import TorchFunctionMode

from morphoscope.configs import UserError
from morphoscope.configs.classifier import EnsembleTraining
from morphoscope.runtime.torch_offline_weights import OFFLINE_BACKBONE, offline_state, read_weights

_HUB_SECONDS = 5.0
_LOCAL_HINT = (
    "Pass a local file instead (--set weights_file=PATH), or use the preset 'lite' with the `offline` extra."
)


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


def pretrained_facts(backbone: nn.Module) -> dict[str, Any]:
    """timm's description of a backbone: `mean` and `std` of its inputs, names of its `classifier` …"""
    return cast(dict[str, Any], backbone.pretrained_cfg)


def load_first_weights(model: nn.Module, config: EnsembleTraining) -> None:
    """Load the weights that `config` selects into all of `model` except its linear head.

    Raises:
        UserError: the hub cannot be reached, the `offline` extra is missing or belongs to another backbone,
            or a file cannot be read or does not fit the backbone.
    """
    if config.network.weights_file is not None:
        source, state = str(config.network.weights_file), read_weights(config.network.weights_file)
    elif config.network.weights == "hub":
        path = _hub_file(config.network.backbone)
        source, state = str(path), read_weights(path)
    elif config.network.weights == "offline":
        source, state = "the `offline` extra", _offline_state(config.network.backbone, model)
    else:
        return
    _load(model, _filtered(state, model, source, config.network.backbone), source, config.network.backbone)


def _load(model: nn.Module, state: dict[str, torch.Tensor], source: str, backbone: str) -> None:
    """Load everything but the head; UserError if a tensor is missing, unknown or of another shape."""
    head = tuple(f"{name}." for name in classifier_names(model))
    state = {name: value for name, value in state.items() if not name.startswith(head)}
    try:
        missing, unexpected = model.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise UserError(
            f"{source} does not fit {backbone}: {' '.join(str(error).split())[:300]} Set `backbone`, or "
            "`resolution`, to that of the model that the file was saved from."
        ) from error
    missing = [name for name in missing if not name.startswith(head)]
    if missing or unexpected:
        names = ", ".join([*missing, *unexpected][:3])
        raise UserError(
            f"{source} does not fit {backbone}: {len(missing)} tensors missing, {len(unexpected)} unknown "
            f"(e.g. {names}). Set `backbone` to the model that the file was saved from."
        )


def classifier_names(backbone: nn.Module) -> tuple[str, ...]:
    """Names of the backbone's final layers (two in distilled models)."""
    names = pretrained_facts(backbone)["classifier"]
    return (names,) if isinstance(names, str) else tuple(names)


def _filtered(
    state: dict[str, torch.Tensor], model: nn.Module, source: str, backbone: str
) -> dict[str, torch.Tensor]:
    """Apply timm's own filter for the model's family: published names, resized position embeddings."""
    module = importlib.import_module(type(model).__module__)
    timms_filter = getattr(module, "checkpoint_filter_fn", None)
    if timms_filter is None:
        return state
    try:
        return timms_filter(state, model)
    except (RuntimeError, AssertionError, ValueError, LookupError, TypeError, AttributeError) as error:
        # Filters look for the tensors of their family without checking them.
        raise UserError(
            f"{source} does not fit {backbone} ({' '.join(str(error).split())[:200]})."
        ) from error


def _offline_state(backbone: str, model: nn.Module) -> dict[str, torch.Tensor]:
    if backbone.split(".")[0] != OFFLINE_BACKBONE:
        raise UserError(
            f"weights 'offline' are those of {OFFLINE_BACKBONE}, not of '{backbone}'. Use --set weights=hub "
            "or --set weights_file=PATH."
        )
    return offline_state(list(model.state_dict()))


def _hub_file(backbone: str) -> Path:
    """Path of timm's hub weights for `backbone`: from the local cache, or downloaded once."""
    known = timm.models.get_pretrained_cfg(backbone)
    if known is None or not known.hf_hub_id:
        raise UserError(f"backbone '{backbone}': timm knows no hub weights for it. {_LOCAL_HINT}")
    cached = try_to_load_from_cache(known.hf_hub_id, "model.safetensors")
    if isinstance(cached, str):
        return Path(cached)
    _require_hub(backbone)
    try:
        return Path(hf_hub_download(known.hf_hub_id, "model.safetensors", etag_timeout=_HUB_SECONDS))
    except (OSError, HfHubHTTPError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"The hub weights of '{backbone}' could not be downloaded ({reason}). {_LOCAL_HINT}"
        ) from error


def _require_hub(backbone: str) -> None:
    """UserError within seconds if the hub does not respond: its own client retries for most of a minute."""
    message = f"The hub weights of '{backbone}' are not in the local cache and"
    if constants.is_offline_mode():
        raise UserError(f"{message} HF_HUB_OFFLINE forbids a download. {_LOCAL_HINT}")
    endpoint = os.environ.get("HF_ENDPOINT", constants.ENDPOINT)
    request = urllib.request.Request(endpoint, method="HEAD")
    try:
        urllib.request.urlopen(request, timeout=_HUB_SECONDS).close()
    except urllib.error.HTTPError:
        return  # it responded; whether it has the file is seen when downloading
    except OSError as error:
        raise UserError(f"{message} {endpoint} cannot be reached ({error}). {_LOCAL_HINT}") from error
