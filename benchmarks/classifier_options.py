"""Options for a classifier of about 100 images per condition, each against the same baseline, over seeds.

    python benchmarks/classifier_options.py train COHORT FOLDER [--arms ema,mixup …] [--seeds 0,1,2] [--set …]
    python benchmarks/classifier_options.py table COHORT FOLDER

`train` resumes where it stopped. `table` compares the finished trainings on their validation folds: each
image as the one model predicted it that was not trained on it (`out_of_fold/probabilities.csv`). The test
fold stays untouched, so that it can still evaluate what is chosen here. It prints Markdown: means over seeds
with their standard deviations, and differences from the baseline on the same images and seeds with 95%
intervals, which include the sampling of patients and of seeds. An arm that chooses its best epoch chooses it
on the same images, which flatters it; the table marks it. `--set` changes all arms, e.g. `--set epochs=20`; a
folder holds runs of one such baseline.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from arms import compare, spread
from scipy.stats import t as student

from morphoscope.classify import train_ensemble
from morphoscope.cohort import Cohort
from morphoscope.configs import load_config
from morphoscope.configs.classifier import EnsembleTraining
from morphoscope.runtime import RunFolder
from morphoscope.runtime.calibration_error import calibration_error
from morphoscope.runtime.statistics import Estimate, format_estimate

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
_CHOOSES_ITS_EPOCH = "best epoch"


@dataclass(frozen=True)
class Answers:
    """The out-of-fold predictions of one training, with the images in the order of the cohort.

    Attributes:
        probabilities: [N, K].
        truth: class numbers, [N].
        groups: patient of each image, [N].
    """

    probabilities: np.ndarray
    truth: np.ndarray
    groups: np.ndarray

    @property
    def correct(self) -> np.ndarray:
        """1.0 for each correct prediction, else 0.0, [N]."""
        return (self.probabilities.argmax(axis=1) == self.truth).astype(float)

    @property
    def surprise(self) -> np.ndarray:
        """-log p of the true class of each image, [N]."""
        return -np.log(np.maximum(self.probabilities[np.arange(len(self.truth)), self.truth], 1e-30))


def train(cohort: Cohort, folder: Path, settings: list[str], seed: int) -> None:
    """Train one ensemble of all folds; a finished one is skipped."""
    if (folder / _LAST).exists():
        return
    config = load_config(EnsembleTraining, family="classify", preset="lite", overrides=settings, seed=seed)
    print(f"\n{folder.name}")
    train_ensemble(config, cohort, RunFolder(folder))


def read_answers(cohort: Cohort, run: Path) -> Answers:
    """The predictions in a finished run's `out_of_fold/probabilities.csv`."""
    found = pd.read_csv(run / "out_of_fold" / "probabilities.csv").set_index("file")
    rows = cohort.rows.set_index("file").loc[found.index]
    return Answers(
        found[[f"p_{name}" for name in cohort.conditions]].to_numpy(),
        np.array([cohort.conditions.index(name) for name in rows["condition"]]),
        rows["group"].to_numpy(),
    )


def read_arms(cohort: Cohort, folder: Path) -> dict[str, dict[str, Answers]]:
    """{arm: {seed: answers}} of the finished runs."""
    found: dict[str, dict[str, Answers]] = {}
    for arm in ARMS:
        for run in sorted(folder.glob(f"{arm}-[0-9]*")):
            if (run / _LAST).exists():
                found.setdefault(arm, {})[run.name.removeprefix(f"{arm}-")] = read_answers(cohort, run)
    return found


def mean_by_class(values: np.ndarray, truth: np.ndarray) -> float:
    """Mean over the classes of each class's mean: of `correct`, the balanced accuracy."""
    return float(np.mean([values[truth == label].mean() for label in np.unique(truth)]))


