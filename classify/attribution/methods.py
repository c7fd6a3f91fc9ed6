"""Which pixels speak for a condition: four methods for one fold's model.

What is explained is the probability of the target, after the softmax; Grad-CAM alone explains the logit, as
its authors do. All work on pixels [1, 3, R, R] in [0, 1] and give a map float32 [R, R]; for a pair, of whose
photographs the model's last feature maps are one each, on [1, 3, R, 2R].
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, get_args

import numpy as np
import torch
from captum.attr import IntegratedGradients, Occlusion
from timm.layers import SelectAdaptivePool2d
from torch import Tensor, nn
from torchvision.transforms.functional import gaussian_blur  # type: ignore[import-untyped]

from morphoscope.classify.inputs.pairs import photographs, present_halves
from morphoscope.configs import UserError
from morphoscope.configs.attribution import AVERAGED, AttributionSettings, Baseline, Method
from morphoscope.configs.loading import validated

_BLUR = 0.1  # of the side: the deviation of a blur that leaves no lesion


class FoldMap(NamedTuple):
    """A model's map float32 [R, R]; integrated gradients also give what it should sum to, and the error, of
    several baselines the largest.
    """

    map: np.ndarray
    difference: float | None = None
    delta: float | None = None


class EnsembleMaps(NamedTuple):
    """The folds' maps float32 [F, R, R], their mean difference, and the delta of each, float64 [F]."""

    per_fold: np.ndarray
    difference: float | None
    deltas: np.ndarray | None


def check_request(method: str, options: dict[str, Any]) -> AttributionSettings:
    """The settings in `options`; UserError for an unknown method or setting, or a value out of range."""
    if method not in get_args(Method):
        raise UserError(f"Attribution method '{method}': choose one of {', '.join(get_args(Method))}.")
    return validated(AttributionSettings, options)


def explain(
    models: Sequence[nn.Module],
    pixels: Tensor,
    target: int,
    method: Method,
    settings: AttributionSettings,
    batch: int,
) -> EnsembleMaps:
    """Each model's map. Their mean is the map of the models' mean, as far as the method is linear in them.

    Args:
        models: image [1, 3, R, R] in [0, 1] -> logits.
        batch: images computed at a time; bounds memory and changes nothing else.
    """
    found = [_METHODS[method](model, pixels, target, settings, batch) for model in models]
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
    """Integrated gradients (Sundararajan et al. 2017, eq. 1), summed over colours.

    Gauss-Legendre quadrature with `steps` points on the straight path from the baseline to the image.
    """
    probability = _probability(model, target)
    maps, differences, deltas = [], [], []
    for start in baselines(pixels, settings.baseline):
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
    # Errors of several baselines may cancel in the mean while each map has its own.
    return FoldMap(np.mean(maps, axis=0), float(np.mean(differences)), max(deltas, key=abs))


def smoothgrad(
    model: nn.Module, pixels: Tensor, target: int, settings: AttributionSettings, batch: int
) -> FoldMap:
    """SmoothGrad (Smilkov et al. 2017): the gradient averaged over noisy copies; largest colour's magnitude.

    Unsigned: a gradient's sign says which way a pixel should change, not what it speaks for.
    """
    probability = _probability(model, target)
    generator = torch.Generator().manual_seed(settings.seed)
    deviation = settings.noise * float(pixels.max() - pixels.min())
    total = torch.zeros_like(pixels[0])
    for first in range(0, settings.samples, batch):
        count = min(batch, settings.samples - first)
        # One by one: the same noise whatever the batch.
        noise = torch.stack([torch.randn(pixels.shape[1:], generator=generator) for _ in range(count)])
        noisy = (pixels + deviation * noise.to(pixels.device)).requires_grad_()
        (gradient,) = torch.autograd.grad(probability(noisy).sum(), noisy)
        total += gradient.sum(dim=0)
    return FoldMap(_array((total / settings.samples).abs().amax(dim=0, keepdim=True)))


