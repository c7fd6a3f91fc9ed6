"""What the tabs do, without HTML: each method answers the page's script, and programs through the API."""

import traceback
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from morphoscope.apps.morphing import Morph, NoLongerWantedError, Workbench, always
from morphoscope.apps.studio.answers import (
    ChangeMapsAnswer,
    MapAnswer,
    ModelsAnswer,
    MorphAnswer,
    PictureAnswer,
    Shown,
    change_answer,
    map_answer,
    models_answer,
    morph_answer,
    picture_answer,
)
from morphoscope.apps.studio.newest import Newest
from morphoscope.apps.studio.requests import morph_of, number, wanted_method, wanted_target
from morphoscope.apps.studio.room import Room
from morphoscope.apps.studio.uploads import Uploads
from morphoscope.apps.texts import text
from morphoscope.configs import UserError

Values = Mapping[str, Any]


class Actions:
    """What can be requested of a pair of models.

    Methods take the values of a request, of any type, and raise UserError for those that they cannot use;
    `answered` turns that into an answer for the page's script.
    """

    def __init__(self, workbench: Workbench, uploads: Uploads) -> None:
        self.workbench, self.uploads = workbench, uploads
        self.newest = Newest()
        self._room = Room()

    def coarse(self, values: Values) -> MorphAnswer:
        """A few frames of a morph, as soon as they are there."""
        return morph_answer(self.workbench, self.workbench.coarse(self._morph(values)))

    def morph(self, values: Values) -> MorphAnswer:
        """All frames of a morph, and what the classifier predicts for them."""
        page = values.get("page")
        wanted = self.newest.request(page) if isinstance(page, str) else always
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

    def models(self) -> ModelsAnswer:
        """Which models these are."""
        return models_answer(self.workbench)

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
        def answer(given: Any) -> Any:
            values = given if isinstance(given, dict) else {}
            with self._room.place(str(values.get("page", ""))) as found:
                return _answer(action, values) if found else {"error": text("error.busy")}

        return answer


def _answer(action: Callable[[Values], Any], values: Values) -> Any:
    try:
        return action(values)
    except NoLongerWantedError:
        return {"superseded": True}
    except UserError as error:
        return {"error": str(error)}
    except Exception:  # noqa: BLE001 - one request's fault, reported on the terminal
        traceback.print_exc()
        return {"error": text("error.fault")}


def _ratio(values: Values, name: str = "ratio") -> float:
    return number(name, values.get(name), 1)
