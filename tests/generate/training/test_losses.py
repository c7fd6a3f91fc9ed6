"""The losses of one and of two discriminator outputs."""

import math

import pytest
import torch

from morphoscope.generate.training.losses import discriminator_loss, generator_loss, output_weights

REAL = torch.tensor([[2.0, -1.0], [0.5, 3.0], [-0.5, 0.0]])
FAKE = torch.tensor([[-2.0, 1.5], [0.0, -3.0], [1.0, 0.5]])


def test_logits_of_zero_cost_log_two():
    zeros = torch.zeros(4, 1)
    assert generator_loss(zeros).item() == pytest.approx(math.log(2))
    assert discriminator_loss(zeros, zeros).item() == pytest.approx(2 * math.log(2))


@pytest.mark.parametrize("influence", [0.0, 0.4, 1.0])
def test_two_outputs_add_their_own_losses_by_weight(influence):
    weights = output_weights(2, influence)
    for loss, logits in [(generator_loss, (FAKE,)), (discriminator_loss, (REAL, FAKE))]:
        unconditional, conditional = (loss(*(x[:, k : k + 1] for x in logits)) for k in (0, 1))
        torch.testing.assert_close(loss(*logits, weights), unconditional + influence * conditional)


def test_one_output_needs_no_weights():
    assert output_weights(1, 0.4) is None