def gradcam(
    model: nn.Module, pixels: Tensor, target: int, settings: AttributionSettings, batch: int
) -> FoldMap:
    """Grad-CAM (Selvaraju et al. 2017, eq. 1 and 2) of what goes into the global pooling.

    That is the last convolutional feature map, whatever the backbone; it is enlarged to the image bilinearly.

    Raises:
        UserError: the backbone pools no feature map, as a plain vision transformer.
    """
    pools = [module for module in model.modules() if isinstance(module, SelectAdaptivePool2d)]
    if not pools:
        raise UserError(
            "Attribution method 'gradcam': this backbone has no convolutional feature map; "
            "use integrated_gradients, smoothgrad or occlusion."
        )
    seen: list[Tensor] = []

    def cut(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The gradient ends here, so that no activation below is kept."""
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
    weighed = (gradient.mean(dim=(2, 3), keepdim=True) * features).sum(dim=1, keepdim=True).relu()
    enlarged = nn.functional.interpolate(
        weighed.float(), [pixels.shape[2]] * 2, mode="bilinear", align_corners=False
    )
    halves = enlarged.new_zeros(len(photographs(pixels)), *enlarged.shape[2:])
    # The model reads no missing photograph.
    halves[slice(None) if len(halves) == len(enlarged) else present_halves(pixels)[0]] = enlarged[:, 0]
    return FoldMap(_array(torch.cat(list(halves), dim=1)[None]))


def occlusion(
    model: nn.Module, pixels: Tensor, target: int, settings: AttributionSettings, batch: int
) -> FoldMap:
    """Occlusion (Zeiler and Fergus 2014): by how much the probability falls where a square is covered.

    The square shows the baseline and moves by half its side; a pixel gets the mean over all squares that
    covered it.
    """
    probability = _probability(model, target)
    side = max(2, round(settings.window * pixels.shape[2]))
    halves = photographs(pixels)  # no square covers parts of two
    maps = []
    for start in baselines(pixels, settings.baseline):
        found = Occlusion(lambda *covered: probability(torch.cat(covered, dim=3))).attribute(
            halves,
            sliding_window_shapes=((pixels.shape[1], side, side),) * len(halves),
            strides=((pixels.shape[1], side // 2, side // 2),) * len(halves),
            baselines=photographs(start),
            perturbations_per_eval=batch,
        )
        maps.append(_array(torch.cat(found, dim=3).mean(dim=1)))
    return FoldMap(np.mean(maps, axis=0))


def baselines(pixels: Tensor, baseline: Baseline) -> list[Tensor]:
    """The pictures like `pixels` that stand for "nothing there"; "average" gives all four."""
    names = AVERAGED if baseline == "average" else (baseline,)
    return [torch.cat([_baseline(half, name) for half in photographs(pixels)], dim=3) for name in names]


def blurred(pixels: Tensor) -> Tensor:
    """Images [N, 3, R, R] blurred by a tenth of their side, so that only light and skin colour are left."""
    deviation = _BLUR * pixels.shape[-1]
    return gaussian_blur(pixels, [2 * round(2 * deviation) + 1] * 2, [deviation] * 2)


def _baseline(pixels: Tensor, name: str) -> Tensor:
    if name == "mean":
        return pixels.mean(dim=(2, 3), keepdim=True).expand_as(pixels).contiguous()
    if name == "blurred":
        return blurred(pixels)
    return torch.full_like(pixels, 0.0 if name == "black" else 1.0)


def _probability(model: nn.Module, target: int) -> Callable[[Tensor], Tensor]:
    def probability(images: Tensor) -> Tensor:
        return model(images).float().softmax(dim=1)[:, target]

    return probability


def _array(maps: Tensor) -> np.ndarray:
    """[1, R, R] -> float32 [R, R]."""
    return maps.detach()[0].float().cpu().numpy()


_METHODS: dict[Method, Callable[[nn.Module, Tensor, int, AttributionSettings, int], FoldMap]] = {
    "integrated_gradients": integrated_gradients,
    "smoothgrad": smoothgrad,
    "gradcam": gradcam,
    "occlusion": occlusion,
}
