"""The studio's parts without a browser: marks, words, bars, and the handling of uploads."""

import base64
import re
import socket
import urllib.error
import urllib.request
from dataclasses import replace
from io import BytesIO

import gradio as gr
import numpy as np
import pytest
from PIL import Image
from studio_models import CONDITIONS, MORPH, prediction

from morphoscope.apps.morphing import Curve, Workbench
from morphoscope.apps.studio import build, figures, serve, words
from morphoscope.apps.studio.guard import Functions
from morphoscope.apps.studio.marks import data_uri, fitted
from morphoscope.apps.studio.requests import wanted_method, wanted_target
from morphoscope.apps.studio.tabs.models import models_tab
from morphoscope.apps.studio.uploads import Upload, Uploads, shown_name
from morphoscope.classify import Attribution
from morphoscope.cohort import Provenance
from morphoscope.cohort.marked_files import read_provenance
from morphoscope.cohort.marking import marked
from morphoscope.configs import UserError


class TestDescriptions:
    def test_conditions_are_spelled_out(self, workbench: Workbench) -> None:
        assert words.condition_choices(workbench.ensemble)[1] == ("pale (<b>pale</b> skin)", "pale")
        facts = dict(words.model_facts(workbench))
        assert facts["Generator: Conditions"] == ", ".join(CONDITIONS)
        assert facts["Classifier: Conditions"].endswith("pale (<b>pale</b> skin)")


class TestMarks:
    def test_saved_picture_says_so_in_its_metadata(self) -> None:
        pixels = np.zeros((4, 4, 3), np.uint8)
        provenance = Provenance(generator="ab", label={"café-au-lait": 1.0}, seed=3, psi=0.7)
        saved = _first_picture(f'<img src="{data_uri(pixels, provenance)}">')
        assert read_provenance(saved) == provenance
        np.testing.assert_array_equal(np.asarray(saved), marked(pixels, provenance.summary))
        plain = _first_picture(f'<img src="{data_uri(pixels)}">')
        assert read_provenance(plain) is None
        np.testing.assert_array_equal(np.asarray(plain), pixels)

    @pytest.mark.parametrize(
        ("shape", "expected"), [((10, 20), (50, 100)), ((400, 100), (100, 25)), ((1, 900), (1, 100))]
    )
    def test_fitted(self, shape: tuple[int, int], expected: tuple[int, int]) -> None:
        assert fitted(np.zeros((*shape, 3), np.uint8), 100).shape == (*expected, 3)


class TestModels:
    def test_conditions_that_one_model_lacks_are_named(self, workbench: Workbench) -> None:
        workbench.generator.conditions = ["dark", "blue"]
        with gr.Blocks() as page:
            models_tab(workbench)
        (html,) = (block.value for block in page.blocks.values() if isinstance(block, gr.HTML))
        assert "blue</th><td>(The classifier was not trained on it.)" in html
        assert "&lt;b&gt;pale&lt;/b&gt; skin (X1) (The generator was not trained on it.)" in html
        assert "no medical device" in html


class TestWantedMaps:
    def test_target(self) -> None:
        assert wanted_target(words.MOST_PROBABLE) is None
        assert wanted_target("pale") == "pale"

    def test_method(self) -> None:
        assert wanted_method("Grad-CAM") == "gradcam"
        with pytest.raises(UserError, match="The field method is"):
            wanted_method(["Grad-CAM"])


