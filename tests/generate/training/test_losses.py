"""The losses with one and with two outputs of the discriminator."""

import math

import pytest
import torch

from morphoscope.generate.training.losses import (
    discriminator_loss,
    generator_loss,
    output_weights,
    path_lengths,
    r1_penalty,
)

REAL = torch.tensor([[2.0, -1.0], [0.5, 3.0], [-0.5, 0.0]])
FAKE = torch.tensor([[-2.0, 1.5], [0.0, -3.0], [1.0, 0.5]])


def test_the_loss_of_zero_logits_is_log_two():
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


def test_losses_have_their_closed_form():
    logits = torch.tensor([[0.0], [2.0]])
    expected = (math.log(2) + math.log1p(math.exp(-2))) / 2
    assert generator_loss(logits).item() == pytest.approx(expected, rel=1e-6)
    assert discriminator_loss(logits, -logits).item() == pytest.approx(2 * expected, rel=1e-6)


def test_r1_is_the_squared_gradient_norm_per_image():
    images = torch.randn(3, 1, 4, 4, requires_grad=True)
    logits = (images.square().sum(dim=[1, 2, 3]) / 2)[:, None]  # gradient = the image itself
    torch.testing.assert_close(r1_penalty(logits, images), images.square().sum(dim=[1, 2, 3]))


def test_path_lengths_of_a_linear_generator_are_its_jacobian_norms():
    """images = A w: the gradient is A^T noise, here for one layer of latents."""
    A = torch.randn(6, 4)
    ws = torch.randn(3, 1, 4, requires_grad=True)
    images = (ws[:, 0] @ A.T).reshape(3, 1, 2, 3)
    noise = torch.randn(3, 1, 2, 3)
    expected = (noise.reshape(3, 6) @ A).norm(dim=1)
    torch.testing.assert_close(path_lengths(images, ws, noise), expected)


def test_path_lengths_are_the_rms_over_layers():
    ws = torch.ones(1, 2, 3, requires_grad=True)
    images = (ws * torch.tensor([1.0, 3.0]).reshape(1, 2, 1)).sum(dim=(1, 2)).reshape(1, 1, 1, 1)
    lengths = path_lengths(images, ws, torch.ones(1, 1, 1, 1))
    assert lengths.item() == pytest.approx(((3 + 27) / 2) ** 0.5)
