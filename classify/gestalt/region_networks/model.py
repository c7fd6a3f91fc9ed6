"""Region networks and their file: the mean of their probabilities ranks the syndromes of a face."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from morphoscope.classify.description import Hashes
from morphoscope.classify.gestalt.preparation import Face, find_face
from morphoscope.classify.gestalt.region_networks.crops import region_crops
from morphoscope.classify.gestalt.region_networks.labels import Question
from morphoscope.classify.gestalt.region_networks.network import RegionNetwork, probabilities
from morphoscope.classify.inputs.photographs import Photograph
from morphoscope.classify.inputs.tensors import images_at_a_time, to_tensor
from morphoscope.configs import UserError
from morphoscope.configs.errors import validation_problems
from morphoscope.configs.faces import RegionTraining
from morphoscope.runtime.torch_checkpoints import checkpoint_kind, read_checkpoint, write_checkpoint
from morphoscope.runtime.torch_devices import resolve_device

KIND = "face region networks"
NOTICE = (
    "Networks trained on photographs of faces, for research: a ranking is no diagnosis. Networks can reveal "
    "something of the faces they were trained on; share them under the same rules."
)


class RegionMetadata(BaseModel):
    """What a file of region networks records beside the weights.

    Attributes:
        syndromes: the labels, in the order of the probabilities.
        settings: of the training.
        column, only, against_rest: what the networks tell apart; see `Question`.
        images, patients: number of each that were trained on, by label.
        cohort, cohort_digest: name and digest of the training cohort.
        phantom: whether all training images show phantoms.
        excluded_folds: that were not trained on, beside the fold "test".
        started_from: first 16 hex digits of the SHA-256 of the file that the training started from, or "".
        seen_images: first 12 hex digits of the SHA-256 of every file trained on, also before that start.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)  # kind, version … are the file's

    syndromes: Annotated[list[str], Field(min_length=2, max_length=10_000)]
    settings: RegionTraining
    column: str
    only: str
    against_rest: str
    images: dict[str, int]
    patients: dict[str, int]
    cohort: str
    cohort_digest: str
    phantom: bool
    excluded_folds: list[str]
    started_from: str
    seen_images: Hashes

    @property
    def question(self) -> Question:
        """What the networks tell apart."""
        return Question(self.column, self.only, self.against_rest)


@dataclass(frozen=True, eq=False)
class RegionRanking:
    """The labels of region networks for one face. Not a diagnosis.

    Attributes:
        syndromes: their names, the most probable first.
        scores: gestalt score of each, the mean of the regions' probabilities, float32 [K] in that order.
        regions: {region: its own probabilities, float32 [K] in that order}.
        flags: what speaks against the photograph.
    """

    syndromes: tuple[str, ...]
    scores: NDArray[np.float32]
    regions: dict[str, NDArray[np.float32]]
    flags: tuple[str, ...]

    def first_of(self, syndrome: int) -> list[str]:
        """The regions whose most probable answer is the syndrome at this place of the ranking."""
        return [name for name, own in self.regions.items() if int(own.argmax()) == syndrome]

    def to_frame(self) -> pd.DataFrame:
        """A table with one row per syndrome: rank, syndrome, score, and the score of each region."""
        return pd.DataFrame(
            {
                "rank": np.arange(1, len(self.syndromes) + 1),
                "syndrome": self.syndromes,
                "score": self.scores,
                **self.regions,
            }
        )


class RegionNetworks:
    """One network per region of the face, as DeepGestalt has them.

    Attributes:
        metadata: what their file records.
        networks: {region: network}, on `device`.
        device: where they run.
    """

    def __init__(
        self, metadata: RegionMetadata, networks: Mapping[str, RegionNetwork], device: torch.device
    ) -> None:
        self.metadata, self.device = metadata, device
        self.networks = {name: network.to(device).eval() for name, network in networks.items()}

    @classmethod
    def load(cls, path: Path, device: str = "auto") -> "RegionNetworks":
        """Read what `save` wrote.

        Raises:
            UserError: the file is missing, damaged or of another kind, or an unknown device.
        """
        resolved = resolve_device(device)
        tensors, values = read_checkpoint(path, KIND)
        try:
            metadata = RegionMetadata.model_validate(values)
        except ValidationError as error:
            raise UserError(f"{path}: damaged description ({validation_problems(error)}).") from error
        settings = metadata.settings.network
        networks: dict[str, RegionNetwork] = {}
        for region in settings.regions:
            network = RegionNetwork(len(metadata.syndromes), settings.width, settings.dropout)
            start = f"{region}/"
            own = {name.removeprefix(start): one for name, one in tensors.items() if name.startswith(start)}
            try:
                network.load_state_dict(own)
            except RuntimeError as error:
                raise UserError(f"{path}: damaged; the weights do not fit the region {region}.") from error
            networks[region] = network
        return cls(metadata, networks, resolved)

    def save(self, path: Path) -> None:
        """Write one safetensors file; UserError if it cannot be written."""
        tensors = {
            f"{region}/{name}": value
            for region, network in self.networks.items()
            for name, value in network.state_dict().items()
        }
        write_checkpoint(path, KIND, tensors, {"notice": NOTICE, **self.metadata.model_dump(mode="json")})

    def probabilities(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Softmax of each region's network, float32 [R, N, K], for crops uint8 [N, R, S, S, 1], N >= 1."""
        size = self.metadata.settings.network.resolution
        parts = np.array_split(np.arange(len(crops)), math.ceil(len(crops) / images_at_a_time(size)))
        found = [
            torch.cat([probabilities(network, to_tensor(crops[part, place], self.device)) for part in parts])
            for place, network in enumerate(self.networks.values())
        ]
        return torch.stack(found).cpu().numpy()

    def rank(self, face: Face | Photograph) -> RegionRanking:
        """The labels by their gestalt score for a face.

        Args:
            face: a face, or a photograph with one.

        Raises:
            UserError: as for `find_face`.
        """
        one = face if isinstance(face, Face) else find_face(face)
        size = self.metadata.settings.network.resolution
        found = self.probabilities(region_crops(one, list(self.networks), size)[None])[:, 0]
        scores = found.mean(axis=0)
        order = np.argsort(-scores, kind="stable")
        return RegionRanking(
            syndromes=tuple(self.metadata.syndromes[place] for place in order),
            scores=scores[order],
            regions={name: own[order] for name, own in zip(self.networks, found, strict=True)},
            flags=one.quality.flags,
        )


def are_region_networks(path: Path) -> bool:
    """Whether a file holds region networks; UserError if it cannot be opened."""
    return checkpoint_kind(path) == KIND
