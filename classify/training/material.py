"""The cohorts that an ensemble is trained on, and each fold's training and validation images."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from morphoscope.classify.description import MAX_IMAGES
from morphoscope.classify.inputs.pairs import PairedImages, form_pairs
from morphoscope.classify.inputs.views import require_halves
from morphoscope.classify.training.auxiliary import auxiliary_targets
from morphoscope.classify.training.plans import FoldPlan, foreign_generators
from morphoscope.classify.training.pool import ImagePool, PoolPart, class_targets
from morphoscope.cohort import Cohort
from morphoscope.configs import UserError
from morphoscope.configs.classifier import EnsembleTraining
from morphoscope.configs.views import View


@dataclass(frozen=True)
class TrainingCohorts:
    """The cohorts of one training.

    Attributes:
        cohort: real images with folds.
        synthetic: cohorts of synthetic images only.
        auxiliary: cohorts of real images of other conditions.
        view: of the cohort's images, those to train and validate on; None for all.
    """

    cohort: Cohort
    synthetic: Sequence[Cohort]
    auxiliary: Sequence[Cohort]
    view: View | None

    def check(self, dual: bool) -> None:
        """Refuse what no classifier, or no dual-view classifier, can be trained on.

        Raises:
            UserError: fewer than two conditions, synthetic rows in the cohort; if dual, a view, or synthetic
                or auxiliary images of other views.
        """
        cohort = self.cohort
        if len(cohort.conditions) < 2:
            raise UserError(
                f"{cohort.root}: a classifier needs at least two conditions, not {cohort.conditions}."
            )
        generated = cohort.rows["file"][cohort.rows["source"] != "real"].tolist()
        if generated:
            raise UserError(
                f"{cohort.root}: {len(generated)} synthetic images among the real ones (e.g. "
                f"{generated[0]}). Keep them in a cohort of their own and pass that with --synthetic."
            )
        if dual and self.view is not None:
            raise UserError(f"views 'dual' takes focused and panoramic images: leave out --view {self.view}.")
        for extra in (*self.synthetic, *self.auxiliary) if dual else ():
            require_halves(extra)

    @property
    def parts(self) -> list[Cohort]:
        """In the order of `FoldPlan.training_rows`."""
        return [self.cohort, *self.synthetic, *self.auxiliary]

    @property
    def phantom(self) -> bool:
        """Whether all images show phantoms."""
        return all(part.phantom for part in self.parts)

    @property
    def generators(self) -> list[str]:
        """Digests of the generators of the synthetic images, sorted."""
        return sorted({name for extra in self.synthetic for name in extra.rows["generator"]})

    @property
    def foreign_generators(self) -> list[str]:
        """Those among them that started from a foreign model, whose training images are unknown."""
        return sorted({name for extra in self.synthetic for name in foreign_generators(extra)})

    def seen_images(self, plans: Sequence[FoldPlan]) -> list[str] | None:
        """Hashes of all images that a model is trained or validated on, sorted; None if they are too many."""
        seen: set[str] = set()
        for plan in plans:
            seen.update(self.cohort.image_hashes[row] for row in plan.validation)
            for part, rows in zip(self.parts, plan.training_rows, strict=True):
                seen.update(part.image_hashes[row] for row in rows)
        return sorted(seen) if len(seen) <= MAX_IMAGES else None


class FoldImages:
    """Images and targets of all cohorts of a training, from which each fold takes its own.

    Attributes:
        classes: names of the cohort's K conditions, then of the M auxiliary classes.
        conditions: K.
    """

    def __init__(self, cohorts: TrainingCohorts, classes: list[str], config: EnsembleTraining) -> None:
        """Resize the images; they are read from the cohorts' caches from then on.

        Args:
            cohorts: of the training.
            classes: as `joint_classes` gives them.
            config: says how the images become square, and what the auxiliary conditions are called.

        Raises:
            UserError: images that cannot be read, or labels of mixtures that do not make sense.
        """
        self.classes, self.conditions = classes, len(cohorts.cohort.conditions)
        self._dual = config.images.views == "dual"
        self._balanced = config.images.sampling == "balanced"
        own = [class_targets(part, classes) for part in (cohorts.cohort, *cohorts.synthetic)]
        names = config.images.auxiliary_names
        others = [auxiliary_targets(extra, classes, names) for extra in cohorts.auxiliary]
        self._targets = own + others
        self._cohorts = cohorts.parts
        self._images = [part.images(config.images.resolution, config.images.fit) for part in self._cohorts]

    def pools(self, plan: FoldPlan) -> tuple[ImagePool, ImagePool]:
        """Training and validation images of one fold, as they are shown; for a dual-view model pairs."""
        training = [self._part(place, rows) for place, rows in enumerate(plan.training_rows)]
        pool = ImagePool.of(training)
        return pool.balanced() if self._balanced else pool, ImagePool.of([self._part(0, plan.validation)])

    def class_counts(self, plan: FoldPlan) -> np.ndarray:
        """Training images of each class in one fold, float64 [K+M]; a mixture adds its shares."""
        return self.pools(plan)[0].targets.sum(axis=0, dtype=np.float64)

    def real_counts(self, plans: Sequence[FoldPlan]) -> np.ndarray:
        """Real images of each condition that a model of these folds is trained or validated on, [K]."""
        used = np.unique(
            np.concatenate([rows for plan in plans for rows in (plan.training_rows[0], plan.validation)])
        )
        return self._targets[0][used, : self.conditions].sum(axis=0, dtype=np.float64)

    def _part(self, place: int, rows: np.ndarray) -> PoolPart:
        images, targets = self._images[place], self._targets[place]
        if not self._dual:
            return images, targets, rows
        pairs = form_pairs(self._cohorts[place].rows, rows)
        return PairedImages(images, pairs), targets[pairs.max(axis=1)], np.arange(len(pairs))
