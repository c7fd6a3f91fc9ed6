"""What stands between the network and Gradio: who is served, which requests there are, and uploads."""

import asyncio
import base64
import json
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import gradio as gr
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from morphoscope.apps.studio.uploads import MAX_BYTES, Upload, Uploads, shown_name
from morphoscope.apps.texts import text

UPLOAD = "/photographs"
_JOIN = "/gradio_api/queue/join"
_CALL = "/gradio_api/component_server/"  # of a component's server function
_POST = {UPLOAD, _JOIN, _CALL, "/gradio_api/cancel", "/gradio_api/reset"}
_GET = {"/", "/theme.css", "/favicon.ico", "/manifest.json", "/robots.txt", "/gradio_api/queue/data"} | {
    "/config",
    "/gradio_api/info",
}
_GET_BELOW = ("/assets/", "/static/", "/svelte/", "/gradio_api/heartbeat/")
_FORWARDED = (b"forwarded", b"x-forwarded-", b"x-gradio-")  # a proxy's words; anyone can write them
_MAX_REQUEST = 64 * 2**10  # bytes of JSON; the page sends a few hundred
_MAX_TEXT = 1_000  # characters of a value in it
_MAX_VALUES = 32  # of a call
_MAX_DRAINED = 2**30  # bytes of a file that is too large: read to its end, so that the browser hears why
_SECONDS = 60  # for one upload
_PROTECTION = [  # with every answer
    (b"content-security-policy", b"frame-ancestors 'self'"),  # no other page shows this one in a frame
    (b"x-content-type-options", b"nosniff"),
]


@dataclass(frozen=True)
class Functions:
    """The page's functions.

    Attributes:
        inputs: number of values that each event handler takes, by its number.
        served: names of each component's server functions, by the number of the component.
    """

    inputs: Mapping[int, int]
    served: Mapping[int, Collection[str]]

    @classmethod
    def of(cls, page: gr.Blocks) -> "Functions":
        """Those of a page; handlers that run in the browser alone are none."""
        served = {
            number: {function.__name__ for function in getattr(block, "server_fns", [])}
            for number, block in page.blocks.items()
        }
        inputs = {number: len(each.inputs) for number, each in page.fns.items() if each.fn is not None}
        return cls(inputs, served)


