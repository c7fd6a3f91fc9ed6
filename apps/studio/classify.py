"""What the Classify tab shows: predictions and maps for a photograph, a part of it, a pair, a sent image."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np

from morphoscope.apps.gallery import Gallery, Neighbours, Samples
from morphoscope.apps.studio.actions import Actions
from morphoscope.apps.studio.answers import (
    PICTURE_SIDE,
    MapAnswer,
    PredictionAnswer,
    Shown,
    map_answer,
    prediction_answer,
)
from morphoscope.apps.studio.explore import Explore
from morphoscope.apps.studio.marks import data_uri, fitted, kept_small
from morphoscope.apps.studio.requests import number, wanted_method, wanted_target
from morphoscope.apps.studio.words import certainty
from morphoscope.apps.texts import text
from morphoscope.cohort import Provenance, read_image
from morphoscope.cohort.provenance import label_text
from morphoscope.configs import UserError

_NEAREST = 6
_THUMBNAIL, _SEEN = 160, 384  # pixels of pictures
_SMALLEST = 8  # pixels of a part of a photograph
_PSI = 0.7  # of the generated images that are compared

Values = Mapping[str, Any]


class CertaintyAnswer(TypedDict):
    """How certain one thing is, in plain words; `state` is good, warning or unknown."""

    name: str
    sentence: str
    state: str


class ClassifyAnswer(PredictionAnswer):
    """The prediction for one image.

    `picture` is the whole photograph of `width` x `height` pixels, made smaller, and `seen` what the models
    got of it: a square, or two for a pair. `mark` says how a generated image was made; "" for a photograph.
    """

    name: str
    width: int
    height: int
    mark: str
    picture: str
    seen: str
    certainty: list[CertaintyAnswer]
    notes: list[str]


class NeighbourAnswer(TypedDict):
    """An image of known condition; `similarity` is the cosine of the angle between features, 1 at most."""

    picture: str
    caption: str
    condition: str
    similarity: float


class SimilarAnswer(TypedDict):
    """The nearest images; without training images, `reason` says why there are none."""

    training: list[NeighbourAnswer]
    reason: str
    generated: list[NeighbourAnswer]


@dataclass(frozen=True)
class _Query:
    """What is to be classified.

    Attributes:
        whole: the photograph or generated image as it came, uint8 [H, W, 3].
        image, panoramic: as in `Workbench.model_input`.
    """

    whole: np.ndarray
    image: np.ndarray
    panoramic: np.ndarray | None
    origin: Provenance | None
    name: str


class Classify:
    """The tab's answers; methods raise UserError for unusable values.

    All take the image as `photograph`, the token of an upload, or as what another tab (`source`: morph or
    explore) sent; `left`, `top`, `right` and `bottom`, shares of its width and height, cut a part out. For
    an ensemble of pairs that part is the focused half and the whole image the panoramic one, unless
    `panoramic` is the token of another photograph.
    """

    def __init__(self, actions: Actions, explore: Explore, gallery: Gallery | None) -> None:
        self.actions, self.explore, self.gallery = actions, explore, gallery
        self.workbench = bench = actions.workbench
        self._training = None if gallery is None else Neighbours(bench, len(gallery), gallery.image)
        self.samples = Samples(bench, _PSI)
        self._generated = Neighbours(bench, len(self.samples), self.samples.image)

    def classify(self, values: Values) -> ClassifyAnswer:
        """Probabilities, the verdict, and how certain it is."""
        query = self._query(values)
        found = self.workbench.predict(query.image, query.panoramic)
        ensemble, seen = self.workbench.ensemble, self._given(query)
        return ClassifyAnswer(
            **prediction_answer(ensemble, found),
            name=query.name,
            width=query.whole.shape[1],
            height=query.whole.shape[0],
            mark=query.origin.summary if query.origin else "",
            picture=_picture(query.whole, query.origin),
            seen=data_uri(fitted(ensemble.seen(seen), _SEEN), query.origin),
            certainty=[
                CertaintyAnswer(name=name, sentence=sentence, state=state)
                for name, sentence, state in certainty(found)
            ],
            notes=self._notes(query),
        )

    def explain(self, values: Values) -> MapAnswer:
        """Where the classifier looks, for `target` by `method`."""
        target, method = wanted_target(values.get("target")), wanted_method(values.get("method"))
        query = self._query(values)
        found = self.workbench.attribute(query.image, target, method, query.panoramic)
        image = query.image if query.panoramic is None else self._given(query)
        return map_answer(self.workbench, Shown(image, query.origin, query.name), found)

    def similar(self, values: Values) -> SimilarAnswer:
        """The nearest training images, where these may be shown, and the nearest generated ones."""
        given, gallery = self._given(self._query(values)), self.gallery
        training: list[NeighbourAnswer] = []
        if gallery is not None and self._training is not None:
            for index, similarity in self._training.nearest(given, _NEAREST):
                name = gallery.conditions[index]
                training.append(_neighbour(gallery.image(index), None, name, name, similarity))
        generated = []
        for index, similarity in self._generated.nearest(given, _NEAREST):
            name, seed = self.samples.origin(index)
            origin = self.workbench.generator.provenance({name: 1.0}, seed, _PSI)
            caption = text("explore.sample", caption=label_text({name: 1.0}), seed=seed)
            generated.append(_neighbour(self.samples.image(index), origin, caption, name, similarity))
        return SimilarAnswer(training=training, reason=self._no_training(), generated=generated)

    def _no_training(self) -> str:
        if self.gallery is not None:
            return ""
        allowed = self.workbench.ensemble.metadata.may_show_training_images
        return text("gallery.none" if allowed else "gallery.private")

    def _given(self, query: _Query) -> np.ndarray:
        return self.workbench.model_input(query.image, query.panoramic)

    def _notes(self, query: _Query) -> list[str]:
        ensemble = self.workbench.ensemble
        height, width = query.image.shape[:2]
        cut = height != width and ensemble.config.images.fit == "crop"
        notes = [text("classify.square")] if cut else []
        if min(height, width) < ensemble.resolution and query.origin is None:
            notes.append(text("classify.small", side=min(height, width), needed=ensemble.resolution))
        return notes

    def _query(self, values: Values) -> _Query:
        whole = self._whole(values)
        part = _part(whole.image, values)
        token, dual = values.get("panoramic"), self.workbench.ensemble.dual
        if token is not None and not dual:
            raise UserError(text("classify.no_pairs"))
        panoramic = None if token is None else self._photograph(token).image
        if dual and panoramic is None and part is not None:
            panoramic = whole.image
        image = kept_small(whole.image if part is None else part)
        panoramic = None if panoramic is None else kept_small(panoramic)
        return _Query(whole.image, image, panoramic, whole.origin, whole.caption)

    def _whole(self, values: Values) -> Shown:
        senders = {"morph": self.actions.shown, "explore": self.explore.shown}
        source = values.get("source")
        if isinstance(source, str) and source in senders:
            sent = senders[source](values)
            return Shown(sent.image, sent.origin, text("morph.picture", mixture=sent.caption))
        return self._photograph(values.get("photograph"))

    def _photograph(self, token: object) -> Shown:
        upload = self.actions.uploads.take(token)
        return Shown(read_image(upload.data, upload.name), None, upload.name)


def _part(image: np.ndarray, values: Values) -> np.ndarray | None:
    """The part of uint8 [H, W, 3] that the four shares cut out; None for the whole.

    Raises:
        UserError: it is empty or too small.
    """
    left, top = (number(name, values.get(name, 0), 1) for name in ("left", "top"))
    right, bottom = (number(name, values.get(name, 1), 1) for name in ("right", "bottom"))
    if (left, top, right, bottom) == (0, 0, 1, 1):
        return None
    height, width = image.shape[:2]
    part = image[round(top * height) : round(bottom * height), round(left * width) : round(right * width)]
    if min(part.shape[:2]) < _SMALLEST:
        raise UserError(text("classify.tiny", smallest=_SMALLEST))
    return part


def _picture(image: np.ndarray, origin: Provenance | None) -> str:
    """As the page shows it, below a crop box; the page prints the mark of a generated one beside it."""
    return data_uri(fitted(image, PICTURE_SIDE) if origin else kept_small(image), origin, printed=False)


def _neighbour(
    image: np.ndarray, origin: Provenance | None, caption: str, condition: str, similarity: float
) -> NeighbourAnswer:
    return NeighbourAnswer(
        picture=data_uri(fitted(image, _THUMBNAIL), origin),
        caption=caption,
        condition=condition,
        similarity=round(similarity, 3),
    )
