"""The studio's server, as someone meets it who does not come through its page."""

import http.client
import json
import re
import socket
from collections.abc import Iterator
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

import pytest

from morphoscope.apps.studio.guard import Functions, host_name, wrong_call, wrong_event

WALL = 5  # number of the endpoint of three values
EVENT = ["dark", 0, 0.7]
FRAME = {"a": "dark", "b": "pale", "seed_a": 0, "seed_b": 0, "psi": 0.7, "even": False, "ratio": 0.5}


class Client:
    """Requests with any headers."""

    def __init__(self, address: str) -> None:
        self.netloc = urlsplit(address).netloc

    def __call__(
        self, method: str, path: str, headers: dict[str, str] | None = None, body: bytes | None = None
    ) -> tuple[int, http.client.HTTPMessage, str]:
        connection = http.client.HTTPConnection(self.netloc, timeout=120)
        try:
            connection.request(method, path, body, {"Host": self.netloc, **(headers or {})})
            reply = connection.getresponse()
            return reply.status, reply.headers, reply.read().decode()
        finally:
            connection.close()

    def join(self, data: object, function: object = 0, session: object = "test") -> tuple[int, str]:
        """Request one of the page's functions."""
        body = json.dumps({"data": data, "fn_index": function, "session_hash": session})
        kind = {"Content-Type": "application/json"}
        status, _, text = self("POST", "/gradio_api/queue/join", kind, body.encode())
        return status, text

    def call(self, name: object, values: object, **other: object) -> tuple[int, Any]:
        """Call one of the Morph tab's server functions: (status, answer)."""
        body = {"component_id": self.morph, "fn_name": name, "data": values, "session_hash": "test", **other}
        kind = {"Content-Type": "application/json"}
        status, _, text = self("POST", "/gradio_api/component_server/", kind, json.dumps(body).encode())
        return status, json.loads(text)

    @cached_property
    def morph(self) -> int:
        """The number of the Morph tab's component."""
        found = re.search(r"window\.gradio_config = (\{.*?\});</script>", self("GET", "/")[2], re.S)
        assert found is not None
        components = json.loads(found.group(1))["components"]
        return next(each["id"] for each in components if each["props"].get("elem_id") == "morph")

    def answer(self, session: str) -> dict:
        """The last message of a session's requests."""
        _, _, text = self("GET", f"/gradio_api/queue/data?session_hash={session}")
        messages = [json.loads(line.removeprefix("data:")) for line in text.splitlines() if line]
        return next(message for message in messages if message["msg"] == "process_completed")


@pytest.fixture
def client(address: str) -> Iterator[Client]:
    return Client(address)


class TestWhoIsServed:
    @pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "LOCALHOST", "[::1]", "localhost:9999"])
    def test_names_of_this_machine(self, client: Client, name: str) -> None:
        assert client("GET", "/", {"Host": name})[0] == 200

    @pytest.mark.parametrize(
        "name", ["evil.example", "127.0.0.1.evil.example", "", "[", "127.0.0.1@evil", "a b"]
    )
    @pytest.mark.parametrize("path", ["/", "/gradio_api/queue/data?session_hash=a", "/photographs"])
    def test_other_names_get_421(self, client: Client, name: str, path: str) -> None:
        method = "POST" if path == "/photographs" else "GET"
        status, headers, text = client(method, path, {"Host": name, "Origin": f"http://{name}"})
        assert status in (400, 421)  # 400: the header itself is malformed
        assert "access-control-allow-origin" not in headers
        assert "access-control-allow-credentials" not in headers
        assert status == 400 or "is served as 127.0.0.1, ::1, localhost only" in text

    @pytest.mark.parametrize("path", ["/", "/nothing"])
    def test_pages_of_other_addresses_cannot_show_it_in_a_frame(self, client: Client, path: str) -> None:
        """There, someone could be led to choose a photograph without knowing for what."""
        _, headers, _ = client("GET", path)
        assert headers["Content-Security-Policy"] == "frame-ancestors 'self'"
        assert headers["X-Content-Type-Options"] == "nosniff"

    def test_two_names_get_421(self, client: Client) -> None:
        host, port = client.netloc.split(":")
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(f"GET / HTTP/1.1\r\nHost: {client.netloc}\r\nHost: evil\r\n\r\n".encode())
            assert connection.recv(100).split()[1] in (b"400", b"421")

    @pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", "file://"])
    @pytest.mark.parametrize("method", ["OPTIONS", "POST"])
    def test_other_origins_get_403(self, client: Client, origin: str, method: str) -> None:
        headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        status, headers_back, _ = client(method, "/gradio_api/queue/join", headers, b"{}")
        assert status == 403
        assert not [name for name in headers_back if name.lower().startswith("access-control")]

    @pytest.mark.parametrize(
        "header", ["X-Forwarded-Host", "Forwarded", "X-Gradio-Server", "X-Forwarded-Proto"]
    )
    def test_what_a_proxy_would_say_changes_nothing(self, client: Client, header: str) -> None:
        value = "https" if header.endswith("Proto") else "http://evil.example"
        plain = client("GET", "/")[2]
        assert client("GET", "/", {header: value})[2] == plain
        assert "evil.example" not in plain


