"""What the studio says in words. All return plain text; whoever makes HTML of it escapes it."""

from morphoscope.apps.morphing import Curve, Workbench
from morphoscope.classify import Attribution, Prediction
from morphoscope.classify.certainty import Calibration
from morphoscope.configs.attribution import Method

_SURE = 0.5
_BASELINES = {
    "mean": "a plain picture of this one's mean colour",
    "black": "a black picture",
    "white": "a white picture",
    "blurred": "this picture, blurred",
    "average": "four pictures that show nothing (mean colour, black, white, blurred) in turn",
}
METHODS: dict[str, Method] = {
    "Integrated gradients": "integrated_gradients",
    "SmoothGrad": "smoothgrad",
    "Grad-CAM": "gradcam",
    "Occlusion": "occlusion",
}
_HOW = {
    "integrated_gradients": "Integrated gradients from {baseline}",
    "smoothgrad": "SmoothGrad: how strongly a small change of a pixel moves the probability",
    "gradcam": "Grad-CAM: where the last feature map holds what speaks for the condition, coarsely",
    "occlusion": "Occlusion: by how much the probability falls where a square is covered with {baseline}",
}

PURPOSE = "For research and teaching only. Not a medical device: nothing here is a diagnosis."


def percent(value: float) -> str:
    """0.724 -> "72 %", with "< 1 %" and "> 99 %" at the ends: no probability is shown as certain."""
    if value < 0.01:
        return "< 1 %"
    if value > 0.99:
        return "> 99 %"
    return f"{round(100 * value)} %"


def spread(low: float, high: float) -> str:
    """ "20 % to 80 %", or one number where both read the same."""
    lowest, highest = percent(low), percent(high)
    return lowest if lowest == highest else f"{lowest} to {highest}"


def verdict(prediction: Prediction) -> str:
    """One sentence or two on the first image of `prediction`: the answer, or that there is none."""
    folds = prediction.per_fold[:, 0]
    best = int(prediction.predicted[0])
    name = prediction.conditions[best]
    if prediction.unsure[0]:
        return (
            f"Unsure: not one of {_models(len(folds))} gives any condition more than 50 %. "
            f"{name} comes first with {percent(float(prediction.combined[0, best]))}, which is no answer."
        )
    counted = int((folds.max(axis=1) > _SURE).sum())
    low, high = float(folds[:, best].min()), float(folds[:, best].max())
    answer = f"Most probable: {name} with {percent(float(prediction.combined[0, best]))}"
    if len(folds) == 1:
        return f"{answer}, by one model."
    if counted == len(folds):
        source = f"the mean of all {counted} models"
    elif counted == 1:
        source = (
            f"by the only one of {len(folds)} models that gives a condition more than 50 % "
            "(the others are unsure and not counted)"
        )
    else:
        source = (
            f"the mean of the {counted} of {len(folds)} models that give a condition more than 50 % "
            "(the others are unsure and not counted)"
        )
    return f"{answer}, {source}. Single models say {spread(low, high)}."


def novelty_warning(prediction: Prediction) -> str | None:
    """A warning if the first image of `prediction` is out of distribution, else None."""
    if prediction.novel is None or not prediction.novel[0]:
        return None
    return (
        "Unlike anything this classifier was trained on: its models find this picture as strange as the "
        "strangest of their own kind. What follows is no answer."
    )


def remaining(prediction: Prediction) -> str:
    """Which conditions remain possible for the first image of `prediction`, and what that means."""
    possible = prediction.possible(0)
    if possible is None or prediction.coverage is None:
        return (
            "This classifier is not calibrated: it cannot say which conditions remain possible, nor whether "
            "a picture is unlike anything it was trained on. It gives an answer to every picture."
        )
    if len(possible) == len(prediction.conditions):
        remains = "No condition can be ruled out."
    elif len(possible) == 1:
        remains = f"Only {possible[0]} remains possible."
    else:
        remains = f"{', '.join(possible[:-1])} or {possible[-1]} remain possible."
    return (
        f"{remains} For pictures like those of the training, such a list is made to hold the true condition "
        f"{percent(prediction.coverage)} of the time."
    )


