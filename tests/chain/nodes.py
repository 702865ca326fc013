"""Nodes for tests: one that says what a test tells it to, and the devnet's chain on a real socket."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from fpin.chain.rpc import JsonRpc
from fpin.http import Http


class Refusal(Exception):
    """An error object that a method of a `ScriptedNode` answers with."""

    def __init__(self, code: int, message: str, data: object = None) -> None:
        super().__init__(message)
        self.error = {"code": code, "message": message} | ({"data": data} if data is not None else {})


@dataclass
class ScriptedNode:
    """Answers each method with a value, a list of values one after the other (the last stays), or a function.

    *raw* are whole answers, ``(status, headers, body)``, given before anything else is looked at.
    """

    url: str = ""
    methods: dict[str, Any] = field(default_factory=dict)
    raw: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    bodies: list[Any] = field(default_factory=list)
    takes_batches: bool = True

    def answer(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        request = json.loads(body)
        self.bodies.append(request)
        if self.raw:
            return self.raw.pop(0)
        if isinstance(request, list):
            if not self.takes_batches:
                error = {"code": -32600, "message": "batch requests are not allowed"}
                return 200, {}, json.dumps({"jsonrpc": "2.0", "id": None, "error": error}).encode()
            # Reversed: the specification lets a server answer in any order.
            return 200, {}, json.dumps([self._one(entry) for entry in request][::-1]).encode()
        return 200, {}, json.dumps(self._one(request)).encode()

    def _one(self, request: dict[str, Any]) -> dict[str, Any]:
        name = request["method"]
        self.asked.append(name)
        answer = {"jsonrpc": "2.0", "id": request["id"]}
        try:
            return {**answer, "result": self._result(name, request["params"])}
        except Refusal as exc:
            return {**answer, "error": exc.error}

    def _result(self, name: str, params: list[Any]) -> Any:
        value = self.methods.get(name, Refusal(-32601, f"method {name} not found"))
        if isinstance(value, list):
            value = value.pop(0) if len(value) > 1 else value[0]
        if callable(value):
            value = value(*params)
        if isinstance(value, Refusal):
            raise value
        return value


@contextmanager
def serve_scripted() -> Iterator[ScriptedNode]:
    node = ScriptedNode()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            status, headers, body = node.answer(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    node.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield node
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def serve_app(app: ASGIApp) -> Iterator[str]:
    """Serve *app* on a free loopback port and give its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_level="warning", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


@dataclass
class Waits:
    """Sleeping and the clock in one: sleeping moves the clock and takes no time."""

    now: float = 0.0
    slept: list[float] = field(default_factory=list)
    on_sleep: Callable[[], None] | None = None

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        if self.on_sleep is not None:
            self.on_sleep()

    def clock(self) -> float:
        return self.now


def make_rpc(url: str, http: Http, waits: Waits) -> JsonRpc:
    return JsonRpc(url, http, sleep=waits.sleep, clock=waits.clock)
