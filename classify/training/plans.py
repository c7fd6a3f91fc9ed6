"""Which images each fold's model may be trained on: the leak rule (for auxiliary cohorts see `auxiliary`)."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import get_args

import numpy as np

from morphoscope.classify.description import foreign_note
from morphoscope.classify.inputs.pairs import HALVES
from morphoscope.classify.inputs.views import in_view, require_pair, require_paired_test
from morphoscope.classify.training.auxiliary import auxiliary_rows, require_apart_from_test
from morphoscope.cohort import TEST_FOLD, Cohort
from morphoscope.cohort.provenance import FOREIGN, read_ancestor_cohorts, read_names
from morphoscope.configs import UserError, arguments, first_names
from morphoscope.configs.views import View

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FoldPlan:
    """The rows that one fold's model is trained and validated on.

    Attributes:
        fold: name of the fold, which the model is not trained on.
        training, validation: row numbers in the cohort, int64.
        synthetic: row numbers in each synthetic cohort.
        auxiliary: row numbers in each auxiliary cohort.
    """

    fold: str
    training: np.ndarray
    validation: np.ndarray
    synthetic: list[np.ndarray]
    auxiliary: list[np.ndarray] = field(default_factory=list)

    @property
    def training_rows(self) -> list[np.ndarray]:
        """Training rows of the cohort, of each synthetic cohort, and of each auxiliary cohort."""
        return [self.training, *self.synthetic, *self.auxiliary]

    @property
    def counts(self) -> dict[str, int]:
        """Number of training images by kind: real, synthetic and, if there are any cohorts, auxiliary."""
        counts = {"real": len(self.training), "synthetic": sum(map(len, self.synthetic))}
        return {**counts, "auxiliary": sum(map(len, self.auxiliary))} if self.auxiliary else counts


def plan_folds(
    cohort: Cohort,
    synthetic: Sequence[Cohort] = (),
    *,
    auxiliary: Sequence[Cohort] = (),
    view: View | None = None,
    dual: bool = False,
    folds: Sequence[str] | None = None,
    synthetic_per_real: float | None = None,
    real_images: bool = True,
    seed: int = 0,
) -> list[FoldPlan]:
    """Choose the rows for each fold j: real ones outside j and test, and synthetic ones that cannot leak.

    A synthetic image may be used for fold j only if its generator saw no image of fold j. It may never be
    used if the generator saw the test fold, or if the generator or one of its ancestors was trained on
    another cohort or split. A foreign model, whose training images are unknown, may be an ancestor, with a
    warning, but not the generator itself. For auxiliary images see `auxiliary_rows`. No file of the view (or,
    if dual, views) may be in two folds, whatever its names. With a view, the test must be fair to both views,
    see `require_paired_test`. The rules for pairs are the same, since a pair lies within one group.

    Args:
        cohort: real images with their folds.
        synthetic: cohorts of synthetic images only.
        auxiliary: cohorts of real images of other conditions, which are trained on jointly.
        view: of the cohort's images, those to train and validate on; all if None.
        dual: whether the rows are for a dual-view model: focused and panoramic images.
        folds: names of the folds to train; all but the test fold if None.
        synthetic_per_real: maximum number of synthetic images per real one; no limit if None.
        real_images: train on the cohort's images outside j and test; otherwise on synthetic ones alone.
        seed: of the random choice of synthetic images under that limit.

    Raises:
        UserError: no folds, an unknown fold, one file in two folds, a synthetic condition that the cohort
            lacks, unknown provenance, a generator trained on the test fold, a fold without any synthetic
            image that it may see, a fold whose training images lack a condition or that has no image to
            validate on, auxiliary images of the test fold, with a view a broken test rule, or, if dual, no
            whole pair to train or validate on.
    """
    check_cohorts(cohort, synthetic, auxiliary, folds)
    synthetic, auxiliary = list(synthetic), list(auxiliary)
    arguments.flag("dual", dual)
    arguments.flag("real_images", real_images)
    arguments.whole_number("seed", seed, 0)
    if view is not None:
        arguments.one_of("view", view, get_args(View))
    if synthetic_per_real is not None:
        arguments.real_number("synthetic_per_real", synthetic_per_real, 0)
    fold_of = _fold_column(cohort)
    chosen = _chosen_folds(fold_of, folds)
    viewed = cohort.rows["view"].isin(HALVES).to_numpy() if dual else in_view(cohort, view)
    if view is not None:
        require_paired_test(cohort)
    if not (real_images or synthetic):
        raise UserError(
            "real_images: false leaves no image to train on; add --synthetic, or leave it at true."
        )
    require_no_copies(cohort, viewed)
    for extra in auxiliary:
        require_apart_from_test(cohort, extra)
    provenance = [_provenance(extra, cohort) for extra in synthetic]
    plans = []
    for fold in chosen:
        training = np.flatnonzero(viewed & (fold_of != fold) & (fold_of != TEST_FOLD))
        validation = np.flatnonzero(viewed & (fold_of == fold))
        if dual:
            require_pair(cohort, training, f"to train fold {fold} on")
            require_pair(cohort, validation, f"to validate fold {fold} on")
        if not len(validation):
            raise UserError(f"Fold {fold} has no {view} image to validate on; split the cohort again.")
        eligible = [
            np.array([row for row, seen in enumerate(extra) if fold not in seen], dtype=np.int64)
            for extra in provenance
        ]
        if synthetic and not any(len(rows) for rows in eligible):
            raise UserError(_no_eligible_row(fold, synthetic))
        if synthetic and synthetic_per_real is not None:
            eligible = _bounded(eligible, round(synthetic_per_real * len(training)), [seed, int(fold)])
        if not real_images:
            training = training[:0]
        _require_all_conditions(cohort, training, synthetic, eligible, fold)
        beside = [auxiliary_rows(cohort, extra, fold) for extra in auxiliary]
        plans.append(FoldPlan(fold, training, validation, eligible, beside))
    return plans


def check_cohorts(cohort: object, synthetic: object, auxiliary: object, folds: object) -> None:
    """Raise UserError for an argument of another type."""
    arguments.instance("cohort", cohort, Cohort, "a Cohort, e.g. from Cohort.load")
    arguments.listed("synthetic", synthetic, Cohort, "a list of cohorts")
    arguments.listed("auxiliary", auxiliary, Cohort, "a list of cohorts")
    if folds is not None:
        arguments.listed("folds", folds, str, "a list of names of folds")


def _fold_column(cohort: Cohort) -> np.ndarray:
    fold_of = cohort.rows["fold"].to_numpy(dtype=str)
    without = cohort.rows["file"][fold_of == ""].tolist()
    if without:
        raise UserError(
            f"{len(without)} images of {cohort.root} have no fold (e.g. {without[0]}). "
            "Split the cohort first: morphoscope cohort split."
        )
    return fold_of


def _chosen_folds(fold_of: np.ndarray, folds: Sequence[str] | None) -> list[str]:
    available = sorted({str(fold) for fold in fold_of} - {TEST_FOLD}, key=int)
    if len(available) < 2:
        raise UserError(
            f"An ensemble needs at least two folds besides '{TEST_FOLD}'; this cohort has {available}."
        )
    chosen = available if folds is None else list(dict.fromkeys(str(fold) for fold in folds))
    unknown = [fold for fold in chosen if fold not in available]
    if unknown or not chosen:
        raise UserError(f"--folds {', '.join(unknown) or '(none)'}: the cohort has {', '.join(available)}.")
    return chosen


def require_no_copies(cohort: Cohort, used: np.ndarray) -> None:
    """UserError if real images of different folds, test among them, are the same file; `used` is bool [N]."""
    rows = cohort.rows.assign(content=cohort.image_hashes)[used & (cohort.rows["source"] == "real")]
    copies = rows[rows.groupby("content")["fold"].transform("nunique") > 1]
    copies = copies.sort_values("content", kind="stable")
    if len(copies):
        named = [f"{file} (fold {fold})" for file, fold in zip(copies["file"], copies["fold"], strict=True)]
        raise UserError(
            f"{cohort.root}: {len(copies)} images are the same file as one in another fold, so that models "
            f"would be evaluated on what they were trained on: {first_names(named)}. `morphoscope cohort "
            "check` lists such copies: remove all but one, or give them one group and split the cohort again."
        )


def _provenance(extra: Cohort, cohort: Cohort) -> list[set[str]]:
    """For each row the folds that its generator was trained on; UserError if the cohort may not be used."""
    rows = extra.rows
    real = rows["file"][rows["source"] != "synthetic"].tolist()
    if real:
        raise UserError(f"{extra.root}: {real[0]} is not synthetic; put real images into the cohort itself.")
    unknown = sorted(set(rows["condition"]) - set(cohort.conditions))
    if unknown:
        raise UserError(
            f"{extra.root}: synthetic images of {', '.join(unknown)}, which the cohort {cohort.root} does "
            f"not have (it has {', '.join(cohort.conditions)}). Use a generator trained on this cohort."
        )
    _require_same_split(extra, cohort)
    seen = [read_names(cell) for cell in _cells(extra, "trained_on_folds")]
    _refuse_unknown(extra, [folds is None for folds in seen], "which folds", "trained_on_folds")
    provenance = [set(folds or ()) for folds in seen]
    if any(TEST_FOLD in folds for folds in provenance):
        raise UserError(
            f"{extra.root}: generator {_generators(extra)} was trained on the test fold; its images may "
            "never be used with this cohort. Train a generator that excludes the test fold."
        )
    return provenance


def _require_same_split(extra: Cohort, cohort: Cohort) -> None:
    """UserError if a generator or one of its ancestors saw another split, whose folds are other patients."""
    trained_on = _cells(extra, "trained_on_cohort")
    _refuse_unknown(extra, [digest == "" for digest in trained_on], "which cohort", "trained_on_cohort")
    if FOREIGN in trained_on:
        raise UserError(
            f"{extra.root}: generator {_generators(extra)} is a foreign model, whose training images are "
            "unknown: they may be validation or test images of this cohort. Start a training from it "
            "(`morphoscope generate train --start-from`) and use images of the generator that this gives."
        )
    other = sorted(set(trained_on) - {cohort.digest})
    if other:
        raise UserError(
            f"{extra.root}: generator {_generators(extra)} was trained on another cohort or another split "
            f"(digest {', '.join(other)}; this one is {cohort.digest}), so the folds that it names are not "
            "those of this cohort, and its images could leak. Train a generator on this cohort as it is "
            "split now."
        )
    ancestors = [read_ancestor_cohorts(cell) for cell in _cells(extra, "ancestor_cohorts")]
    _refuse_unknown(
        extra, [cohorts is None for cohorts in ancestors], "which earlier cohorts", "ancestor_cohorts"
    )
    earlier = sorted({digest for cohorts in ancestors for digest in cohorts or ()} - {FOREIGN})
    if earlier:
        raise UserError(
            f"{extra.root}: generator {_generators(extra)} was started from one that was trained on other "
            f"cohorts or splits (digest {', '.join(earlier)}), whose patients may be in this cohort's "
            "validation or test folds. Train a generator on this cohort alone, as it is split now."
        )
    if foreign := foreign_generators(extra):
        log.warning("%s: %s", extra.root, foreign_note(foreign))


def foreign_generators(extra: Cohort) -> list[str]:
    """Digests of the generators of synthetic images that have a foreign ancestor, sorted."""
    ancestors = [read_ancestor_cohorts(cell) or () for cell in _cells(extra, "ancestor_cohorts")]
    named = zip(_cells(extra, "generator"), ancestors, strict=True)
    return sorted({generator for generator, cohorts in named if FOREIGN in cohorts})


def _cells(extra: Cohort, column: str) -> list[str]:
    return list(extra.rows[column]) if column in extra.rows.columns else [""] * len(extra)


def _refuse_unknown(extra: Cohort, unknown: Sequence[bool], what: str, column: str) -> None:
    if any(unknown):
        file = extra.rows["file"].iloc[list(unknown).index(True)]
        raise UserError(
            f"{extra.root}: unknown provenance: {file}: the manifest does not say {what} its generator was "
            f"trained on (column {column}), so it could leak validation images. Make the images with "
            "`morphoscope generate augment`."
        )


def _no_eligible_row(fold: str, synthetic: Sequence[Cohort]) -> str:
    names = "; ".join(f"generator {_generators(extra)} ({extra.root})" for extra in synthetic)
    return (
        f"Fold {fold} has no synthetic image that it may see: each one comes from a generator trained on "
        f"fold {fold}, which would leak its validation images: {names}. Train a generator that excludes fold "
        f"{fold}, or restrict the training to other folds with --folds."
    )


def _generators(extra: Cohort) -> str:
    return (
        ", ".join(sorted(set(extra.rows["generator"]))) if "generator" in extra.rows.columns else "(unnamed)"
    )


def _bounded(eligible: list[np.ndarray], bound: int, seed: list[int]) -> list[np.ndarray]:
    """At most `bound` rows of all lists together, drawn at random."""
    owner = np.concatenate([np.full(len(rows), index) for index, rows in enumerate(eligible)])
    rows = np.concatenate(eligible)
    kept = np.sort(np.random.default_rng(seed).permutation(len(rows))[:bound])
    return [rows[kept][owner[kept] == index] for index in range(len(eligible))]


def _require_all_conditions(
    cohort: Cohort, training: np.ndarray, synthetic: Sequence[Cohort], eligible: list[np.ndarray], fold: str
) -> None:
    present = set(cohort.rows["condition"].iloc[training])
    for extra, rows in zip(synthetic, eligible, strict=True):
        present |= set(extra.rows["condition"].iloc[rows])
    absent = [condition for condition in cohort.conditions if condition not in present]
    if absent:
        raise UserError(
            f"Fold {fold} would train without any image of {', '.join(absent)}; split the cohort again."
        )
