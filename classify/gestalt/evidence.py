"""Which parts of a face speak for a syndrome: occlusion by part, and integrated gradients."""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from captum.attr import IntegratedGradients
from numpy.typing import NDArray

from morphoscope.classify.gestalt.encoders import DlibEncoder, Encoder, finished
from morphoscope.classify.gestalt.nearest import image_distances, syndrome_distances
from morphoscope.classify.gestalt.preparation import Face
from morphoscope.classify.gestalt.ranking import Gestalt
from morphoscope.classify.gestalt.regions import PARTS, part_masks
from morphoscope.configs import UserError

_SMOOTH = 0.12  # SD of the blur that stands for "nothing to see here", of the face's side
_EDGE = 0.02  # SD of the soft edge of an occluded part, of the face's side
_STEPS, _BATCH = 32, 8


@dataclass(frozen=True, eq=False)
class Evidence:
    """What speaks for a syndrome, against the nearest other one, in units of cosine similarity.

    Attributes:
        syndrome: what the evidence is for.
        against: the nearest other syndrome.
        margin: similarity to the syndrome less that to the other one; positive if the syndrome is nearer.
        occlusion: {part: by how much the margin falls if the part is blurred away}; see `PARTS`.
        gradients: {part: sum of the integrated gradients in it}; None for an encoder without gradients, or
            if they were not requested.
        map: integrated gradients, float32 [S, S] on the aligned face, summed over channels; or None.
        chip: the aligned face, uint8 RGB [S, S, 3].
    """

    syndrome: str
    against: str
    margin: float
    occlusion: dict[str, float]
    gradients: dict[str, float] | None
    map: NDArray[np.float32] | None
    chip: NDArray[np.uint8]


def find_evidence(
    gestalt: Gestalt, face: Face, syndrome: str | None = None, gradients: bool = True
) -> Evidence:
    """The evidence in a face for a syndrome, by default for the nearest one.

    Nearest images are chosen once, for the whole face: the margin is then a linear function of the
    embedding. It is taken from the face as it is, without its mirror image.

    Args:
        gestalt: with at least two syndromes.
        face: the face.
        syndrome: one of the gallery.
        gradients: whether to compute them, too: they take several times as long as occlusion.

    Raises:
        UserError: the gallery does not have the syndrome, or has no other.
    """
    gallery = gestalt.gallery
    if syndrome is not None and syndrome not in gallery.syndromes:
        raise UserError(f"The gallery has no syndrome {syndrome!r}; it has {', '.join(gallery.syndromes)}.")
    if len(gallery.syndromes) < 2:
        raise UserError("Evidence for a syndrome needs another one in the gallery to compare with.")
    chip = face.aligned(gestalt.encoder.template)
    to_images = image_distances(gestalt.embed(face)[None], gallery)
    order = np.argsort(
        syndrome_distances(to_images, gallery.labels, len(gallery.syndromes))[0], kind="stable"
    )
    own = int(order[0]) if syndrome is None else gallery.syndromes.index(syndrome)
    other = int(order[order != own][0])
    direction = _nearest(to_images[0], gallery.labels == own, gallery.embeddings) - _nearest(
        to_images[0], gallery.labels == other, gallery.embeddings
    )
    masks = part_masks(face.aligned_points(gestalt.encoder.template), gestalt.encoder.template.size)
    seen = gestalt.encoder.encode(np.stack([chip, *_occluded(chip, masks)]))
    margins = finished(gestalt.encoder, seen) @ direction
    summed = _integrated_gradients(gestalt.encoder, chip, direction) if gradients else None
    return Evidence(
        syndrome=gallery.syndromes[own],
        against=gallery.syndromes[other],
        margin=float(margins[0]),
        occlusion={name: float(margins[0] - value) for name, value in zip(masks, margins[1:], strict=True)},
        gradients=None
        if summed is None
        else {name: float(summed[mask].sum()) for name, mask in masks.items()},
        map=summed,
        chip=chip,
    )


def _nearest(distances: np.ndarray, chosen: np.ndarray, embeddings: np.ndarray) -> np.ndarray:
    """The embedding of the nearest of the chosen images."""
    return np.asarray(embeddings[np.flatnonzero(chosen)[distances[chosen].argmin()]])


def _occluded(chip: np.ndarray, masks: dict[str, NDArray[np.bool_]]) -> list[np.ndarray]:
    """The face with each part blurred away, in the order of the masks."""
    size = chip.shape[0]
    blurred = _featureless(chip).astype(np.float32)
    found = []
    for name in PARTS:
        weight = cv2.GaussianBlur(masks[name].astype(np.float32), (0, 0), _EDGE * size)[..., None]
        found.append(np.round(chip * (1 - weight) + blurred * weight).astype(np.uint8))
    return found


def _featureless(chip: np.ndarray) -> np.ndarray:
    """The face so blurred that its colours remain, and none of its features."""
    return np.asarray(cv2.GaussianBlur(chip, (0, 0), _SMOOTH * chip.shape[0]))


def _integrated_gradients(
    encoder: Encoder, chip: np.ndarray, direction: np.ndarray
) -> NDArray[np.float32] | None:
    """Integrated gradients (Sundararajan et al. 2017) of the margin from the blurred face: float32 [S, S]."""
    if not isinstance(encoder, DlibEncoder):
        return None
    own, base = (
        torch.from_numpy(image.transpose(2, 0, 1).astype(np.float32))[None]
        for image in (chip, _featureless(chip))
    )
    target = torch.from_numpy(direction)
    head = None if encoder.head is None else torch.from_numpy(encoder.head.weights)

    def margin(images: torch.Tensor) -> torch.Tensor:
        found = torch.nn.functional.normalize(encoder.network(images))
        if head is not None:
            found = torch.nn.functional.normalize(found @ head.T)
        return found @ target

    found = IntegratedGradients(margin).attribute(own, base, n_steps=_STEPS, internal_batch_size=_BATCH)
    return np.asarray(found[0].sum(dim=0).float().numpy(), np.float32)
