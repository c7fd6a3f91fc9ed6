"""Provenance of synthetic images: the one schema for images, sheets, strips, films and the studio.

`marked_files` writes it into files and reads it again. The manifest of a synthetic cohort repeats it in
columns.
"""

import json
import math
import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from morphoscope.configs.morphs import Centre, Interpolation, Way

SYNTHETIC_COLUMNS = [
    "generator",
    "seed",
    "label",
    "psi",
    "trained_on_folds",
    "trained_on_cohort",
    "ancestor_cohorts",
]
FOREIGN = "foreign"
"""In `trained_on_cohort` and `ancestor_cohorts`, in place of a digest: nobody knows the training images."""
_NO_PATIENT = "shows no patient"
_TOLERANCE = 1e-3  # of the sum of shares: files round them
# How morphs wrote their label before it was a mapping: "0.750 NF1 + 0.250 TSC".
_MORPH_LABEL = re.compile(r"([01]\.\d{3}) (.+) \+ ([01]\.\d{3}) (.+)")


def _label_from_text(label: Any) -> Any:
    if not isinstance(label, str):
        return label
    found = _MORPH_LABEL.fullmatch(label)
    return mixture(found[2], found[4], float(found[3])) if found else {label: 1.0}


def _adds_up(label: dict[str, float]) -> dict[str, float]:
    if not _is_mixture(label):
        raise ValueError("shares from 0 to 1 that add up to 1 are expected")
    return label


_Label = Annotated[dict[str, float], AfterValidator(_adds_up)]
_later_versions = ConfigDict(frozen=True, extra="ignore")  # they may add to the mark


class PathEnd(BaseModel):
    """An end of a morph: a seed or a projected photograph, under a label.

    Attributes:
        seed: None for a photograph.
        photograph: digest of the photograph's file; None for a seed.
        projection: digest of the file with the photograph's code; None for a seed.
        label: mixture of conditions.
        directions: steps along directions of the generator, (name, strength).
    """

    model_config = _later_versions

    seed: int | None = Field(None, ge=0)
    photograph: str | None = None
    projection: str | None = None
    label: _Label
    directions: list[tuple[str, float]] = Field([], max_length=100)

    @property
    def summary(self) -> str:
        """The end in words: "100% NF1 seed 4"."""
        source = f"photograph {self.photograph}" if self.seed is None else f"seed {self.seed}"
        moves = "".join(f" @{name}={strength:g}" for name, strength in self.directions)
        return f"{label_text(self.label)} {source}{moves}"


class MorphPath(BaseModel):
    """A path between two ends, and where on it images lie.

    Attributes:
        ends: at the positions 0 and 1.
        way: what changes along the path: label, w or both.
        interpolation: of codes: linear or spherical.
        centre: of the truncation: condition or global.
        positions: one per image, from 0 to 1.
        spacing: by what neighbours are equally far apart: the name of a network, or "pixels"; None if the
            positions are evenly spaced numbers.
    """

    model_config = _later_versions

    ends: tuple[PathEnd, PathEnd]
    way: Way
    interpolation: Interpolation
    centre: Centre
    positions: list[Annotated[float, Field(ge=0, le=1)]] = Field(min_length=1, max_length=1000)
    spacing: str | None = None

    @property
    def summary(self) -> str:
        """The path in words: "100% NF1 seed 4 to 100% TSC seed 7 by w, at 50%"."""
        if self.ends[0] == self.ends[1]:  # a single image, perhaps moved along directions
            return self.ends[0].summary
        text = f"{self.ends[0].summary} to {self.ends[1].summary} by {self.way}"
        return f"{text}, at {100 * self.positions[0]:.4g}%" if len(self.positions) == 1 else text


