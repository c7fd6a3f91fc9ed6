"""Scores for conditions that a classifier was not trained on, evaluated on others than those that chose.

    python benchmarks/unknown_conditions.py train COHORT FOLDER [--folds 0,1] [--epochs 5]
    python benchmarks/unknown_conditions.py table COHORT FOLDER

`train` trains, for each condition left out and each fold, the last stage and the head of preset lite's
backbone on cached maps of the stages before, which keep their ImageNet weights. It does so twice: without
outliers, and with outlier exposure (Hendrycks et al. 2019) to mixtures of two training images of different
conditions, whose target is uniform. What the models compute for every image is kept, so that all scores come
from the same models. It resumes where it stopped.

`table` compares scores on each condition left out against the test fold, as Markdown: the area under the ROC
curve with 95% intervals by patient. Its last row takes for each condition the score that is best on average
on the other conditions: that is what a choice among these scores is worth on a condition that chose nothing.
"""

import argparse
import copy
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.special import logsumexp
from torch import Tensor, nn

from morphoscope.classify.certainty.disagreement import mutual_information
from morphoscope.classify.certainty.novelty import Subspace
from morphoscope.classify.network.classifier import ConditionClassifier
from morphoscope.classify.training.losses import class_weights
from morphoscope.cohort import TEST_FOLD, Cohort
from morphoscope.configs import load_config
from morphoscope.configs.classifier import EnsembleTraining
from morphoscope.runtime.progress import track
from morphoscope.runtime.roc import auroc
from morphoscope.runtime.statistics import Estimate, format_estimate

BATCH, OUTLIER_WEIGHT, NEIGHBOURS = 32, 0.5, 20
FLIPS: tuple[tuple[int, ...], ...] = ((), (3,))
ARMS = ("plain", "exposed")


class Maps(NamedTuple):
    """What the fixed stages compute.

    Attributes:
        images: float32 [2, N, C, h, w], of each image and of its mirror image.
        depths: pooled outputs of two earlier stages, float32 [N, D'] each.
    """

    images: np.ndarray
    depths: list[np.ndarray]


def backbone(config: EnsembleTraining) -> Any:
    """The pretrained timm model, in evaluation mode."""
    return ConditionClassifier.pretrained(config, 2).eval()


@torch.inference_mode()
def fixed_stages(model: Any, pixels: np.ndarray) -> tuple[Tensor, list[Tensor]]:
    """uint8 [n, S, S, 3] -> (maps before the last stage, pooled maps of two earlier stages)."""
    net = model.backbone
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    maps = net.bn1(net.conv_stem((images - model.mean) / model.std))
    pooled = []
    for number, stage in enumerate(net.blocks[:-1]):
        maps = stage(maps)
        if number in (2, 4):
            pooled.append(maps.mean(dim=(2, 3)))
    return maps, pooled


def cached_maps(model: Any, pixels: np.ndarray, flips: tuple[tuple[int, ...], ...]) -> Maps:
    """Maps of images, uint8 [N, S, S, 3], in each flip."""
    found: list[list[np.ndarray]] = [[] for _ in flips]
    depths: list[list[np.ndarray]] = [[], []]
    for start in track(range(0, len(pixels), BATCH), "Fixed stages"):
        part = pixels[start : start + BATCH]
        for number, axes in enumerate(flips):
            turned = np.flip(part, [axis - 1 for axis in axes]).copy() if axes else part
            maps, pooled = fixed_stages(model, turned)
            found[number].append(maps.numpy())
            if not axes:
                for depth, values in zip(depths, pooled, strict=True):
                    depth.append(values.numpy())
    return Maps(np.stack([np.concatenate(part) for part in found]), [np.concatenate(d) for d in depths])