def paired_difference(differences: np.ndarray, truth: np.ndarray, groups: np.ndarray) -> Estimate:
    """Mean difference of two arms on the same images, with a 95% interval over patients and seeds.

    Two parts of the variance have a t interval each, and the squares of their half-widths are added (Zou and
    Donner 2008). The first is that of the patients of each class, for the mean over seeds, with
    Satterthwaite's degrees of freedom. The second is that of the S seeds, s²/S with S - 1 degrees of freedom,
    less what the same seeds would vary by chance because a patient's answers change from seed to seed, which
    the first part contains. A bootstrap of S seeds has only (S - 1) / S of their variance and no t quantile.
    One seed shows nothing of the sampling of seeds, which is then left out.

    Args:
        differences: arm minus baseline for each seed and image, [S, N].
        truth: classes over which means are averaged, [N]; all equal for a plain mean.
        groups: patient of each image, [N]; at least two per class.
    """
    seeds, labels = len(differences), np.unique(truth)
    of_patients, freedoms, of_answers = [], [], 0.0
    for label in labels:
        inside = truth == label
        owner = np.unique(groups[inside], return_inverse=True)[1]
        counts, values = np.bincount(owner), differences[:, inside]
        centred = values - values.mean(axis=1, keepdims=True)
        sums = np.array([np.bincount(owner, one) for one in centred]) / counts.sum() / len(labels)
        factor, mean = len(counts) / (len(counts) - 1), sums.mean(axis=0)
        of_patients.append(factor * float((mean**2).sum()))
        freedoms.append(counts.sum() ** 2 / float((counts**2).sum()) - 1)  # Kish's effective number, less one
        of_answers += factor * float(((sums - mean) ** 2).sum())
    by_seed = [mean_by_class(one, truth) for one in differences]
    value, half2 = float(np.mean(by_seed)), _half_width(of_patients, freedoms) ** 2
    if seeds > 1:
        of_seeds = float(np.var(by_seed, ddof=1)) - of_answers / (seeds - 1)
        half2 += _half_width([max(of_seeds, 0.0) / seeds], [seeds - 1]) ** 2
    return Estimate(value, value - half2**0.5, value + half2**0.5)


def _half_width(variances: list[float], freedoms: list[float]) -> float:
    """Of the 95% t interval for a sum of independent variances, with Satterthwaite's degrees of freedom."""
    total = sum(variances)
    if total == 0:
        return 0.0
    freedom = total**2 / sum(one**2 / own for one, own in zip(variances, freedoms, strict=True))
    return float(student.ppf(0.975, freedom) * total**0.5)


def table(cohort: Cohort, folder: Path) -> str:
    """Markdown: each metric by arm, and its paired difference from the baseline."""
    measured = read_arms(cohort, folder)
    heads = ["balanced accuracy", "difference", "negative log-likelihood", "difference", "calibration error"]
    lines = [f"| arm | seeds | {' | '.join(heads)} |", "|---" * (len(heads) + 2) + "|"]
    for arm, runs in measured.items():
        answers = list(runs.values())
        baseline = {} if arm == BASELINE else measured.get(BASELINE, {})
        shared = [(runs[seed], baseline[seed]) for seed in runs if seed in baseline]
        cells = [
            spread([mean_by_class(one.correct, one.truth) for one in answers]),
            difference(shared, "correct", by_class=True),
            spread([float(one.surprise.mean()) for one in answers]),
            difference(shared, "surprise", by_class=False),
            spread([calibration_error(one.probabilities, one.truth, one.groups).debiased for one in answers]),
        ]
        marked = f"{arm} (chosen on these images)" if arm == _CHOOSES_ITS_EPOCH else arm
        lines.append(f"| {marked} | {len(runs)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def difference(shared: list[tuple[Answers, Answers]], metric: str, *, by_class: bool) -> str:
    """The paired difference of pairs (arm, baseline), one per seed, as text."""
    if not shared:
        return "—"
    differences = np.array([getattr(own, metric) - getattr(base, metric) for own, base in shared])
    own = shared[0][0]
    truth = own.truth if by_class else np.zeros_like(own.truth)
    return format_estimate(paired_difference(differences, truth, own.groups))


if __name__ == "__main__":
    compare(__doc__, ARMS, train, table)
