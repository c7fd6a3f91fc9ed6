"""The studio's parts without a browser: marks, words, curve, bars, and the handling of uploads."""

import base64
import math
import re
import socket
from dataclasses import replace
from io import BytesIO
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
import torch
from PIL import Image

from morphoscope.apps.morph_chart import draw_curve
from morphoscope.apps.morphing import CURVE_FRAMES, Curve, Frame, Morph, Workbench
from morphoscope.apps.studio import build, figures, serve, words
from morphoscope.apps.studio.attribution_row import (
    MOST_PROBABLE,
    condition_choices,
    no_map,
    wanted_method,
    wanted_target,
)
from morphoscope.apps.studio.marks import data_uri, fitted
from morphoscope.apps.studio.tabs.classify import classify_image, classify_upload
from morphoscope.apps.studio.tabs.morph import Controls
from morphoscope.apps.studio.uploads import Upload, Uploads, shown_name
from morphoscope.classify import Attribution, Prediction, combine
from morphoscope.cohort import Provenance
from morphoscope.cohort.conditions import Description, Descriptions
from morphoscope.cohort.marking import marked
from morphoscope.cohort.provenance import read_provenance
from morphoscope.configs import UserError
from morphoscope.configs.attribution import Method
from morphoscope.generate import GeneratorModel

CONDITIONS = ["dark", "pale"]
MORPH = Morph("dark", "pale", seed=3, psi=0.7)
FRAME = Frame(MORPH, 0.5)


def prediction(pale: list[list[float]], conditions: list[str] = CONDITIONS) -> Prediction:
    """Two conditions; `pale` [F][N] are the folds' probabilities of the second one."""
    second = np.array(pale, dtype=np.float32)
    per_fold = np.stack([1 - second, second], axis=2)
    return Prediction(conditions, per_fold, *combine(per_fold))


class Brightness:
    """An ensemble of two models that call bright pictures pale; it counts how often it was asked."""

    conditions, folds, resolution = CONDITIONS, ["0", "1"], 16
    descriptions: ClassVar[Descriptions] = {
        "pale": Description(name="pale", full_name="<b>pale</b> skin", code="X1")
    }
    config = SimpleNamespace(
        images=SimpleNamespace(fit="crop"), network=SimpleNamespace(backbone="brightness")
    )
    calibration, dual = None, False

    def __init__(self) -> None:
        self.metadata = SimpleNamespace(phantom=False, cohort_digest="feedc0de", held_out=[])
        self.asked = 0

    def predict(self, images: np.ndarray) -> Prediction:
        self.asked += 1
        bright = np.clip([image.mean() / 255 for image in images], 0.01, 0.99)
        return prediction([bright.tolist(), (bright**2).tolist()])

    def attribute(self, image: np.ndarray, target: str | int, method: Method) -> Attribution:
        name = target if isinstance(target, str) else CONDITIONS[target]
        flat = np.full(image.shape[:2], 0.001, np.float32)
        return Attribution(flat, flat[None], 0.4, np.array([0.001]), name, method, "mean")