class Provenance(BaseModel):
    """How a synthetic image, sheet or film was made. What is unknown, or differs within it, is None.

    Attributes:
        generator: digest of the generator.
        phantoms_only: whether the generator, and any that its training started from, has seen only phantoms.
        label: mixture of conditions, {condition: share}; shares from 0 to 1 that add up to 1.
        seed: of the latent vector.
        psi: truncation; 1 is none, 0 the mean image of the mixture.
        paths: the morphs that its images belong to: one with one position for a single frame, one per leg or
            row of a film or sheet.
        parents: digests of the photographs that the image was derived from, by projection; no names.
        shows_photograph: whether a photograph is shown beside generated images.
        noise_mode: of the synthesis: const, random or none.
        execution: what the last bits of the image depend on (`morphoscope.generate.execution`).
    """

    model_config = _later_versions

    generator: str | None = None
    phantoms_only: bool = False
    label: Annotated[_Label | None, BeforeValidator(_label_from_text)] = None
    seed: int | None = Field(None, ge=0)
    psi: float | None = None
    paths: list[MorphPath] | None = Field(None, max_length=1000)
    parents: list[str] | None = Field(None, max_length=1000)
    shows_photograph: bool = False
    noise_mode: str | None = None
    execution: str | None = None

    @classmethod
    def parse(cls, record: str, statement: str = "") -> "Provenance":
        """The provenance that a mark gives: its record, a JSON object, and its statement.

        The fields that a damaged or missing record lacks are None. Earlier marks say in the statement only
        whether they are of phantoms.
        """
        phantoms_only = _NO_PATIENT in statement
        try:
            return cls.model_validate({"phantoms_only": phantoms_only, **dict(json.loads(record))})
        except (ValueError, TypeError, RecursionError):  # pydantic's errors are ValueErrors
            return cls(phantoms_only=phantoms_only)

    @property
    def record(self) -> str:
        """What is known, as a JSON object."""
        return json.dumps(self.model_dump(exclude_none=True))

    @property
    def statement(self) -> str:
        """What the file says to people.

        A generator may reproduce its training images, so that only one trained on nothing but phantoms is
        certain to show no patient, as long as no photograph was projected into it.
        """
        meaning = self._meaning("not a photograph; may resemble its training photographs", _NO_PATIENT)
        return f"yes: made by a generator, {meaning}"

    @property
    def sheet_caption(self) -> str:
        """The statement for a sheet of images, printed above them."""
        otherwise = "not photographs; they may resemble its training photographs"
        meaning = self._meaning(otherwise, "trained on phantoms: no patient is shown")
        return f"SYNTHETIC images, generator {self.generator}, {meaning}"

    def _meaning(self, otherwise: str, of_phantoms: str) -> str:
        if self.shows_photograph:
            return "beside the photograph that it was derived from: treat as patient data"
        if self.parents:
            return "derived from a photograph: treat as patient data"
        return of_phantoms if self.phantoms_only else otherwise

    @property
    def summary(self) -> str:
        """What is known in a line: "60% IP + 40% ML · seed 3 · psi 0.7 · generator 0123abcd"."""
        described = self.label is not None and self.seed is not None
        path = self.paths[0] if self.paths and len(self.paths) == 1 and not described else None
        known = {
            f"{path.summary if path else label_text(self.label or {})}": path or self.label,
            f"seed {self.seed}": self.seed,
            f"psi {self.psi or 0:g}": self.psi,
            f"from photograph {', '.join(self.parents or [])}": self.parents,
            f"generator {self.generator}": self.generator,
        }
        return " · ".join(text for text, value in known.items() if value is not None) or "origin not recorded"

    def columns(self) -> dict[str, str]:
        """The manifest's cells of one image: generator, seed, label (as JSON), psi and phantom."""
        assert self.label and self.psi is not None, "of one image"
        return {
            "generator": str(self.generator),
            "seed": str(self.seed),
            "label": json.dumps(self.label),
            "psi": f"{self.psi:g}",
            "phantom": str(self.phantoms_only).lower(),
        }


def mixture(a: str, b: str, share: float) -> dict[str, float]:
    """The label of a morph at `share` (0 to 1) of condition b, the rest of condition a; no share of 0."""
    shares = {a: 1.0} if a == b else {a: 1 - share, b: share}
    return {name: part for name, part in shares.items() if part > 0}


def label_text(label: Mapping[str, float]) -> str:
    """A label as people read it, "60% IP + 40% ML"; shares below half a percent are left out."""
    percents = {name: round(100 * share) for name, share in label.items()}
    return " + ".join(f"{percent}% {name}" for name, percent in percents.items() if percent > 0)


def read_mixture(cell: str) -> dict[str, float] | None:
    """Parse a cell of `label`: a JSON object of shares from 0 to 1 that add up to 1, else None."""
    shares = _parse(cell)
    return shares if isinstance(shares, dict) and _is_mixture(shares) else None


def read_names(cell: str) -> list[str] | None:
    """Parse a cell of `trained_on_folds`: a JSON list of strings, else None."""
    names = _parse(cell)
    return names if isinstance(names, list) and all(isinstance(name, str) for name in names) else None


def read_ancestor_cohorts(cell: str) -> list[str] | None:
    """Parse a cell of the optional column `ancestor_cohorts`, in which nothing means none."""
    return read_names(cell) if cell else []


def _parse(cell: str) -> Any:
    """What a cell holds as JSON; None if it is not valid JSON."""
    try:
        return json.loads(cell)
    except (ValueError, RecursionError):
        return None


def _is_mixture(shares: Mapping[str, Any]) -> bool:
    numbers = list(shares.values())
    if not all(isinstance(number, (int, float)) and 0 <= number <= 1 for number in numbers):
        return False
    return math.isclose(sum(numbers), 1, abs_tol=_TOLERANCE)
