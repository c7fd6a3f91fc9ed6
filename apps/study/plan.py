"""From settings to cells: which generators, images and classifiers a study needs."""

import itertools
import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from morphoscope.apps.study.cell import Cell, Kind, read_cells, read_json
from morphoscope.apps.study.partition import TRAINING, cell_cohort, outer_folds
from morphoscope.cohort import Cohort
from morphoscope.configs import UserError, load_config
from morphoscope.configs.classifier import EnsembleTraining
from morphoscope.configs.generator import GeneratorTraining
from morphoscope.configs.study import REFERENCE, Arm, Study
from morphoscope.runtime import InputFiles, write_text

PLAN = "plan.json"

# The selection keeps a part of the images only, the filter most of them.
_SURPLUS = {"plain": 1.0, "morphs": 1.0, "filtered": 1.25, "selected": 2.0}


@dataclass(frozen=True)
class Place:
    """Where a classifier stands in the design.

    Attributes:
        fold: the outer fold that it is tested on.
        shots: patients per condition, or "all".
        generator_seed: None for an arm without images of the study's generators.
        cell: name of its cell.
        reverse: name of the cell that evaluates it on synthetic images, if there is one.
    """

    fold: str
    shots: int | str
    arm: str
    generator_seed: int | None
    classifier_seed: int
    cell: str
    reverse: str | None = None


@dataclass(frozen=True)
class StudyPlan:
    """A planned study.

    Attributes:
        study: its settings.
        cohort_digest: of the whole cohort.
        cells: {name: cell}, each after those that it needs.
        places: of the classifiers.
    """

    study: Study
    cohort_digest: str
    cells: dict[str, Cell]
    places: list[Place]

    def write(self, run: Path) -> None:
        """Write plan.json into the study's folder."""
        content = {
            "study": self.study.model_dump(mode="json"),
            "cohort_digest": self.cohort_digest,
            "cells": {name: cell.as_json() for name, cell in self.cells.items()},
            "places": [asdict(place) for place in self.places],
        }
        write_text(run / PLAN, json.dumps(content, indent=1) + "\n")

    @classmethod
    def read(cls, run: Path) -> "StudyPlan":
        """The plan in a study's folder; UserError if there is none."""
        content = read_json(run / PLAN)
        return cls(
            Study.model_validate(content["study"]),
            content["cohort_digest"],
            read_cells(content["cells"]),
            [Place(**place) for place in content["places"]],
        )


def plan_study(study: Study, cohort: Cohort) -> StudyPlan:
    """The cells of a study; equal ones, e.g. of "all" patients and of more shots than there are, occur once.

    Raises:
        UserError: settings of the generator or the classifiers that do not exist, or too few patients.
    """
    planner = _Planner(study, cohort)
    places = [place for fold in range(study.folds) for place in planner.fold(str(fold))]
    return StudyPlan(study, cohort.digest, planner.cells, places)


