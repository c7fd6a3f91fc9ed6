"""The losses of StyleGAN2-ADA, each as a plain function (spec 4)."""

import torch
import torch.nn.functional as F


def generator_loss(fake_logits: torch.Tensor) -> torch.Tensor:
    """Non-saturating logistic loss: -log sigmoid(D(G(z))), mean over the batch."""
    return F.softplus(-fake_logits).mean()


def discriminator_loss(real_logits: torch.Tensor, fake_logits: torch.Tensor) -> torch.Tensor:
    """Logistic loss: -log sigmoid(D(x)) - log(1 - sigmoid(D(G(z)))), mean over the batch."""
    return F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()


def r1_penalty(real_logits: torch.Tensor, real_images: torch.Tensor) -> torch.Tensor:
    """Squared gradient norm of D at the real images, per image [N] (Mescheder et al. 2018, eq. 9).

    `real_images` are those before augmentation: the gradient passes through the augmentation.
    """
    (gradient,) = torch.autograd.grad(real_logits.sum(), real_images, create_graph=True)
    return gradient.square().sum(dim=[1, 2, 3])


def path_lengths(images: torch.Tensor, ws: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """‖Jᵀ noise‖ per image [N] (StyleGAN2, eq. 4): RMS over layers of the gradient's norm in w.

    Args:
        images: [N, C, H, W] synthesised from ws [N, num_ws, w_dim].
        noise: like images, normal with deviation 1/sqrt(H W).
    """
    (gradient,) = torch.autograd.grad((images * noise).sum(), ws, create_graph=True)
    return gradient.square().sum(dim=2).mean(dim=1).sqrt()
