"""Random strengths of augmentation operations; strength 0 always leaves the image alone (spec 3)."""

import torch

# A number, or a scalar tensor on the images' device, which nothing has to read.
Probability = float | torch.Tensor


class Strengths:
    """Draws one strength per image from torch's global generator; 0 where the operation does not fire.

    Args:
        images: [N, …], for their number, device and dtype.
        percentile: None, or the q in (0, 1) at which nothing is random: everything fires, at the q-quantile
            of its distribution (for a normal one std·erfinv(2q-1), as the published test mode has it).
    """

    def __init__(self, images: torch.Tensor, percentile: float | None) -> None:
        self._images = images
        self._percentile = percentile

    def choice(self, probability: Probability, options: int) -> torch.Tensor:
        """[N], uniform over 0 … options-1."""
        return self._fire(probability, (self._quantile(1) * options).floor())[:, 0]

    def uniform(self, probability: Probability, half_range: float, axes: int = 1) -> torch.Tensor:
        """[N, axes], uniform in ±half_range."""
        return self._fire(probability, (self._quantile(axes) * 2 - 1) * half_range)

    def normal(self, probability: Probability, std: float, axes: int = 1) -> torch.Tensor:
        """[N, axes], normal around 0."""
        if self._percentile is None:
            values = self._images.new_empty(len(self._images), axes).normal_(std=std)
        else:
            values = torch.erfinv(self._quantile(axes) * 2 - 1) * std
        return self._fire(probability, values)

    def half_normal(self, probability: Probability, std: float) -> torch.Tensor:
        """[N, 1], absolute value of a normal one."""
        if self._percentile is None:
            return self.normal(probability, std).abs()
        return torch.erfinv(self._quantile(1)) * std

    def position(self) -> torch.Tensor:
        """[N, 2], uniform in [0, 1]; always fires."""
        return self._quantile(2)

    def switch(self, probability: Probability, value: float) -> torch.Tensor:
        """[N, 1], `value` where it fires."""
        return self._fire(probability, self._images.new_full((len(self._images), 1), value))

    def _quantile(self, axes: int) -> torch.Tensor:
        values = self._images.new_empty(len(self._images), axes)
        return values.uniform_() if self._percentile is None else values.fill_(self._percentile)

    def _fire(self, probability: Probability, values: torch.Tensor) -> torch.Tensor:
        if self._percentile is not None:
            return values
        fires = torch.rand(len(values), 1, device=values.device) < probability
        return torch.where(fires, values, torch.zeros_like(values))
