"""Several ASGI applications behind one HTTP server: a loopback socket for each, one thread for all.

Knows nothing of what the applications do.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Mapping

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

HOST = "127.0.0.1"
_SHUTDOWN = 3  # seconds that an answer under way gets to finish when the server stops


def bind(port: int = 0) -> socket.socket:
    """A loopback socket on *port*; 0, or a port that is taken, becomes one that is free."""
    # With the protocol named asyncio turns off Nagle's delay, which costs 40 ms an answer.
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    if os.name == "posix":
        # Without it a port stays taken for a minute after the last process that used it was stopped.
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((HOST, port))
    except OSError:
        found.bind((HOST, 0))
    return found


def url_of(bound: socket.socket) -> str:
    return f"http://{HOST}:{bound.getsockname()[1]}"


class Server:
    """Serves each application on its socket from `start` to `stop`; the sockets are closed by `stop`."""

    def __init__(self, apps: Mapping[socket.socket, ASGIApp]) -> None:
        self._sockets = [*apps]
        self._by_port = {bound.getsockname()[1]: app for bound, app in apps.items()}
        config = uvicorn.Config(
            self._dispatch,
            interface="asgi3",
            proxy_headers=False,
            http="h11",
            ws="none",
            lifespan="off",
            loop="asyncio",
            log_config=None,
            access_log=False,
            server_header=False,
            # Longer than clients keep idle connections, so that none is closed while a request is on its way.
            timeout_keep_alive=600,
            timeout_graceful_shutdown=_SHUTDOWN,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="devnet-http", daemon=True)

    def start(self) -> None:
        """Returns when every socket answers."""
        self._thread.start()
        while not self._server.started and self._thread.is_alive():
            time.sleep(0.002)
        if not self._server.started:
            raise RuntimeError("the HTTP server of the devnet did not start")

    def stop(self) -> None:
        """Returns when every answer is sent or given up, and the thread has ended."""
        self._server.should_exit = True
        if self._thread.ident is not None:
            self._thread.join()
        for bound in self._sockets:
            bound.close()

    def _run(self) -> None:
        self._server.run(sockets=self._sockets)

    async def _dispatch(self, scope: Scope, receive: Receive, send: Send) -> None:
        _, port = scope["server"]
        await self._by_port[port](scope, receive, send)
