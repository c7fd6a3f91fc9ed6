"""The faces of a cohort as the networks take them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from morphoscope.classify.gestalt.enrolment import labelled_rows, usable_faces
from morphoscope.classify.gestalt.region_networks.crops import region_crops
from morphoscope.cohort import Cohort


@dataclass(frozen=True, eq=False)
class FaceCrops:
    """Crops of the faces that were found.

    Attributes:
        crops: uint8 [N, R, S, S, 1].
        rows: row number of each in the cohort, int64 [N].
        left_out: {name of a photograph: why it was left out}.
        flagged: {name of a photograph that is among them: the flags of its face}.
    """

    crops: NDArray[np.uint8]
    rows: NDArray[np.int64]
    left_out: dict[str, str]
    flagged: dict[str, str]

    @classmethod
    def of(
        cls, cohort: Cohort, rows: NDArray[np.int64], regions: Sequence[str], size: int, keep_flagged: bool
    ) -> "FaceCrops":
        """Find the faces in rows of a cohort.

        Args:
            rows: numbers of real rows, int64.
            regions, size: as for `region_crops`.
            keep_flagged: also take faces with a flag about their quality.
        """
        row_of = dict(zip(cohort.rows["file"].iloc[rows], rows.tolist(), strict=True))
        left_out: dict[str, str] = {}
        flagged: dict[str, str] = {}
        crops, found = [], []
        photographs = labelled_rows(cohort.select(rows))
        for one, face in usable_faces(photographs, keep_flagged, left_out, flagged):
            crops.append(region_crops(face, regions, size))
            found.append(row_of[one.name])
        shape = (0, len(regions), size, size, 1)
        return cls(
            np.stack(crops) if crops else np.empty(shape, np.uint8),
            np.array(found, np.int64),
            left_out,
            flagged,
        )

    def __len__(self) -> int:
        return len(self.rows)