class TestWords:
    def test_a_classifier_without_calibration_says_so(self, workbench: Workbench) -> None:
        assert dict(words.model_facts(workbench))["Classifier: Calibration"].startswith("none")

    def test_change_of_mind(self) -> None:
        captions = ["100% dark", "half", "100% pale"]

        def said(pale: list[float], **other: object) -> str:
            found = replace(prediction([pale]), **other)
            images = np.zeros((3, 2, 2, 3), np.uint8)
            return words.change_of_mind(Curve(MORPH, np.array([0, 0.5, 1]), images, found), captions)

        assert said([0.1, 0.5, 0.9]) == (
            "The classifier changes its mind from dark to pale between 100% dark and 100% pale."
        )
        assert "between 100% dark and half" in said([0.1, 0.7, 0.9])
        assert "dark remains the most probable" in said([0.1, 0.2, 0.3])
        assert "dark remains the most probable" in said([0.5, 0.2, 0.3])
        assert said([0.1, 0.2, 0.3], novel=np.array([True, False, True])).endswith(
            "Some of these images are another kind of image than the training images."
        )
        assert "no model is sure" in said([0.5, 0.5, 0.5])

    def test_large_convergence_delta_is_called_one(self) -> None:
        flat = np.zeros((2, 2), np.float32)
        good = Attribution(
            flat, flat[None], 0.4, np.array([0.001, 0.0]), "pale", "integrated_gradients", "mean"
        )
        poor = Attribution(
            flat, flat[None], 0.4, np.array([0.0, -0.2]), "pale", "integrated_gradients", "black"
        )
        assert "+40.0 percentage points" in " ".join(words.explanation(good, 2))
        assert "by up to +0.0010 of probability (convergence delta)" in " ".join(words.explanation(good, 2))
        assert "rough hint" not in " ".join(words.explanation(good, 2))
        assert "rough hint" in " ".join(words.explanation(poor, 2))

    def test_each_method_is_explained_in_its_own_words(self) -> None:
        flat = np.zeros((2, 2), np.float32)
        for method in words.METHODS.values():
            found = Attribution(flat, flat[None], None, None, "pale", method, "blurred")
            text = " ".join(words.explanation(found, 2))
            assert ("Red pixels are evidence for pale" in text) == (
                method in ("integrated_gradients", "occlusion")
            )
            assert ("this picture, blurred" in text) == found.signed
            assert "percentage points" not in text

    def test_notices(self, workbench: Workbench) -> None:
        assert (words.phantom_notice(workbench) or "").startswith("The generator was trained on")
        assert words.mismatch_notice(workbench) is None
        workbench.generator.phantoms_only = False  # its own cohort are phantoms, an earlier one were patients
        assert words.phantom_notice(workbench) is None
        workbench.generator.conditions = ["dark", "blue"]
        assert "not trained on blue" in (words.mismatch_notice(workbench) or "")


class TestFigures:
    def test_text_is_escaped(self) -> None:
        html = figures.message("<script>alert(1)</script> < 1%")
        assert "<script" not in html and "&lt;\N{NO-BREAK SPACE}1%" in html


class TestCertainty:
    """What the page says about how certain a prediction is."""

    def test_without_calibration_only_the_agreement_is_known(self) -> None:
        possible, agreement, kind = (row[1:] for row in words.certainty(prediction([[0.8], [0.9]])))
        assert possible == kind == ("Unknown: this classifier is not calibrated.", "unknown")
        assert agreement == ("All 2 models put pale first.", "good")

    def test_models_that_disagree(self) -> None:
        found = words.certainty(prediction([[0.9], [0.4]]))[1]
        assert found[1:] == ("No: 1 of 2 models put pale first; others say dark.", "warning")
        assert words.certainty(prediction([[0.9]]))[1][2] == "unknown"

    @pytest.mark.parametrize(
        ("remaining", "sentence", "state"),
        [
            ([False, True], "Only pale. For images like", "good"),
            ([True, True], "Nothing can be ruled out", "warning"),
        ],
    )
    def test_prediction_set(self, remaining: list[bool], sentence: str, state: str) -> None:
        found = replace(prediction([[0.8]]), coverage=0.9, prediction_sets=np.array([remaining]))
        possible = words.certainty(found)[0]
        assert possible[1].startswith(sentence) and "90% of the time" in possible[1]
        assert possible[2] == state

    @pytest.mark.parametrize(("novel", "state"), [(True, "warning"), (False, "good")])
    def test_kind_of_image(self, novel: bool, state: str) -> None:
        kind = words.certainty(replace(prediction([[0.8]]), novel=np.array([novel])))[2]
        assert kind[2] == state and ("another kind of image" in kind[1]) == novel


