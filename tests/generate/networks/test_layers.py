"""Half precision of blocks: at which resolutions, and with which results."""

import pytest
import torch

from morphoscope.generate import Discriminator, Generator
from morphoscope.generate.networks.layers import block_dtype

RESOLUTIONS = (4, 8, 16, 32, 64)


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize(("num_fp16_res", "lowest"), [(0, 128), (2, 32), (9, 8)])
def test_highest_resolutions_from_8_use_the_half_type_on_a_gpu(half, num_fp16_res, lowest):
    for resolution in RESOLUTIONS:
        expected = half if resolution >= lowest else torch.float32
        assert block_dtype(resolution, 64, num_fp16_res, half, torch.device("cuda")) == expected
        assert block_dtype(resolution, 64, num_fp16_res, half, torch.device("cpu")) == torch.float32


def test_networks_accept_the_half_type_by_name():
    small = {"channel_base": 64, "channel_max": 8}
    for name, dtype in [("float16", torch.float16), ("bfloat16", torch.bfloat16)]:
        G = Generator(8, 0, 8, 8, 3, synthesis_kwargs={**small, "half_dtype": name})
        D = Discriminator(0, 8, 3, **small, half_dtype=name)
        assert G.synthesis.half_dtype == D.half_dtype == dtype
    with pytest.raises(ValueError, match=r"half_dtype takes one of float16, bfloat16, not str 'float8'"):
        Discriminator(0, 8, 3, **small, half_dtype="float8")


@torch.no_grad()
def test_blocks_compute_nearly_the_same_in_bfloat16():
    torch.manual_seed(0)
    small = {"channel_base": 256, "channel_max": 16, "conv_clamp": 256}
    G = Generator(8, 0, 8, 16, 3, synthesis_kwargs=small)
    D = Discriminator(0, 16, 3, **small)
    ws, image = torch.randn(2, 3, 8), torch.randn(2, 3, 16, 16)
    x = torch.randn(2, 16, 8, 8)
    for full, half in [
        [G.synthesis.b16(x, None, ws, dtype, "const")[1] for dtype in (torch.float32, torch.bfloat16)],
        [D.b16(None, image, dtype)[0].float() for dtype in (torch.float32, torch.bfloat16)],
    ]:
        torch.testing.assert_close(half, full, atol=0.03 * float(full.abs().max()), rtol=0)
        assert not torch.equal(half, full)
