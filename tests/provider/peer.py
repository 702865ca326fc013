"""A small HTTP server on loopback for tests of client rooms: answers as told, notes what it was asked.

Standard library only, so that it shares nothing with the code under test or with the devnet.
"""

from __future__ import annotations

import json
import threading
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Request:
    method: str
    path: str  # percent-encoded, without the query
    query: Mapping[str, str]
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """*promised* bytes are announced and fewer sent: the connection breaks off."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    promised: int | None = None


def answer(status: int = 200, body: object = b"", *, promised: int | None = None, **headers: str) -> Answer:
    """Return an answer; anything but bytes and text is sent as JSON. ``Retry_After="3"`` names a header."""
    if isinstance(body, str):
        body = body.encode()
    elif not isinstance(body, bytes):
        body = json.dumps(body).encode()
        headers.setdefault("Content_Type", "application/json")
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status=status, body=body, headers=names, promised=promised)


Reaction = Answer | Callable[[Request], Answer]


class Peer:
    """Use it in a ``with``. Unknown routes answer 404; the last of several answers is repeated."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self._routes: dict[tuple[str, str], list[Reaction]] = {}
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    def on(self, method: str, path: str, *reactions: Reaction) -> None:
        with self._lock:
            self._routes[method, path] = list(reactions)

    def asked(self, method: str | None = None) -> list[str]:
        """Return the paths asked for, in order."""
        return [request.path for request in self.requests if method in (None, request.method)]

    def react(self, request: Request) -> Answer:
        with self._lock:
            self.requests.append(request)
            reactions = self._routes.get((request.method, request.path))
            if not reactions:
                return answer(404, "404 page not found\n")
            reaction = reactions.pop(0) if len(reactions) > 1 else reactions[0]
        return reaction if isinstance(reaction, Answer) else reaction(request)

    def __enter__(self) -> Peer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        peer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                self.close_connection = True
                self.raw_requestline = self.rfile.readline(65537)
                if not self.raw_requestline or not self.parse_request():
                    return
                self.close_connection = True  # one request a connection: no thread outlives the test
                peer._serve(self)

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        parts = urllib.parse.urlsplit(handler.path)
        length = int(handler.headers.get("Content-Length", "0"))
        request = Request(
            method=handler.command,
            path=parts.path,
            query=dict(urllib.parse.parse_qsl(parts.query)),
            headers={name.lower(): value for name, value in handler.headers.items()},
            body=handler.rfile.read(length),
        )
        reply = self.react(request)
        try:
            handler.send_response(reply.status)
            for name, value in reply.headers.items():
                handler.send_header(name, value)
            size = len(reply.body) if reply.promised is None else reply.promised
            if "Content-Length" not in reply.headers:
                handler.send_header("Content-Length", str(size))
            handler.send_header("Connection", "close")
            handler.end_headers()
            if request.method != "HEAD":
                handler.wfile.write(reply.body)
            handler.wfile.flush()
        except ConnectionError:
            pass  # the client hung up, which some tests want
