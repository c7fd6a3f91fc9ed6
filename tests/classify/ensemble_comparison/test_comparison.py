"""Ensembles compared on the same images: what is refused, what is found, what the report says."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from morphoscope.classify import Ensemble, Evaluation, Prediction
from morphoscope.classify.certainty.prior import Prior
from morphoscope.classify.ensemble_comparison import EnsembleComparison, compare_ensembles, comparison
from morphoscope.classify.ensemble_comparison.report import write_comparison
from morphoscope.classify.evaluation import EvaluationFacts
from morphoscope.cohort import Cohort
from morphoscope.configs import UserError
from morphoscope.configs.commands import Comparing

CONDITIONS = ["blue", "green", "red"]


@pytest.fixture
def predicts(
    monkeypatch: pytest.MonkeyPatch, ensemble: Ensemble, cohort: Cohort
) -> Callable[..., dict[str, Ensemble]]:
    """predicts(name=accuracy, …): ensembles whose evaluation has this share of correct predictions."""
    test = np.flatnonzero(cohort.rows["fold"] == "test")
    rows = cohort.rows.iloc[test]
    truth = np.array([CONDITIONS.index(name) for name in rows["condition"]])

    def made(**accuracies: float) -> dict[str, Ensemble]:
        ensembles = {
            name: Ensemble(ensemble.metadata, dict(zip(ensemble.folds, ensemble.models, strict=True)))
            for name in accuracies
        }
        share = {id(ensembles[name]): accuracy for name, accuracy in accuracies.items()}

        def evaluated(found: Ensemble, shown: Cohort, rows_: str, **options: object) -> Evaluation:
            assert options["strata"] is False  # nobody sees them in a comparison
            right = np.arange(len(truth)) < round(share[id(found)] * len(truth))
            predicted = np.where(np.random.default_rng(0).permutation(right), truth, (truth + 1) % 3)
            combined = np.full((len(truth), 3), 0.1, np.float32)
            combined[np.arange(len(truth)), predicted] = 0.8
            unsure = np.zeros(len(truth), bool)
            prediction = Prediction(CONDITIONS, combined[None], combined, unsure, prior=Prior.uniform(3))
            return Evaluation(
                CONDITIONS,
                rows["file"].to_numpy(),
                truth,
                rows["group"].to_numpy(dtype=str),
                prediction,
                EvaluationFacts("test", "toy", cohort.digest),
            )

        monkeypatch.setattr(comparison, "evaluate", evaluated)
        return ensembles

    return made


def test_the_better_one_is_named(predicts: Callable, cohort: Cohort, tmp_path: Path) -> None:
    found = compare_ensembles(predicts(poor=0.3, good=1.0), cohort, Comparing())
    (pair,) = found.pairs
    assert pair.better == "good" and not pair.equivalent
    assert pair.sentence.startswith("good is more accurate than poor (balanced accuracy +0.")
    assert "p = 0.000" not in pair.sentence
    assert (pair.only_first, pair.only_second) == (0, len(found.disagreements))
    assert [one.condition for one in pair.conditions] == CONDITIONS
    assert pair.log_likelihood.estimate.value > 0
    report = write_comparison(found, cohort, tmp_path)
    page = report.read_text()
    assert "good is more accurate than poor" in page and "Where they disagree" in page
    table = pd.read_csv(tmp_path / "differences.csv")
    assert table["measure"].tolist() == (
        ["balanced_accuracy", "accuracy", "log_likelihood"] + ["recall", "auroc"] * 3
    )
    written = json.loads((tmp_path / "comparison.json").read_text())
    assert written["pairs"][0]["better"] == "good"
    assert written["prior"] == {
        "name": "equally frequent conditions",
        "frequencies": dict.fromkeys(CONDITIONS, pytest.approx(1 / 3)),
    }
    assert "probabilities assume" in page
    assert len(pd.read_csv(tmp_path / "predictions.csv")) == written["images"]


def test_no_difference_is_not_called_equivalence(predicts: Callable, cohort: Cohort) -> None:
    (pair,) = compare_ensembles(predicts(a=0.8, b=0.8), cohort, Comparing(margin=0.02)).pairs
    assert pair.better is None and not pair.equivalent
    assert pair.sentence.startswith("No difference between b and a is shown, and no equivalence")
    assert "these images cannot tell" in pair.sentence


def test_a_wide_margin_shows_equivalence(predicts: Callable, cohort: Cohort) -> None:
    (pair,) = compare_ensembles(predicts(a=0.8, b=0.8), cohort, Comparing(margin=0.3)).pairs
    assert pair.equivalent and "equivalent" in pair.sentence


def test_p_values_are_adjusted_for_the_number_of_pairs(predicts: Callable, cohort: Cohort) -> None:
    found = compare_ensembles(predicts(a=0.3, b=0.7, c=1.0), cohort, Comparing())
    assert [(pair.first, pair.second) for pair in found.pairs] == [("a", "b"), ("a", "c"), ("b", "c")]
    raw = [pair.balanced_accuracy.p for pair in found.pairs]
    adjusted = [pair.adjusted_p for pair in found.pairs]
    assert min(adjusted) == pytest.approx(min(3 * min(raw), 1))
    assert all(after >= before for before, after in zip(raw, adjusted, strict=True))


def test_a_comparison_needs_two_ensembles_of_the_same_conditions(ensemble: Ensemble, cohort: Cohort) -> None:
    with pytest.raises(UserError, match="at least two ensembles, not 1"):
        compare_ensembles({"a": ensemble}, cohort, Comparing())
    metadata = ensemble.metadata.model_copy(update={"conditions": ["blue", "green", "violet"]})
    other = Ensemble(metadata, dict(zip(ensemble.folds, ensemble.models, strict=True)))
    with pytest.raises(UserError, match="b knows the conditions blue, green, violet, but a knows"):
        compare_ensembles({"a": ensemble, "b": other}, cohort, Comparing())


def test_images_that_one_of_them_has_seen_are_refused(ensemble: Ensemble, cohort: Cohort) -> None:
    with pytest.raises(UserError, match="that the ensemble was trained on"):
        compare_ensembles({"a": ensemble, "b": ensemble}, cohort, Comparing())


def test_the_order_of_conditions_does_not_matter(cohort: Cohort, ensemble: Ensemble) -> None:
    metadata = ensemble.metadata.model_copy(update={"cohort_digest": "1" * 16, "seen_images": []})
    first = Ensemble(metadata, dict(zip(ensemble.folds, ensemble.models, strict=True)))
    turned = metadata.model_copy(update={"conditions": ["red", "blue", "green"]})
    settings = Comparing(rows="all")
    found = compare_ensembles(
        {"a": first, "b": Ensemble(turned, dict(zip(ensemble.folds, ensemble.models, strict=True)))},
        cohort,
        settings,
    )
    one, other = found.evaluations.values()
    assert one.conditions == other.conditions == CONDITIONS
    assert np.array_equal(one.truth, other.truth)
    # The same networks under turned names: "red" of the second is the first output.
    assert np.allclose(other.prediction.combined[:, [2, 0, 1]], one.prediction.combined, atol=1e-6)


def with_prior(ensemble: Ensemble, prior: list[float] | None, **changed: object) -> Ensemble:
    """The ensemble, as if its training had assumed these frequencies and had not seen the cohort."""
    unseen = {"cohort_digest": "1" * 16, "seen_images": []}
    metadata = ensemble.metadata.model_copy(update={**unseen, "prior": prior, **changed})
    return Ensemble(metadata, dict(zip(ensemble.folds, ensemble.models, strict=True)))


def test_probabilities_with_other_priors_are_refused_or_reexpressed(
    cohort: Cohort, ensemble: Ensemble
) -> None:
    """The same networks, whose answers another prior changes, do not differ at the same prior."""
    equal, rare = with_prior(ensemble, [1 / 3] * 3), with_prior(ensemble, [0.6, 0.3, 0.1])
    with pytest.raises(UserError, match=r"of a assume equally frequent conditions \(red 0.333\), those of b"):
        compare_ensembles({"a": equal, "b": rare}, cohort, Comparing(rows="all"))
    found = compare_ensembles({"a": equal, "b": rare}, cohort, Comparing(rows="all", prevalence="uniform"))
    one, other = (evaluation.prediction for evaluation in found.evaluations.values())
    assert one.prior == other.prior == Prior.uniform(3)
    weighted = one.combined / np.array([0.6, 0.3, 0.1])  # Bayes' rule
    assert np.allclose(other.combined, weighted / weighted.sum(axis=1, keepdims=True), atol=1e-5)


def test_conditions_are_matched_by_name_before_priors_are_compared(
    cohort: Cohort, ensemble: Ensemble
) -> None:
    first = with_prior(ensemble, [0.6, 0.3, 0.1])
    second = with_prior(ensemble, [0.1, 0.6, 0.3], conditions=["red", "blue", "green"])
    compare_ensembles({"a": first, "b": second}, cohort, Comparing(rows="all"))


def test_cohorts_with_other_frequencies_have_no_common_prior(cohort: Cohort, ensemble: Ensemble) -> None:
    first, second = (
        with_prior(ensemble, [1 / 3] * 3, prevalence=shares) for shares in ([0.6, 0.3, 0.1], [0.5, 0.4, 0.1])
    )
    with pytest.raises(UserError, match=r"training cohort's frequencies \(green 0.300\)"):
        compare_ensembles({"a": first, "b": second}, cohort, Comparing(rows="all", prevalence="cohort"))


def test_an_unknown_prior_is_refused_by_name(cohort: Cohort, ensemble: Ensemble) -> None:
    config = ensemble.config.model_copy(update={"class_balance": 0.5})
    unknown = with_prior(ensemble, None, config=config)
    assert unknown.prior is None
    with pytest.raises(UserError, match="b: it is not known which frequencies"):
        compare_ensembles({"a": ensemble, "b": unknown}, cohort, Comparing(rows="all"))


def test_no_attribute_is_collected_for_a_comparison(
    cohort: Cohort, ensemble: Ensemble, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("nobody uses strata in a comparison")

    monkeypatch.setattr("morphoscope.classify.evaluation.evaluation.attributes", refuse)
    unseen = with_prior(ensemble, None)
    compare_ensembles({"a": unseen, "b": unseen}, cohort, Comparing(rows="all"))


def test_samples_must_be_the_same(predicts: Callable, cohort: Cohort) -> None:
    ensembles = predicts(a=0.5, b=0.5)
    whole = comparison.evaluate

    def other_files(found: Ensemble, *rest: object, **options: object) -> Evaluation:
        evaluation = whole(found, *rest, **options)
        return replace(evaluation, files=evaluation.files[::-1]) if found is ensembles["b"] else evaluation

    comparison.evaluate = other_files  # undone by the fixture's monkeypatch
    with pytest.raises(UserError, match="they take different views"):
        compare_ensembles(ensembles, cohort, Comparing())


def test_three_ensembles_are_one_report(predicts: Callable, cohort: Cohort, tmp_path: Path) -> None:
    found: EnsembleComparison = compare_ensembles(
        predicts(**{"<b>a": 0.5, "b": 0.9, "c": 0.9}), cohort, Comparing()
    )
    page = write_comparison(found, cohort, tmp_path).read_text()
    assert "<b>a" not in page and "&lt;b&gt;a" in page
    assert page.count("against") >= 3
