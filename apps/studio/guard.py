"""What stands between the network and Gradio: who is served, which requests there are, and uploads."""

import asyncio
import json
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

UPLOAD = "/photographs"
_JOIN = "/gradio_api/queue/join"
_CALL = "/gradio_api/component_server/"  # of a component's server function
_POST = {UPLOAD, _JOIN, _CALL, "/gradio_api/cancel", "/gradio_api/reset"}
_GET = {"/", "/theme.css", "/favicon.ico", "/manifest.json", "/robots.txt", "/gradio_api/queue/data"}
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
        """Those of a page."""
        served = {
            number: {function.__name__ for function in getattr(block, "server_fns", [])}
            for number, block in page.blocks.items()
        }
        return cls({number: len(function.inputs) for number, function in page.fns.items()}, served)


class Guard:
    """ASGI application around Gradio's, which only gets what the page itself sends.

    - Hosts other than those served get 421, and pages of other origins 403: a page elsewhere cannot reach a
      local studio by a name that it makes resolve to this machine (DNS rebinding).
    - Browsers do not show the page in a frame of another page, which could mislead whoever uses it.
    - Headers in which a proxy would name the host are dropped.
    - Paths that the page does not use do not exist, such as Gradio's uploads, files, proxies and interfaces.
    - Photographs go to `uploads`, not to a disk, and the reply names no path.
    - A request of the wrong form is answered with a sentence.

    Args:
        app: Gradio's application.
        hosts: names in the Host header that are served, without port, in lower case.
        functions: of the page, which alone can be called.
        uploads: where the page's handlers look for uploads.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str], functions: Functions, uploads: Uploads) -> None:
        self.app, self.hosts, self.functions, self.uploads = app, hosts, functions, uploads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass it on."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, _protected(send))
        else:
            await send({"type": "websocket.close", "code": 1008})  # the page uses none

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused = self._refused(scope)
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
            return _answer(421, f"This studio is served as {', '.join(sorted(self.hosts))} only.")
        if any(urlsplit(origin).netloc != named[0] for origin in headers.getlist("origin")):
            return _answer(403, "This studio does not answer pages of other addresses.")
        method, path = scope["method"], scope["path"]
        known = (method == "POST" and path in _POST) or (
            method in ("GET", "HEAD") and (path in _GET or path.startswith(_GET_BELOW))
        )
        return None if known else _answer(404, "There is nothing at this address.")

    async def _upload(self, request: Request) -> Response:
        """Read a photograph, the body of the request, into memory: {"token": for the page's next request}."""
        page = request.query_params.get("page", "")[:_MAX_TEXT]
        with self.uploads.room(page) as token:
            try:
                async with asyncio.timeout(_SECONDS):
                    data = await _body(request, MAX_BYTES if token is not None else 0)
            except (TimeoutError, ClientDisconnect):
                return _answer(408, "The upload took too long.")
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
        wrong = "The request is too long." if body is None else check(body, self.functions)
        if wrong is not None:
            await _answer(400, wrong)(scope, receive, send)
            return
        unread = [body]

        async def again() -> Message:
            if unread:
                return {"type": "http.request", "body": unread.pop(), "more_body": False}
            return await receive()

        await self.app(scope, again, _in_our_words(scope, receive, send))


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
        return "The page has no such function (fn_index)."
    if not isinstance(data, list) or len(data) != functions.inputs[function]:
        return f"The function takes {functions.inputs[function]} values (data)."
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
        return "The page has no such component (component_id)."
    if not isinstance(name, str) or name not in functions.served[component]:
        return "The component has no such function (fn_name)."
    if not isinstance(data, dict) or len(data) > _MAX_VALUES:
        return "The function takes an object of values (data)."
    return _wrong_values(list(data.values()), request)


def _json_object(body: bytes) -> dict[str, Any] | str:
    """The object, or a sentence that it is none."""
    try:
        request = json.loads(body)
    except (ValueError, RecursionError):
        return "The request is not JSON."
    return request if isinstance(request, dict) else "The request is not a JSON object."


def _wrong_values(data: list[Any], request: dict[str, Any]) -> str | None:
    if not all(_is_value(value) for value in data):
        return "A value (data) is neither a number nor a short text."
    session = request.get("session_hash")
    if not isinstance(session, str) or not 0 < len(session) <= _MAX_TEXT:
        return "The request names no session (session_hash)."
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
            busy = "Many requests are waiting. Please try again in a moment."
            await _answer(503, busy)(scope, receive, send)
        elif not full:
            await send(message)

    return wrapped


def _answer(status: int, sentence: str) -> Response:
    return JSONResponse({"detail": sentence}, status)