class Levels(torch.nn.Module):
    """Networks whose only latent is the grey level, 0 to 255: 255 times the share of the second condition."""

    z_dim = w_dim = num_ws = 1
    img_resolution = 16

    def __init__(self) -> None:
        super().__init__()
        self.unused = torch.nn.Parameter(torch.zeros(1))  # names the device

    @property
    def synthesis(self) -> "Levels":
        return self

    def mapping(self, z: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
        return 255 * c[:, 1, None, None]

    def forward(self, codes: torch.Tensor, noise_mode: str) -> torch.Tensor:
        return (codes[..., None] / 127.5 - 1).expand(-1, 3, 16, 16)


class Grey:
    """A generator of plain grey pictures: black is dark, white is pale."""

    conditions, resolution, digest = CONDITIONS, 16, "0123456789abcdef"
    precision = "float32"
    descriptions: ClassVar[Descriptions] = {}

    def __init__(self) -> None:
        self.metadata = SimpleNamespace(cohort_digest="feedc0de", origin="feedc0de")
        self.phantoms_only = True
        self.precision = "float32"
        self.G, self.class_means = Levels(), torch.tensor([[0.0], [255.0]])
        self.centres = SimpleNamespace(of=lambda labels: labels @ self.class_means)

    provenance, label, images = GeneratorModel.provenance, GeneratorModel.label, GeneratorModel.images


@pytest.fixture
def workbench() -> Workbench:
    return Workbench(Grey(), Brightness())  # type: ignore[arg-type]


class TestDescriptions:
    def test_conditions_are_spelled_out(self, workbench: Workbench) -> None:
        image = workbench.image(FRAME)
        known = workbench.ensemble.descriptions
        rows = figures.prediction(workbench.predict(image), descriptions=known)
        assert rows.count("&lt;b&gt;pale&lt;/b&gt; skin (X1)") == 1 and "<b>pale" not in rows
        found = workbench.attribute(image, "pale")
        assert "Evidence for pale (&lt;b&gt;" in figures.attribution(image, found, 2, None, known)
        assert condition_choices(workbench.ensemble)[1] == ("pale (<b>pale</b> skin)", "pale")
        facts = dict(words.model_facts(workbench))
        assert facts["Generator: conditions"] == ", ".join(CONDITIONS)
        assert facts["Classifier: conditions"].endswith("pale (<b>pale</b> skin)")


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

    @pytest.mark.parametrize("phantoms_only", [True, False])
    def test_every_synthetic_picture_carries_its_provenance(
        self, workbench: Workbench, phantoms_only: bool
    ) -> None:
        workbench.generator.phantoms_only = phantoms_only  # type: ignore[misc]
        image, provenance = workbench.image(FRAME), workbench.provenance(FRAME)
        assert provenance.label == {"dark": 0.5, "pale": 0.5}
        found = workbench.attribute(image, "pale")
        for html in (
            figures.frame(image, FRAME, provenance),
            figures.photograph(image, "a frame", provenance),
            figures.attribution(image, found, 2, provenance),
        ):
            picture = _first_picture(html)
            assert read_provenance(picture) == provenance
            assert ("shows no patient" in picture.info["Synthetic"]) == phantoms_only

    @pytest.mark.parametrize(
        ("shape", "expected"), [((10, 20), (50, 100)), ((400, 100), (100, 25)), ((1, 900), (1, 100))]
    )
    def test_fitted(self, shape: tuple[int, int], expected: tuple[int, int]) -> None:
        assert fitted(np.zeros((*shape, 3), np.uint8), 100).shape == (*expected, 3)


class TestMorph:
    @pytest.mark.parametrize(
        ("share", "text"),
        [(0, "100% dark"), (0.25, "75% dark + 25% pale"), (0.999, "100% pale"), (1, "100% pale")],
    )
    def test_mixture(self, share: float, text: str) -> None:
        assert Frame(MORPH, share).mixture == text

    def test_mixture_with_itself(self) -> None:
        assert Frame(Morph("dark", "dark", 0, 1.0), 0.5).mixture == "100% dark"

    def test_empty_field_is_named(self) -> None:
        with pytest.raises(UserError, match="field seed is empty"):
            Controls("dark", "pale", None, 0.5, 0.7).frame(CONDITIONS)
        assert Controls("dark", "pale", 3.0, 0.5, 0.7).frame(CONDITIONS) == Frame(MORPH, 0.5)

    @pytest.mark.parametrize("field", ["a", "b", "seed", "share", "psi"])
    @pytest.mark.parametrize(
        "value", [math.nan, math.inf, -1, 2**32, "1", "x" * 1000, True, [], {}, {"path": "/etc/passwd"}, None]
    )
    def test_values_of_any_kind_are_refused_in_a_sentence(self, field: str, value: object) -> None:
        controls = Controls("dark", "pale", 3, 0.5, 0.7)._replace(**{field: value})
        with pytest.raises(UserError, match=r"^(The field (seed|share|psi) is|There is no condition).*\.$"):
            controls.frame(CONDITIONS)

    def test_half_a_seed_is_none(self) -> None:
        with pytest.raises(UserError, match="takes whole numbers"):
            Controls("dark", "pale", 3.5, 0.5, 0.7).frame(CONDITIONS)

    def test_target(self) -> None:
        assert wanted_target(MOST_PROBABLE) is None
        assert wanted_target("pale") == "pale"

    def test_method(self) -> None:
        assert wanted_method("Grad-CAM") == "gradcam"
        with pytest.raises(UserError, match="There is no method"):
            wanted_method(["Grad-CAM"])


class TestWorkbench:
    def test_curve_runs_from_one_condition_to_the_other(self, workbench: Workbench) -> None:
        curve = workbench.curve(MORPH)
        assert curve.shares[[0, -1]].tolist() == [0, 1]
        assert curve.prediction.combined.shape == (CURVE_FRAMES, 2)
        assert (np.diff(curve.prediction.per_fold[0, :, 1]) >= 0).all()
        assert [(change.before, change.after) for change in curve.changes()] == [("dark", "pale")]

    def test_curve_is_computed_once(self, workbench: Workbench) -> None:
        first = workbench.curve(MORPH)
        assert workbench.curve(Morph("dark", "pale", seed=3, psi=0.7)) is first
        assert workbench.ensemble.asked == 1  # type: ignore[attr-defined]
        workbench.curve(Morph("dark", "pale", seed=4, psi=0.7))
        assert workbench.ensemble.asked == 2  # type: ignore[attr-defined]

    def test_frames_of_several_sessions_are_computed_together(self, workbench: Workbench) -> None:
        frames = [
            Frame(replace(MORPH, psi=psi), share) for psi in (0.5, 0.7) for share in (0.0, 1.0, 0.5, 1.0)
        ]
        together = workbench._look_at(frames)
        assert workbench.ensemble.asked == 1  # type: ignore[attr-defined]
        for frame, (image, found) in zip(frames, together, strict=True):
            alone, expected = workbench.look_at(frame)
            np.testing.assert_array_equal(image, alone)
            np.testing.assert_array_equal(found.combined, expected.combined)
            assert found.unsure.tolist() == expected.unsure.tolist()

    def test_most_probable_condition_is_the_default_target(self, workbench: Workbench) -> None:
        image = workbench.image(Frame(MORPH, 1.0))
        assert workbench.attribute(image, None).target == "pale"
        assert workbench.attribute(image, "dark").target == "dark"


class TestWords:
    def test_a_classifier_without_calibration_says_so(self, workbench: Workbench) -> None:
        assert dict(words.model_facts(workbench))["Classifier: calibration"].startswith("none")

    def test_change_of_mind(self) -> None:
        shares = np.array([0, 0.5, 1])
        curve = Curve(MORPH, shares, prediction([[0.1, 0.5, 0.9]]))
        assert words.change_of_mind(curve) == (
            "The classifier changes its mind from dark to unsure between 0% and 50%, "
            "then from unsure to pale between 50% and 100% pale."
        )
        steady = Curve(MORPH, shares, prediction([[0.1, 0.2, 0.3]]))
        assert "dark remains the most probable" in words.change_of_mind(steady)
        novel = replace(steady, prediction=replace(steady.prediction, novel=np.array([True, False, True])))
        assert words.change_of_mind(novel).endswith(
            "Some of these images are another kind of image than the training images."
        )
        lost = Curve(MORPH, shares, prediction([[0.5, 0.5, 0.5]]))
        assert "no model is sure" in words.change_of_mind(lost)

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
    def test_names_are_escaped(self) -> None:
        nasty = ["<script>alert(1)</script>", "_$x$ & {y}"]
        predicted = prediction([[0.2], [0.9]], nasty)
        morph = Morph(*nasty, seed=0, psi=1.0)
        curve = Curve(morph, np.array([0, 1]), prediction([[0.2, 0.9]], nasty))
        flat = np.ones((8, 8), np.float32)
        found = Attribution(flat, flat[None], 0, np.zeros(1), nasty[0], "integrated_gradients", "mean")
        image = np.zeros((8, 8, 3), np.uint8)
        for html in [
            figures.bars(predicted),
            figures.frame(image, Frame(morph, 0.5), Provenance(label=Frame(morph, 0.5).label, psi=1.0)),
            figures.photograph(image, nasty[0], None),
            figures.attribution(image, found, 2, None),
            figures.message(nasty[0]),
            figures.curve(draw_curve(curve), draw_curve(curve, narrow=True), 0.5, nasty[0]),
        ]:
            assert "<script" not in html

    def test_bars_tell_the_range_and_the_first(self) -> None:
        html = figures.bars(prediction([[0.8], [0.9]]), by_probability=True)
        assert html.index("pale") < html.index("dark")
        assert html.count("ms-first") == 1
        assert "80% to 90%" in html
        assert "ms-first" not in figures.bars(prediction([[0.5], [0.5]]))

    def test_verdict_comes_first_and_only_an_answer_is_bold(self) -> None:
        novel = replace(prediction([[0.8]]), novel=np.array([True]))
        html = figures.prediction(novel)
        assert html.index("No answer: this is another kind of image") < html.index("<table")
        assert "ms-first" not in html and "Most probable" not in html
        assert "ms-first" in figures.prediction(prediction([[0.8]]))

    def test_saved_picture_is_named_after_its_conditions(self, workbench: Workbench) -> None:
        image = np.zeros((8, 8, 3), np.uint8)
        assert 'download="synthetic-50-dark+50-pale-seed3.png"' in figures.frame(
            image, FRAME, workbench.provenance(FRAME)
        )
        assert figures.file_part('../ä"b c<.png') == "ä-b-c-png"
        assert figures.file_part("///") == "condition"

    def test_generated_pictures_are_marked_and_photographs_are_not(self, workbench: Workbench) -> None:
        image, provenance = np.zeros((16, 16, 3), np.uint8), workbench.provenance(FRAME)
        for html, is_marked in [
            (figures.frame(image, FRAME, provenance), True),
            (figures.photograph(image, "arm.png", provenance), True),
            (figures.photograph(image, "arm.png", None), False),
        ]:
            assert (_first_picture(html).height > figures.PICTURE_SIDE) == is_marked


class TestUploads:
    def test_upload_is_read_once(self, workbench: Workbench) -> None:
        uploads = Uploads()
        token = sent(uploads, Upload("arm.png", _png(np.full((40, 60, 3), 230, np.uint8))))
        shown = classify_upload(workbench, uploads, token)
        assert shown.image is not None
        assert shown.image.pixels.shape == (40, 60, 3)
        assert shown.image.provenance is None
        assert "arm.png" in shown.picture
        assert "Most probable condition: pale" in shown.prediction
        assert "central square" in shown.prediction
        assert "did not arrive" in classify_upload(workbench, uploads, token).prediction

    @pytest.mark.parametrize(
        ("content", "reason"),
        [(b"not a picture", "not an image"), (b"", "empty file"), (b"\x89PNG\r\n", "image")],
    )
    def test_broken_file_leaves_nothing_of_the_earlier_image(
        self, workbench: Workbench, content: bytes, reason: str
    ) -> None:
        uploads = Uploads()
        shown = classify_upload(workbench, uploads, sent(uploads, Upload("arm.png", content)))
        assert (shown.image, shown.picture, shown.map_) == (None, "", no_map())
        assert "ms-error" in shown.prediction
        assert reason in shown.prediction
        assert workbench.ensemble.asked == 0  # type: ignore[attr-defined]

    @pytest.mark.parametrize(
        ("token", "reason"),
        [
            ("too-large", "larger than 32 MB"),
            ("too-many", "Too many uploads"),
            ("lost", "did not arrive"),
            (None, "did not arrive"),
            (["lost"], "did not arrive"),
        ],
    )
    def test_refusals_are_said_on_the_page(self, workbench: Workbench, token: object, reason: str) -> None:
        assert reason in classify_upload(workbench, Uploads(), token).prediction

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

    def test_large_photograph_is_kept_small(self, workbench: Workbench) -> None:
        shown = classify_image(workbench, np.zeros((3000, 1500, 3), np.uint8), "leg.jpg", None, "1")
        assert shown.image is not None
        assert shown.image.pixels.shape == (1024, 512, 3)


def sent(uploads: Uploads, upload: Upload, page: str = "page") -> str | None:
    """The token of an upload that arrived; None if there was no room for it."""
    with uploads.room(page) as token:
        if token is not None:
            uploads.put(token, upload)
    return token


def _png(pixels: np.ndarray) -> bytes:
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


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


def test_taken_port_is_named(workbench: Workbench) -> None:
    with socket.socket() as occupied:
        occupied.bind(("127.0.0.1", 0))
        occupied.listen()
        port = occupied.getsockname()[1]
        with pytest.raises(UserError, match=f"Port {port}"):
            serve(build(workbench.generator, workbench.ensemble), port=port)
