"""Items of TRIPOD+AI (Collins et al. 2024) and CLAIM (Tejani et al. 2024), answered where the study can."""

from morphoscope.apps.study.leaks import Check
from morphoscope.apps.study.plan import StudyPlan
from morphoscope.cohort import Cohort
from morphoscope.configs import first_names

OPEN = "— for the authors"


def checklist(plan: StudyPlan, cohort: Cohort, checks: list[Check], strata: bool) -> list[tuple[str, str]]:
    """(item, answer); an answer that only the authors know is marked open.

    Args:
        strata: whether the report has them.
    """
    study, rows = plan.study, cohort.rows
    patients = rows["group"].nunique()
    conditions = rows["condition"].value_counts()
    described = ", ".join(f"{name} {number}" for name, number in conditions.items())
    return [
        ("Purpose, clinical role and intended users", OPEN),
        ("Where, when and how images were collected; eligibility", OPEN),
        ("Ethics approval and consent", OPEN),
        ("Reference standard: how conditions were established", OPEN),
        ("Participants and images", f"{patients} patients, {len(rows)} images: {described}."),
        ("Data partitions", f"{study.folds} outer folds by patient; {study.inner_folds} inner parts."),
        (
            "Disjointness of partitions",
            f"Checked at the level of patients and files ({len(checks)} checks below).",
        ),
        (
            "Pre-processing",
            "Square images; see the classifier's settings `resolution` and `fit` in plan.json.",
        ),
        ("Model", f"Classifier preset {study.classifier_preset}, generator preset {study.generator_preset}."),
        ("Initial weights", "In plan.json: `weights` of the classifier, `start` of the generator."),
        ("Training: steps, seeds", _seeds(plan)),
        ("Selection of the final model", _selection(plan)),
        ("Sample size", "`morphoscope study plan` states the difference that the design can find."),
        (
            "Measures",
            "Balanced accuracy (primary), recall by condition, log loss, Brier score, calibration error.",
        ),
        (
            "Uncertainty",
            "Intervals over folds, generator seeds, classifier seeds and patients; Holm; equivalence.",
        ),
        ("Missing data", OPEN),
        (
            "Fairness: strata of skin tone, age, sex",
            "In the section 'By age, sex and skin tone', as far as the manifest has them."
            if strata
            else OPEN,
        ),
        ("External validation", "Not part of this study."),
        ("Availability of code and settings", "Version, settings and digests are listed below."),
        ("Availability of data", OPEN),
        ("Limitations and generalisability", OPEN),
        ("Funding and conflicts of interest", OPEN),
    ]


def _selection(plan: StudyPlan) -> str:
    open_arms = [name for name, arm in plan.study.arms.items() if arm.choose is not None]
    text = "None on test images: the last step of each training is evaluated."
    if open_arms:
        text += (
            f" Chosen on calibration patients, inside each outer fold: settings of {first_names(open_arms)}."
        )
    return text


def _seeds(plan: StudyPlan) -> str:
    study = plan.study
    return (
        f"{study.steps} optimiser steps for every classifier; {study.generator_seeds} generator and "
        f"{study.classifier_seeds} classifier seeds per fold, from seed {study.seed}."
    )