class _Planner:
    """Collects the cells of a study."""

    def __init__(self, study: Study, cohort: Cohort) -> None:
        self.study, self.cohort = study, cohort
        self.cells: dict[str, Cell] = {}
        self._split = outer_folds(cohort, study.folds, study.seed)
        self._classifier = classifier_settings(study)
        self._generator = generator_settings(study)
        self._start = start_digest(study)

    def fold(self, fold: str) -> Iterator[Place]:
        """The classifiers of one outer fold."""
        for shots in self.study.shots:
            part = cell_cohort(self._split, fold, shots, self.study.inner_folds, self.study.seed)
            cohort = self._cohort_cell(part)
            trained_on = part.rows["condition"][part.rows["fold"] == TRAINING]
            counts = {name: int((trained_on == name).sum()) for name in part.conditions}
            for arm_name, arm in self.study.arms.items():
                for generator_seed in range(self.study.generator_seeds) if arm.generated else [None]:
                    training = _Training(cohort, counts, fold, shots, generator_seed)
                    for seed, cell in enumerate(self._cells_of(training, arm)):
                        reverse = self._reverse_cell(training, arm_name, seed)
                        yield Place(fold, shots, arm_name, generator_seed, seed, cell.name, reverse)

    def _add(self, cell: Cell) -> Cell:
        return self.cells.setdefault(cell.name, cell)

    def _cohort_cell(self, part: Cohort) -> Cell:
        rows = part.rows
        folds = {fold: rows["file"][rows["fold"] == fold].tolist() for fold in sorted(set(rows["fold"]))}
        return self._add(Cell("cohort", {"cohort": self.cohort.digest, "folds": folds}, {}))

    def _generator_cell(self, cohort: Cell, seed: int) -> Cell:
        settings = {**self._generator, "seed": self.study.seed + seed}
        return self._add(Cell("generator", {"config": settings, "start": self._start}, {"cohort": cohort}))

    def _cells_of(self, training: "_Training", arm: Arm) -> list[Cell]:
        """The cells that predict the test for an arm, by classifier seed."""
        seeds = range(self.study.classifier_seeds)
        if arm.choose is None:
            return [self._classifier_cell(training, arm, self._images(training, arm), seed) for seed in seeds]
        candidates = [
            [self._classifier_cell(training, one, images, seed, "candidate") for seed in seeds]
            for one, images in self._candidates(training, arm)
        ]
        described = [one._asdict() for one in candidates_of(arm, self.study)]
        needs = {f"{n}, {seed}": cells[seed] for n, cells in enumerate(candidates) for seed in seeds}
        choice = self._add(Cell("choice", {"candidates": described}, needs))
        found = []
        for seed in seeds:
            trained = {str(n): cells[seed] for n, cells in enumerate(candidates)}
            found.append(
                self._add(Cell("chosen", {}, {"choice": choice, "cohort": training.cohort, **trained}))
            )
        return found

    def _candidates(self, training: "_Training", arm: Arm) -> list[tuple[Arm, Cell]]:
        """Each candidate of an arm: with its ratio, and the cell of its images.

        Candidates that differ in their ratio alone use the same images, the smaller ratio fewer of them.
        """
        candidates = candidates_of(arm, self.study)
        arms = [arm.model_copy(update={"synthetic": one.ratio, "choose": None}) for one in candidates]
        most = max(max(wanted_images(one, training.counts).values()) for one in arms)
        return [
            (one, self._images_cell(training.cohort, one, most, training.seed, candidate))
            for one, candidate in zip(arms, candidates, strict=True)
        ]

    def _images(self, training: "_Training", arm: Arm) -> Cell | None:
        """The synthetic images of an arm that leaves nothing to choose."""
        if arm.generated:
            most = max(wanted_images(arm, training.counts).values())
            return self._images_cell(training.cohort, arm, most, training.seed)
        return self._folder_cell(training, arm) if arm.needs_images else None

    def _images_cell(
        self,
        cohort: Cell,
        arm: Arm,
        per_condition: int,
        seed: int | None,
        candidate: "Candidate | None" = None,
    ) -> Cell:
        study = self.study
        settings: dict[str, Any] = {
            "per_condition": math.ceil(per_condition * _SURPLUS[arm.images]),
            "psi": study.psi if candidate is None else candidate.psi,
            "morphs": arm.images == "morphs",
            "drop_closer": study.drop_closer if arm.images == "filtered" else None,
            "seed": study.seed,
        }
        if candidate is not None and candidate.snapshot is not None:
            self._check_snapshots()
            settings["snapshot"] = candidate.snapshot
        needs = {"cohort": cohort, "generator": self._generator_cell(cohort, seed or 0)}
        return self._add(Cell("images", settings, needs))

    def _check_snapshots(self) -> None:
        """Every snapshot must still be there when one is chosen."""
        config = self._generator
        written = math.ceil(config["kimg"] / (config["tick_kimg"] * config["snapshot_ticks"]))
        if written > config["keep_snapshots"]:
            raise UserError(
                f"choose.snapshot: of {written} snapshots a generator keeps {config['keep_snapshots']}. Set "
                f"`generator: {{keep_snapshots: {written}}}`, or a larger `snapshot_ticks`."
            )

    def _folder_cell(self, training: "_Training", arm: Arm) -> Cell:
        place = {"{fold}": training.fold, "{shots}": str(training.shots)}
        folder = str(arm.folder)
        for name, value in place.items():
            folder = folder.replace(name, value)
        settings = {"folder": str(Path(folder)), "digest": InputFiles(Path(folder)).as_json()["digest"]}
        return self._add(Cell("images", settings, {"cohort": training.cohort}))

    def _classifier_cell(
        self, training: "_Training", arm: Arm, images: Cell | None, seed: int, kind: Kind = "classifier"
    ) -> Cell:
        needs = {"cohort": training.cohort}
        if images is not None:
            needs["images"] = images
        if arm.images == "selected":
            needs["selector"] = self._classifier_cell(training, Arm(), None, 0)
        settings = {
            "config": {**self._classifier, **arm_settings(arm), "seed": self.study.seed + seed},
            "images": wanted_images(arm, training.counts),
        }
        return self._add(Cell(kind, settings, needs))

    def _reverse_cell(self, training: "_Training", arm_name: str, seed: int) -> str | None:
        """The evaluation of the first classifier of real images on the images of the first generator."""
        arms = self.study.arms.values()
        plain = [arm for arm in arms if arm.generated and arm.images == "plain" and arm.choose is None]
        if arm_name != REFERENCE or seed or not plain:
            return None
        largest = max(max(wanted_images(arm, training.counts).values()) for arm in plain)
        needs = {
            "classifier": self._classifier_cell(training, Arm(), None, seed),
            "images": self._images_cell(training.cohort, Arm(), largest, 0),
        }
        return self._add(Cell("reverse", {}, needs)).name


