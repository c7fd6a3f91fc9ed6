"""The analysis of answers: choices of the classifier, confusion matrices, and what is an error."""

from dataclasses import replace

import numpy as np
import pytest

from morphoscope.classify import Evaluation, Prediction
from morphoscope.classify.survey.analysis import Analysis, analyse
from morphoscope.classify.survey.answers import read_answers
from morphoscope.classify.survey.building import Surveys
from morphoscope.configs import UserError
from morphoscope.configs.survey import SurveyAnalysis

CONFIG = SurveyAnalysis(replicates=100)


def test_classifier_chooses_among_the_conditions_of_the_survey(analysis: Analysis) -> None:
    assert set(analysis.scored["predicted"]) <= set(analysis.surveys.conditions)
    assert analysis.comparisons[0].accuracies.classifier.value > 0.5


def test_confusion_matrices_count_the_answers(analysis: Analysis) -> None:
    for view in ("focused", "panoramic"):
        clinicians, classifier = (analysis.confusion(view, c) for c in ("answer", "predicted"))
        assert (clinicians.sum(axis=1) == classifier.sum(axis=1)).all()  # the same images
        found = next(c for c in analysis.comparisons if (c.view, c.specialty) == (view, "all"))
        assert np.trace(clinicians) / clinicians.sum() == pytest.approx(found.accuracies.clinicians.value)
        assert np.trace(classifier) / classifier.sum() == pytest.approx(found.accuracies.classifier.value)


def test_what_does_not_fit_the_surveys_is_an_error(
    fill, saved, surveys: Surveys, evaluation: Evaluation
) -> None:
    folder = saved(fill("a", skipped=tuple(range(1, 8))))
    with pytest.raises(UserError, match=r"No complete sheet in 1 files\. a, survey 1: 5 of 12"):
        analyse(surveys, read_answers(folder, surveys), [evaluation], CONFIG)
    with pytest.raises(UserError, match=r"No answers in 1 file"):
        nothing = read_answers(saved(fill("a").iloc[:0]).joinpath("001.csv"), surveys)
        analyse(surveys, nothing, [evaluation], CONFIG)
    answers = read_answers(saved(fill("b")).joinpath("002.csv"), surveys)
    for facts in ({"rows": "out_of_fold"}, {"cohort_digest": "0" * 16}):
        other = replace(evaluation, facts=replace(evaluation.facts, **facts))
        with pytest.raises(UserError, match="Give the cohort, with the split"):
            analyse(surveys, answers, [other], CONFIG)
    pairs = replace(evaluation, facts=replace(evaluation.facts, samples="pairs"))
    with pytest.raises(UserError, match="this ensemble predicts pairs"):
        analyse(surveys, answers, [pairs], CONFIG)


def part(evaluation: Evaluation, chosen: np.ndarray) -> Evaluation:
    """Of some of the images only."""
    whole = evaluation.prediction
    prediction = Prediction(
        whole.conditions, whole.per_fold[:, chosen], whole.combined[chosen], whole.unsure[chosen]
    )
    images = {name: getattr(evaluation, name)[chosen] for name in ("files", "truth", "groups")}
    return replace(evaluation, prediction=prediction, **images)


def test_an_ensemble_for_each_view_predicts_its_own_images(
    fill, saved, surveys: Surveys, evaluation: Evaluation, paired
) -> None:
    views = paired.rows.set_index("file")["view"]
    focused = (views[evaluation.files] == "focused").to_numpy()
    both = [part(evaluation, focused), part(evaluation, ~focused)]
    answers = read_answers(saved(fill("a"), fill("b")), surveys)
    one, two = (analyse(surveys, answers, given, CONFIG).scored for given in ([evaluation], both))
    assert one.equals(two)
    with pytest.raises(UserError, match="an ensemble for each view"):
        analyse(surveys, answers, both[:1], CONFIG)
    with pytest.raises(UserError, match="Two ensembles predict"):
        analyse(surveys, answers, [*both, evaluation], CONFIG)
