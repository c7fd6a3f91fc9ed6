"""From settings to cells: which generators, images and classifiers a study needs."""

import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from morphoscope.apps.study.cell import Cell, read_cells, read_json
from morphoscope.apps.study.partition import TRAINING, cell_cohort, outer_folds
from morphoscope.cohort import Cohort
from morphoscope.configs import load_config
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
            training = part.rows["condition"][part.rows["fold"] == TRAINING]
            counts = {name: int((training == name).sum()) for name in part.conditions}
            for arm_name, arm in self.study.arms.items():
                for generator_seed in range(self.study.generator_seeds) if arm.generated else [None]:
                    for seed in range(self.study.classifier_seeds):
                        cell = self._classifier_cell(cohort, arm, counts, fold, shots, generator_seed, seed)
                        reverse = self._reverse_cell(cohort, arm_name, counts, seed)
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

    def _images_cell(self, cohort: Cell, arm: Arm, per_condition: int, seed: int) -> Cell:
        study = self.study
        number = math.ceil(per_condition * _SURPLUS[arm.images])
        settings: dict[str, Any] = {
            "per_condition": number,
            "psi": study.psi,
            "morphs": arm.images == "morphs",
            "drop_closer": study.drop_closer if arm.images == "filtered" else None,
            "seed": study.seed,
        }
        needs = {"cohort": cohort, "generator": self._generator_cell(cohort, seed)}
        return self._add(Cell("images", settings, needs))

    def _folder_cell(self, cohort: Cell, arm: Arm, fold: str, shots: int | str) -> Cell:
        folder = Path(str(arm.folder).replace("{fold}", fold).replace("{shots}", str(shots)))
        settings = {"folder": str(folder), "digest": InputFiles(folder).as_json()["digest"]}
        return self._add(Cell("images", settings, {"cohort": cohort}))

    def _classifier_cell(
        self,
        cohort: Cell,
        arm: Arm,
        counts: dict[str, int],
        fold: str,
        shots: int | str,
        generator_seed: int | None,
        seed: int,
    ) -> Cell:
        needs, wanted = {"cohort": cohort}, wanted_images(arm, counts)
        if generator_seed is not None:
            needs["images"] = self._images_cell(cohort, arm, max(wanted.values()), generator_seed)
        elif arm.needs_images:
            needs["images"] = self._folder_cell(cohort, arm, fold, shots)
        if arm.images == "selected":
            needs["selector"] = self._classifier_cell(cohort, Arm(), counts, fold, shots, None, 0)
        settings = {
            "config": {**self._classifier, **arm_settings(arm), "seed": self.study.seed + seed},
            "images": wanted,
        }
        return self._add(Cell("classifier", settings, needs))

    def _reverse_cell(self, cohort: Cell, arm_name: str, counts: dict[str, int], seed: int) -> str | None:
        """The evaluation of the first classifier of real images on the images of the first generator."""
        plain = [arm for arm in self.study.arms.values() if arm.generated and arm.images == "plain"]
        if arm_name != REFERENCE or seed or not plain:
            return None
        largest = max(max(wanted_images(arm, counts).values()) for arm in plain)
        needs = {
            "classifier": self._classifier_cell(cohort, Arm(), counts, "", "", None, seed),
            "images": self._images_cell(cohort, Arm(), largest, 0),
        }
        return self._add(Cell("reverse", {}, needs)).name


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
