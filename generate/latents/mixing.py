"""Images of several ends at once: style mixing, and all mixtures of three."""

import numpy as np
import torch

from morphoscope.configs import UserError
from morphoscope.configs.morphs import Centre, Way
from morphoscope.generate.latents.directions import check_layers
from morphoscope.generate.latents.ends import End
from morphoscope.generate.latents.paths import LatentPath
from morphoscope.generate.model import GeneratorModel


def mix_styles(
    model: GeneratorModel,
    rows: list[End],
    columns: list[End],
    layers: range,
    psi: float = 0.7,
    centre: Centre = "condition",
) -> np.ndarray:
    """Each row's image with the styles of each column in some layers: uint8 [rows, columns, R, R, 3].

    Early layers decide shape and place, late ones colour and texture (Karras et al. 2019, section 3.1).

    Args:
        layers: whose codes come from the column.

    Raises:
        UserError: layers that the generator lacks, or tuned weights.
    """
    chosen = list(check_layers(model, layers))
    own = end_codes(model, rows, psi, centre)
    other = end_codes(model, columns, psi, centre)
    mixed = own[:, None].repeat(1, len(columns), 1, 1)
    mixed[:, :, chosen] = other[None, :, chosen]
    images = model.images(mixed.flatten(0, 1))
    return images.reshape(len(rows), len(columns), *images.shape[1:])


def triangle_weights(side: int) -> np.ndarray:
    """The shares [N, 3] of three corners, in rows from the first corner to the side between the others.

    Args:
        side: images along each side, from 2; N is side (side + 1) / 2.
    """
    last = side - 1
    found = [
        ((last - row) / last, (row - column) / last, column / last)
        for row in range(side)
        for column in range(row + 1)
    ]
    return np.array(found)


def triangle(
    model: GeneratorModel,
    corners: tuple[End, End, End],
    side: int,
    way: Way = "label",
    psi: float = 0.7,
    centre: Centre = "condition",
) -> np.ndarray:
    """Images of all mixtures of three ends, uint8 [N, R, R, 3], in the order of `triangle_weights`.

    Args:
        way: label or both, the labels are mixed, of one seed; w, the corners' codes are mixed.

    Raises:
        UserError: labels cannot be mixed since the corners have different sources, or tuned weights.
    """
    weights = triangle_weights(side)
    if way == "w":
        codes = end_codes(model, list(corners), psi, centre)
        shares = torch.from_numpy(weights).to(codes)
        return model.images(torch.einsum("nc,clw->nlw", shares, codes))
    if not all(corner.same_source(corners[0]) for corner in corners):
        raise UserError("A triangle by labels needs one seed for its three corners; choose the way w.")
    if any(corner.moves for corner in corners):
        raise UserError("A triangle by labels takes no directions at its corners; choose the way w.")
    labels = weights @ np.stack([model.label(corner.label) for corner in corners])
    named = [dict(zip(model.conditions, label.tolist(), strict=True)) for label in labels]
    return model.images(end_codes(model, [End(corners[0].source, label) for label in named], psi, centre))


def end_codes(model: GeneratorModel, ends: list[End], psi: float, centre: Centre) -> torch.Tensor:
    """The codes of ends, [N, num_ws, w_dim].

    Raises:
        UserError: an end has weights of its own, which one network for all cannot show.
    """
    if any(not isinstance(end.source, int) and end.source.synthesis for end in ends):
        raise UserError(
            "A photograph with tuned weights or noise maps has a generator of its own, so it cannot be mixed "
            "with other images: project it into W or W+, without noise maps."
        )
    return torch.cat([LatentPath(end, end, psi=psi, centre=centre).codes(model, [0]) for end in ends])
