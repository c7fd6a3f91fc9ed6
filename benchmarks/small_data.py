"""Options for a generator of about 100 images per condition, each against the same baseline, over seeds.

    python benchmarks/small_data.py train COHORT FOLDER [--arms skin,lecam …] [--seeds 0,1,2] [--set …]
    python benchmarks/small_data.py table COHORT FOLDER

`train` resumes where it stopped. `table` compares every run's last snapshot with the cohort's test fold,
which no generator has seen, and prints Markdown: kernel distance, Fréchet distance and diversity as means
over seeds with their standard deviations, then by condition. COHORT must be split, e.g. HAM10000 with 100
images of each condition in folds and the rest in the test fold (docs/lab-notes.md says which).
"""

import json
from collections import defaultdict
from functools import partial
from pathlib import Path

from arms import compare, spread
from rich.console import Console

from morphoscope.cohort import TEST_FOLD, Cohort
from morphoscope.configs import load_config
from morphoscope.configs.generator import GeneratorTraining
from morphoscope.generate import load, train_generator
from morphoscope.generate.metrics import QualityMeter, QualityReport, load_feature_network
from morphoscope.generate.training.records import snapshot_name
from morphoscope.runtime import RunFolder, write_text

_RESOLUTION = 32  # pixels
_KIMG = 20
_LAST = snapshot_name(1000 * _KIMG)
_BASELINE = [
    f"resolution={_RESOLUTION}",
    "mirror=true",
    f"kimg={_KIMG}",
    "snapshot_ticks=10",
    "augment=bgc",
    "sampling=natural",
    "transition_start_kimg=null",
    "transition_end_kimg=null",
    "lecam_weight=0",
    "metric_network=null",
]
_TRANSITION = ["transition_start_kimg=4", "transition_end_kimg=12"]
ARMS = {
    "baseline": [],
    "skin": ["augment=skin"],
    "transition": _TRANSITION,
    "lecam": ["lecam_weight=0.1"],
    "diffaugment": ["augment=diffaugment"],
    "balanced": ["sampling=balanced"],
    "skin+transition": ["augment=skin", *_TRANSITION],
}
_IMAGES = 200  # generated per condition


def train(cohort: Cohort, folder: Path, settings: list[str], seed: int) -> None:
    """Train one run; a finished one is skipped."""
    if (folder / _LAST).exists():
        return
    overrides = [*_BASELINE, *settings]
    config = load_config(GeneratorTraining, family="generate", preset="cpu64", overrides=overrides, seed=seed)
    console = Console()
    console.rule(folder.name)
    train_generator(config, cohort, RunFolder(folder), console=console)


def measure(cohort: Cohort, folder: Path) -> dict[str, list[QualityReport]]:
    """Reports by arm, one per seed; each is saved in its run's folder."""
    held_out = cohort.select(cohort.rows["fold"] == TEST_FOLD)
    meter = QualityMeter(load_feature_network(), held_out, _RESOLUTION)
    reports = defaultdict(list)
    for arm in ARMS:
        for run in sorted(folder.glob(f"{arm}-[0-9]*")):
            path = run / _LAST
            if not path.exists():
                continue
            kept = run / f"held-out-{path.stem}.json"
            if not kept.exists():
                model = load(path)
                report = meter.measure(partial(model.sample, psi=1.0), _IMAGES)
                write_text(kept, json.dumps(report.as_json()))
            reports[arm].append(QualityReport.from_json(json.loads(kept.read_text())))
    return reports


def table(cohort: Cohort, folder: Path) -> str:
    """Markdown: overall metrics by arm, then kernel distance and diversity by condition."""
    reports = measure(cohort, folder)
    lines = [
        "| arm | seeds | kernel distance | Fréchet distance | diversity, least condition |",
        "|---|---|---|---|---|",
    ]
    conditions = list(next(iter(reports.values()))[0].by_condition)
    for arm, runs in reports.items():
        least = [min(q.relative_diversity for q in run.by_condition.values()) for run in runs]
        cells = [
            spread([run.overall.kernel for run in runs], 3),
            spread([run.overall.frechet for run in runs], 1),
            spread(least, 2),
        ]
        lines.append(f"| {arm} | {len(runs)} | " + " | ".join(cells) + " |")
    for title, metric, digits in (("kernel distance", "kernel", 3), ("diversity", "relative_diversity", 2)):
        lines += ["", f"| {title} | " + " | ".join(conditions) + " |", "|---" * (len(conditions) + 1) + "|"]
        for arm, runs in reports.items():
            values = [[getattr(run.by_condition[name], metric) for run in runs] for name in conditions]
            lines.append(f"| {arm} | " + " | ".join(spread(v, digits) for v in values) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    compare(__doc__, ARMS, train, table)
