"""From the stored networks of StyleGAN2-ADA to ours: the same settings, names and shapes of tensors."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from pydantic import ValidationError

from morphoscope.configs import UserError
from morphoscope.configs.errors import validation_problems
from morphoscope.generate.description import DiscriminatorKeywords, GeneratorKeywords
from morphoscope.generate.formats.stylegan2_pickle import StoredNetwork
from morphoscope.generate.networks import Discriminator, Generator

Network = TypeVar("Network", Generator, Discriminator)
Keywords = TypeVar("Keywords", GeneratorKeywords, DiscriminatorKeywords)

_POSITIONAL: dict[type, list[str]] = {
    GeneratorKeywords: ["z_dim", "c_dim", "w_dim", "img_resolution", "img_channels"],
    DiscriminatorKeywords: ["c_dim", "img_resolution", "img_channels"],
}
_TAPS = [1, 3, 3, 1]
_WHOLE_BATCH = 2**16  # as a group of the minibatch standard deviation: all images of any batch

# Settings that ours do not have because the published models all leave them at these values …
_FIXED: dict[str, Any] = {
    "activation": "lrelu",
    "resample_filter": _TAPS,
    "use_noise": True,
    "kernel_size": 3,
    "mbstd_num_channels": 1,
    "embed_features": None,
    "layer_features": None,
}
# … and those that change how a network is executed or trained, but not what it computes.
_WITHOUT_EFFECT = ("fp16_channels_last", "fused_modconv", "fused_modconv_default", "freeze_layers")


class Translated(NamedTuple, Generic[Network]):
    """A network of ours, float32 on the CPU, with the weights of a stored one.

    Attributes:
        network: a `Generator` or `Discriminator` in evaluation mode.
        keywords: what it was built with, for the metadata of a snapshot.
        ignored: names of stored tensors that it does not have.
        converted: names of tensors that were stored in another type than float32.
    """

    network: Network
    keywords: GeneratorKeywords | DiscriminatorKeywords
    ignored: list[str]
    converted: list[str]


def translate_generator(path: Path, name: str, stored: StoredNetwork) -> Translated[Generator]:
    """Our generator with the settings and weights of a stored one.

    Args:
        path, name: of the file and of the network in it, for messages.

    Raises:
        UserError: another kind of network, or a setting or tensor that ours does not have.
    """
    return _translate(path, name, stored, GeneratorKeywords, Generator)


def translate_discriminator(path: Path, name: str, stored: StoredNetwork) -> Translated[Discriminator]:
    """Our discriminator with the settings and weights of a stored one; arguments as `translate_generator`."""
    return _translate(path, name, stored, DiscriminatorKeywords, Discriminator)


def _translate(
    path: Path, name: str, stored: StoredNetwork, schema: type[Keywords], kind: type[Network]
) -> Translated[Network]:
    if stored.class_name != kind.__name__:
        raise UserError(
            f"{path}: {name} is a {stored.class_name[:80]}; only networks of StyleGAN2-ADA "
            f"(class {kind.__name__}) can be read."
        )
    try:
        keywords = schema.model_validate(_settings(path, name, stored, schema))
    except ValidationError as error:
        problems = validation_problems(error)
        raise UserError(f"{path}: the settings of {name} cannot be used ({problems}).") from error
    with torch.device("meta"):
        network = kind(**keywords.model_dump(exclude_unset=True))
    state, converted = {}, []
    for key, expected in network.state_dict().items():
        if key not in stored.tensors:
            raise UserError(f"{path}: {name} lacks the tensor {key}, which its settings require.")
        tensor = stored.tensors[key]
        if tensor.shape != tuple(expected.shape):
            raise UserError(
                f"{path}: {name}.{key} has shape {list(tensor.shape)}, and its settings require "
                f"{list(expected.shape)}."
            )
        state[key] = torch.from_numpy(tensor.to_float32())
        if not torch.isfinite(state[key]).all():
            raise UserError(f"{path}: {name}.{key} has values that are not numbers; the training diverged.")
        if tensor.storage.dtype != "<f4":
            converted.append(key)
    network.load_state_dict(state, strict=True, assign=True)
    ignored = sorted(stored.tensors.keys() - state.keys())
    return Translated(network.eval().requires_grad_(False), keywords, ignored, converted)


def _settings(path: Path, name: str, stored: StoredNetwork, schema: type[Keywords]) -> dict[str, Any]:
    """The arguments of the stored network as ours takes them."""
    order = _POSITIONAL[schema]
    if len(stored.arguments) > len(order) or not all(isinstance(key, str) for key in stored.keywords):
        raise UserError(f"{path}: {name} was built with arguments that no StyleGAN2-ADA network takes.")
    given: dict[str, Any] = {**dict(zip(order, stored.arguments, strict=False)), **stored.keywords}
    if schema is DiscriminatorKeywords:
        given |= _nested(path, name, given, "block_kwargs")
        given.pop("block_kwargs", None)
        groups = ("mapping_kwargs", "epilogue_kwargs")
    else:
        groups = ("mapping_kwargs", "synthesis_kwargs")
    width = given.get("w_dim", given.get("cmap_dim"))
    settings = _known(path, name, given, width)
    for group in groups:
        nested = _nested(path, name, given, group)
        settings[group] = _known(path, f"{name}.{group}", nested, width)
    epilogue = settings.get("epilogue_kwargs", {})
    if "mbstd_group_size" in epilogue and epilogue["mbstd_group_size"] is None:
        epilogue["mbstd_group_size"] = _WHOLE_BATCH
    return settings


def _nested(path: Path, name: str, given: Mapping[str, Any], group: str) -> dict[str, Any]:
    nested = given.get(group) or {}
    if not isinstance(nested, dict):
        raise UserError(f"{path}: {group} of {name} is not a dictionary.")
    return nested


def _known(path: Path, name: str, given: Mapping[str, Any], width: Any) -> dict[str, Any]:
    """The settings that ours have; UserError for others, unless they have no effect or the usual value."""
    kept = {}
    for key, value in given.items():
        if key in _WITHOUT_EFFECT:
            continue
        if key not in _FIXED:
            kept[key] = value
            continue
        plain = list(value) if isinstance(value, tuple) else value
        if plain != _FIXED[key] and not (_FIXED[key] is None and plain == width):
            raise UserError(f"{path}: {name}.{key} is {value!r:.80}; only {_FIXED[key]!r} can be read.")
    return kept