class TestUploads:
    def test_the_same_file_from_ten_pages_is_ten_uploads(self) -> None:
        uploads = Uploads()
        for _ in range(5):
            tokens = [sent(uploads, Upload("arm.png", b"same"), page) for page in "ab"]
            assert [uploads.take(token).data for token in tokens] == [b"same", b"same"]

    def test_room_is_limited_by_page_and_in_all(self) -> None:
        uploads = Uploads()
        for number in range(4):
            for _ in range(2):
                assert sent(uploads, Upload("arm.png", b"1"), str(number)) is not None
            assert sent(uploads, Upload("arm.png", b"1"), str(number)) is None
        assert len(uploads) == 8
        assert sent(uploads, Upload("arm.png", b"1"), "another") is None

    def test_room_is_given_back(self) -> None:
        now = [0.0]
        uploads = Uploads(lambda: now[0])
        with uploads.room("a") as token:
            assert token is not None and len(uploads) == 1
        assert len(uploads) == 0
        token = sent(uploads, Upload("arm.png", b"1"))
        now[0] = 61
        assert len(uploads) == 0
        with pytest.raises(UserError, match="waited too long"):
            uploads.take(token)

    @pytest.mark.parametrize(
        ("text", "name"),
        [
            ("arm.png", "arm.png"),
            ("/home/me/arm.png", "arm.png"),
            ("C:\\me\\arm.png", "arm.png"),
            ("a\x00\x1b[31m\u202eb", "a[31mb"),
            ("", "photograph"),
            ("x" * 1000, "x" * 100),
        ],
    )
    def test_shown_name(self, text: str, name: str) -> None:
        assert shown_name(text) == name


def sent(uploads: Uploads, upload: Upload, page: str = "page") -> str | None:
    """The token of an upload that arrived; None if there was no room for it."""
    with uploads.room(page) as token:
        if token is not None:
            uploads.put(token, upload)
    return token


def _first_picture(html: str) -> Image.Image:
    """The first picture in a piece of the page."""
    found = re.search(r'src="data:image/png;base64,([^"]+)"', html)
    assert found is not None
    return Image.open(BytesIO(base64.b64decode(found.group(1))))


def test_building_the_page_computes_nothing(workbench: Workbench) -> None:
    page = build(workbench.generator, workbench.ensemble, title="Teaching room")
    assert page.title == "Teaching room"
    assert page.analytics_enabled is False
    assert workbench.ensemble.asked == 0  # type: ignore[attr-defined]


def test_nothing_but_the_endpoints_and_the_components_functions_can_be_requested(
    workbench: Workbench,
) -> None:
    functions = Functions.of(build(workbench.generator, workbench.ensemble))
    assert len(functions.inputs) == 20
    served = [set(names) for names in functions.served.values() if names]
    assert {"classify", "explain", "similar"} in served
    assert {"question", "reveal", "evidence", "score"} in served
    assert {"material"} in served
    assert {"look", "evidence", "gallery"} in served


def test_taken_port_is_named(workbench: Workbench) -> None:
    with socket.socket() as occupied:
        occupied.bind(("127.0.0.1", 0))
        occupied.listen()
        port = occupied.getsockname()[1]
        with pytest.raises(UserError, match=f"Port {port}"):
            serve(build(workbench.generator, workbench.ensemble), port=port)


@pytest.mark.parametrize("password", [None, ""])
def test_other_machines_are_not_served_without_a_password(workbench: Workbench, password: str | None) -> None:
    page = build(workbench.generator, workbench.ensemble)
    with pytest.raises(
        UserError, match="needs a password: set the environment variable MORPHOSCOPE_PASSWORD"
    ):
        serve(page, host="0.0.0.0", port=0, password=password)


def test_password_is_asked_of_everybody(workbench: Workbench) -> None:
    server = serve(build(workbench.generator, workbench.ensemble), port=0, password="öffne")

    def status(given: str | None, kind: str = "Basic") -> int:
        encoded = base64.b64encode(f"me:{given}".encode()).decode()
        headers = {} if given is None else {"Authorization": f"{kind} {encoded}"}
        request = urllib.request.Request(f"{server.address}photographs?page=a", b"1", headers)
        try:
            return urllib.request.urlopen(request).status
        except urllib.error.HTTPError as error:
            assert error.headers["WWW-Authenticate"].startswith("Basic realm=")
            return error.code

    try:
        assert [status("öffne"), status("offne"), status(""), status(None), status("öffne", "Bearer")] == [
            200,
            401,
            401,
            401,
            401,
        ]
    finally:
        server.close()
