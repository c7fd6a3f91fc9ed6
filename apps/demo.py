"""The whole workflow on a small scale: what `make demo` runs. Finished steps are kept on a second call."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console

from morphoscope.apps.bundled_models import GENERATOR, GENERATOR_OVERRIDES, GENERATOR_PRESET
from morphoscope.apps.morph_chart import draw_curve
from morphoscope.apps.morphing import Morph, Workbench
from morphoscope.apps.phantom_cohort import phantom_cohort
from morphoscope.classify import Ensemble, Evaluation, evaluate, train_ensemble, write_explanation
from morphoscope.cohort import Cohort
from morphoscope.cohort.conditions import full_name, long_name
from morphoscope.configs import load_config
from morphoscope.configs.classifier import EnsembleTraining
from morphoscope.configs.commands import Sampling
from morphoscope.configs.generator import GeneratorTraining
from morphoscope.configs.morphs import Morphing
from morphoscope.generate import GeneratorModel, augment, load, train_generator
from morphoscope.generate.exports import write_samples
from morphoscope.generate.latents.parsing import parse_ends
from morphoscope.generate.morph_files import write_morph
from morphoscope.generate.sheets import Strip, write_sheet
from morphoscope.runtime import RunFolder, write_text
from morphoscope.runtime.reporting.report import Figure, Section, write_report
from morphoscope.runtime.statistics import format_estimate
from morphoscope.runtime.terminal import console, say
from morphoscope.runtime.torch_devices import resolve_device
from morphoscope.runtime.torch_processes import Processes

# Another seed than that of the bundled models' cohort: they have seen none of these phantoms.
_PHANTOM_SEED = 1
_PER_CONDITION = 32
_SYNTHETIC_PER_CONDITION = 16
_HELD_OUT_FOLD = "0"
_GENERATOR_KIMG = 1.0
_FROM, _TO = "NF1", "TSC"
_MORPH = Morphing(seed=4)

NOTICE = (
    "Every image below is a procedural phantom or was generated from phantoms. No patient is shown, and "
    "the numbers say nothing about real conditions: they show that the workflow runs from end to end."
)


def run_demo(folder: Path, device: str = "auto") -> Path:
    """Run every step in `folder` and return the report's path."""
    steps = _Steps(folder, device, console())
    cohort = steps.cohort()
    generator = steps.generator(cohort)
    synthetic = steps.synthetic(generator)
    ensemble = steps.ensemble(cohort, synthetic)
    return steps.report(cohort, generator, ensemble)


@dataclass(frozen=True)
class _Steps:
    """The steps of the demo; each writes into a folder of its own inside `folder`."""

    folder: Path
    device: str
    console: Console

    def _heading(self, text: str) -> None:
        self.console.rule(text, align="left")

    def cohort(self) -> Cohort:
        self._heading("1  Phantom cohort: draw, check, split")
        cohort = phantom_cohort(
            self.folder / "cohort",
            per_condition=_PER_CONDITION,
            seed=_PHANTOM_SEED,
            folds=3,
            test_fraction=0.3,
        )
        say(str(cohort.check()), to=self.console)
        return cohort

    def generator(self, cohort: Cohort) -> GeneratorModel:
        self._heading("2  Generator: continue training from the bundled phantom generator")
        config = load_config(
            GeneratorTraining,
            family="generate",
            preset=GENERATOR_PRESET,
            overrides=[*GENERATOR_OVERRIDES, "tick_kimg=0.25", "metric_images=16"],
            kimg=_GENERATOR_KIMG,
        )
        snapshot = train_generator(
            config,
            cohort,
            RunFolder(self.folder / "generator"),
            exclude_folds=[_HELD_OUT_FOLD],
            start_from=GENERATOR,
            processes=Processes(resolve_device(self.device)),
            console=self.console,
        )
        return load(snapshot, self.device)

    def synthetic(self, generator: GeneratorModel) -> Cohort:
        self._heading("3  Synthetic cohort, samples and a morph")
        path = self.folder / "synthetic"
        if not (path / "manifest.csv").exists():
            augment(generator, path, per_condition=_SYNTHETIC_PER_CONDITION, console=self.console)
        write_samples(generator, self.folder / "samples", Sampling(count=10))
        write_morph(
            generator, self.folder / "morph", parse_ends([_FROM, _TO], generator, _MORPH.seed), _MORPH
        )
        return Cohort.load(path)

    def ensemble(self, cohort: Cohort, synthetic: Cohort) -> Ensemble:
        self._heading("4  Classifier: train on real and synthetic phantoms")
        config = load_config(
            EnsembleTraining,
            family="classify",
            preset="lite",
            epochs=4,
        )
        return train_ensemble(
            config,
            cohort,
            RunFolder(self.folder / "classifier"),
            synthetic=[synthetic],
            folds=[_HELD_OUT_FOLD],
            device=self.device,
        )

    def report(self, cohort: Cohort, generator: GeneratorModel, ensemble: Ensemble) -> Path:
        self._heading("5  Evaluation, probability curve, attribution map, report")
        evaluation = evaluate(ensemble, cohort)
        evaluation.write(self.folder / "evaluation")
        return _Report(self.folder, cohort, generator, ensemble, evaluation).write()


