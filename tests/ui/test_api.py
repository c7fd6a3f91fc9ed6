"""The studio's endpoints, called by Gradio's own client."""

import base64
import json
import urllib.request
from collections.abc import Iterator
from io import BytesIO

import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError
from phantom_faces import photograph
from PIL import Image

from morphoscope.cohort import phantom_image
from morphoscope.cohort.marked_files import file_provenance

ENDS = {"a": "dark", "b": "pale"}


@pytest.fixture(scope="module")
def client(address: str) -> Iterator[Client]:
    opened = Client(address, verbose=False)
    yield opened
    opened.close()


def upload(address: str, data: bytes) -> str:
    request = urllib.request.Request(f"{address}photographs?name=arm.png&page=api", data, method="POST")
    return json.load(urllib.request.urlopen(request))["token"]


def png(uri: str) -> bytes:
    return base64.b64decode(uri.partition(",")[2])


def test_endpoints_are_named_and_typed(client: Client) -> None:
    named = client.view_api(return_format="dict")["named_endpoints"]
    assert sorted(named) == [
        "/attribution",
        "/change",
        "/classify",
        "/evidence",
        "/explain",
        "/face",
        "/face_evidence",
        "/face_gallery",
        "/material",
        "/mix",
        "/models",
        "/morph",
        "/moved",
        "/picture",
        "/question",
        "/reveal",
        "/score",
        "/similar",
        "/triangle",
        "/wall",
    ]
    morph = named["/morph"]
    assert [each["parameter_name"] for each in morph["parameters"]][:4] == ["a", "b", "seed_a", "seed_b"]
    assert morph["returns"][0]["python_type"]["type"].startswith("dict(ends: list[str], resolution: int")
    assert "one PNG" in morph["description"]


def test_models_and_a_morph(client: Client) -> None:
    assert client.predict(api_name="/models")["generator_conditions"] == ["dark", "pale", "red"]
    answer = client.predict(**ENDS, api_name="/morph")
    frames = len(answer["captions"])
    assert Image.open(BytesIO(png(answer["sheet"]))).size == (16 * frames, 16)
    assert len(answer["prediction"]["probabilities"]) == frames


def test_frames_and_their_maps(client: Client) -> None:
    picture = client.predict(**ENDS, ratio=0.5, api_name="/picture")
    assert file_provenance(png(picture["picture"])) is not None
    found = client.predict(**ENDS, ratio=0.5, method="Grad-CAM", api_name="/attribution")
    assert found["key"].startswith("Violet")
    maps = client.predict(**ENDS, before=0.4, after=0.6, target="pale", api_name="/change")
    assert maps["difference"]["title"] == "After minus before"


def test_sheets_of_the_generator(client: Client) -> None:
    assert len(client.predict(api_name="/wall")["cells"]) == 18
    assert len(client.predict(**ENDS, c="red", api_name="/triangle")["cells"]) == 45
    assert client.predict(**ENDS, layers="fine", api_name="/mix")["columns"] == 5
    assert client.predict(a="dark", d1=2.5, api_name="/moved")["name"] == "synthetic-100-dark.png"


def test_a_quiz_and_its_score(client: Client) -> None:
    question = client.predict(number=1, quiz=3, api_name="/question")
    assert question["options"] == ["dark", "pale", "red"] and question["view"] == ""
    found = client.predict(number=1, quiz=3, answer="red", source="photographs", api_name="/reveal")
    assert found["correct"] == (found["truth"] == "red")
    assert client.predict(number=1, quiz=3, api_name="/evidence")["picture"].startswith("data:image/png")
    rows = dict.fromkeys(["truths", "answers", "predicted", "confidences", "levels", "views"], "1,1")
    score = client.predict(**rows, api_name="/score")
    assert [share["correct"] for share in score["shares"]] == [2, 2]


def test_teaching_material(client: Client) -> None:
    made = client.predict(kind="handout", format="slide", count=2, api_name="/material")
    assert [file["name"] for file in made["files"]] == ["synthetic-questions.png", "synthetic-answers.png"]
    with pytest.raises(AppError, match="The field kind is"):
        client.predict(kind="book", format="pdf", api_name="/material")


def test_photograph_is_uploaded_for_each_request(client: Client, address: str) -> None:
    buffer = BytesIO()
    Image.fromarray(phantom_image("ML", 3, size=64).image).save(buffer, "PNG")
    token = upload(address, buffer.getvalue())
    answer = client.predict(token, api_name="/classify")
    assert sum(answer["probabilities"][0]) == pytest.approx(1, abs=0.01)
    with pytest.raises(AppError, match="The upload did not arrive"):
        client.predict(token, api_name="/classify")
    token = upload(address, buffer.getvalue())
    found = client.predict(token, method="Grad-CAM", left=0.25, right=0.75, api_name="/explain")
    assert file_provenance(png(found["picture"])) is None
    nearest = client.predict(upload(address, buffer.getvalue()), api_name="/similar")
    assert len(nearest["training"]) == 6 and len(nearest["generated"]) == 6


def test_faces(client: Client, address: str) -> None:
    buffer = BytesIO()
    Image.fromarray(photograph(4, 1)).save(buffer, "PNG")
    answer = client.predict(upload(address, buffer.getvalue()), api_name="/face")
    assert answer["chosen"] == 1 and answer["ranking"]["syndromes"][0]["syndrome"] == "s1"
    found = client.predict(upload(address, buffer.getvalue()), syndrome="s2", api_name="/face_evidence")
    assert len(found["maps"]) == 2 and len(found["parts"]) == 6
    gallery = client.predict(api_name="/face_gallery")
    assert len(gallery["places"]) == 12 and gallery["facts"]["Syndromes"] == "3"
    with pytest.raises(AppError, match="The field face is 5"):
        client.predict(upload(address, buffer.getvalue()), face=5, api_name="/face")


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"a": "/etc/passwd"}, "Unknown condition"),
        ({"psi": 2}, "The field psi is 2"),
        ({"photograph_b": "/etc/passwd"}, "The upload did not arrive"),
    ],
)
def test_errors_are_sentences(client: Client, values: dict[str, object], reason: str) -> None:
    with pytest.raises(AppError, match=reason):
        client.predict(**{**ENDS, **values}, api_name="/morph")
