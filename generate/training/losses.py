"""The losses of StyleGAN2-ADA, each as a plain function (spec 4).

Logits are [N, outputs], where `outputs` is the number of outputs of the discriminator, 1 or 2.
"""

import torch
import torch.nn.functional as F


def generator_loss(logits: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
    """Non-saturating logistic loss: -log sigmoid(D(G(z))), mean over the batch, a scalar in nats.

    Args:
        logits: of fakes, [N, outputs].
        weights: of the outputs, as in `weighted_mean`.
    """
    return weighted_mean(F.softplus(-logits), weights)


def discriminator_loss(
    real_logits: torch.Tensor, fake_logits: torch.Tensor, weights: torch.Tensor | None = None
) -> torch.Tensor:
    """Logistic loss: -log sigmoid(D(x)) - log(1 - sigmoid(D(G(z)))), mean over the batch, a scalar in nats.

    Args:
        real_logits, fake_logits: [N, outputs].
        weights: of the outputs, as in `weighted_mean`.
    """
    return weighted_mean(F.softplus(-real_logits), weights) + weighted_mean(F.softplus(fake_logits), weights)


def output_weights(outputs: int, influence: float, device: torch.device | str = "cpu") -> torch.Tensor | None:
    """Weights [2] of the discriminator's outputs: 1 for the unconditional, `influence` for the conditional.

    With them the loss is the unconditional one plus `influence` times the conditional one (Shahbazi et al.
    2022, arXiv 2201.06578). None where there is only one output.

    Args:
        influence: of the labels, 0 to 1.
    """
    return None if outputs == 1 else torch.tensor([1.0, influence], device=device)


def weighted_mean(losses: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor:
    """Sum over the outputs of weight times mean loss, a scalar.

    Args:
        losses: [N, outputs].
        weights: [outputs]; None where there is only one output.
    """
    return losses.mean() if weights is None else losses.mean(dim=0) @ weights


def r1_penalty(real_logits: torch.Tensor, real_images: torch.Tensor) -> torch.Tensor:
    """Squared gradient norm of D at the real images, per image [N] (Mescheder et al. 2018, eq. 9).

    Args:
        real_logits: [N, 1].
        real_images: [N, C, H, W], before augmentation, so that the gradient passes through the augmentation.
    """
    (gradient,) = torch.autograd.grad(real_logits.sum(), real_images, create_graph=True)
    return gradient.square().sum(dim=[1, 2, 3])


def path_lengths(images: torch.Tensor, ws: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """‖Jᵀ noise‖ per image [N] (StyleGAN2, eq. 4): RMS over layers of the gradient's norm in w.

    Args:
        images: [N, C, H, W] synthesised from ws [N, num_ws, w_dim].
        noise: like images, normal with standard deviation 1/sqrt(H W).
    """
    (gradient,) = torch.autograd.grad((images * noise).sum(), ws, create_graph=True)
    return gradient.square().sum(dim=2).mean(dim=1).sqrt()
