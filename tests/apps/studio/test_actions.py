"""What can be requested of the studio, without a page."""

import base64
import json
import math
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from morphoscope.apps.morphing import COARSE_FRAMES, FRAMES, Workbench
from morphoscope.apps.studio.actions import Actions
from morphoscope.apps.studio.newest import Newest
from morphoscope.apps.studio.requests import values_of
from morphoscope.apps.studio.room import Room
from morphoscope.apps.studio.uploads import Upload, Uploads
from morphoscope.apps.studio.words import MOST_PROBABLE
from morphoscope.cohort.marked_files import file_provenance
from morphoscope.configs import UserError
from morphoscope.generate.latents import ProjectedPhotograph, write_photograph

VALUES: dict[str, Any] = {"a": "dark", "b": "pale", "seed_a": 3, "seed_b": 3, "psi": 0.7, "even": False}
FRAME = {**VALUES, "ratio": 0.5, "target": MOST_PROBABLE, "method": "Integrated gradients"}


@pytest.fixture
def actions(workbench: Workbench) -> Actions:
    return Actions(workbench, Uploads())


def png(uri: str) -> bytes:
    return base64.b64decode(uri.removeprefix("data:image/png;base64,"))


def uploaded(actions: Actions, data: bytes) -> str:
    with actions.uploads.room("page") as token:
        assert token is not None
        actions.uploads.put(token, Upload("arm.safetensors", data))
    return token


class TestMorph:
    def test_sheet_has_the_frames_side_by_side_and_their_provenance(self, actions: Actions) -> None:
        answer = actions.morph(VALUES)
        sheet = np.asarray(Image.open(BytesIO(png(answer["sheet"]))))
        assert sheet.shape == (16, FRAMES * 16, 3)
        assert sheet[0, [0, -1], 0].tolist() == [0, 255]
        found = file_provenance(png(answer["sheet"]))
        assert found is not None and found.seed == 3
        assert found.paths is not None and found.paths[0].positions == np.linspace(0, 1, FRAMES).tolist()
        assert answer["marks"][12].startswith("50% dark + 50% pale · seed 3 · psi 0.7")

    def test_predictions_come_with_all_frames_and_not_with_the_coarse_ones(self, actions: Actions) -> None:
        coarse, full = actions.coarse(VALUES), actions.morph(VALUES)
        assert len(coarse["captions"]) == COARSE_FRAMES and "prediction" not in coarse
        found = full["prediction"]
        assert np.shape(found["probabilities"]) == np.shape(found["low"]) == (FRAMES, 2)
        assert (np.array(found["low"]) <= np.array(found["high"])).all()
        assert found["verdicts"][0]["sentence"].startswith("Most probable condition: dark")
        assert [(change["before"], change["after"]) for change in found["changes"]] == [("dark", "pale")]
        assert found["conditions"][1]["explained"].startswith("<b>pale</b> skin")
        json.dumps(full, allow_nan=False)

    def test_ends_may_be_mixtures_with_seeds_of_their_own(self, actions: Actions) -> None:
        answer = actions.coarse({**VALUES, "a": "75% dark + 25% pale", "seed_b": 4})
        assert answer["ends"] == ["75% dark + 25% pale", "pale"]
        assert answer["marks"][4].startswith(
            "75% dark + 25% pale seed 3 to 100% pale seed 4 by label, at 50%"
        )

    def test_projected_photograph_is_read_from_its_upload_alone(
        self, actions: Actions, tmp_path: Path
    ) -> None:
        generator = actions.workbench.generator
        generator.G.synthesis.state_dict = dict  # type: ignore[method-assign]
        photograph = ProjectedPhotograph(
            "ab12", generator.digest, "w_plus", {"pale": 1.0}, torch.full((1, 1), 200.0)
        )
        write_photograph(tmp_path / "arm.safetensors", photograph)
        data = (tmp_path / "arm.safetensors").read_bytes()
        values = {**VALUES, "b": "", "photograph_b": uploaded(actions, data)}
        answer = actions.coarse(values)
        assert answer["ends"] == ["dark", "photograph ab12:pale"]
        assert len(actions.uploads) == 0
        with pytest.raises(UserError, match="did not arrive"):
            actions.coarse(values)
        with pytest.raises(UserError, match=r"arm\.safetensors: "):
            actions.coarse({**values, "photograph_b": uploaded(actions, data[:100])})

    @pytest.mark.parametrize("text", ["/etc/passwd", "arm.safetensors", "dark:7", "dark@1=2", "http://evil"])
    def test_nothing_but_conditions_and_mixtures_is_understood(self, actions: Actions, text: str) -> None:
        with pytest.raises(UserError, match="Unknown condition"):
            actions.coarse({**VALUES, "a": text})

    @pytest.mark.parametrize("field", ["a", "b", "seed_a", "seed_b", "psi", "ratio"])
    @pytest.mark.parametrize(
        "value", [math.nan, math.inf, -1, 2**32, "1", "x" * 1000, True, [], {}, {"path": "/etc/passwd"}, None]
    )
    def test_values_of_any_kind_are_refused_in_a_sentence(
        self, actions: Actions, field: str, value: object
    ) -> None:
        pattern = r"^(The field (seed|ratio|psi) is|There is no condition|Unknown condition).*\.$"
        with pytest.raises(UserError, match=pattern):
            actions.picture({**FRAME, field: value})

    def test_half_a_seed_is_none(self, actions: Actions) -> None:
        with pytest.raises(UserError, match="takes whole numbers"):
            actions.coarse({**VALUES, "seed_a": 3.5})


