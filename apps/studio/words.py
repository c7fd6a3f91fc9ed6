"""The sentences of the studio. All functions return plain text; whoever puts it into HTML escapes it."""

from collections.abc import Sequence

from morphoscope.apps.morphing import Curve, Workbench
from morphoscope.classify import Attribution, Ensemble
from morphoscope.classify.certainty import Calibration
from morphoscope.classify.held_out import alarm_limits
from morphoscope.cohort.conditions import long_name
from morphoscope.configs.attribution import METHOD_NAMES, Method
from morphoscope.generate import GeneratorModel

_BASELINES = {
    "mean": "a plain image in this picture's mean colour",
    "black": "a black image",
    "white": "a white image",
    "blurred": "this picture, blurred",
    "average": "four images that show nothing (mean colour, black, white, blurred), averaged",
}
METHODS: dict[str, Method] = {name: method for method, name in METHOD_NAMES.items()}
_HOW = {
    "integrated_gradients": "Integrated gradients; the baseline is {baseline}",
    "smoothgrad": "SmoothGrad: how strongly a small change in a pixel changes the probability",
    "gradcam": "Grad-CAM: a coarse map of where the network's last features speak for the condition",
    "occlusion": "Occlusion: how much the probability falls when a square is covered with {baseline}",
}
_UNSIGNED = {
    "smoothgrad": "The map does not show whether they speak for or against the condition.",
    "gradcam": "The map does not show what speaks against the condition.",
}

PURPOSE = "For research and teaching only. Not a medical device: nothing here is a diagnosis."


def change_of_mind(curve: Curve, captions: Sequence[str]) -> str:
    """Where along the morph the classifier changes its mind, and whether it knows images of this kind.

    Args:
        captions: of the frames, as `Workbench.captions`.
    """
    return f"{_changes(curve, captions)} {_unfamiliar(curve)}".strip()


def _changes(curve: Curve, captions: Sequence[str]) -> str:
    changes = curve.changes()
    if not changes:
        name = next(filter(None, curve.answers()), None)
        if name is None:
            return "Along the whole morph, no model is sure of any condition."
        return f"Along the whole morph, {name} remains the most probable condition."
    steps = [
        f"from {change.before} to {change.after} between {captions[change.last]} and {captions[change.first]}"
        for change in changes
    ]
    return f"The classifier changes its mind {', then '.join(steps)}."


def _unfamiliar(curve: Curve) -> str:
    novel = curve.prediction.novel
    if novel is None or not novel.any():
        return ""
    which = "All of these images are" if novel.all() else "Some of these images are"
    return f"{which} another kind of image than the training images."


def explanation(attribution: Attribution, folds: int) -> list[str]:
    """How an attribution map was computed, and how far it can be trusted."""
    name = attribution.target
    if attribution.signed:
        lines = [f"Red pixels are evidence for {name}, blue pixels against it; stronger colours count more."]
    else:
        lines = [
            f"Yellow pixels matter most for {name}, violet pixels least. {_UNSIGNED[attribution.method]}"
        ]
    baseline = _BASELINES[attribution.baseline] if attribution.baseline else ""
    lines.append(f"{_HOW[attribution.method].format(baseline=baseline)}; mean of {_models(folds)}.")
    if attribution.agreement is not None:
        lines.append(
            f"The maps of any two models have a mean rank correlation of {attribution.agreement:.2f} "
            "(1: they agree fully)."
        )
    if attribution.difference is not None and attribution.convergence_delta is not None:
        lines.append(
            f"Compared with the baseline, this picture changes the probability of {name} by "
            f"{100 * attribution.difference:+.1f} percentage points. A single model's map misses that change "
            f"by up to {attribution.convergence_delta:+.4f} of probability (convergence delta)."
        )
    if attribution.warning:
        lines.append("That is a large error: treat this map as a rough hint only.")
    lines.append("The map shows what this classifier uses, not where the disease is.")
    return lines


def phantom_notice(workbench: Workbench) -> str | None:
    """A sentence if a model has seen nothing but phantoms, else None."""
    generator = workbench.generator.phantoms_only
    ensemble = workbench.ensemble.metadata.phantom
    if not generator and not ensemble:
        return None
    if generator and ensemble:
        which, they = "Both models were", "They say"
    else:
        which, they = ("The generator was" if generator else "The classifier was"), "It says"
    return (
        f"{which} trained on procedural phantoms (drawings of skin made by a program), not on patients. "
        f"{they} nothing about patients."
    )


def mismatch_notice(workbench: Workbench) -> str | None:
    """A sentence if the generator has conditions that the classifier was not trained on, else None."""
    missing = [name for name in workbench.generator.conditions if name not in workbench.ensemble.conditions]
    if not missing:
        return None
    return (
        f"The classifier was not trained on {', '.join(missing)}: it predicts another condition for images "
        "that show them."
    )


def model_facts(workbench: Workbench) -> list[tuple[str, str]]:
    """(name, value) rows that identify both models."""
    generator, ensemble = workbench.generator, workbench.ensemble
    return [
        ("Generator", f"{generator.digest}, {generator.resolution} x {generator.resolution} px"),
        ("Generator: conditions", _named(generator)),
        ("Generator: training cohort", generator.metadata.origin),
        (
            "Classifier",
            f"{_models(len(ensemble.folds))} {ensemble.config.network.backbone}, {ensemble.resolution} px",
        ),
        ("Classifier: conditions", _named(ensemble)),
        ("Classifier: training cohort", ensemble.metadata.cohort_digest or "not recorded"),
        ("Classifier: calibration", _calibration(ensemble.calibration)),
        ("Classifier: unknown conditions", alarm_limits(ensemble.metadata.held_out)),
    ]


def _named(model: GeneratorModel | Ensemble) -> str:
    return ", ".join(long_name(name, model.descriptions) for name in model.conditions)


def _calibration(calibration: Calibration | None) -> str:
    if calibration is None:
        return (
            "none: it cannot say which conditions remain possible, or whether a picture is another kind of "
            "image than the training images"
        )
    summary = calibration.summary
    return f"temperature {summary.temperature:.2f}, fitted to {summary.images} images"


def _models(count: int) -> str:
    return f"{count} models" if count != 1 else "1 model"
