"""The server of the page: on this machine only, and by default for this machine only."""

import socket
import threading
from collections.abc import Sequence

import fastapi
import gradio as gr
import uvicorn

from morphoscope.apps.studio.guard import Functions, Guard
from morphoscope.apps.studio.theme import theme
from morphoscope.apps.studio.uploads import Uploads
from morphoscope.apps.studio.web import style
from morphoscope.apps.texts import text
from morphoscope.configs import UserError

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
PASSWORD = "MORPHOSCOPE_PASSWORD"
"""The variable of the environment that holds the password of `morphoscope app`."""
_GRACE = 2  # seconds that open connections get when the server closes


class Server:
    """A page that is being served in the background, until `close`.

    Attributes:
        address: of the page, e.g. "http://127.0.0.1:7860/".
    """

    def __init__(
        self,
        page: gr.Blocks,
        uploads: Uploads,
        *,
        host: str,
        port: int,
        names: Sequence[str] = (),
        password: str | None = None,
    ) -> None:
        """Start to serve `page`.

        Args:
            uploads: those that the page's handlers read.
            host, port: where to listen; port 0 is any that is free.
            names: further names in the Host header that are answered, e.g. that of a proxy. The names of this
                machine and `host` itself always are.

            password: asked of everybody; None: of nobody.

        Raises:
            UserError: the port is taken or not allowed, or no password protects it from other machines.
        """
        if not password and host not in _LOOPBACK:
            raise UserError(text("error.open", host=host, variable=PASSWORD))
        listener = _listen(host, port)
        port = listener.getsockname()[1]
        shown = f"[{host}]" if ":" in host else host
        self.address = f"http://{shown}:{port}/"
        app = gr.mount_gradio_app(
            fastapi.FastAPI(openapi_url=None),
            page,
            path="/",
            server_name=host,
            server_port=port,
            show_error=False,
            ssr_mode=False,
            enable_monitoring=False,
            run_history=False,
            footer_links=[],
            theme=theme(),
            css=style("studio"),
        )
        hosts = {name.lower() for name in (*_LOOPBACK, host, *names)}
        guard = Guard(app, hosts, Functions.of(page), uploads, password or None)
        self._server = uvicorn.Server(
            uvicorn.Config(
                guard,
                log_level="error",
                proxy_headers=False,
                server_header=False,
                ws="none",
                timeout_graceful_shutdown=_GRACE,
            )
        )
        self._thread = threading.Thread(target=self._server.run, args=([listener],), daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Block until the server ends."""
        self._thread.join()

    def close(self) -> None:
        """Stop serving."""
        self._server.should_exit = True
        self._thread.join()


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket: connections made before the server runs wait in it."""
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(place)
            listener.listen()
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise UserError(f"Port {port} on {host} cannot be opened; choose another port.") from error
    return listener
