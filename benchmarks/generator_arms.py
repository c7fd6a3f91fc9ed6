"""Options of the generator training compared: arms by seeds, each measured against a cohort's test fold."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from arms import spread
from rich.console import Console

from morphoscope.cohort import TEST_FOLD, Cohort
from morphoscope.configs import load_config
from morphoscope.configs.generator import GeneratorTraining
from morphoscope.generate import load, train_generator
from morphoscope.generate.metrics import QualityMeter, QualityReport, load_feature_network
from morphoscope.generate.training.records import snapshot_name
from morphoscope.runtime import RunFolder, write_text


@dataclass(frozen=True)
class GeneratorArms:
    """What `arms.compare` takes: `train` and `table`. A run's folder is named ARM-SEED.

    Attributes:
        settings: KEY=VALUE of each arm, by its name.
        baseline: KEY=VALUE of all arms, for the preset cpu64; kimg and resolution are added.
        resolution: pixels.
        measured_at: numbers of training images after which snapshots are measured; the last is the end.
        images: generated per condition for a measurement.
        start_from: the snapshot that an arm starts from, by its name; the others start at random.
    """

    settings: Mapping[str, Sequence[str]]
    baseline: Sequence[str]
    resolution: int
    measured_at: Sequence[int]
    images: int
    start_from: Mapping[str, Path] = field(default_factory=dict)

    def train(self, cohort: Cohort, folder: Path, settings: Sequence[str], seed: int) -> None:
        """Train one run; a finished one is skipped, an interrupted one resumes."""
        if (folder / snapshot_name(self.measured_at[-1])).exists():
            return
        overrides = [
            f"resolution={self.resolution}",
            f"kimg={self.measured_at[-1] / 1000:g}",
            f"keep_snapshots={len(self.measured_at)}",
            "metric_network=null",
            *self.baseline,
            *settings,
        ]
        config = load_config(
            GeneratorTraining, family="generate", preset="cpu64", overrides=overrides, seed=seed
        )
        console = Console()
        console.rule(folder.name)
        start_from = self.start_from.get(folder.name.rpartition("-")[0])
        train_generator(config, cohort, RunFolder(folder), start_from=start_from, console=console)

    def measure(self, cohort: Cohort, folder: Path) -> dict[str, list[QualityReport]]:
        """Reports by arm and length, one per seed; each is saved in its run's folder."""
        held_out = cohort.select(cohort.rows["fold"] == TEST_FOLD)
        meter = QualityMeter(load_feature_network(), held_out, self.resolution)
        reports = defaultdict(list)
        for arm in self.settings:
            for images in self.measured_at:
                name = arm if len(self.measured_at) == 1 else f"{arm}, {images:,} images"
                for run in sorted(folder.glob(f"{arm}-[0-9]*")):
                    path = run / snapshot_name(images)
                    if path.exists():
                        reports[name].append(self._report(meter, path))
        return reports

    def _report(self, meter: QualityMeter, snapshot: Path) -> QualityReport:
        kept = snapshot.with_name(f"held-out-{snapshot.stem}.json")
        if not kept.exists():
            report = meter.measure(partial(load(snapshot).sample, psi=1.0), self.images)
            write_text(kept, json.dumps(report.as_json()))
        return QualityReport.from_json(json.loads(kept.read_text()))

    def table(self, cohort: Cohort, folder: Path) -> str:
        """Markdown: overall metrics by arm, then kernel distance and diversity by condition."""
        reports = self.measure(cohort, folder)
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
        for title, metric, digits in (
            ("kernel distance", "kernel", 3),
            ("diversity", "relative_diversity", 2),
        ):
            lines += [
                "",
                f"| {title} | " + " | ".join(conditions) + " |",
                "|---" * (len(conditions) + 1) + "|",
            ]
            for arm, runs in reports.items():
                values = [[getattr(run.by_condition[name], metric) for run in runs] for name in conditions]
                lines.append(f"| {arm} | " + " | ".join(spread(v, digits) for v in values) + " |")
        return "\n".join(lines)
