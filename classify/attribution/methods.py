"""Four attribution methods, each for one fold's model.

The methods explain the probability of the target class, after the softmax; only Grad-CAM explains the logit,
as its authors do. Each takes pixels [1, 3, R, R] in [0, 1] and returns a map float32 [R, R]. Of a pair the
pixels are [1, 3, R, 2R] and the map is [R, 2R]: the model has one last feature map for each photograph.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, get_args

import numpy as np
import torch
from captum.attr import IntegratedGradients, Occlusion
from timm.layers import SelectAdaptivePool2d
from torch import Tensor, nn

from morphoscope.classify.attribution.baselines import baseline_images
from morphoscope.classify.inputs.pairs import photographs, present_halves
from morphoscope.configs import UserError, arguments
from morphoscope.configs.attribution import AttributionSettings, Method
from morphoscope.configs.loading import validated
from morphoscope.runtime.progress import track


class FoldMap(NamedTuple):
    """The map of one model.

    Attributes:
        map: float32 [R, R], or [R, 2R] of a pair.
        difference: integrated gradients: probability of the target for the image minus that for the baseline,
            which the map should sum to; None for the other methods.
        delta: integrated gradients: sum of the map minus `difference`; of several baselines the one furthest
            from 0; None for the other methods.
    """

    map: np.ndarray
    difference: float | None = None
    delta: float | None = None


class EnsembleMaps(NamedTuple):
    """The maps of F models.

    Attributes:
        per_fold: float32 [F, R, R], or [F, R, 2R] of a pair.
        difference: mean of `FoldMap.difference`; None if the method has none.
        deltas: float64 [F], each model's `FoldMap.delta`; None if the method has none.
    """

    per_fold: np.ndarray
    difference: float | None
    deltas: np.ndarray | None


def attribution_settings(method: str, options: dict[str, Any]) -> AttributionSettings:
    """Validate a method's name and its options.

    Args:
        options: fields of `AttributionSettings`; those left out have their default values.

    Raises:
        UserError: an unknown method or setting, or a value out of range.
    """
    arguments.one_of("method", method, get_args(Method))
    return validated(AttributionSettings, options)


def explain(
    models: Sequence[nn.Module],
    pixels: Tensor,
    target: int,
    method: Method,
    settings: AttributionSettings,
    batch: int,
) -> EnsembleMaps:
    """Compute each model's map.

    The mean of the maps is the map of the models' mean, as far as the method is linear in the models.

    Args:
        models: images [N, 3, R, R] in [0, 1] -> logits [N, K].
        pixels: the image, [1, 3, R, R] in [0, 1], or of a pair [1, 3, R, 2R].
        target: class number, 0 to K - 1.
        batch: number of images per forward pass; limits memory and changes nothing else.

    Raises:
        UserError: Grad-CAM of a backbone that pools no feature map.
    """
    found = [
        _METHODS[method](model, pixels, target, settings, batch)
        for model in track(models, f"Explaining with {method}", unit="models")
    ]
    differences = [fold.difference for fold in found if fold.difference is not None]
    deltas = [fold.delta for fold in found if fold.delta is not None]
    return EnsembleMaps(
        np.stack([fold.map for fold in found]),
        float(np.mean(differences)) if differences else None,
        np.array(deltas) if deltas else None,
    )


def integrated_gradients(
    model: nn.Module, pixels: Tensor, target: int, settings: AttributionSettings, batch: int
) -> FoldMap:
    """Integrated gradients (Sundararajan et al. 2017, eq. 1), summed over the colour channels.

    Gauss-Legendre quadrature with `settings.steps` points on the straight path from the baseline to the
    image.
    """
    probability = _probability(model, target)
    maps, differences, deltas = [], [], []
    for start in baseline_images(pixels, settings.baseline):
        found, delta = IntegratedGradients(probability).attribute(
            pixels,
            baselines=start,
            n_steps=settings.steps,
            internal_batch_size=min(batch, settings.steps),
            return_convergence_delta=True,
        )
        with torch.no_grad():
            differences.append(float(probability(pixels) - probability(start)))
        maps.append(_array(found.sum(dim=1)))
        deltas.append(float(delta))
    # The largest error, not the mean: errors of opposite sign would cancel.
    return FoldMap(np.mean(maps, axis=0), float(np.mean(differences)), max(deltas, key=abs))


def smoothgrad(
    model: nn.Module, pixels: Tensor, target: int, settings: AttributionSettings, batch: int
) -> FoldMap:
    """SmoothGrad (Smilkov et al. 2017): magnitude of the gradient averaged over noisy copies of the image.

    The largest magnitude of the three colour channels counts. The map is unsigned: the sign of a gradient
    tells in which direction a pixel should change, not whether it is evidence for the class.
    """
    probability = _probability(model, target)
    generator = torch.Generator().manual_seed(settings.seed)
    sigma = settings.noise * float(pixels.max() - pixels.min())
    total = torch.zeros_like(pixels[0])
    for first in range(0, settings.samples, batch):
        count = min(batch, settings.samples - first)
        # Drawn one by one, so that the noise does not depend on the batch.
        noise = torch.stack([torch.randn(pixels.shape[1:], generator=generator) for _ in range(count)])
        noisy = (pixels + sigma * noise.to(pixels.device)).requires_grad_()
        (gradient,) = torch.autograd.grad(probability(noisy).sum(), noisy)
        total += gradient.sum(dim=0)
    return FoldMap(_array((total / settings.samples).abs().amax(dim=0, keepdim=True)))


def gradcam(
    model: nn.Module, pixels: Tensor, target: int, settings: AttributionSettings, batch: int
) -> FoldMap:
    """Grad-CAM (Selvaraju et al. 2017, eq. 1 and 2) of the input of the global pooling.

    That input is the last convolutional feature map of any backbone. The map is enlarged to the size of the
    image by bilinear interpolation.

    Raises:
        UserError: the backbone pools no feature map, for example a plain vision transformer.
    """
    pools = [module for module in model.modules() if isinstance(module, SelectAdaptivePool2d)]
    if not pools:
        raise UserError(
            "Attribution method 'gradcam': this backbone has no convolutional feature map; "
            "use integrated_gradients, smoothgrad or occlusion."
        )
    seen: list[Tensor] = []

    def cut(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Detach the feature map, so that no activation below it is kept."""
        seen.append(inputs[0].detach().requires_grad_())
        return (seen[-1], *inputs[1:])

    handle = pools[-1].register_forward_pre_hook(cut)
    try:
        score = model(pixels)[0, target]
    finally:
        handle.remove()
    (gradient,) = torch.autograd.grad(score, seen[-1])
    features = seen[-1].detach()
    if any(getattr(module, "output_fmt", "") == "NHWC" for module in model.modules()):
        features, gradient = features.permute(0, 3, 1, 2), gradient.permute(0, 3, 1, 2)
    weighted = (gradient.mean(dim=(2, 3), keepdim=True) * features).sum(dim=1, keepdim=True).relu()
    enlarged = nn.functional.interpolate(
        weighted.float(), [pixels.shape[2]] * 2, mode="bilinear", align_corners=False
    )
    halves = enlarged.new_zeros(len(photographs(pixels)), *enlarged.shape[2:])
    # The model does not read a missing photograph: its half of the map stays 0.
    halves[slice(None) if len(halves) == len(enlarged) else present_halves(pixels)[0]] = enlarged[:, 0]
    return FoldMap(_array(torch.cat(list(halves), dim=1)[None]))


