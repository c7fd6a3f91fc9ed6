"""The sentences of the studio. All functions return plain text; whoever puts it into HTML escapes it."""

from collections.abc import Sequence

from morphoscope.apps.morphing import Curve, Workbench
from morphoscope.apps.texts import text
from morphoscope.apps.verdict import listed, percent
from morphoscope.classify import Attribution, Ensemble, Prediction
from morphoscope.classify.certainty import Calibration
from morphoscope.classify.held_out import alarm_limits
from morphoscope.cohort.conditions import long_name
from morphoscope.configs.attribution import METHOD_NAMES, Method
from morphoscope.generate import GeneratorModel

MOST_PROBABLE = text("map.most_probable")
METHODS: dict[str, Method] = {name: method for method, name in METHOD_NAMES.items()}


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
            return text("curve.never_sure")
        return text("curve.steady", name=name)
    steps = [
        text(
            "curve.step",
            before=change.before,
            after=change.after,
            last=captions[change.last],
            first=captions[change.first],
        )
        for change in changes
    ]
    return text("curve.changes", steps=text("curve.then").join(steps))


def _unfamiliar(curve: Curve) -> str:
    novel = curve.prediction.novel
    if novel is None or not novel.any():
        return ""
    return text("curve.all_unfamiliar" if novel.all() else "curve.some_unfamiliar")


def explanation(attribution: Attribution, folds: int) -> list[str]:
    """How an attribution map was computed, and how far it can be trusted."""
    name, method = attribution.target, attribution.method
    if attribution.signed:
        lines = [text("map.signed", name=name)]
    else:
        lines = [f"{text('map.unsigned', name=name)} {text(f'map.unsigned.{method}')}"]
    baseline = text(f"baseline.{attribution.baseline}") if attribution.baseline else ""
    lines.append(text("map.how", how=text(f"map.how.{method}", baseline=baseline), models=_models(folds)))
    if attribution.agreement is not None:
        lines.append(text("map.agreement", value=f"{attribution.agreement:.2f}"))
    if attribution.difference is not None and attribution.convergence_delta is not None:
        difference, delta = 100 * attribution.difference, attribution.convergence_delta
        lines.append(text("map.delta", name=name, difference=f"{difference:+.1f}", delta=f"{delta:+.4f}"))
    if attribution.warning:
        lines.append(text("map.rough"))
    lines.append(text("map.caution"))
    return lines


def certainty(found: Prediction) -> list[tuple[str, str, str]]:
    """How certain the prediction for the first image is: rows (name, sentence, state).

    The state is good, warning or unknown.
    """
    return [
        (text("certainty.possible"), *_remaining(found)),
        (text("certainty.agreement"), *_agreement(found)),
        (text("certainty.kind"), *_kind(found)),
    ]


def _remaining(found: Prediction) -> tuple[str, str]:
    possible = found.possible(0)
    if possible is None or found.coverage is None:
        return text("certainty.no_set"), "unknown"
    share = percent(found.coverage)
    if len(possible) == len(found.conditions):
        return text("certainty.all", share=share), "warning"
    names = listed(possible)
    one = len(possible) == 1
    return text("certainty.one" if one else "certainty.several", names=names, share=share), (
        "good" if one else "warning"
    )


def _agreement(found: Prediction) -> tuple[str, str]:
    name, votes, models = found.conditions[int(found.predicted[0])], int(found.votes[0]), found.models
    if models == 1:
        return text("certainty.one_model"), "unknown"
    if votes == models:
        return text("certainty.agree", count=models, name=name), "good"
    others = {found.conditions[index] for index in found.per_fold[:, 0].argmax(axis=1)} - {name}
    said = listed(sorted(others)) if others else name
    return text("certainty.disagree", votes=votes, count=models, name=name, others=said), "warning"


def _kind(found: Prediction) -> tuple[str, str]:
    if found.novel is None:
        return text("certainty.no_alarm"), "unknown"
    if found.novel[0]:
        return text("certainty.another_kind"), "warning"
    return text("certainty.same_kind"), "good"


def condition_choices(model: GeneratorModel | Ensemble) -> list[tuple[str, str]]:
    """(label, value) of each condition of a model for a choice; the label spells the condition out."""
    return [(long_name(name, model.descriptions), name) for name in model.conditions]


def phantom_notice(workbench: Workbench) -> str | None:
    """A sentence if a model has seen nothing but phantoms, else None."""
    generator = workbench.generator.phantoms_only
    ensemble = workbench.ensemble.metadata.phantom
    if not generator and not ensemble:
        return None
    which = "both" if generator and ensemble else "generator" if generator else "classifier"
    return text(f"notice.phantoms_{which}")


def mismatch_notice(workbench: Workbench) -> str | None:
    """A sentence if the generator has conditions that the classifier was not trained on, else None."""
    missing = [name for name in workbench.generator.conditions if name not in workbench.ensemble.conditions]
    if not missing:
        return None
    return text("notice.mismatch", names=", ".join(missing))


def model_facts(workbench: Workbench) -> list[tuple[str, str]]:
    """(name, value) rows about both models."""
    return [
        *((f"{text('models.generator')}: {name}", value) for name, value in generator_facts(workbench)),
        *((f"{text('models.classifier')}: {name}", value) for name, value in classifier_facts(workbench)),
    ]


def generator_facts(workbench: Workbench) -> list[tuple[str, str]]:
    """(name, value) rows about the generator."""
    generator = workbench.generator
    return [
        (text("facts.digest"), generator.digest),
        (text("facts.images"), text("facts.size", side=generator.resolution)),
        (text("facts.conditions"), _named(generator)),
        (text("facts.cohort"), generator.metadata.origin),
    ]


def classifier_facts(workbench: Workbench) -> list[tuple[str, str]]:
    """(name, value) rows about the ensemble."""
    ensemble = workbench.ensemble
    network = f"{_models(len(ensemble.folds))} {ensemble.config.network.backbone}, {ensemble.resolution} px"
    return [
        (text("facts.network"), network),
        (text("facts.conditions"), _named(ensemble)),
        (text("facts.cohort"), ensemble.metadata.cohort_digest or text("facts.not_recorded")),
        *_validation(ensemble),
        (text("facts.calibration"), _calibration(ensemble.calibration)),
        (text("facts.unknown"), alarm_limits(ensemble.metadata.held_out)),
    ]


def runs_where(workbench: Workbench) -> list[tuple[str, str]]:
    """(name, value) rows about what computes where."""
    return [
        (text("models.generator"), workbench.generator.provenance().execution or ""),
        (text("models.classifier"), str(workbench.ensemble.device)),
        (text("facts.page"), text("facts.page_where")),
    ]


def _validation(ensemble: Ensemble) -> list[tuple[str, str]]:
    """The balanced accuracy of each model on the fold that it was not trained on, if it is recorded."""
    scores = ensemble.metadata.scores.values()
    if not scores:
        return []
    found = [score.balanced_accuracy for score in scores]
    value = text(
        "facts.validated",
        low=f"{min(found):.2f}",
        high=f"{max(found):.2f}",
        images=sum(score.validation_images for score in scores),
    )
    return [(text("facts.validation"), value)]


def _named(model: GeneratorModel | Ensemble) -> str:
    return ", ".join(long_name(name, model.descriptions) for name in model.conditions)


def _calibration(calibration: Calibration | None) -> str:
    if calibration is None:
        return text("facts.not_calibrated")
    summary = calibration.summary
    return text("facts.calibrated", temperature=f"{summary.temperature:.2f}", images=summary.images)


def _models(count: int) -> str:
    return text("models.one") if count == 1 else text("models.several", count=count)
