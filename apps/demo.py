"""The main job from end to end, small: what `make demo` runs. Finished steps are kept on a second call."""

from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console

from morphoscope.apps.bundled_models import GENERATOR, GENERATOR_OVERRIDES, GENERATOR_PRESET
from morphoscope.apps.phantom_cohort import phantom_cohort
from morphoscope.apps.studio.figures import draw_curve
from morphoscope.apps.morphing import Morph, Workbench
from morphoscope.classify import Ensemble, Evaluation, evaluate, legend, overlay, train_ensemble
from morphoscope.cohort import Cohort
from morphoscope.configs import load_config
from morphoscope.configs.classifier import EnsembleTraining
from morphoscope.configs.commands import Morphing, Sampling
from morphoscope.configs.generator import GeneratorTraining
from morphoscope.generate import GeneratorModel, augment, load, train_generator
from morphoscope.generate.exports import write_morph, write_samples
from morphoscope.generate.sheets import write_sheet
from morphoscope.runtime import RunFolder, write_atomically, write_text
from morphoscope.runtime.reporting.report import Figure, Section, write_report
from morphoscope.runtime.statistics import format_estimate
from morphoscope.runtime.torch_devices import resolve_device
from morphoscope.runtime.torch_processes import Processes

# Another seed than the bundled models' cohort: none of these phantoms was seen before.
_PHANTOM_SEED = 1
_PER_CONDITION = 32
_SYNTHETIC_PER_CONDITION = 16
_HELD_OUT_FOLD = "0"
_GENERATOR_KIMG = 1.0
_MORPH = ("NF1", "TSC")
_MORPH_SEED = 4

NOTICE = (
    "Every picture below is a procedural phantom or was generated from phantoms. No patient is shown, and "
    "the figures say nothing about real conditions: they show that the chain works."
)


def run_demo(folder: Path, device: str = "auto", console: Console | None = None) -> Path:
    """Run every step in `folder` and return the report's path."""
    steps = _Chain(folder, device, console or Console(highlight=False))
    cohort = steps.cohort()
    model = steps.generator(cohort)
    synthetic = steps.synthetic(model)
    ensemble = steps.ensemble(cohort, synthetic)
    return steps.report(cohort, model, synthetic, ensemble)


