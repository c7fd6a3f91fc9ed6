"""filter2d, upsample2d and downsample2d: sizes, mean brightness, position and padding."""

import pytest
import torch

from morphoscope.ops import downsample2d, filter2d, setup_filter, upsample2d


@pytest.mark.parametrize("taps", [[1, 3, 3, 1], [1, 2, 1], list(range(1, 13))])
def test_sizes_and_mean_brightness(taps: list[float]) -> None:
    f, x = setup_filter(taps), torch.ones(1, 2, 48, 72)
    for y, size, edge in [
        (filter2d(x, f), (48, 72), 7),
        (downsample2d(x, f), (24, 36), 5),
        (downsample2d(x, f, down=(1, 3)), (16, 72), 7),
        (upsample2d(x, f), (96, 144), 14),
        (upsample2d(x, f, up=3), (144, 216), 21),
        (upsample2d(x, f, up=(1, 2)), (96, 72), 14),
    ]:
        assert y.shape == (1, 2, *size)
        assert y[..., edge:-edge, edge:-edge].mean().item() == pytest.approx(1, abs=1e-5)


def test_the_image_is_not_shifted() -> None:
    """A symmetric filter keeps the centre of mass of a spot that is upsampled and downsampled again."""
    x, f = torch.zeros(1, 1, 16, 16), setup_filter([1, 3, 3, 1])
    x[0, 0, 7, 9] = 1
    y = downsample2d(upsample2d(x, f), f)
    rows, columns = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
    assert (y * rows).sum() / y.sum() == pytest.approx(7, abs=1e-5)
    assert (y * columns).sum() / y.sum() == pytest.approx(9, abs=1e-5)


def test_padding_adds_and_crops() -> None:
    x, f = torch.randn(1, 1, 8, 8, generator=torch.Generator().manual_seed(0)), setup_filter([1, 3, 3, 1])
    whole = upsample2d(x, f)
    torch.testing.assert_close(upsample2d(x, f, padding=-3), whole[..., 3:-3, 3:-3])
    assert filter2d(x, f, padding=(2, 1, 0, 0)).shape == (1, 1, 8, 11)
    assert downsample2d(x, f, padding=(1, 1)).shape == (1, 1, 5, 5)
