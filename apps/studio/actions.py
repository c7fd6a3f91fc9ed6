"""What the tabs do, without HTML: each method answers the page's script, and programs through the API."""

import traceback
from collections.abc import Callable, Mapping
from functools import wraps
from threading import BoundedSemaphore
from typing import Any

from morphoscope.apps.morphing import Morph, NoLongerWantedError, Workbench
from morphoscope.apps.studio.answers import (
    ChangeMapsAnswer,
    MapAnswer,
    MorphAnswer,
    PictureAnswer,
    Shown,
    change_answer,
    map_answer,
    morph_answer,
    picture_answer,
)
from morphoscope.apps.studio.attribution_row import wanted_method, wanted_target
from morphoscope.apps.studio.newest import Newest
from morphoscope.apps.studio.requests import morph_of, number
from morphoscope.apps.studio.texts import text
from morphoscope.apps.studio.uploads import Uploads
from morphoscope.configs import UserError

Values = Mapping[str, Any]
_MOST_AT_ONCE = 32  # requests of all pages together that compute or wait for it


class Actions:
    """What can be requested of a pair of models.

    Methods take the values of a request, of any type, and raise UserError for those that they cannot use;
    `answered` turns that into an answer for the page's script.
    """

    def __init__(self, workbench: Workbench, uploads: Uploads) -> None:
        self.workbench, self.uploads = workbench, uploads
        self.newest = Newest()
        self._room = BoundedSemaphore(_MOST_AT_ONCE)

    def coarse(self, values: Values) -> MorphAnswer:
        """A few frames of a morph, as soon as they are there."""
        return morph_answer(self.workbench, self.workbench.coarse(self._morph(values)))

    def morph(self, values: Values) -> MorphAnswer:
        """All frames of a morph, and what the classifier predicts for them."""
        wanted = self.newest.request(str(values.get("page", "")))
        return morph_answer(self.workbench, self.workbench.curve(self._morph(values), wanted))

    def picture(self, values: Values) -> PictureAnswer:
        """The frame at `ratio` as a marked PNG."""
        return picture_answer(self.shown(values))

    def attribution(self, values: Values) -> MapAnswer:
        """Where the classifier looks in the frame at `ratio`, for `target` by `method`."""
        shown = self.shown(values)
        target, method = wanted_target(values.get("target")), wanted_method(values.get("method"))
        return map_answer(self.workbench, shown, self.workbench.attribute(shown.image, target, method))

    def change(self, values: Values) -> ChangeMapsAnswer:
        """Why the answer changes between the frames at ratios `before` and `after`: evidence for `target`."""
        morph = self._morph(values)
        target, method = wanted_target(values.get("target")), wanted_method(values.get("method"))
        before, after = (self._shown(morph, _ratio(values, name)) for name in ("before", "after"))
        second = self.workbench.attribute(after.image, target, method)
        first = self.workbench.attribute(before.image, second.target, method)
        return change_answer(self.workbench, before, after, (first, second))

    def shown(self, values: Values) -> Shown:
        """The frame that a request selects."""
        return self._shown(self._morph(values), _ratio(values))

    def _morph(self, values: Values) -> Morph:
        return morph_of(values, self.workbench.generator, self.uploads)

    def _shown(self, morph: Morph, ratio: float) -> Shown:
        bench = self.workbench
        return Shown(bench.image(morph, ratio), bench.provenance(morph, ratio), bench.caption(morph, ratio))

    def answered(self, action: Callable[[Values], Any]) -> Callable[[Any], Any]:
        """An action for the page's script: it never fails, and says in a sentence what is wrong."""

        @wraps(action)
        def answer(values: Any) -> Any:
            if not self._room.acquire(blocking=False):
                return {"error": text("error.busy")}
            try:
                return action(values if isinstance(values, dict) else {})
            except NoLongerWantedError:
                return {"superseded": True}
            except UserError as error:
                return {"error": str(error)}
            except Exception:  # noqa: BLE001 - one request's fault, reported on the terminal
                traceback.print_exc()
                return {"error": text("error.fault")}
            finally:
                self._room.release()

        return answer


def _ratio(values: Values, name: str = "ratio") -> float:
    return number(name, values.get(name), 1)