class TestFrame:
    def test_picture_is_marked_and_named_after_its_conditions(self, actions: Actions) -> None:
        answer = actions.picture(FRAME)
        assert answer["name"] == "synthetic-50-dark+50-pale-seed3.png"
        found = file_provenance(png(answer["picture"]))
        assert found is not None and found.label == {"dark": 0.5, "pale": 0.5}

    def test_attribution(self, actions: Actions) -> None:
        answer = actions.attribution({**FRAME, "ratio": 1})
        assert answer["title"] == "Evidence for pale (<b>pale</b> skin)"
        assert file_provenance(png(answer["picture"])) is not None
        assert "not where the disease is" in answer["lines"][-1]

    def test_why_it_changed_its_mind(self, actions: Actions) -> None:
        answer = actions.change({**FRAME, "before": 0.6, "after": 0.8, "target": "pale"})
        assert answer["before"]["title"] == "Just before: 40% dark + 60% pale"
        assert answer["after"]["title"] == "Just after: 20% dark + 80% pale"
        assert answer["difference"]["key"].startswith("Blue: less evidence")
        pixels = np.asarray(Image.open(BytesIO(png(answer["difference"]["picture"]))))[:512]
        assert np.ptp(pixels.astype(int), axis=2).max() == 0  # both maps are the same: no colour


class TestAnswers:
    def test_errors_are_sentences(self, actions: Actions) -> None:
        answer = actions.answered(actions.picture)
        assert answer({}) == {"error": "The field psi is empty: type a number."}
        assert answer("no values") == answer({})

    def test_a_fault_is_reported_and_the_next_request_is_answered(
        self, actions: Actions, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        answer = actions.answered(actions.picture)
        monkeypatch.setattr(actions.workbench, "image", lambda *_: 1 / 0)
        assert answer(FRAME)["error"].startswith("The studio failed at this")
        assert "ZeroDivisionError" in capsys.readouterr().err
        monkeypatch.undo()
        assert "picture" in answer(FRAME)

    def test_a_newer_request_of_the_page_replaces_the_older_one(self, actions: Actions) -> None:
        newest = Newest()
        first = newest.request("page")
        assert first() and newest.request("another")()
        second = newest.request("page")
        assert second() and not first()

    def test_room_of_a_page_is_limited_and_given_back(self, actions: Actions) -> None:
        nested = actions.answered(lambda values: nested(values))
        assert nested({"page": "a"}) == {"error": "Many requests are waiting. Please try again in a moment."}
        other = actions.answered(lambda values: nested({"page": "a"}) and actions.picture(FRAME))
        assert "picture" in other({"page": "b"})
        assert "picture" in actions.answered(actions.picture)({**FRAME, "page": "a"})

    def test_room_of_all_pages_is_limited(self) -> None:
        room = Room()
        with ExitStack() as stack:
            found = [stack.enter_context(room.place(str(number // 4))) for number in range(40)]
        assert found == [True] * 32 + [False] * 8
        with room.place("9") as free:
            assert free


@pytest.mark.parametrize("text", [None, 5, "", "[]", "{", "[" * 100_000, '"x"'])
def test_values_of_anything_else_are_none(text: object) -> None:
    assert values_of(text) == {}
    assert values_of('{"a": 1}') == {"a": 1}