def change_of_mind(curve: Curve) -> str:
    """Where along the morph the classifier changes its mind."""
    changes = curve.changes()
    if not changes:
        name = curve.answers()[0]
        if name is None:
            return "Along the whole morph no model is sure of any condition."
        return f"Along the whole morph {name} stays the most probable condition."
    steps = [
        f"from {change.before or 'unsure'} to {change.after or 'unsure'} between {round(100 * change.low)} % "
        f"and {round(100 * change.high)} %"
        for change in changes
    ]
    return f"The classifier changes its mind {', then '.join(steps)} of {curve.morph.b}."


def explanation(attribution: Attribution, folds: int) -> list[str]:
    """How an attribution map came about and how far it can be trusted."""
    name = attribution.target
    if attribution.signed:
        lines = [f"Red pixels speak for {name}, blue ones against it, strong colours the most."]
    else:
        lines = [f"Yellow pixels matter most for {name}, violet ones little; it is not said for or against."]
    baseline = _BASELINES[attribution.baseline] if attribution.baseline else ""
    lines.append(f"{_HOW[attribution.method].format(baseline=baseline)}; mean over {_models(folds)}.")
    if attribution.agreement is not None:
        lines.append(f"The models' maps agree with a rank correlation of {attribution.agreement:.2f}.")
    if attribution.difference is not None and attribution.convergence_delta is not None:
        lines.append(
            f"Compared with that, this picture moves the probability of {name} by "
            f"{100 * attribution.difference:+.1f} percentage points. Convergence delta up to "
            f"{attribution.convergence_delta:+.4f}: by so much (probability) a single model's map misses it."
        )
    if attribution.warning:
        lines.append("That is a lot: take this map as a rough hint only.")
    lines.append("The map shows what this classifier uses, not where the disease is.")
    return lines


def phantom_notice(workbench: Workbench) -> str | None:
    """A sentence if a model has seen nothing but phantoms, else None."""
    generator = workbench.generator.phantoms_only
    ensemble = bool(workbench.ensemble.metadata.get("phantom", False))
    if not generator and not ensemble:
        return None
    which = {(True, True): "Both models were", (True, False): "The generator was"}.get(
        (generator, ensemble), "The classifier was"
    )
    return (
        f"{which} trained on procedural phantoms, drawings of skin made by a program: "
        "no patients, and nothing to learn about patients."
    )


def mismatch_notice(workbench: Workbench) -> str | None:
    """A sentence if the generator makes conditions that the classifier has no class for, else None."""
    missing = [name for name in workbench.generator.conditions if name not in workbench.ensemble.conditions]
    if not missing:
        return None
    return f"The classifier was not trained on {', '.join(missing)}: it must call them something else."


def model_facts(workbench: Workbench) -> list[tuple[str, str]]:
    """(name, value) rows that identify both models."""
    generator, ensemble = workbench.generator, workbench.ensemble
    return [
        ("Generator", f"{generator.digest}, {generator.resolution} x {generator.resolution} px"),
        ("Its conditions", ", ".join(generator.conditions)),
        ("Its training cohort", generator.metadata.cohort_digest),
        (
            "Classifier",
            f"{_models(len(ensemble.folds))} {ensemble.config.backbone}, {ensemble.resolution} px",
        ),
        ("Its conditions", ", ".join(ensemble.conditions)),
        ("Its training cohort", str(ensemble.metadata.get("cohort_digest", "not stated"))),
        ("Its calibration", _calibration(ensemble.calibration)),
    ]


def _calibration(calibration: Calibration | None) -> str:
    if calibration is None:
        return "none: it cannot say what remains possible, nor that a picture is unlike its training"
    facts = calibration.facts()
    return f"temperature {facts['temperature']:.2f}, from {facts['images']} images"


def _models(count: int) -> str:
    return f"{count} models" if count != 1 else "1 model"
