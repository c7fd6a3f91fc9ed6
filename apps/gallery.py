"""Images of known conditions, and which of them are nearest to an image by a classifier's features."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock

import numpy as np

from morphoscope.apps.morphing import Workbench
from morphoscope.apps.texts import text
from morphoscope.classify import Ensemble
from morphoscope.cohort import PHANTOM_CONDITIONS, Cohort, phantom_image
from morphoscope.cohort.manifest import TEST_FOLD
from morphoscope.configs import UserError

_TRAINING_SEED, _FRESH_SEED = 0, 1  # of phantoms
_PHANTOMS = 12  # of each condition: a drawing takes up to a tenth of a second
_MOST = 60  # images of each condition and view
_SAMPLES = 12  # generated images of each condition
_READ = 64  # images kept in memory
_AT_A_TIME = 8  # images, before another request that waits

Images = Callable[[int], np.ndarray]


@dataclass(frozen=True)
class Gallery:
    """Photographs or phantoms that may be shown.

    Attributes:
        conditions, views, folds: of each of the N images; a fold is the test fold where no model has seen it.
        image: an image by its number, uint8 [H, W, 3].
    """

    conditions: list[str]
    views: list[str]
    folds: list[str]
    image: Images

    def __len__(self) -> int:
        return len(self.conditions)

    @property
    def ordered_views(self) -> list[str]:
        """The views that occur, in the order of a survey: first focused, then panoramic, then others."""
        first = [view for view in ("focused", "panoramic") if view in self.views]
        return [*first, *sorted(set(self.views).difference(first))]

    def rows_of(self, condition: str, view: str) -> list[int]:
        """Numbers of the images of a condition in a view."""
        pairs = zip(self.conditions, self.views, strict=True)
        return [number for number, pair in enumerate(pairs) if pair == (condition, view)]

    def complete(self, conditions: Sequence[str]) -> list[str]:
        """Those of the conditions that have an image in every view that occurs."""
        return [name for name in conditions if all(self.rows_of(name, view) for view in self.ordered_views)]


@dataclass(frozen=True)
class Galleries:
    """What a studio may show that was not generated.

    Attributes:
        training: images that the ensemble was trained on; None for none.
        quiz: images of known condition to ask about. An image's fold is one whose model was not trained on
            it.
    """

    training: Gallery | None = None
    quiz: Gallery | None = None


NO_GALLERIES = Galleries()


def bundled_images() -> Galleries:
    """Phantoms: those that the bundled ensemble was trained on, and others that no model has seen."""
    return Galleries(phantom_gallery(_TRAINING_SEED), phantom_gallery(_FRESH_SEED))


def cohort_images(cohort: Cohort, ensemble: Ensemble) -> Galleries:
    """The images of an ensemble's training cohort, for both; errors as for `cohort_gallery`."""
    gallery = cohort_gallery(cohort, ensemble)
    return Galleries(gallery, gallery)


def cohort_gallery(cohort: Cohort, ensemble: Ensemble) -> Gallery:
    """The real images that an ensemble was trained on: up to 60 of each condition and view.

    Raises:
        UserError: it is another cohort, or the owner of the ensemble has not allowed that they are shown.
    """
    if not ensemble.metadata.may_show_training_images:
        raise UserError(text("gallery.private"))
    ensemble.require_training_cohort(cohort)
    rows = cohort.rows[(cohort.rows["source"] == "real").to_numpy()]
    chosen = np.sort(
        [
            number
            for _, part in rows.groupby(["condition", "view"], sort=False)
            for number in part.index[np.linspace(0, len(part) - 1, min(len(part), _MOST)).astype(int)]
        ]
    )
    rows = cohort.rows.iloc[chosen]
    conditions, views, folds = (rows[column].astype(str).tolist() for column in ("condition", "view", "fold"))
    return Gallery(
        conditions, views, folds, lru_cache(_READ)(lambda number: cohort.image(int(chosen[number])))
    )


def phantom_gallery(seed: int) -> Gallery:
    """Twelve phantoms of each condition, drawn when they are first needed."""
    names = [name for name in PHANTOM_CONDITIONS for _ in range(_PHANTOMS)]

    def drawn(number: int) -> np.ndarray:
        return phantom_image(names[number], number % _PHANTOMS, seed=seed).image

    views = ["focused"] * len(names)
    return Gallery(names, views, [TEST_FOLD] * len(names), lru_cache(len(names))(drawn))


class Neighbours:
    """The images of a collection that are nearest to another image; safe to use from several threads.

    They are compared by the features of the ensemble's first model, which are computed when first needed.
    """

    def __init__(self, workbench: Workbench, count: int, image: Images) -> None:
        self.workbench, self.count, self.image = workbench, count, image
        self._features: np.ndarray | None = None
        self._lock = Lock()

    def nearest(self, image: np.ndarray, most: int) -> list[tuple[int, float]]:
        """(number, cosine of the angle between the features) of up to `most` images, the nearest first.

        Args:
            image: an input of the ensemble.
        """
        (own,) = self.workbench.features([image])
        found = self._all() @ own
        order = np.argsort(-found, kind="stable")[:most]
        return [(int(number), float(found[number])) for number in order]

    def _all(self) -> np.ndarray:
        """Features of the whole collection, float32 [N, D] of length 1."""
        with self._lock:
            if self._features is None:
                parts = [self._some(start) for start in range(0, self.count, _AT_A_TIME)]
                self._features = np.concatenate(parts)
            return self._features

    def _some(self, start: int) -> np.ndarray:
        numbers = range(start, min(start + _AT_A_TIME, self.count))
        return self.workbench.features([self.workbench.model_input(self.image(one)) for one in numbers])


@dataclass(frozen=True)
class Samples:
    """Generated images of each condition with consecutive seeds, 12 of each, as a collection."""

    workbench: Workbench
    psi: float

    def __len__(self) -> int:
        return _SAMPLES * len(self.workbench.generator.conditions)

    def origin(self, number: int) -> tuple[str, int]:
        """Condition and seed of an image."""
        return self.workbench.generator.conditions[number // _SAMPLES], number % _SAMPLES

    def image(self, number: int) -> np.ndarray:
        """An image by its number, uint8 [R, R, 3]."""
        condition, seed = self.origin(number)
        with self.workbench.turn:
            (image,) = self.workbench.generator.sample(condition, [seed], self.psi)
        return image