class Guard:
    """ASGI application around Gradio's, which only gets what the page itself sends.

    - Hosts other than those served get 421, and pages of other origins 403: a page elsewhere cannot reach a
      local studio by a name that it makes resolve to this machine (DNS rebinding).
    - With a password, requests without it get 401; browsers ask for it (HTTP Basic, any user name).
    - Browsers do not show the page in a frame of another page, which could mislead whoever uses it.
    - Headers in which a proxy would name the host are dropped.
    - Paths that neither the page nor Gradio's client uses do not exist, such as uploads, files and proxies.
    - Photographs go to `uploads`, not to a disk, and the reply names no path.
    - A request of the wrong form is answered with a sentence.

    Args:
        app: Gradio's application.
        hosts: names in the Host header that are served, without port, in lower case.
        functions: of the page, which alone can be called.
        uploads: where the page's handlers look for uploads.
        password: asked of everybody; None: of nobody.
    """

    def __init__(
        self,
        app: ASGIApp,
        hosts: Collection[str],
        functions: Functions,
        uploads: Uploads,
        password: str | None = None,
    ) -> None:
        self.app, self.hosts, self.functions, self.uploads = app, hosts, functions, uploads
        self.password = password

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass it on."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, _protected(send))
        else:
            await send({"type": "websocket.close", "code": 1008})  # the page uses none

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused = self._refused(scope) or self._unknown(scope)
        if refused is not None:
            await refused(scope, receive, send)
        elif scope["path"] == UPLOAD:
            await (await self._upload(Request(scope, receive)))(scope, receive, send)
        elif scope["path"] in (_JOIN, _CALL):
            await self._request(_without_forwarded(scope), receive, send)
        else:
            await self.app(_without_forwarded(scope), receive, send)

    def _refused(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        named = headers.getlist("host")
        if len(named) != 1 or host_name(named[0]) not in self.hosts:
            return _answer(421, text("guard.host", names=", ".join(sorted(self.hosts))))
        if any(urlsplit(origin).netloc != named[0] for origin in headers.getlist("origin")):
            return _answer(403, text("guard.origin"))
        method, path = scope["method"], scope["path"]
        known = (method == "POST" and path in _POST) or (
            method in ("GET", "HEAD") and (path in _GET or path.startswith(_GET_BELOW))
        )
        return None if known else _answer(404, text("guard.nothing"))

    def _unknown(self, scope: Scope) -> Response | None:
        """401 unless the request has the password."""
        if self.password is None or _has_password(
            Headers(scope=scope).get("authorization", ""), self.password
        ):
            return None
        answer = _answer(401, text("guard.password"))
        answer.headers["WWW-Authenticate"] = 'Basic realm="Morphoscope", charset="UTF-8"'
        return answer

    async def _upload(self, request: Request) -> Response:
        """Read a photograph, the body of the request, into memory: {"token": for the page's next request}."""
        page = request.query_params.get("page", "")[:_MAX_TEXT]
        with self.uploads.room(page) as token:
            try:
                async with asyncio.timeout(_SECONDS):
                    data = await _body(request, MAX_BYTES if token is not None else 0)
            except (TimeoutError, ClientDisconnect):
                return _answer(408, text("guard.slow"))
            if token is None:
                return JSONResponse({"token": "too-many"})
            if data is None:
                return JSONResponse({"token": "too-large"})
            self.uploads.put(token, Upload(shown_name(request.query_params.get("name", "")), data))
            return JSONResponse({"token": token})

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request for one of the page's functions on, if it has the form that the page gives it."""
        try:
            body = await _body(Request(scope, receive), _MAX_REQUEST)
        except ClientDisconnect:
            return
        check = wrong_event if scope["path"] == _JOIN else wrong_call
        wrong = text("guard.long") if body is None else check(body, self.functions)
        if wrong is not None:
            await _answer(400, wrong)(scope, receive, send)
            return
        unread = [body]

        async def again() -> Message:
            if unread:
                return {"type": "http.request", "body": unread.pop(), "more_body": False}
            return await receive()

        await self.app(scope, again, _in_our_words(scope, receive, send))


def _has_password(authorization: str, password: str) -> bool:
    kind, _, encoded = authorization.partition(" ")
    try:
        given = base64.b64decode(encoded, validate=True).decode().partition(":")[2]
    except ValueError:
        return False
    return kind.lower() == "basic" and secrets.compare_digest(given.encode(), password.encode())


def host_name(host: str) -> str:
    """The name in a Host header, without its port, in lower case; "" if it is not of that form."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def wrong_event(body: bytes, functions: Functions) -> str | None:
    """A sentence about what is wrong with a request for one of the page's event handlers, or None.

    Args:
        body: of the request: JSON, {"fn_index": number, "data": [values], "session_hash": text, …}.
    """
    request = _json_object(body)
    if isinstance(request, str):
        return request
    function, data = request.get("fn_index"), request.get("data")
    if isinstance(function, bool) or not isinstance(function, int) or function not in functions.inputs:
        return text("guard.function")
    if not isinstance(data, list) or len(data) != functions.inputs[function]:
        return text("guard.values", count=functions.inputs[function])
    return _wrong_values(data, request)


def wrong_call(body: bytes, functions: Functions) -> str | None:
    """A sentence about what is wrong with a call of one of a component's server functions, or None.

    Args:
        body: JSON, {"component_id": number, "fn_name": text, "data": {name: value}, "session_hash": text}.
    """
    request = _json_object(body)
    if isinstance(request, str):
        return request
    component, name, data = (request.get(key) for key in ("component_id", "fn_name", "data"))
    if isinstance(component, bool) or not isinstance(component, int) or component not in functions.served:
        return text("guard.component")
    if not isinstance(name, str) or name not in functions.served[component]:
        return text("guard.call")
    if not isinstance(data, dict) or len(data) > _MAX_VALUES:
        return text("guard.object")
    return _wrong_values(list(data.values()), request)


def _json_object(body: bytes) -> dict[str, Any] | str:
    """The object, or a sentence that it is none."""
    try:
        request = json.loads(body)
    except (ValueError, RecursionError):
        return text("guard.json")
    return request if isinstance(request, dict) else text("guard.json_object")


def _wrong_values(data: list[Any], request: dict[str, Any]) -> str | None:
    if not all(_is_value(value) for value in data):
        return text("guard.value")
    session = request.get("session_hash")
    if not isinstance(session, str) or not 0 < len(session) <= _MAX_TEXT:
        return text("guard.session")
    return None


def _is_value(value: Any) -> bool:
    return (
        value is None
        or isinstance(value, (bool, int, float))
        or (isinstance(value, str) and len(value) <= _MAX_TEXT)
    )


async def _body(request: Request, limit: int) -> bytes | None:
    """The body of a request; None if it is longer than `limit`, and then it is read and forgotten."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size <= limit:
            parts.append(part)
        else:
            parts.clear()
            if size > _MAX_DRAINED:
                break
    return b"".join(parts) if size <= limit else None


def _without_forwarded(scope: Scope) -> Scope:
    kept = [(name, value) for name, value in scope["headers"] if not name.lower().startswith(_FORWARDED)]
    return {**scope, "headers": kept}


def _protected(send: Send) -> Send:
    """Add the headers that tell browsers what not to do with an answer."""

    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", []), *_PROTECTION]}
        await send(message)

    return wrapped


def _in_our_words(scope: Scope, receive: Receive, send: Send) -> Send:
    """Replace Gradio's answer that its queue is full."""
    full = False

    async def wrapped(message: Message) -> None:
        nonlocal full
        if message["type"] == "http.response.start" and message["status"] == 503:
            full = True
            await _answer(503, text("error.busy"))(scope, receive, send)
        elif not full:
            await send(message)

    return wrapped


def _answer(status: int, sentence: str) -> Response:
    return JSONResponse({"detail": sentence}, status)
