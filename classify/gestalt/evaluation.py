"""How good a gallery's rankings are: GestaltMatcher's protocols, with intervals by patient."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from morphoscope.classify.gestalt.calibration import Calibration
from morphoscope.classify.gestalt.gallery import Gallery
from morphoscope.classify.gestalt.nearest import image_distances, left_out_distances, syndrome_distances
from morphoscope.configs import UserError, first_names
from morphoscope.runtime.roc import auroc
from morphoscope.runtime.statistics import Estimate, balanced_accuracy

DEPTHS = (1, 5, 10, 30)
FREQUENT = 7
"""Syndromes with at least this many patients are frequent, as in GMDB."""


@dataclass(frozen=True)
class Protocol:
    """Results of one protocol.

    Attributes:
        name: e.g. "frequent in all": test images of frequent syndromes, ranked among all.
        images, patients, syndromes: that were tested.
        candidates: number of syndromes in the rankings.
        accuracy: {k: mean over syndromes of the proportion of images whose syndrome is among the first k}.
        chance: {k: the same for random rankings}.
    """

    name: str
    images: int
    patients: int
    syndromes: int
    candidates: int
    accuracy: dict[int, Estimate]
    chance: dict[int, float]


@dataclass(frozen=True)
class GalleryEvaluation:
    """Results of a gallery.

    Attributes:
        protocols: those for which there are images.
        not_tested: images of syndromes without another patient, which no ranking can find.
        trained: images of people whom the gallery's head was trained on, which are not tested either.
        calibration: of "none of these"; None with too few patients.
        unaffected: area under the ROC curve between affected and unaffected people; None without unaffected
            ones.
    """

    protocols: tuple[Protocol, ...]
    not_tested: int
    trained: int
    calibration: Calibration | None
    unaffected: Estimate | None

    def to_frame(self) -> pd.DataFrame:
        """A table with one row per protocol and depth."""
        return pd.DataFrame(
            [
                {
                    "protocol": protocol.name,
                    "syndromes": protocol.syndromes,
                    "patients": protocol.patients,
                    "images": protocol.images,
                    "candidates": protocol.candidates,
                    "top": depth,
                    "accuracy": found.value,
                    "low": found.low,
                    "high": found.high,
                    "chance": protocol.chance[depth],
                }
                for protocol in self.protocols
                for depth, found in protocol.accuracy.items()
            ]
        )


def evaluate_gallery(
    gallery: Gallery, test: Gallery | None = None, frequent: int = FREQUENT
) -> GalleryEvaluation:
    """Evaluate rankings, of the gallery's own images or of a test set.

    Args:
        gallery: its images are ranked without those of their own patient and family.
        test: other images to rank instead, of the same encoder.
        frequent: number of patients in the gallery from which a syndrome is frequent.

    Raises:
        UserError: a test image or patient is in the gallery, another encoder, or no image can be tested.
    """
    if test is None:
        tested, labels, distances = gallery, gallery.labels, left_out_distances(gallery)
        distances[gallery.trained] = np.inf  # the head has seen their syndrome
    else:
        _require_apart(gallery, test)
        tested, labels, distances = test, _labels_in(gallery, test), _distances(gallery, test)
    own = np.where(labels >= 0, distances[np.arange(len(tested)), labels], np.inf)
    usable = np.isfinite(own)
    trained = int(gallery.trained.sum()) if test is None else 0
    if not usable.any():
        raise UserError(
            "Nothing can be tested: no syndrome of the gallery has an image of a second patient to be ranked"
            + (", whom the head was not trained on." if trained else ".")
        )
    counts = np.array(
        [len(set(gallery.patients[gallery.labels == one])) for one in range(len(gallery.syndromes))]
    )
    common = counts >= frequent
    everything = np.ones_like(common)
    kinds = [
        ("all in all", everything, everything),
        ("frequent in frequent", common, common),
        ("rare in rare", ~common, ~common),
        ("frequent in all", common, everything),
        ("rare in all", ~common, everything),
    ]
    protocols = []
    for name, tested_kind, candidates in kinds if common.any() and not common.all() else kinds[:1]:
        chosen = usable & (labels >= 0) & tested_kind[labels]
        if chosen.any():
            protocols.append(
                measure_protocol(name, distances[chosen], labels[chosen], tested.patients[chosen], candidates)
            )
    return GalleryEvaluation(
        protocols=tuple(protocols),
        not_tested=int((~usable).sum()) - trained,
        trained=trained,
        calibration=Calibration.fit(gallery),
        unaffected=_unaffected(gallery, tested, labels, distances),
    )


def measure_protocol(
    name: str, distances: np.ndarray, truth: np.ndarray, patients: np.ndarray, candidates: np.ndarray
) -> Protocol:
    """Results of rankings; among equal distances the true syndrome comes last.

    Args:
        name: of the protocol.
        distances: of each image to each syndrome, [M, K]; the smallest is ranked first.
        truth: number of each image's syndrome, int64 [M].
        patients: name of each image's patient, [M].
        candidates: which syndromes are ranked, bool [K].
    """
    rows = np.where(candidates, distances, np.inf)
    own = distances[np.arange(len(truth)), truth]
    ranks = (rows <= own[:, None]).sum(axis=1)
    count = int(candidates.sum())
    return Protocol(
        name=name,
        images=len(truth),
        patients=len(set(patients)),
        syndromes=len(set(truth)),
        candidates=count,
        accuracy={
            depth: balanced_accuracy(truth, np.where(ranks <= depth, truth, -1), patients) for depth in DEPTHS
        },
        chance={depth: min(depth / count, 1.0) for depth in DEPTHS},
    )


def _require_apart(gallery: Gallery, test: Gallery) -> None:
    if gallery.encoder_digest != test.encoder_digest:
        raise UserError(
            f"The test images were embedded with {test.encoder}, the gallery with {gallery.encoder}."
        )
    patients = set(gallery.patients) | set(gallery.kin)
    shared = sorted(patients & (set(test.patients) | set(test.kin)))
    if shared:
        raise UserError(
            f"Patients or families are in both gallery and test: {first_names(shared)}. Leave them out of "
            f"one."
        )
    digests = {entry.digest for entry in gallery.entries}
    if gallery.head is not None:
        digests |= gallery.head.trained_on
    same = sorted({entry.patient for entry in test.entries if entry.digest in digests})
    if same:
        raise UserError(
            f"Photographs are in both gallery and test, of {first_names(same)}. Leave them out of one."
        )


def _labels_in(gallery: Gallery, test: Gallery) -> np.ndarray:
    """The gallery's number of each test image's syndrome, -1 for one that it lacks."""
    numbers = {name: number for number, name in enumerate(gallery.syndromes)}
    return np.array([numbers.get(entry.syndrome, -1) for entry in test.entries], np.int64)


def _distances(gallery: Gallery, test: Gallery) -> np.ndarray:
    to_images = image_distances(test.embeddings, gallery)
    return syndrome_distances(to_images, gallery.labels, len(gallery.syndromes))


def _unaffected(
    gallery: Gallery, tested: Gallery, labels: np.ndarray, distances: np.ndarray
) -> Estimate | None:
    """Area under the ROC curve of how much nearer a face is to unaffected people than to any syndrome."""
    if gallery.unaffected not in gallery.syndromes or len(gallery.syndromes) < 2:
        return None
    label = gallery.syndromes.index(gallery.unaffected)
    nearest = np.delete(distances, label, axis=1).min(axis=1)
    usable = np.isfinite(distances[:, label]) & np.isfinite(nearest)
    healthy = (labels == label)[usable]
    if healthy.all() or not healthy.any():
        return None
    return auroc(nearest[usable] - distances[usable, label], healthy, tested.patients[usable])
