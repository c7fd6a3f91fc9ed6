"""Adaptive augmentation: p follows the overfitting of the discriminator (ADA, section 3; spec 3)."""

import logging
from typing import Any

import torch

from morphoscope.configs import UserError, arguments
from morphoscope.generate.augmentation.pipe import AugmentPipe

_log = logging.getLogger(__name__)

# p goes up and down around its ceiling; the warning is repeated only after it has been clearly below.
_RECOVERED = 0.9


class AdaController:
    """Adapts the pipe's p so that the overfitting heuristic r_t stays near `target` (ADA, section 3).

    The heuristic is r_t = mean sign(D(real)). Every `interval` iterations p changes by n / (1000 `kimg`),
    where n is the number of images since the last change: upwards if r_t is above `target`, downwards if it
    is below, and never below 0 or above `ceiling`.

    Args:
        pipe: its buffer `p` is the only place where p is stored.
        target: desired r_t, in (-1, 1).
        kimg: thousands of images in which p can change by 1 (ada_kimg; 500, and 100 in transfer learning).
        interval: iterations between two changes.
        ceiling: highest p, 0 to 1; without one, p grows without bound on small cohorts, and the augmentation
            leaks into the fakes.

    Raises:
        UserError: a setting out of its range.
    """

    def __init__(
        self,
        pipe: AugmentPipe,
        target: float = 0.6,
        kimg: float = 500,
        interval: int = 4,
        ceiling: float = 0.9,
    ) -> None:
        arguments.instance("pipe", pipe, AugmentPipe, "an AugmentPipe")
        for name, value in (("target", target), ("kimg", kimg), ("ceiling", ceiling)):
            arguments.real_number(name, value)
        arguments.whole_number("interval", interval)
        if not -1 < target < 1 or kimg <= 0 or interval < 1 or not 0 <= ceiling <= 1:
            raise UserError(
                f"ADA: target={target} must be between -1 and 1, kimg={kimg} positive, interval={interval} "
                f"at least 1, and ceiling={ceiling} from 0 to 1."
            )
        self.pipe = pipe
        self.target, self.kimg, self.interval, self.ceiling = target, kimg, interval, ceiling
        self._signs = torch.zeros(2, dtype=torch.float64, device=pipe.p.device)  # sum, count
        self._iterations = 0
        self._images = 0
        self._at_ceiling = False
        self._warned = False

    def observe(self, real_logits: torch.Tensor) -> None:
        """Count the signs of logits of augmented real images, of any shape, without waiting for the GPU."""
        if not isinstance(real_logits, torch.Tensor):
            arguments.refuse("real_logits", "a tensor", real_logits)
        logits = real_logits.detach()
        self._signs = self._signs.to(logits.device)
        self._signs[0] += logits.sign().sum(dtype=torch.float64)
        self._signs[1] += logits.numel()

    def step(self, images: int) -> dict[str, float] | None:
        """End an iteration and adapt p if it is time.

        Args:
            images: number of real images in the iteration, over all processes.

        Returns:
            Values to log, if p was adapted: augment_p, augment_real_sign (r_t), augment_at_ceiling (0 or 1).
            Otherwise None.
        """
        arguments.whole_number("images", images, 1)
        self._iterations += 1
        self._images += images
        if self._iterations % self.interval:
            return None
        total, number = self._signs_of_all()
        assert number > 0, "AdaController.step without any observe since the last change"
        mean = total / number
        direction = (mean > self.target) - (mean < self.target)
        p = float(self.pipe.p) + direction * self._images / (self.kimg * 1000)
        reached = p >= self.ceiling
        if reached and not self._warned:
            self._warned = True
            _log.warning(
                "The augmentation probability reached its ceiling p = %g: the discriminator is overfitting.",
                self.ceiling,
            )
        elif p < _RECOVERED * self.ceiling:
            self._warned = False
        self.pipe.p.fill_(min(max(p, 0.0), self.ceiling))
        self._signs.zero_()
        self._images = 0
        self._at_ceiling = reached
        return {
            "augment_p": float(self.pipe.p),
            "augment_real_sign": mean,
            "augment_at_ceiling": float(reached),
        }

    def _signs_of_all(self) -> tuple[float, float]:
        """Sum and count of the signs that all processes have observed."""
        signs = self._signs.clone()
        if _several_processes():
            torch.distributed.all_reduce(signs)
        total, number = signs.tolist()
        return total, number

    def state_dict(self) -> dict[str, Any]:
        """Everything that an exact resume needs, as plain numbers; all processes must call this together."""
        total, number = self._signs_of_all()
        return {
            "p": float(self.pipe.p),
            "sign_sum": total,
            "sign_count": number,
            "iterations": self._iterations,
            "images": self._images,
            "at_ceiling": self._at_ceiling,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken; also sets the pipe's p."""
        self.pipe.p.fill_(state["p"])
        signs = torch.tensor([state["sign_sum"], state["sign_count"]], dtype=torch.float64)
        first = not _several_processes() or torch.distributed.get_rank() == 0
        self._signs.copy_(signs * first)  # one process keeps the signs of all
        self._iterations = state["iterations"]
        self._images = state["images"]
        self._at_ceiling = self._warned = state["at_ceiling"]


def _several_processes() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()