class TestWhatThereIs:
    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("POST", "/gradio_api/upload"),
            ("GET", "/gradio_api/file=/etc/passwd"),
            ("GET", "/gradio_api/proxy=http://evil.example"),
            ("POST", "/gradio_api/run/frame"),
            ("POST", "/gradio_api/call/frame"),
            ("GET", "/docs"),
            ("GET", "/photographs"),
            ("POST", "/"),
        ],
    )
    def test_nothing_but_what_the_page_uses(self, client: Client, method: str, path: str) -> None:
        assert client(method, path)[0] == 404

    @pytest.mark.parametrize("path", ["/assets/../../../etc/passwd", "/static/..%2f..%2fconfig.json"])
    def test_no_way_out_of_the_folders(self, client: Client, path: str) -> None:
        assert client("GET", path)[0] >= 400

    def test_reply_to_an_upload_names_no_path(self, client: Client) -> None:
        status, _, text = client("POST", "/photographs?name=/etc/arm.png&page=path", {}, b"1234")
        assert status == 200
        assert list(json.loads(text)) == ["token"]
        assert "/" not in text

    def test_uploads_of_one_page_are_limited(self, client: Client) -> None:
        tokens = [
            json.loads(client("POST", "/photographs?page=flood", {}, b"1")[2])["token"] for _ in range(3)
        ]
        assert tokens[2] == "too-many"
        assert tokens[0] != tokens[1]

    def test_upload_that_is_too_large(self, client: Client) -> None:
        reply = client("POST", "/photographs?page=large", {}, bytes(33 * 2**20))[2]
        assert json.loads(reply) == {"token": "too-large"}


class TestRequests:
    @pytest.mark.parametrize(
        ("data", "function", "session", "reason"),
        [
            (EVENT, 999, "a", "no such function"),
            (EVENT, True, "a", "no such function"),
            (EVENT, "0", "a", "no such function"),
            (EVENT[:2], WALL, "a", "takes 3 values"),
            ("dark", WALL, "a", "takes 3 values"),
            ([{"path": "/etc/passwd"}, *EVENT[1:]], WALL, "a", "neither a number nor a short text"),
            (["x" * 2000, *EVENT[1:]], WALL, "a", "neither a number nor a short text"),
            (EVENT, WALL, None, "names no session"),
            (["x" * 100_000, *EVENT[1:]], WALL, "a", "too long"),
        ],
    )
    def test_event_of_the_wrong_form_is_answered_in_a_sentence(
        self, client: Client, data: object, function: object, session: object, reason: str
    ) -> None:
        status, text = client.join(data, function, session)
        assert status == 400
        assert reason in json.loads(text)["detail"]

    def test_wrong_values_of_an_event_are_answered_once_in_our_words(
        self, client: Client, capfd: pytest.CaptureFixture[str]
    ) -> None:
        assert client.join(["dark", 0, 2], WALL, "wrong-event")[0] == 200
        error = client.answer("wrong-event")["output"]["error"]
        assert error == "The field psi is 2: it takes numbers from 0 to 1."
        assert capfd.readouterr().err == ""

    @pytest.mark.parametrize(
        ("name", "values", "other", "reason"),
        [
            ("launch", FRAME, {}, "no such function"),
            (["coarse"], FRAME, {}, "no such function"),
            ("coarse", FRAME, {"component_id": 0}, "no such component"),
            ("coarse", FRAME, {"component_id": 10**6}, "no such component"),
            ("coarse", FRAME, {"component_id": True}, "no such component"),
            ("coarse", [FRAME], {}, "takes an object of values"),
            ("coarse", {**FRAME, "a": {"path": "/etc/passwd"}}, {}, "neither a number nor a short text"),
            ("coarse", {str(number): 0 for number in range(50)}, {}, "takes an object of values"),
            ("coarse", FRAME, {"session_hash": None}, "names no session"),
        ],
    )
    def test_call_of_the_wrong_form_is_answered_in_a_sentence(
        self, client: Client, name: object, values: object, other: dict[str, object], reason: str
    ) -> None:
        status, answer = client.call(name, values, **other)
        assert status == 400
        assert reason in answer["detail"]

    @pytest.mark.parametrize(
        ("field", "value", "reason"),
        [
            ("a", "measles", "Unknown condition"),
            ("a", 5, "There is no condition"),
            ("seed_a", 2**32, "The field seed is 4294967296: it takes numbers from 0 to 4294967295."),
            ("seed_b", "one", "The field seed is one"),
            ("ratio", 1.5, "The field ratio is 1.5"),
            ("psi", float("nan"), "The field psi is nan"),
        ],
    )
    def test_wrong_values_of_a_call_are_answered_in_our_words(
        self, client: Client, capfd: pytest.CaptureFixture[str], field: str, value: object, reason: str
    ) -> None:
        status, answer = client.call("picture", {**FRAME, field: value})
        assert status == 200
        assert answer["error"].startswith(reason)
        assert capfd.readouterr().err == ""
        assert "picture" in client.call("picture", FRAME)[1]


@pytest.mark.parametrize(
    ("host", "name"), [("A.example:80", "a.example"), ("[::1]:80", "::1"), ("[", ""), ("", ""), ("a:b", "a")]
)
def test_host_name(host: str, name: str) -> None:
    assert host_name(host) == name


@pytest.mark.parametrize("body", [b"", b"\xff", b"[]", b"{}", b"[" * 60_000, b"NaN"])
def test_anything_but_a_request_is_refused(body: bytes) -> None:
    functions = Functions({0: 5}, {1: {"coarse"}})
    assert wrong_event(body, functions) is not None
    assert wrong_call(body, functions) is not None
