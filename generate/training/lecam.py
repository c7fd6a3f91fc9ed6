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
        self.real: list[float] | None = None
        self.fake: list[float] | None = None

    def observe(self, real_mean: torch.Tensor, fake_mean: torch.Tensor) -> None:
        """Let the anchors follow the mean logits [outputs] of a batch of real images and one of fakes."""
        self.real = self._followed(self.real, real_mean)
        self.fake = self._followed(self.fake, fake_mean)

    def penalty(
        self, real_logits: torch.Tensor, fake_logits: torch.Tensor, weights: torch.Tensor | None = None
    ) -> torch.Tensor:
        """R_LC of logits [N, outputs], a scalar; 0 before the first observation.

        Args:
            weights: of the outputs, as in the loss (`weighted_mean`).
        """
        if self.real is None or self.fake is None:
            return real_logits.new_zeros([])
        from_fake = real_logits - real_logits.new_tensor(self.fake)
        from_real = fake_logits - fake_logits.new_tensor(self.real)
        return weighted_mean(from_fake.square(), weights) + weighted_mean(from_real.square(), weights)

    def state_dict(self) -> dict[str, Any]:
        """The anchors, as plain JSON-able numbers."""
        return {"real": self.real, "fake": self.fake}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken."""
        self.real, self.fake = state["real"], state["fake"]

    def _followed(self, anchor: list[float] | None, mean: torch.Tensor) -> list[float]:
        means: list[float] = mean.tolist()
        if anchor is None:
            return means
        return [self.decay * old + (1 - self.decay) * new for old, new in zip(anchor, means, strict=True)]
