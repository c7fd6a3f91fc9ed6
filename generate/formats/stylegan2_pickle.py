"""Checkpoints of the StyleGAN2-ADA ecosystem (PyTorch): a pickle of network objects (spec 5).

Each network is stored as a call with its source text and its attributes. The source text is not looked at;
the attributes give the settings and the tensors, from which our own networks are built.
"""

import re
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from morphoscope.configs import UserError
from morphoscope.configs.user_files import read_regular
from morphoscope.generate.formats.restricted_pickle import Constructor, read_pickle
from morphoscope.generate.formats.stored_tensors import StoredTensor, TensorReader

NETWORKS = ("G_ema", "G", "D", "augment_pipe")
MAX_BYTES = 2 << 30

_MAX_MODULES = 20_000
_MAX_DEPTH = 50
_RECORD = "torch_utils.persistence._reconstruct_persistent_obj"
_NUMPY_CORES = ("numpy.core.multiarray", "numpy._core.multiarray")


class StoredNetwork(NamedTuple):
    """A network of a checkpoint: what it was built with, and its tensors.

    Attributes:
        class_name: Generator, Discriminator …
        arguments: positional arguments of its constructor.
        keywords: keyword arguments of its constructor.
        tensors: name in the state dict to values.
    """

    class_name: str
    arguments: tuple[object, ...]
    keywords: dict[str, object]
    tensors: dict[str, StoredTensor]


class _Module(NamedTuple):
    """A module as it stands in the file: the name of its class and its attributes."""

    class_name: str
    state: dict[Any, Any]


def read_networks(path: Path) -> dict[str, StoredNetwork]:
    """The networks of a checkpoint, by their names in it (`NETWORKS`), without executing anything of it.

    Raises:
        UserError: the file is missing, larger than 2 GiB, damaged, or not such a checkpoint; or it contains a
            global name that no network needs, which the message states.
    """
    content = read_pickle(BytesIO(read_regular(path, MAX_BYTES)), str(path), _constructors(str(path)))
    if not isinstance(content, dict):
        raise UserError(
            f"{path}: a pickle, but not a checkpoint of StyleGAN2-ADA (a dictionary of networks)."
        )
    networks = {
        name: _network(path, name, content[name])
        for name in NETWORKS
        if isinstance(content.get(name), _Module)
    }
    if not networks:
        raise UserError(f"{path}: a pickle without any of {', '.join(NETWORKS)}.")
    return networks


def _constructors(source: str) -> Mapping[str, Constructor]:
    """Everything that the name of a global may stand for in a checkpoint."""
    plain: dict[str, Constructor] = {
        _RECORD: _module,
        "collections.OrderedDict": _dictionary,
        "dnnlib.util.EasyDict": _dictionary,
        "builtins.set": lambda values=(): set(_scalars(values)),
        "builtins.frozenset": lambda values=(): frozenset(_scalars(values)),
        "torch.Size": lambda values=(): tuple(values),
        "torch.device": _left_out,
        "numpy.dtype": _numpy_dtype,
        "numpy.ndarray": _left_out,
    }
    dtypes = ("float16", "bfloat16", "float32", "float64", "int32", "int64", "uint8", "bool")
    plain |= {f"torch.{name}": _left_out for name in dtypes}
    for core in _NUMPY_CORES:
        plain |= {f"{core}.scalar": _numpy_scalar, f"{core}._reconstruct": _left_out}
    return plain | TensorReader(source).constructors()


def _module(meta: object) -> _Module:
    if not isinstance(meta, dict) or meta.get("type") != "class":
        raise TypeError("not the record of a class")
    name, state = meta.get("class_name"), meta.get("state")
    if not isinstance(name, str) or not isinstance(state, dict):
        raise TypeError("a record without a class name and a state")
    return _Module(name, state)


def _dictionary(pairs: object = ()) -> dict[Any, Any]:
    if isinstance(pairs, dict):
        return dict(pairs)
    if not isinstance(pairs, list | tuple):
        raise TypeError("not the content of a dictionary")
    _scalars([pair[0] for pair in pairs])
    return dict(pairs)


def _scalars(values: Any) -> list[Any]:
    """`values`, of which none contains further ones: the hash of nested tuples takes exponential time."""
    if not all(isinstance(value, str | bytes | int | float | None) for value in values):
        raise TypeError("nested values as keys")
    return list(values)


def _numpy_dtype(name: object, *_: object) -> np.dtype:
    if not isinstance(name, str) or not re.fullmatch(r"[<|=]?[biufc?]\d{0,2}", name):
        raise TypeError("not a type of numbers")
    return np.dtype(name)


def _numpy_scalar(dtype: np.dtype, data: bytes) -> object:
    if dtype.itemsize != len(data):
        raise TypeError("not a number")
    return np.frombuffer(data, dtype)[0].item()


def _left_out(*_: object) -> None:
    """What a checkpoint may contain and no network needs: arrays and devices in custom attributes."""


def _network(path: Path, name: str, module: _Module) -> StoredNetwork:
    arguments = module.state.get("_init_args", ())
    keywords = module.state.get("_init_kwargs", {})
    if not isinstance(arguments, tuple | list) or not isinstance(keywords, dict):
        raise UserError(f"{path}: {name} was stored without the arguments that it was built with.")
    tensors = dict(_tensors(path, module))
    return StoredNetwork(module.class_name, tuple(arguments), keywords, tensors)


def _tensors(path: Path, root: _Module) -> Iterator[tuple[str, StoredTensor]]:
    """Name and tensor of each parameter and buffer. Frozen layers have their weights among the buffers."""
    waiting: list[tuple[tuple[str, ...], Any]] = [((), root)]
    visited = 0
    while waiting:
        prefix, module = waiting.pop()
        if module is None:
            continue
        visited += 1
        if visited > _MAX_MODULES or len(prefix) > _MAX_DEPTH:
            raise UserError(f"{path}: refused, because its modules contain each other without end.")
        if not isinstance(module, _Module):
            raise UserError(f"{path}: {'.'.join(prefix)} is not a module.")
        for kind in ("_parameters", "_buffers"):
            for name, tensor in _entries(path, module, kind):
                if isinstance(tensor, StoredTensor):
                    yield ".".join((*prefix, name)), tensor
        waiting += [((*prefix, name), child) for name, child in _entries(path, module, "_modules")]


def _entries(path: Path, module: _Module, kind: str) -> list[tuple[str, Any]]:
    entries = module.state.get(kind, {})
    if not isinstance(entries, dict) or not all(isinstance(name, str) for name in entries):
        raise UserError(f"{path}: {kind} of a {module.class_name[:80]} is not a dictionary with names.")
    return list(entries.items())
