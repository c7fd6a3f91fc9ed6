"""Fine-tuning of a gallery: a linear head over its embeddings, trained with ArcFace (Deng et al. 2019)."""

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from morphoscope.classify.gestalt.gallery import Gallery
from morphoscope.classify.gestalt.head import Head, joint_digest, joint_name
from morphoscope.configs import UserError
from morphoscope.configs.faces import HeadTuning
from morphoscope.runtime.progress import track


def tune_gallery(gallery: Gallery, settings: HeadTuning) -> tuple[Gallery, Gallery]:
    """Train a linear head on the frequent syndromes of a gallery.

    Of the families of each frequent syndrome some are held out, so that rankings can be evaluated and
    calibrated within the gallery. Rare syndromes are not trained on.

    Args:
        gallery: without a head.

    Returns:
        (the gallery before, the gallery after); both leave the people who were trained on out of evaluations,
        so that these can be compared.

    Raises:
        UserError: the gallery has a head already, or fewer than two syndromes are frequent.
    """
    if gallery.head is not None:
        raise UserError(
            "The gallery has a head already; start from the gallery that was made with the encoder alone."
        )
    training = _training_images(gallery, settings)
    seen = frozenset(gallery.entries[row].digest for row in np.flatnonzero(training))
    weights = train_head(gallery.embeddings[training], gallery.labels[training], settings)
    before = Head(np.eye(gallery.embeddings.shape[1], dtype=np.float32), seen)
    return replace(gallery, head=before), with_new_head(gallery, Head(weights, seen))


def with_new_head(gallery: Gallery, head: Head) -> Gallery:
    """A gallery without a head as it would be if its encoder had this one."""
    return replace(
        gallery,
        embeddings=head(gallery.embeddings),
        encoder=joint_name(gallery.encoder),
        encoder_digest=joint_digest(gallery.encoder_digest, head),
        head=head,
    )


def train_head(
    embeddings: NDArray[np.float32], labels: NDArray[np.int64], settings: HeadTuning
) -> NDArray[np.float32]:
    """A linear map float32 [D, D] that separates labels, which starts from the identity.

    Args:
        embeddings: float32 [N, D], of length 1.
        labels: numbers of at least two syndromes, [N].
    """
    points = torch.from_numpy(embeddings)
    _, classes = np.unique(labels, return_inverse=True)
    truth = torch.from_numpy(classes)
    identity = torch.eye(points.shape[1])
    weights = nn.Parameter(identity.clone())
    centres = nn.Parameter(
        torch.stack([points[truth == label].mean(dim=0) for label in range(int(truth.max()) + 1)])
    )
    counts = torch.bincount(truth)
    balance = len(truth) / (len(counts) * counts)
    optimizer = torch.optim.Adam([weights, centres], lr=settings.learning_rate)
    for _ in track(range(settings.steps), "Training the head", unit="steps"):
        optimizer.zero_grad()
        cosines = F.normalize(points @ weights.T) @ F.normalize(centres).T
        logits = settings.scale * with_margin(cosines, truth, settings.margin)
        pull = settings.pull * (weights - identity).square().sum()
        loss = F.cross_entropy(logits, truth, weight=balance) + pull
        loss.backward()
        optimizer.step()
    if not torch.isfinite(weights).all():
        raise UserError(f"The head diverged; try a lower learning_rate (it is {settings.learning_rate:g}).")
    return weights.detach().numpy()


def with_margin(cosines: Tensor, truth: Tensor, margin: float) -> Tensor:
    """Cosines [N, K], with `margin` radians added to the angle to each row's own centre.

    Where the angle would exceed pi, the cosine falls on linearly, so that it stays monotonic.
    """
    own = cosines.gather(1, truth[:, None]).clamp(-1 + 1e-6, 1 - 1e-6)
    angle = own.acos()
    moved = torch.where(angle + margin <= np.pi, (angle + margin).cos(), own - margin * float(np.sin(margin)))
    return cosines.scatter(1, truth[:, None], moved)


def _training_images(gallery: Gallery, settings: HeadTuning) -> NDArray[np.bool_]:
    """Images of the frequent syndromes whose family is not held out, bool [N]."""
    labels, kin = gallery.labels, gallery.kin
    families = {label: np.unique(kin[labels == label]) for label in range(len(gallery.syndromes))}
    frequent = [label for label, names in families.items() if len(names) >= settings.frequent]
    if len(frequent) < 2:
        raise UserError(
            f"{len(frequent)} syndromes have {settings.frequent} families or more; a head needs two. Lower "
            "frequent, or use the gallery as it is."
        )
    random = np.random.default_rng(settings.seed)
    held: set[str] = set()
    for label in frequent:
        count = max(round(settings.held_out * len(families[label])), 1)
        held |= set(random.permutation(families[label])[:count])
    chosen = np.isin(labels, frequent) & ~np.isin(kin, sorted(held))
    if len(set(labels[chosen])) < 2:
        raise UserError("Too few families are left to train on; hold out fewer.")
    return np.asarray(chosen)
