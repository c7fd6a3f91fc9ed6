"""Options for a classifier of about 100 images per condition, each against the same baseline, over seeds.

    python benchmarks/classifier_options.py train COHORT FOLDER [--arms ema,mixup …] [--seeds 0,1,2] [--set …]
    python benchmarks/classifier_options.py table COHORT FOLDER

`train` resumes where it stopped. `table` evaluates every finished ensemble on the cohort's test fold, which
was used neither to train nor to choose an epoch, and prints Markdown: means over seeds with their standard
deviations, and the mean difference from the baseline's run of the same seed, with the standard deviation of
that difference. COHORT must be split with a test fold, e.g. ham10000_small at a test fraction of 0.3. `--set`
changes all arms, e.g. `--set epochs=20`; a folder holds runs of one such baseline.
"""

import json
from pathlib import Path
from typing import Any

from arms import compare, spread

from morphoscope.classify import Ensemble, evaluate, train_ensemble
from morphoscope.cohort import Cohort
from morphoscope.configs import load_config
from morphoscope.configs.classifier import EnsembleTraining
from morphoscope.runtime import RunFolder, write_text

BASELINE = "baseline"
ARMS = {
    BASELINE: [],
    "unbalanced": ["class_balance=0"],
    "effective": ["balance=effective", "balance_beta=0.99"],
    "best epoch": ["patience=6"],
    "smoothing": ["label_smoothing=0.1"],
    "ema": ["ema_decay=0.99"],
    "mixup": ["mixup=0.2"],
    "cutmix": ["cutmix=1"],
    "mixup+cutmix": ["mixup=0.2", "cutmix=1"],
    "thawed": ["freeze_stages=0"],
    "thawed+layer-decay": ["freeze_stages=0", "layer_decay=0.85"],
    "thawed+layer-decay+ema": ["freeze_stages=0", "layer_decay=0.85", "ema_decay=0.99"],
}
_LAST = "ensemble.safetensors"
_METRICS = {
    "balanced accuracy": ("balanced_accuracy", "value"),
    "negative log likelihood": ("negative_log_likelihood",),
    "calibration error": ("calibration_error", "value"),
}


def train(cohort: Cohort, folder: Path, settings: list[str], seed: int) -> None:
    """Train one ensemble of all folds; a finished one is skipped."""
    if (folder / _LAST).exists():
        return
    config = load_config(EnsembleTraining, family="classify", preset="lite", overrides=settings, seed=seed)
    print(f"\n{folder.name}")
    train_ensemble(config, cohort, RunFolder(folder))


def measure(cohort: Cohort, folder: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """{arm: {seed: metrics}} on the test fold; metrics are saved in each run's folder."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for arm in ARMS:
        for run in sorted(folder.glob(f"{arm}-[0-9]*")):
            if not (run / _LAST).exists():
                continue
            kept = run / "test-fold.json"
            if not kept.exists():
                evaluation = evaluate(Ensemble.load(run / _LAST, "auto"), cohort, rows="test")
                write_text(kept, json.dumps(evaluation.metrics()))
            seed = run.name.removeprefix(f"{arm}-")
            found.setdefault(arm, {})[seed] = json.loads(kept.read_text())
    return found


def table(cohort: Cohort, folder: Path) -> str:
    """Markdown: each metric by arm, and its difference from the baseline of the same seed."""
    measured = measure(cohort, folder)
    heads = [head for name in _METRICS for head in (name, "difference")]
    lines = [f"| arm | seeds | {' | '.join(heads)} |", "|---" * (len(heads) + 2) + "|"]
    for arm, runs in measured.items():
        cells = []
        for path in _METRICS.values():
            cells.append(spread([metric(run, path) for run in runs.values()]))
            baseline = {} if arm == BASELINE else measured.get(BASELINE, {})
            shared = [
                (metric(runs[seed], path), metric(baseline[seed], path)) for seed in runs if seed in baseline
            ]
            cells.append(spread([own - base for own, base in shared], sign="+"))
        lines.append(f"| {arm} | {len(runs)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def metric(metrics: dict[str, Any], path: tuple[str, ...]) -> float:
    """The value at a path of keys in nested metrics."""
    value: Any = metrics
    for key in path:
        value = value[key]
    return float(value)


if __name__ == "__main__":
    compare(__doc__, ARMS, train, table)