class _Chain:
    def __init__(self, folder: Path, device: str, console: Console) -> None:
        self.folder = folder
        self.device = device
        self.console = console

    def _step(self, name: str) -> None:
        self.console.rule(name, align="left")

    def cohort(self) -> Cohort:
        self._step("1  Phantom cohort: draw, check, split")
        cohort = phantom_cohort(
            self.folder / "cohort",
            per_condition=_PER_CONDITION,
            seed=_PHANTOM_SEED,
            folds=3,
            test_fraction=0.3,
        )
        self.console.print(cohort.check())
        return cohort

    def generator(self, cohort: Cohort) -> GeneratorModel:
        self._step("2  Generator: train on from the bundled phantom generator")
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

    def synthetic(self, model: GeneratorModel) -> Cohort:
        path = self.folder / "synthetic"
        self._step("3  Synthetic cohort, samples and a morph")
        if not (path / "manifest.csv").exists():
            augment(model, path, per_condition=_SYNTHETIC_PER_CONDITION, console=self.console)
        write_samples(model, self.folder / "samples", Sampling(count=10))
        write_morph(model, self.folder / "morph", *_MORPH, Morphing(seed=_MORPH_SEED))
        return Cohort.load(path)

    def ensemble(self, cohort: Cohort, synthetic: Cohort) -> Ensemble:
        self._step("4  Classifier: train on real + synthetic phantoms")
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

    def report(self, cohort: Cohort, model: GeneratorModel, synthetic: Cohort, ensemble: Ensemble) -> Path:
        self._step("5  Evaluation, probability curve, attribution, report")
        evaluation = evaluate(ensemble, cohort)
        evaluation.write(self.folder / "evaluation")
        path = self.folder / "report.html"
        write_report(
            path,
            title="Morphoscope demo: the main job on phantoms",
            lead="From a cohort to a generator, a morph, synthetic images and a classifier.",
            notice=NOTICE,
            sections=[
                self._cohort_section(cohort),
                self._generator_section(model),
                self._morph_section(model, ensemble),
                self._evaluation_section(evaluation, synthetic, ensemble),
                self._attribution_section(cohort, ensemble),
            ],
        )
        return path

    def _cohort_section(self, cohort: Cohort) -> Section:
        rows = [
            np.stack([cohort.image(i) for i in np.flatnonzero(cohort.labels == k)[:8]])
            for k in range(len(cohort.conditions))
        ]
        picture = self.folder / "phantoms.png"
        write_sheet(picture, cohort.conditions, rows, "PHANTOMS: procedural drawings, no patient is shown")
        return Section(
            "The phantom cohort",
            "Seven procedural conditions, two images a phantom patient, each with its true lesion mask.",
            [
                ("images", str(len(cohort))),
                ("phantom patients", str(cohort.rows["group"].nunique())),
                ("kept for testing", str((cohort.rows["fold"] == "test").sum())),
            ],
            [Figure(picture, "Eight images of each condition.")],
        )

    def _generator_section(self, model: GeneratorModel) -> Section:
        return Section(
            "The generator",
            f"StyleGAN2-ADA at {model.resolution} px, trained on from the bundled generator for "
            f"{_GENERATOR_KIMG:g} thousand images, without the test fold and without fold {_HELD_OUT_FOLD}.",
            [
                ("generator", model.digest),
                ("trained on folds", ", ".join(model.metadata["trained_on_folds"])),
            ],
            [Figure(self.folder / "samples" / "sheet.png", "Generated images, one row a condition.")],
        )

    def _morph_section(self, model: GeneratorModel, ensemble: Ensemble) -> Section:
        morph = Morph(*_MORPH, seed=_MORPH_SEED, psi=Morphing().psi)
        curve = self.folder / "morph" / "curve.svg"
        write_text(curve, draw_curve(Workbench(model, ensemble).curve(morph), morph).svg)
        return Section(
            f"From {_MORPH[0]} to {_MORPH[1]}",
            "One seed; only the label is mixed. The curve shows where the classifier changes its mind.",
            [],
            [
                Figure(self.folder / "morph" / "strip.png", "The morph."),
                Figure(curve, "The classifier's probabilities along it."),
            ],
        )

    def _evaluation_section(self, evaluation: Evaluation, synthetic: Cohort, ensemble: Ensemble) -> Section:
        images = ensemble.metadata["scores"][_HELD_OUT_FOLD]["training_images"]
        return Section(
            "The classifier on phantoms it has never seen",
            "One EfficientNet-Lite0, briefly trained. Intervals are 95 %: with so few images they are wide.",
            [
                ("trained on", f"{images['real']} real and {images['synthetic']} synthetic phantoms"),
                ("balanced accuracy", format_estimate(evaluation.balanced_accuracy)),
                ("accuracy", format_estimate(evaluation.accuracy)),
            ],
            [
                Figure(
                    self.folder / "evaluation" / "confusion.png",
                    "Row-normalised confusion matrix, test fold.",
                )
            ],
        )

    def _attribution_section(self, cohort: Cohort, ensemble: Ensemble) -> Section:
        """Evidence for the true condition in one test image of the morph's first condition."""
        index = int(
            np.flatnonzero((cohort.rows["fold"] == "test") & (cohort.rows["condition"] == _MORPH[0]))[0]
        )
        image = cohort.image(index)
        found = ensemble.attribute(image, _MORPH[0])
        picture = self.folder / "attribution.png"
        beside = np.hstack([image, overlay(image, found.map)])
        with write_atomically(picture) as temporary:
            enlarged = Image.fromarray(beside).resize(
                (4 * image.shape[1], 2 * image.shape[0]), Image.Resampling.LANCZOS
            )
            Image.fromarray(np.vstack([np.asarray(enlarged), legend(enlarged.width)])).save(temporary)
        return Section(
            "What the classifier looks at",
            f"Integrated gradients of the probability of {_MORPH[0]}, a test image against its mean colour.",
            [
                ("evidence in all", f"{found.difference:+.3f} of probability"),
                ("convergence delta", f"up to {found.convergence_delta:+.4f} (a model's numerical error)"),
            ],
            [Figure(picture, "Left: the phantom. Right: red speaks for the condition, blue against it.")],
        )
