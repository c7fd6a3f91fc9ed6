"""LeCam regularisation for training on little data (Tseng et al. 2021, arXiv 2104.03310)."""

from typing import Any

import torch

from morphoscope.generate.training.losses import weighted_mean


class LeCam:
    """Pulls D's logits of real images towards the running mean of those of fakes, and the other way round.

    R_LC = E[(D(x) - α_F)²] + E[(D(G(z)) - α_R)²], where the anchors α_R and α_F are exponential moving
    averages of D(x) and D(G(z)). The squares are the paper's; a hinge, which spares logits on the far side
    of the anchor, is a later habit and not used here. Each output of D has anchors of its own.

    Args:
        decay: of the moving averages; the first observation sets them.
    """

    def __init__(self, decay: float) -> None:
        self.decay = decay
        self.real: torch.Tensor | None = None
        self.fake: torch.Tensor | None = None

    def observe(self, real_mean: torch.Tensor, fake_mean: torch.Tensor) -> None:
        """Let the anchors follow the mean logits [outputs] of a batch of real images and one of fakes.

        In place, and on their device: a recorded step goes on reading them.
        """
        if self.real is None or self.fake is None:
            self.real, self.fake = real_mean.detach().clone(), fake_mean.detach().clone()
        else:
            self.real.lerp_(real_mean, 1 - self.decay)
            self.fake.lerp_(fake_mean, 1 - self.decay)

    def penalty(
        self, real_logits: torch.Tensor, fake_logits: torch.Tensor, weights: torch.Tensor | None = None
    ) -> torch.Tensor:
        """R_LC of logits [N, outputs], a scalar; 0 before the first observation.

        Args:
            weights: of the outputs, as in the loss (`weighted_mean`).
        """
        if self.real is None or self.fake is None:
            return real_logits.new_zeros([])
        from_fake, from_real = real_logits - self.fake, fake_logits - self.real
        return weighted_mean(from_fake.square(), weights) + weighted_mean(from_real.square(), weights)

    def state_dict(self) -> dict[str, Any]:
        """The anchors, as plain JSON-able numbers."""
        anchors = {"real": self.real, "fake": self.fake}
        return {name: None if anchor is None else anchor.tolist() for name, anchor in anchors.items()}

    def load_state_dict(self, state: dict[str, Any], device: torch.device | str = "cpu") -> None:
        """Continue on `device` where `state_dict` was taken."""
        for name, anchor in state.items():
            setattr(self, name, None if anchor is None else torch.tensor(anchor, device=device))