def mixed_pairs(labels: np.ndarray, trained: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Row numbers [M, 2] of random pairs of different conditions; only rows of `trained`, bool [N]."""
    rows = np.flatnonzero(trained)
    pairs = np.stack([random.permutation(rows) for _ in range(4)]).reshape(2, -1).T
    return pairs[labels[pairs[:, 0]] != labels[pairs[:, 1]]]


class Tail(nn.Module):
    """The last stage and the head: maps -> (logits, features)."""

    def __init__(self, net: Any, classes: int) -> None:
        super().__init__()
        net = copy.deepcopy(net)
        self.stage, self.conv_head, self.norm, self.pool = (
            net.blocks[-1],
            net.conv_head,
            net.bn2,
            net.global_pool,
        )
        self.dropout, self.head = nn.Dropout(0.2), nn.Linear(net.num_features, classes)
        nn.init.normal_(self.head.weight, std=0.01)
        nn.init.zeros_(self.head.bias)

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        features = self.pool(self.norm(self.conv_head(self.stage(maps))))
        return self.head(self.dropout(features)), features


def train_tail(
    net: Any, maps: np.ndarray, labels: np.ndarray, outliers: np.ndarray | None, epochs: int, seed: int
) -> Tail:
    """Train on maps [2, n, …] with class numbers [n]; `outliers` [m, …] get a uniform target."""
    torch.manual_seed(seed)
    random, classes = np.random.default_rng(seed), int(labels.max()) + 1
    tail = Tail(net, classes).train()
    weights = class_weights(np.bincount(labels).astype(np.float64), "inverse", 1.0, 0.999).float()
    optimizer = torch.optim.AdamW(tail.parameters(), lr=1e-3, weight_decay=0.01)
    steps = epochs * int(np.ceil(len(labels) / BATCH))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, total_steps=steps, pct_start=0.1)
    for _ in range(epochs):
        for chosen in np.array_split(random.permutation(len(labels)), steps // epochs):
            batch = torch.from_numpy(maps[random.integers(len(FLIPS), size=len(chosen)), chosen])
            if outliers is not None:
                beside = outliers[random.integers(len(outliers), size=len(chosen) // 2)]
                batch = torch.cat([batch, torch.from_numpy(beside)])
            logits, _ = tail(batch)
            known = logits[: len(chosen)]
            loss = nn.functional.cross_entropy(known, torch.from_numpy(labels[chosen]), weights)
            if outliers is not None:
                uniform = -logits[len(chosen) :].log_softmax(dim=1).mean()
                loss = loss + OUTLIER_WEIGHT * uniform
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return tail.eval()


def train(cohort: Cohort, folder: Path, folds: list[str], epochs: int) -> None:
    """Write FOLDER/CONDITION-FOLD-ARM.npz with logits and features of every image, where it is missing."""
    config = load_config(EnsembleTraining, family="classify", preset="lite")
    model, pixels = backbone(config), cohort.images(config.images.resolution)
    fold_of, labels = cohort.rows["fold"].to_numpy(), cohort.labels
    maps = cached_maps(model, pixels, FLIPS)
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "depths.npz", *maps.depths)
    random = np.random.default_rng(0)
    pairs = mixed_pairs(labels, fold_of != TEST_FOLD, random)
    share = random.uniform(0.3, 0.7, (len(pairs), 1, 1, 1))
    mixed = (share * pixels[pairs[:, 0]] + (1 - share) * pixels[pairs[:, 1]]).round().astype(np.uint8)
    mixed_maps = cached_maps(model, mixed, FLIPS[:1]).images[0]
    for arm in ARMS:
        for left_out in range(len(cohort.conditions)):
            for fold in folds:
                path = folder / f"{cohort.conditions[left_out]}-{fold}-{arm}.npz"
                if path.exists():
                    continue
                rows = (fold_of != fold) & (fold_of != TEST_FOLD) & (labels != left_out)
                outliers = mixed_maps[rows[pairs].all(axis=1)] if arm == "exposed" else None
                known = np.unique(labels[rows])
                numbers = np.searchsorted(known, labels[rows])
                tail = train_tail(model.backbone, maps.images[:, rows], numbers, outliers, epochs, int(fold))
                with torch.inference_mode():
                    parts = [tail(torch.from_numpy(part)) for part in np.array_split(maps.images[0], 24)]
                logits, features = (torch.cat(column).numpy() for column in zip(*parts, strict=True))
                np.savez(path, logits=logits, features=features, trained=rows)
                tested = (fold_of == TEST_FOLD) & (labels != left_out)
                correct = known[logits[tested].argmax(axis=1)] == labels[tested]
                print(f"{path.stem}: accuracy on the test fold {correct.mean():.3f}", flush=True)


def mahalanobis(
    features: np.ndarray, trained: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(distance to the nearest class, the same minus that to all classes as one: Ren et al. 2021), [N].

    Of features of length 1, with shared covariances that are shrunk towards their mean variance.
    """
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    own, classes = unit[trained], labels[trained]
    means = np.stack([own[classes == k].mean(axis=0) for k in np.unique(classes)])
    within = own - means[np.searchsorted(np.unique(classes), classes)]
    to_class = np.min([_squared(unit - mean, within) for mean in means], axis=0)
    whole = own.mean(axis=0)
    return to_class, to_class - _squared(unit - whole, own - whole)


def _squared(values: np.ndarray, spread: np.ndarray, shrinkage: float = 0.1) -> np.ndarray:
    covariance = spread.T @ spread / len(spread)
    size = len(covariance)
    covariance = (1 - shrinkage) * covariance + shrinkage * np.trace(covariance) / size * np.eye(size)
    return np.einsum("nd,nd->n", values, np.linalg.solve(covariance, values.T).T)


def neighbours(features: np.ndarray, trained: np.ndarray) -> np.ndarray:
    """Distance to the 20th nearest training image, of features of length 1 (Sun et al. 2022), [N]."""
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    return np.partition(1 - unit @ unit[trained].T, NEIGHBOURS, axis=1)[:, NEIGHBOURS]


def standardised(values: np.ndarray, trained: np.ndarray) -> np.ndarray:
    """In standard deviations of the training images."""
    return (values - values[trained].mean()) / values[trained].std()


def scores(cohort: Cohort, folder: Path, condition: str, folds: list[str]) -> dict[str, np.ndarray]:
    """Every score of all N images, higher for more unusual, mean over the models without `condition`."""
    labels = cohort.labels
    with np.load(folder / "depths.npz") as stored:
        depths = list(stored.values())
    collected: dict[str, list[np.ndarray]] = {}
    probabilities = []
    for fold in folds:
        with np.load(folder / f"{condition}-{fold}-plain.npz") as kept:
            logits, features, trained = kept["logits"], kept["features"], kept["trained"]
        log_p = logits - logsumexp(logits, axis=1, keepdims=True)
        probabilities.append(np.exp(log_p))
        to_class, relative = mahalanobis(features, trained, labels)
        distance = Subspace.fit(features[trained]).distance(features)
        deep = [standardised(distance, trained)] + [
            standardised(Subspace.fit(depth[trained]).distance(depth), trained) for depth in depths
        ]
        found = {
            "distance to the subspace (shipped)": distance,
            "the same at three depths": np.mean(deep, axis=0),
            "highest probability": -log_p.max(axis=1),
            "highest logit": -logits.max(axis=1),
            "energy": -logsumexp(logits, axis=1),
            "entropy": -(np.exp(log_p) * log_p).sum(axis=1),
            "Mahalanobis": to_class,
            "relative Mahalanobis": relative,
            "20th nearest neighbour": neighbours(features, trained),
        }
        exposed = folder / f"{condition}-{fold}-exposed.npz"
        if exposed.exists():
            with np.load(exposed) as kept:
                other = kept["logits"]
            found["highest probability after outlier exposure"] = -(
                other - logsumexp(other, axis=1)[:, None]
            ).max(axis=1)
            found["energy after outlier exposure"] = -logsumexp(other, axis=1)
        for name, values in found.items():
            collected.setdefault(name, []).append(values)
    means = {name: np.mean(values, axis=0) for name, values in collected.items()}
    return {**means, "mutual information": mutual_information(np.stack(probabilities).astype(np.float32))}


def areas(cohort: Cohort, folder: Path, condition: str, folds: list[str]) -> dict[str, Estimate]:
    """Area under the ROC curve of each score: images of `condition` against the test fold's others."""
    outside = (cohort.rows["condition"] == condition).to_numpy()
    chosen = outside | (cohort.rows["fold"] == TEST_FOLD).to_numpy()
    groups = cohort.rows["group"].to_numpy(dtype=str)[chosen]
    found = scores(cohort, folder, condition, folds)
    return {name: auroc(values[chosen], outside[chosen], groups) for name, values in found.items()}


def table(cohort: Cohort, folder: Path, folds: list[str]) -> str:
    """Markdown: scores by conditions, and what the choice among the scores is worth."""
    every = {name: areas(cohort, folder, name, folds) for name in cohort.conditions}
    names = list(next(iter(every.values())))
    mean = {
        name: {other: np.mean([every[c][name].value for c in every if c != other]) for other in ("", *every)}
        for name in names
    }
    lines = [f"| score | {' | '.join(every)} | mean |", "|---" * (len(every) + 2) + "|"]
    for name in sorted(names, key=lambda name: -mean[name][""]):
        cells = [format_estimate(every[condition][name], 2) for condition in every]
        lines.append(f"| {name} | {' | '.join(cells)} | {mean[name]['']:.3f} |")
    best = {condition: max(names, key=lambda name: mean[name][condition]) for condition in every}
    chosen = [every[condition][best[condition]] for condition in every]
    cells = [f"{format_estimate(area, 2)}, {best[c]}" for area, c in zip(chosen, every, strict=True)]
    lines.append(
        f"| best on the others | {' | '.join(cells)} | {np.mean([area.value for area in chosen]):.3f} |"
    )
    return "\n".join(lines)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=["train", "table"])
    parser.add_argument("cohort", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--folds", default="0,1")
    parser.add_argument("--epochs", type=int, default=5)
    options = parser.parse_args()
    cohort, folds = Cohort.load(options.cohort), options.folds.split(",")
    if options.what == "train":
        torch.set_num_threads(1)
        train(cohort, options.folder, folds, options.epochs)
    else:
        print(table(cohort, options.folder, folds))


if __name__ == "__main__":
    main()