def occlusion(
    model: nn.Module, pixels: Tensor, target: int, settings: AttributionSettings, batch: int
) -> FoldMap:
    """Occlusion (Zeiler and Fergus 2014): how much the probability falls when a square is covered.

    The square shows the baseline and moves by half its side. Each pixel gets the mean over all squares that
    covered it.
    """
    probability = _probability(model, target)
    side = max(2, round(settings.window * pixels.shape[2]))
    halves = photographs(pixels)  # one by one, so that no square covers parts of both
    maps = []
    for start in baseline_images(pixels, settings.baseline):
        found = Occlusion(lambda *covered: probability(torch.cat(covered, dim=3))).attribute(
            halves,
            sliding_window_shapes=((pixels.shape[1], side, side),) * len(halves),
            strides=((pixels.shape[1], side // 2, side // 2),) * len(halves),
            baselines=photographs(start),
            perturbations_per_eval=batch,
        )
        maps.append(_array(torch.cat(found, dim=3).mean(dim=1)))
    return FoldMap(np.mean(maps, axis=0))


def _probability(model: nn.Module, target: int) -> Callable[[Tensor], Tensor]:
    def probability(images: Tensor) -> Tensor:
        return model(images).float().softmax(dim=1)[:, target]

    return probability


def _array(maps: Tensor) -> np.ndarray:
    """Tensor [1, R, R] -> float32 array [R, R]."""
    return maps.detach()[0].float().cpu().numpy()


_METHODS: dict[Method, Callable[[nn.Module, Tensor, int, AttributionSettings, int], FoldMap]] = {
    "integrated_gradients": integrated_gradients,
    "smoothgrad": smoothgrad,
    "gradcam": gradcam,
    "occlusion": occlusion,
}