@dataclass(frozen=True)
class _Report:
    """The report; its images are written beside it, into `folder`."""

    folder: Path
    cohort: Cohort
    generator: GeneratorModel
    ensemble: Ensemble
    evaluation: Evaluation

    def write(self) -> Path:
        path = self.folder / "report.html"
        write_report(
            path,
            title="Morphoscope demo: the whole workflow on phantoms",
            lead="From a cohort to a generator, a morph, synthetic images and a classifier.",
            notice=NOTICE,
            sections=[
                self._cohort_section(),
                self._generator_section(),
                self._morph_section(),
                self._evaluation_section(),
                self._attribution_section(),
            ],
        )
        return path

    def _cohort_section(self) -> Section:
        cohort = self.cohort
        strips = [
            Strip(
                name,
                np.stack([cohort.image(i) for i in np.flatnonzero(cohort.labels == k)[:8]]),
                full_name(name, cohort.descriptions),
            )
            for k, name in enumerate(cohort.conditions)
        ]
        sheet = self.folder / "phantoms.png"
        write_sheet(sheet, strips, "PHANTOMS: procedural drawings, no patient is shown")
        return Section(
            "The phantom cohort",
            "Seven procedural conditions, two images per phantom patient, each with its true lesion mask.",
            [
                ("images", str(len(cohort))),
                ("phantom patients", str(cohort.rows["group"].nunique())),
                ("images held out for testing", str((cohort.rows["fold"] == "test").sum())),
            ],
            [Figure(sheet, "Eight images of each condition.")],
        )

    def _generator_section(self) -> Section:
        generator = self.generator
        return Section(
            "The generator",
            f"StyleGAN2-ADA at {generator.resolution} px. Training continued from the bundled generator for "
            f"{1000 * _GENERATOR_KIMG:,.0f} images, without the test fold and without fold {_HELD_OUT_FOLD}.",
            [
                ("generator", generator.digest),
                ("trained on folds", ", ".join(generator.metadata.trained_on_folds)),
            ],
            [Figure(self.folder / "samples" / "sheet.png", "Generated images, one row per condition.")],
        )

    def _morph_section(self) -> Section:
        path = self.folder / "morph" / "curve.svg"
        named = [long_name(name, self.generator.descriptions) for name in (_FROM, _TO)]
        morph = Morph.between(_FROM, _TO, _MORPH.seed, _MORPH.psi)
        write_text(path, draw_curve(Workbench(self.generator, self.ensemble).curve(morph)))
        return Section(
            f"From {named[0]} to {named[1]}",
            "One seed; only the label changes. The curve shows where the classifier changes its mind.",
            [],
            [
                Figure(self.folder / "morph" / "strip.png", "The morph."),
                Figure(path, "The classifier's probabilities along the morph."),
            ],
        )

    def _evaluation_section(self) -> Section:
        images = self.ensemble.metadata.scores[_HELD_OUT_FOLD].training_images
        return Section(
            "The classifier on phantoms it has never seen",
            "One EfficientNet-Lite0, trained briefly. Each interval is a 95% confidence interval; with a "
            "test fold as small as this one, intervals are wide.",
            [
                ("trained on", f"{images['real']} real and {images['synthetic']} synthetic phantoms"),
                ("balanced accuracy", format_estimate(self.evaluation.balanced_accuracy)),
                ("accuracy", format_estimate(self.evaluation.accuracy)),
            ],
            [
                Figure(
                    self.folder / "evaluation" / "confusion.png",
                    "Row-normalised confusion matrix on the test fold.",
                )
            ],
        )

    def _attribution_section(self) -> Section:
        """Evidence for the true condition in one test image of the morph's first condition."""
        rows = self.cohort.rows
        index = int(np.flatnonzero((rows["fold"] == "test") & (rows["condition"] == _FROM))[0])
        image = self.cohort.image(index)
        found = self.ensemble.attribute(image, _FROM)
        path = self.folder / "attribution.png"
        file = Path(self.cohort.rows["file"][index]).name
        condition = long_name(_FROM, self.ensemble.descriptions)
        write_explanation(
            path, image, found, condition, file, ["The image is a phantom: no patient is shown."]
        )
        return Section(
            "What the classifier looks at",
            f"Integrated gradients of the probability of {_FROM}: a test image compared with a plain "
            "image of its mean colour.",
            [
                ("total evidence", f"{found.difference:+.3f} (difference in probability)"),
                (
                    "convergence delta",
                    f"up to {found.convergence_delta:+.4f} (numerical error of a single model's map)",
                ),
            ],
            [Figure(path, f"Left: the phantom. Right: red is evidence for {_FROM}, blue against it.")],
        )
