"""How good region networks are, on people whom they have not seen."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from morphoscope.classify.gestalt.evaluation import Protocol, measure_protocol
from morphoscope.classify.gestalt.region_networks.chance import permutation_p
from morphoscope.classify.gestalt.region_networks.faces import FaceCrops
from morphoscope.classify.gestalt.region_networks.model import RegionNetworks
from morphoscope.classify.gestalt.region_networks.rows import known_people
from morphoscope.cohort import TEST_FOLD, Cohort
from morphoscope.cohort.folds import units_of
from morphoscope.configs import UserError
from morphoscope.runtime.statistics import Estimate, balanced_accuracy


@dataclass(frozen=True, eq=False)
class RegionEvaluation:
    """Results of region networks.

    Attributes:
        protocol: accuracy of the gestalt score, with intervals by patient.
        p: of the top-1 accuracy, if the networks' answers had nothing to do with the labels; see
            `permutation_p`.
        regions: {region: accuracy of its network alone}.
        known: images that were not tested, since the networks have seen their patient or a relative.
        foreign: images that were not tested, since the networks do not know their label.
        left_out: {name of a photograph: why it was left out}.
        predictions: one row per image: file, patient, label, answer, rank of the label, score of the label.
    """

    protocol: Protocol
    p: float
    regions: dict[str, Estimate]
    known: int
    foreign: int
    left_out: dict[str, str]
    predictions: pd.DataFrame

    def to_frame(self) -> pd.DataFrame:
        """A table with one row per depth, and one per region alone."""
        found = self.protocol
        rows = [("all", depth, one) for depth, one in found.accuracy.items()]
        rows += [(name, 1, one) for name, one in self.regions.items()]
        return pd.DataFrame(
            [
                {
                    "regions": name,
                    "top": depth,
                    **one._asdict(),
                    "chance": found.chance[depth],
                    "p": self.p if (name, depth) == ("all", 1) else None,
                }
                for name, depth, one in rows
            ]
        ).rename(columns={"value": "accuracy"})


def evaluate_region_networks(
    model: RegionNetworks, cohort: Cohort, rows: NDArray[np.int64] | None = None
) -> RegionEvaluation:
    """Rank the labels for images of people whom the networks have not seen.

    Args:
        cohort: with the column of the model's question.
        rows: row numbers, int64; by default the test fold or, in a cohort without one, all rows.

    Raises:
        UserError: as for `Question.labels`, or no image is left.
    """
    labels = model.metadata.question.labels(cohort).to_numpy()
    chosen = np.zeros(len(cohort), bool)
    if rows is None:
        tested = (cohort.rows["fold"] == TEST_FOLD).to_numpy()
        rows = np.flatnonzero(tested if tested.any() else np.ones_like(chosen))
    chosen[rows] = True
    chosen &= labels != ""
    known = chosen & known_people(cohort, model.metadata.seen_images)
    if not (chosen & ~known).any():
        raise UserError(
            f"{cohort.root}: no image to test; the networks have seen the people of {known.sum()} images."
        )
    settings = model.metadata.settings.network
    unseen = np.flatnonzero(chosen & ~known)
    faces = FaceCrops.of(cohort, unseen, settings.regions, settings.resolution, keep_flagged=True)
    return measure_faces(model, cohort, faces, int(known.sum()))


def measure_faces(
    model: RegionNetworks, cohort: Cohort, faces: FaceCrops, known: int = 0
) -> RegionEvaluation:
    """Rank the labels for faces of people whom the networks have not seen.

    Args:
        cohort: that the faces are of, with the column of the model's question.
        faces: to rank the labels for; those of labels that the model does not know are only counted.
        known: number of images that were not tested, since the networks have seen their people.

    Raises:
        UserError: as for `Question.labels`, or no face is left.
    """
    labels = model.metadata.question.labels(cohort).to_numpy()
    tested = np.isin(labels[faces.rows], model.metadata.syndromes)
    if not tested.any():
        raise UserError(
            f"{cohort.root}: no face to test: none was found in {len(faces.left_out)} images, and "
            f"{len(tested)} are of labels that the networks do not know."
        )
    rows = faces.rows[tested]
    found = model.probabilities(faces.crops[tested])
    index = {name: place for place, name in enumerate(model.metadata.syndromes)}
    truth = np.array([index[label] for label in labels[rows]], np.int64)
    patients = cohort.rows["group"].to_numpy()[rows]
    scores = found.mean(axis=0)
    everything = np.ones(len(index), bool)
    protocol = measure_protocol("all in all", -scores, truth, patients, everything)
    regions = {
        name: balanced_accuracy(truth, own.argmax(axis=1), patients)
        for name, own in zip(model.networks, found, strict=True)
    }
    own = scores[np.arange(len(truth)), truth]
    predictions = pd.DataFrame(
        {
            "file": cohort.rows["file"].to_numpy()[rows],
            "patient": patients,
            "label": labels[rows],
            "answer": np.array(model.metadata.syndromes)[scores.argmax(axis=1)],
            "rank": (scores >= own[:, None]).sum(axis=1),
            "score": own,
        }
    )
    return RegionEvaluation(
        protocol=protocol,
        p=permutation_p(truth, scores.argmax(axis=1), units_of(cohort.rows).to_numpy()[rows]),
        regions=regions,
        known=known,
        foreign=int((~tested).sum()),
        left_out=faces.left_out,
        predictions=predictions,
    )
