"""Published weights of timm's models: from the hub or a local file, into a model without its head."""

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

from morphoscope.configs import UserError

_HUB_SECONDS = 5.0


def pretrained_facts(model: nn.Module) -> dict[str, Any]:
    """timm's description of a model: `mean` and `std` of its inputs, names of its `classifier` …"""
    return cast(dict[str, Any], model.pretrained_cfg)


def classifier_names(model: nn.Module) -> tuple[str, ...]:
    """Names of the model's final layers (two in distilled models)."""
    names = pretrained_facts(model)["classifier"]
    return (names,) if isinstance(names, str) else tuple(names)


def load_without_head(
    model: nn.Module, state: dict[str, torch.Tensor], source: str, name: str, hint: str
) -> None:
    """Load published weights into all of a timm model but its head.

    Args:
        model: as timm built it.
        state: the tensors of a file, which timm's own filter for the model's family adapts first: published
            names, resized position embeddings.
        source: where they are from, for messages.
        name: of the model.
        hint: a sentence that says what to do if they do not fit.

    Raises:
        UserError: a tensor is missing, unknown or of another shape.
    """
    head = tuple(f"{name}." for name in classifier_names(model))
    state = _filtered(state, model, source, name)
    state = {key: value for key, value in state.items() if not key.startswith(head)}
    try:
        missing, unexpected = model.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise UserError(
            f"{source} does not fit {name}: {' '.join(str(error).split())[:300]} {hint}"
        ) from error
    missing = [key for key in missing if not key.startswith(head)]
    if missing or unexpected:
        examples = ", ".join([*missing, *unexpected][:3])
        raise UserError(
            f"{source} does not fit {name}: {len(missing)} tensors missing, {len(unexpected)} unknown "
            f"(e.g. {examples}). {hint}"
        )


def _filtered(
    state: dict[str, torch.Tensor], model: nn.Module, source: str, name: str
) -> dict[str, torch.Tensor]:
    module = importlib.import_module(type(model).__module__)
    timms_filter = getattr(module, "checkpoint_filter_fn", None)
    if timms_filter is None:
        return state
    try:
        return timms_filter(state, model)
    except (RuntimeError, AssertionError, ValueError, LookupError, TypeError, AttributeError) as error:
        # Filters look for the tensors of their family without checking them.
        raise UserError(f"{source} does not fit {name} ({' '.join(str(error).split())[:200]}).") from error


def hub_file(name: str, hint: str) -> Path:
    """Path of timm's hub weights for the model `name`: from the local cache, or downloaded once.

    Args:
        hint: a sentence that says what to do without them.

    Raises:
        UserError: timm knows none, or they cannot be downloaded.
    """
    known = timm.models.get_pretrained_cfg(name)
    if known is None or not known.hf_hub_id:
        raise UserError(f"'{name}': timm knows no hub weights for it. {hint}")
    cached = try_to_load_from_cache(known.hf_hub_id, "model.safetensors")
    if isinstance(cached, str):
        return Path(cached)
    _require_hub(name, hint)
    try:
        return Path(hf_hub_download(known.hf_hub_id, "model.safetensors", etag_timeout=_HUB_SECONDS))
    except (OSError, HfHubHTTPError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"The hub weights of '{name}' could not be downloaded ({reason}). {hint}") from error


def _require_hub(name: str, hint: str) -> None:
    """UserError within seconds if the hub does not respond: its own client retries for most of a minute."""
    message = f"The hub weights of '{name}' are not in the local cache and"
    if constants.is_offline_mode():
        raise UserError(f"{message} HF_HUB_OFFLINE forbids a download. {hint}")
    endpoint = os.environ.get("HF_ENDPOINT", constants.ENDPOINT)
    request = urllib.request.Request(endpoint, method="HEAD")
    try:
        urllib.request.urlopen(request, timeout=_HUB_SECONDS).close()
    except urllib.error.HTTPError:
        return  # it responded; whether it has the file is seen when downloading
    except OSError as error:
        raise UserError(f"{message} {endpoint} cannot be reached ({error}). {hint}") from error
