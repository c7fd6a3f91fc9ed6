"""Checkpoints of the StyleGAN2-ADA ecosystem for tests, written from their description (spec 5)."""

import io
import pickle
import sys
import types
from contextlib import contextmanager

import numpy as np
from torch import nn

RECORD = ("torch_utils.persistence", "_reconstruct_persistent_obj")


class EasyDict(dict):
    """Stands in for dnnlib's dictionary, under whose name it is pickled."""


EasyDict.__module__, EasyDict.__qualname__ = "dnnlib.util", "EasyDict"


def _function(name):
    def function(*arguments):
        raise AssertionError("a pickle was executed")

    function.__module__, function.__qualname__, function.__name__ = *name, name[1]
    return function


_RECONSTRUCT = _function(RECORD)


@contextmanager
def _importable():
    """The names are importable while something is pickled, which checks that; never while it is read."""
    made = {name: types.ModuleType(name) for name in ("torch_utils", RECORD[0], "dnnlib", "dnnlib.util")}
    setattr(made[RECORD[0]], RECORD[1], _RECONSTRUCT)
    made["dnnlib.util"].EasyDict = EasyDict
    sys.modules |= made
    try:
        yield
    finally:
        for name in made:
            del sys.modules[name]


class _Pickler(pickle.Pickler):
    def __init__(self, file, protocol, version, keywords, extra):
        super().__init__(file, protocol)
        self._version, self._keywords, self._extra = version, keywords, extra

    def reducer_override(self, value):
        if not isinstance(value, nn.Module):
            return NotImplemented
        state = {**value.__dict__, "_init_args": (), "_init_kwargs": self._keywords.get(id(value), {})}
        if id(value) in self._keywords:
            state |= self._extra
        meta = {
            "type": "class",
            "version": self._version,
            "module_src": "raise SystemExit('executed')",
            "class_name": type(value).__name__,
            "state": state,
        }
        return _RECONSTRUCT, (meta,), None


def checkpoint_bytes(networks, keywords, *, protocol=4, version=6, extra=None, outside=None):
    """A checkpoint: `networks` by name, each built with `keywords[name]`.

    Args:
        extra: further attributes of the networks themselves.
        outside: what stands beside the networks (default: the settings of the training data).
    """
    file = io.BytesIO()
    by_identity = {id(network): EasyDict(keywords[name]) for name, network in networks.items()}
    beside = {
        "training_set_kwargs": EasyDict(path="/data/patients.zip", use_labels=True, xflip=np.bool_(False))
    }
    with _importable():
        pickler = _Pickler(file, protocol, version, by_identity, extra or {})
        pickler.dump({**networks, **(beside if outside is None else outside)})
    return file.getvalue()
