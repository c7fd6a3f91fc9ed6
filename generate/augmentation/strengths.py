"""Random strengths of augmentation operations; strength 0 never changes the image (spec 3)."""

import torch

# A number, or a scalar tensor on the images' device, which then is never read back.
Probability = float | torch.Tensor


class Strengths:
    """Draws one strength per image from torch's global generator; 0 where the operation does not fire.

    Args:
        images: [N, …], for their number, device and dtype.
        percentile: None, or a q in (0, 1) for which nothing is random: every operation fires with the
            q-quantile of its distribution (std·erfinv(2q-1) for a normal one, as in the published test mode).
    """

    def __init__(self, images: torch.Tensor, percentile: float | None) -> None:
        self._images = images
        self._percentile = percentile

    def choice(self, probability: Probability, options: int) -> torch.Tensor:
        """[N], whole numbers uniform over 0 to options - 1."""
        return self._fire(probability, (self._quantile(1) * options).floor())[:, 0]

    def uniform(self, probability: Probability, half_range: float, axes: int = 1) -> torch.Tensor:
        """[N, axes], uniform in ±half_range."""
        return self._fire(probability, (self._quantile(axes) * 2 - 1) * half_range)

    def normal(self, probability: Probability, std: float, axes: int = 1) -> torch.Tensor:
        """[N, axes], normal with mean 0 and standard deviation `std`."""
        if self._percentile is None:
            values = self._images.new_empty(len(self._images), axes).normal_(std=std)
        else:
            values = torch.erfinv(self._quantile(axes) * 2 - 1) * std
        return self._fire(probability, values)

    def half_normal(self, probability: Probability, std: float) -> torch.Tensor:
        """[N, 1], absolute value of a normal variable with standard deviation `std`."""
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
