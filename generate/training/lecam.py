"""LeCam regularisation for training on little data (Tseng et al. 2021, arXiv 2104.03310)."""

from typing import Any

import torch

from morphoscope.generate.training.losses import weighted_mean


class LeCam:
    """Pulls D's logits of real images towards the moving average of those of fakes, and vice versa.

    R_LC = E[(D(x) - α_F)²] + E[(D(G(z)) - α_R)²], where the anchors α_R and α_F are exponential moving
    averages of D(x) and D(G(z)). The squares are the paper's; the hinge of some later implementations, which
    spares logits on the far side of the anchor, is not used. Each output of D has its own anchors.

    Recorded steps keep reading the anchors, so they are changed in place.

    Args:
        decay: of the moving averages, 0 to 1; the first observation sets them.
        outputs: number of outputs of D.
    """

    def __init__(self, decay: float, outputs: int = 1, device: torch.device | str = "cpu") -> None:
        self.decay = decay
        self.real = torch.zeros(outputs, device=device)
        self.fake = torch.zeros(outputs, device=device)
        self._observed = torch.zeros([], dtype=torch.bool, device=device)

    def observe(self, real_mean: torch.Tensor, fake_mean: torch.Tensor) -> None:
        """Update the anchors with the mean logits [outputs] of a batch of real and a batch of fake images."""
        for anchor, mean in ((self.real, real_mean), (self.fake, fake_mean)):
            anchor.copy_(torch.where(self._observed, anchor.lerp(mean, 1 - self.decay), mean))
        self._observed.fill_(True)

    def penalty(
        self, real_logits: torch.Tensor, fake_logits: torch.Tensor, weights: torch.Tensor | None = None
    ) -> torch.Tensor:
        """R_LC, a scalar; 0 before the first observation.

        Args:
            real_logits, fake_logits: [N, outputs].
            weights: of the outputs, as in the loss (`weighted_mean`).
        """
        from_fake, from_real = real_logits - self.fake, fake_logits - self.real
        penalty = weighted_mean(from_fake.square(), weights) + weighted_mean(from_real.square(), weights)
        return penalty * self._observed

    def state_dict(self) -> dict[str, Any]:
        """The anchors, as plain JSON-able numbers."""
        if not self._observed:
            return {"real": None, "fake": None}
        return {"real": self.real.tolist(), "fake": self.fake.tolist()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken."""
        self._observed.fill_(state["real"] is not None)
        for anchor, values in ((self.real, state["real"]), (self.fake, state["fake"])):
            anchor.copy_(torch.zeros_like(anchor) if values is None else torch.tensor(values))
