"""setup_filter: the default filter, the options, and the errors."""

import pytest
import torch

from morphoscope.ops import setup_filter


def test_default_filter() -> None:
    f = setup_filter([1, 3, 3, 1])
    expected = torch.tensor([1.0, 3, 3, 1]).outer(torch.tensor([1.0, 3, 3, 1])) / 64
    torch.testing.assert_close(f, expected, rtol=0, atol=1e-8)


def test_setup_filter() -> None:
    assert setup_filter(None).tolist() == [[1]]
    assert setup_filter([1] * 7).shape == (7, 7)
    assert setup_filter([1] * 8).shape == (8,)
    torch.testing.assert_close(setup_filter([[1, 2], [3, 4]]), torch.tensor([[0.1, 0.2], [0.3, 0.4]]))
    assert setup_filter([1, 2], normalize=False, separable=True, flip_filter=True).tolist() == [2, 1]
    assert setup_filter([1, 1], gain=4).sum() == 4
    assert setup_filter([1, 1], gain=4, separable=True).tolist() == [1, 1]  # 2 in each of two passes


def test_errors() -> None:
    with pytest.raises(ValueError, match=r"taps takes numbers \[taps\] or \[fh, fw\], at least one"):
        setup_filter([])
    with pytest.raises(ValueError, match="cannot be kept separable"):
        setup_filter([[1, 2], [3, 4]], separable=True)