class _Training(NamedTuple):
    """What the classifiers of a place in the design have in common.

    Attributes:
        cohort: the cell of the images.
        counts: real training images of each condition.
        seed: of the generator; None without one.
    """

    cohort: Cell
    counts: dict[str, int]
    fold: str
    shots: int | str
    seed: int | None


class Candidate(NamedTuple):
    """What an arm with `choose` may become: synthetic images per real one, truncation, and snapshot.

    `snapshot` is a part of the generator's training; None for its end.
    """

    ratio: float
    psi: float
    snapshot: float | None


def candidates_of(arm: Arm, study: Study) -> list[Candidate]:
    """All combinations, in the order of the settings."""
    assert arm.choose is not None
    ratios, psis = arm.choose.ratio or [arm.synthetic], arm.choose.psi or [study.psi]
    snapshots: list[float | None] = [*arm.choose.snapshot] or [None]
    return [Candidate(*values) for values in itertools.product(ratios, psis, snapshots)]


def wanted_images(arm: Arm, counts: dict[str, int]) -> dict[str, int]:
    """How many synthetic images of each condition an arm adds.

    Args:
        counts: real training images of each condition.
    """
    if arm.fill:
        return {name: max(counts.values()) - count for name, count in counts.items()}
    each = round(arm.synthetic * sum(counts.values()) / len(counts))
    return dict.fromkeys(counts, each)


def arm_settings(arm: Arm) -> dict[str, Any]:
    """The settings of `classify train` that are an arm's own."""
    found: dict[str, Any] = {"real_images": arm.real, "sampling": arm.sampling}
    if arm.transforms == "none":
        found["augmentation"] = 0.0
    elif arm.transforms != "usual":
        found |= {"transforms": arm.transforms, "augmentation": 1.0}
    return found


def classifier_settings(study: Study) -> dict[str, Any]:
    """The settings of `classify train` that all arms share; every classifier takes equally many steps.

    The steps are those of the study, rounded up to whole epochs.

    Raises:
        UserError: unknown settings.
    """
    config = load_config(
        EnsembleTraining, family="classify", preset=study.classifier_preset, **study.classifier
    )
    per_epoch = math.ceil(study.steps / config.training.epochs)
    return config.model_dump(mode="json") | {"images_per_epoch": per_epoch * config.training.batch}


def generator_settings(study: Study) -> dict[str, Any]:
    """The settings of `generate train`; UserError for unknown ones."""
    config = load_config(
        GeneratorTraining, family="generate", preset=study.generator_preset, **study.generator
    )
    return config.model_dump(mode="json")


def start_digest(study: Study) -> str | None:
    """Digest of the file of the snapshot that generators start from."""
    path = start_file(study)
    return None if path is None else str(InputFiles(path).as_json()["digest"])


def start_file(study: Study) -> Path | None:
    """The snapshot that generators start from."""
    from morphoscope.apps.bundled_models import GENERATOR

    return GENERATOR if str(study.start_from) == "bundled" else study.start_from
