"""What a study costs: hours from a few measured iterations, and disk space."""

import math
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from morphoscope.apps.study.cell import Cell, Store
from morphoscope.apps.study.partition import INNER
from morphoscope.apps.study.plan import StudyPlan, start_file
from morphoscope.classify import train_ensemble
from morphoscope.cohort import Cohort
from morphoscope.configs.classifier import EnsembleTraining
from morphoscope.configs.generator import GeneratorTraining
from morphoscope.configs.loading import validated
from morphoscope.generate.training.plan import plan_training
from morphoscope.runtime import RunFolder
from morphoscope.runtime.torch_devices import resolve_device
from morphoscope.runtime.torch_processes import Processes

_TRAINED = ("classifier", "candidate")
_SHORT, _LONG = 2, 10  # steps of the measured trainings
_SYNTHETIC_BYTES = 2.0  # a PNG's, per pixel
_PARAMETER_BYTES = 4 * 3.5  # of a snapshot of both networks with optimiser, relative to G's parameters


@dataclass(frozen=True)
class Costs:
    """Of the cells that are not in the store yet.

    Attributes:
        cells: number by kind, and how many of them are finished.
        generator_seconds: of one generator, at the measured speed; 0 if there is none to train.
        step_seconds, fixed_seconds: of a classifier, per step and beside the steps.
        seconds: of all cells, one after the other.
        gigabytes: on disk.
    """

    cells: dict[str, int]
    finished: dict[str, int]
    generator_seconds: float
    step_seconds: float
    fixed_seconds: float
    seconds: float
    gigabytes: float


def measure_costs(plan: StudyPlan, store: Store, cohort: Cohort, part: Cohort, device: str) -> Costs:
    """Time a few iterations of a generator and of two classifiers, which are thrown away.

    Args:
        cohort: the whole one.
        part: of it the largest that a cell trains on, as `cell_cohort` gives it.
    """
    cells = list(plan.cells.values())
    left = [cell for cell in cells if not store.is_finished(cell)]
    counts = Counter(cell.kind for cell in left)
    generator, parameters = _generator(left, plan, part, device)
    step, fixed = _classifier(left, part, device)
    trained = [cell for cell in left if cell.kind in _TRAINED]
    steps = sum(map(_steps, trained))
    seconds = counts["generator"] * generator + steps * step + len(trained) * fixed
    every: Counter[str] = Counter(cell.kind for cell in cells)
    done: Counter[str] = Counter(cell.kind for cell in cells if store.is_finished(cell))
    gigabytes = _bytes(left, cohort, parameters) / 1e9
    return Costs(dict(every), dict(done), generator, step, fixed, seconds, gigabytes)


def _generator(left: list[Cell], plan: StudyPlan, part: Cohort, device: str) -> tuple[float, int]:
    """(seconds, parameters of G) of a generator's training."""
    cells = [cell for cell in left if cell.kind == "generator"]
    if not cells:
        return 0.0, 0
    found = plan_training(
        validated(GeneratorTraining, cells[0].settings["config"]),
        part,
        Path("runs") / "study-plan",
        exclude_folds=[INNER],
        start_from=start_file(plan.study),
        processes=Processes(resolve_device(device)),
    )
    return found.seconds_left, found.generator_parameters


def _classifier(left: list[Cell], part: Cohort, device: str) -> tuple[float, float]:
    """(seconds per step, seconds beside the steps) of a classifier of real images."""
    cells = [cell for cell in left if cell.kind in _TRAINED]
    if not cells:
        return 0.0, 0.0
    config = validated(EnsembleTraining, cells[0].settings["config"])
    part.images(config.images.resolution, config.images.fit)  # into the cache
    seconds = []
    for steps in (_SHORT, _LONG):
        shown = steps * config.training.batch
        short = config.model_copy(
            update={"epochs": 1, "warmup_epochs": 0.0, "images_per_epoch": shown, "real_images": True}
        )
        with tempfile.TemporaryDirectory() as folder:
            started = time.perf_counter()
            train_ensemble(short, part, RunFolder(Path(folder) / "run"), folds=[INNER], device=device)
            seconds.append(time.perf_counter() - started)
    step = max(seconds[1] - seconds[0], 0.0) / (_LONG - _SHORT)
    return step, max(seconds[0] - _SHORT * step, 0.0)


def _steps(cell: Cell) -> int:
    config = cell.settings["config"]
    return int(config["epochs"] * math.ceil(config["images_per_epoch"] / config["batch"]))


def _bytes(left: list[Cell], cohort: Cohort, parameters: int) -> float:
    """Copies of the cohort, synthetic images, snapshots; ensembles are small beside them."""
    image = sum(len(cohort.store.read(name)) for name in cohort.rows["file"][:50]) / min(50, len(cohort))
    total = 0.0
    for cell in left:
        if cell.kind == "cohort":
            total += image * sum(map(len, cell.settings["folds"].values()))
        elif cell.kind == "generator":
            config = cell.settings["config"]
            snapshots = config["kimg"] / (config["tick_kimg"] * config["snapshot_ticks"]) + 1
            total += snapshots * parameters * _PARAMETER_BYTES
        elif cell.kind == "images" and "generator" in cell.needs:
            side = cell.needs["generator"].settings["config"]["resolution"]
            total += len(cohort.conditions) * cell.settings["per_condition"] * side**2 * _SYNTHETIC_BYTES
    return total
