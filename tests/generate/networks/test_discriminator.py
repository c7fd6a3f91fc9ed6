"""The discriminator's second head, which does not see the label."""

import pytest
import torch

from morphoscope.generate import Discriminator


def discriminator(c_dim: int = 3, **kwargs) -> Discriminator:
    torch.manual_seed(0)
    return Discriminator(c_dim, 8, 3, channel_base=64, channel_max=8, **kwargs)


def test_unconditional_output_comes_first_and_does_not_change_the_conditional_one():
    plain = discriminator()
    D = discriminator(epilogue_kwargs={"unconditional_output": True})
    added = D.state_dict().keys() - plain.state_dict().keys()
    assert added == {"b4.out_unconditional.weight", "b4.out_unconditional.bias"}
    assert D.b4.out_unconditional.weight.shape == (1, 8)
    D.load_state_dict(plain.state_dict(), strict=False)
    images, labels = torch.randn(4, 3, 8, 8), torch.eye(3)[[0, 1, 2, 0]]
    logits, others = D(images, labels), D(images, labels.flip(1))
    assert logits.shape == (4, D.outputs) == (4, 2)
    assert plain.outputs == 1
    assert torch.equal(logits[:, 1:], plain(images, labels))
    assert torch.equal(logits[:, 0], others[:, 0])
    assert not torch.allclose(logits[[0, 2, 3], 1], others[[0, 2, 3], 1])


def test_a_discriminator_without_labels_has_no_second_output():
    with pytest.raises(ValueError, match="unconditional_output"):
        discriminator(0, epilogue_kwargs={"unconditional_output": True})
