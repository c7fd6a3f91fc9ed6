"""The optimisations: in W, in W+, and of the generator's weights around a pivot in W."""

import copy
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch.func import functional_call

from morphoscope.generate.metrics.perceptual import PerceptualNetwork
from morphoscope.generate.networks.synthesis import SynthesisNetwork
from morphoscope.generate.projection.codes import CodeDistribution, MappedCodes, WhitenedCodes
from morphoscope.generate.projection.noise import Maps, normalise, regularisation

# Learning rates (Adam), in whitened coordinates, per noise map's pixel and for stored weights.
_W_RATE, _W_PLUS_RATE, _NOISE_RATE, _TUNING_RATE = 0.1, 0.05, 0.1, 3e-3
_RAMP_UP, _RAMP_DOWN = 0.05, 0.5  # fractions of the steps
_EXPLORED, _EXPLORATION = 0.75, 0.05  # noise is added to w in this fraction of the steps, at first this much
_PIXELS = 1.0  # weight of the mean square difference of pixels in [-1, 1], beside the perceptual distance
_TUNED_PIXELS = 10.0  # while weights are tuned
_PRIOR = 1e-2  # weight of a code's mean square in whitened coordinates
_SPREAD = 1e-3  # weight of the mean square of the shifts of W+, and of their differences between layers
_NOISE = 1e5  # weight of the noise regularisation (StyleGAN2, appendix D)


class Seen(NamedTuple):
    """What an observer sees after each step.

    Attributes:
        step, steps: done, and to do in this stage.
        images: float32 [S, 3, R, R], about [-1, 1].
        losses: [S].
    """

    step: int
    steps: int
    images: torch.Tensor
    losses: torch.Tensor


Observer = Callable[[Seen], None]


class Target:
    """The photograph, with its features, and how far images are from it."""

    def __init__(self, network: PerceptualNetwork, photograph: torch.Tensor) -> None:
        """For a photograph float32 [1, 3, R, R] in [-1, 1]."""
        self.network, self.photograph = network, photograph
        with torch.no_grad():
            self.features = network.features(photograph)

    def loss(self, images: torch.Tensor, pixels: float = _PIXELS) -> torch.Tensor:
        """Perceptual distance plus `pixels` times the mean square difference, [N]."""
        perceptual = self.network.distance(self.network.features(images), self.features)
        return perceptual + pixels * (images - self.photograph).square().mean(dim=(1, 2, 3))


def project_to_w(
    synthesis: SynthesisNetwork,
    target: Target,
    codes: WhitenedCodes | MappedCodes,
    maps: Maps,
    steps: int,
    randomness: torch.Generator,
    observe: Observer,
) -> torch.Tensor:
    """Optimise codes, and the noise maps unless there are none, in place; return the last losses [S].

    Noise that fades is added to the codes: they leave poor minima at first and settle later (StyleGAN2,
    appendix D).
    """

    def images(progress: float) -> torch.Tensor:
        fade = max(0.0, 1 - progress / _EXPLORED) ** 2
        w = codes.codes()
        if fade > 0:
            noise = torch.randn(w.shape, generator=randomness).to(w.device)
            w = codes.codes(noise * _EXPLORATION * fade)
        return rendered(synthesis, w[:, None].expand(-1, synthesis.num_ws, -1), maps)

    return _optimise(
        target, images, codes.variables, _W_RATE, maps, steps, observe, lambda: _PRIOR * codes.unlikeliness()
    )


def project_to_w_plus(
    synthesis: SynthesisNetwork,
    target: Target,
    w: torch.Tensor,
    distribution: CodeDistribution,
    maps: Maps,
    steps: int,
    observe: Observer,
) -> torch.Tensor:
    """From w [1, w_dim], find a code for each layer; return them, [1, num_ws, w_dim].

    The codes are drawn to their mean over layers: the further they are apart, the less they behave like
    codes of the generator when they are moved (Tov et al. 2021).
    """
    shifts = torch.zeros(1, synthesis.num_ws, w.shape[1], device=w.device, requires_grad=True)

    def codes() -> torch.Tensor:
        return w[:, None] + shifts @ distribution.root

    def spread() -> torch.Tensor:
        centred = shifts - shifts.mean(dim=1, keepdim=True)
        return _SPREAD * (centred.square() + shifts.square()).mean(dim=(1, 2))

    _optimise(
        target,
        lambda _: rendered(synthesis, codes(), maps),
        [shifts],
        _W_PLUS_RATE,
        maps,
        steps,
        observe,
        spread,
    )
    return codes().detach()


def tune(
    synthesis: SynthesisNetwork,
    target: Target,
    w: torch.Tensor,
    maps: Maps,
    steps: int,
    observe: Observer,
) -> SynthesisNetwork:
    """A copy of the network whose weights are tuned so that the pivot w [1, w_dim] shows the photograph.

    Pivotal tuning (Roich et al. 2021, eq. 2): the code and the noise stay, the weights move.
    """
    tuned = copy.deepcopy(synthesis).requires_grad_(True)
    ws = w[:, None].expand(-1, synthesis.num_ws, -1)
    fixed = {name: noise.detach() for name, noise in maps.items()}
    _optimise(
        target,
        lambda _: rendered(tuned, ws, fixed),
        list(tuned.parameters()),
        _TUNING_RATE,
        {},
        steps,
        observe,
        pixels=_TUNED_PIXELS,
    )
    return tuned.requires_grad_(False)


def rendered(synthesis: SynthesisNetwork, ws: torch.Tensor, maps: Maps) -> torch.Tensor:
    """Images [N, 3, R, R] of codes [N, num_ws, w_dim], with these noise maps as the constant ones."""
    images: torch.Tensor = functional_call(synthesis, maps, (ws, "const"))
    return images.expand(-1, 3, -1, -1)  # of a grey generator, too


def _optimise(
    target: Target,
    images: Callable[[float], torch.Tensor],
    variables: Sequence[torch.Tensor],
    rate: float,
    maps: Maps,
    steps: int,
    observe: Observer,
    penalty: Callable[[], torch.Tensor] | None = None,
    pixels: float = _PIXELS,
) -> torch.Tensor:
    """Adam with a warm-up and a cosine decay; returns the losses [S] of the last images, without penalties.

    Args:
        images: of the variables, given the fraction of the steps done.
        maps: noise maps to optimise too.
        penalty: added to each start's loss, [S].
    """
    free = [noise for noise in maps.values() if noise.requires_grad]
    groups = [{"params": list(variables), "rate": rate}, {"params": free, "rate": _NOISE_RATE}]
    optimiser = torch.optim.Adam([group for group in groups if group["params"]], lr=rate)
    losses = torch.zeros(0)
    for step in range(steps):
        scale = _schedule(step / steps)
        for group in optimiser.param_groups:
            group["lr"] = group["rate"] * scale
        shown = images(step / steps)
        losses = target.loss(shown, pixels)
        total = losses if penalty is None else losses + penalty()
        if free:
            total = total + _NOISE * regularisation(maps)
        optimiser.zero_grad(set_to_none=True)
        total.sum().backward()
        optimiser.step()
        if free:
            normalise(maps)
        observe(Seen(step + 1, steps, shown.detach(), losses.detach()))
    return losses.detach()


def _schedule(progress: float) -> float:
    """Factor of the learning rate, 0 to 1: a linear warm-up, then a cosine decay to 0."""
    up = min(1.0, progress / _RAMP_UP + 0.1)
    down = min(1.0, (1 - progress) / _RAMP_DOWN)
    return up * (0.5 - 0.5 * math.cos(math.pi * down))
