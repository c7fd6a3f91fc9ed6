"""Comparison of training states."""

import pytest
import torch


@pytest.fixture(scope="session")
def assert_same_state():
    """Compare two values of a training state bit for bit."""
    return _assert_same


def _assert_same(a, b):
    """Two values of a training state, equal bit for bit."""
    assert type(a) is type(b)
    if isinstance(a, torch.Tensor):
        assert torch.equal(a, b)
    elif isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            _assert_same(a[key], b[key])
    elif isinstance(a, list):
        for left, right in zip(a, b, strict=True):
            _assert_same(left, right)
    else:
        assert a == b
