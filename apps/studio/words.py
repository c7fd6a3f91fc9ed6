"""The sentences of the studio. All functions return plain text; whoever puts it into HTML escapes it."""

from morphoscope.apps.morphing import Curve, Workbench
from morphoscope.classify import Attribution, Prediction
from morphoscope.classify.certainty import Calibration
from morphoscope.configs.attribution import Method

_BASELINES = {
    "mean": "a plain image in this picture's mean colour",
    "black": "a black image",
    "white": "a white image",
    "blurred": "this picture, blurred",
    "average": "four images that show nothing (mean colour, black, white, blurred), averaged",
}
METHODS: dict[str, Method] = {
    "Integrated gradients": "integrated_gradients",
    "SmoothGrad": "smoothgrad",
    "Grad-CAM": "gradcam",
    "Occlusion": "occlusion",
}
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


def percent(value: float) -> str:
    """0.724 -> "72%", with "< 1%" and "> 99%" at the ends: no probability is shown as certain."""
    if value < 0.01:
        return "< 1%"
    if value > 0.99:
        return "> 99%"
    return f"{round(100 * value)}%"


def spread(low: float, high: float) -> str:
    """ "20% to 80%", or one number where both read the same."""
    lowest, highest = percent(low), percent(high)
    return lowest if lowest == highest else f"{lowest} to {highest}"


def verdict(prediction: Prediction) -> str:
    """One or two sentences about the first image of `prediction`: the answer, or why there is none."""
    folds = prediction.per_fold[:, 0]
    best = int(prediction.predicted[0])
    name = prediction.conditions[best]
    if prediction.unsure[0]:
        return (
            f"Unsure: {_none_of(len(folds))} gives any condition more than 50%. "
            f"{name} comes first with {percent(float(prediction.combined[0, best]))}, which is not an answer."
        )
    counted = int(prediction.sure[:, 0].sum())
    low, high = float(folds[:, best].min()), float(folds[:, best].max())
    answer = f"Most probable condition: {name} with {percent(float(prediction.combined[0, best]))}"
    if len(folds) == 1:
        return f"{answer}, from one model."
    if counted == len(folds):
        source = f"the mean of all {counted} models"
    elif counted == 1:
        source = (
            f"from the only one of {len(folds)} models that gives a condition more than 50% "
            "(the others are unsure and not counted)"
        )
    else:
        source = (
            f"the mean of the {counted} of {len(folds)} models that give a condition more than 50% "
            "(the others are unsure and not counted)"
        )
    return f"{answer}, {source}. Single models give it {spread(low, high)}."


def novelty_warning(prediction: Prediction) -> str | None:
    """A warning if the first image of `prediction` is out of distribution, else None."""
    if prediction.novel is None or not prediction.novel[0]:
        return None
    return (
        "This does not look like the training images: it lies further from them than almost all other "
        "images of their kind do. Do not take the prediction below as an answer."
    )


def remaining(prediction: Prediction) -> str:
    """Which conditions remain possible for the first image of `prediction`, and what that means."""
    possible = prediction.possible(0)
    if possible is None or prediction.coverage is None:
        return (
            "This classifier is not calibrated: it cannot say which conditions remain possible, or whether "
            "a picture looks like the training images. It gives an answer for every picture."
        )
    if len(possible) == len(prediction.conditions):
        remains = "No condition can be ruled out."
    elif len(possible) == 1:
        remains = f"Only {possible[0]} remains possible."
    else:
        remains = f"{', '.join(possible[:-1])} or {possible[-1]} remain possible."
    return (
        f"{remains} For images like the training images, such a list is designed to contain the true "
        f"condition {percent(prediction.coverage)} of the time."
    )


def change_of_mind(curve: Curve) -> str:
    """Where along the morph the classifier changes its mind."""
    changes = curve.changes()
    if not changes:
        name = curve.answers()[0]
        if name is None:
            return "Along the whole morph, no model is sure of any condition."
        return f"Along the whole morph, {name} remains the most probable condition."
    steps = [
        f"from {change.before or 'unsure'} to {change.after or 'unsure'} between {round(100 * change.low)}% "
        f"and {round(100 * change.high)}%"
        for change in changes
    ]
    return f"The classifier changes its mind {', then '.join(steps)} {curve.morph.b}."


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
        ("Generator: conditions", ", ".join(generator.conditions)),
        ("Generator: training cohort", generator.metadata.cohort_digest),
        (
            "Classifier",
            f"{_models(len(ensemble.folds))} {ensemble.config.network.backbone}, {ensemble.resolution} px",
        ),
        ("Classifier: conditions", ", ".join(ensemble.conditions)),
        ("Classifier: training cohort", ensemble.metadata.cohort_digest or "not recorded"),
        ("Classifier: calibration", _calibration(ensemble.calibration)),
    ]


def _calibration(calibration: Calibration | None) -> str:
    if calibration is None:
        return (
            "none: it cannot say which conditions remain possible, or whether a picture looks like the "
            "training images"
        )
    summary = calibration.summary
    return f"temperature {summary.temperature:.2f}, fitted to {summary.images} images"


def _none_of(count: int) -> str:
    return f"none of {count} models" if count != 1 else "no model"


def _models(count: int) -> str:
    return f"{count} models" if count != 1 else "1 model"
