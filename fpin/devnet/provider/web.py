"""HTTP as a Curio server speaks it: routing, error bodies, JSON rules, headers on every answer.

Knows nothing of what the routes do. Left out: throttling by IP address, and TLS.

Source: curio cuhttp/server.go and pdp/handlers.go (commit e0294b0f); spec storage-provider, section 1.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import field
from typing import Any, TypeVar, TypeVarTuple

import anyio
import anyio.to_thread
from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fpin.devnet.provider.faults import Faults
from fpin.devnet.provider.node import NodeError, NodeSilent
from fpin.devnet.silence import HangUp
from fpin.values import dataclass

_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, HEAD, POST, PUT, DELETE, OPTIONS",
    "Access-Control-Allow-Headers": "Content-Type, Authorization, Accept, Accept-Encoding",
    "Access-Control-Expose-Headers": "Location",
}
_SECURITY = {
    "Strict-Transport-Security": "max-age=63072000; includeSubDomains; preload",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-XSS-Protection": "1; mode=block",
    "Referrer-Policy": "no-referrer",
}
_ENCODINGS = {"zstd", "br", "gzip", "deflate", "*"}


class Refusal(Exception):
    """What a route answers instead; *traced* adds the id under which a real provider logs the cause."""

    def __init__(
        self, status: int, message: str, *, traced: bool = False, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers
        self.body = f"{message} [eid: {uuid.uuid4()}]\n" if traced else f"{message}\n"

    def answer(self) -> Response:
        return Response(self.body, self.status, self.headers, media_type="text/plain")


def fail(status: int, message: str) -> Refusal:
    """The usual error of this server: the message, and an id for its log."""
    return Refusal(status, message, traced=True)


def not_found() -> Refusal:
    return Refusal(404, "404 page not found")


def to_answer(value: object, status: int = 200) -> Response:
    """JSON as Go writes it: no spaces, one line."""
    return Response(json.dumps(value, separators=(",", ":")) + "\n", status, media_type="application/json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request with its body read."""

    path: Mapping[str, str]
    query: Mapping[str, str]
    headers: Headers
    body: bytes

    def json(self, what: str, *, whole: bool = False, may_be_empty: bool = False) -> JsonObject:
        """The body as Go's decoder reads it; 400 beginning with *what* when it cannot be read.

        Only the first JSON value counts unless *whole*.
        """
        try:
            text = self.body.decode()
            if may_be_empty and not text.strip():
                return JsonObject({})
            value, end = json.JSONDecoder().raw_decode(text.lstrip())
            if whole and text.lstrip()[end:].strip():
                raise ValueError("invalid character after top-level value")
            if not isinstance(value, dict):
                raise ValueError("json: cannot unmarshal into an object")
        except ValueError as exc:
            raise fail(400, f"{what}: {exc}") from exc
        return JsonObject(value, what)

    def number(self, name: str, label: str) -> int:
        """An unsigned 64-bit number from the path."""
        text = self.path[name]
        if not (text.isascii() and text.isdigit()) or int(text) >= 2**64:
            raise Refusal(400, f"Invalid {label} format")
        return int(text)

    def tx_hash(self) -> str:
        text = self.path["txHash"].lower()
        text = text if text.startswith("0x") else "0x" + text
        if len(text) != 66:
            raise Refusal(400, "Invalid txHash length")
        try:
            bytes.fromhex(text[2:])
        except ValueError as exc:
            raise Refusal(400, "Invalid txHash format") from exc
        return text


class JsonObject:
    """A JSON object with Go's habits: names in any case, absent and null are zero values."""

    def __init__(self, value: Mapping[str, object], what: str = "Invalid request body") -> None:
        self._fields = {name.lower(): field for name, field in value.items()}
        self._what = what

    def _take(self, name: str, kind: type, zero: Any) -> Any:
        value = self._fields.get(name.lower())
        if value is None:
            return zero
        if not isinstance(value, kind) or isinstance(value, bool):
            raise fail(400, f"{self._what}: json: cannot unmarshal field {name}")
        return value

    def text(self, name: str) -> str:
        found: str = self._take(name, str, "")
        return found

    def has(self, name: str) -> bool:
        return self._fields.get(name.lower()) is not None

    def number(self, name: str) -> int:
        found: int = self._take(name, int, 0)
        return self._unsigned(found, name)

    def numbers(self, name: str) -> list[int]:
        return [self._unsigned(each, name) for each in self._take(name, list, [])]

    def objects(self, name: str) -> list[JsonObject]:
        found = self._take(name, list, [])
        if not all(isinstance(each, dict) for each in found):
            raise fail(400, f"{self._what}: json: cannot unmarshal field {name}")
        return [JsonObject(each, self._what) for each in found]

    def _unsigned(self, value: object, name: str) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**64:
            raise fail(400, f"{self._what}: json: cannot unmarshal number {value} into field {name}")
        return value


def from_hex(text: str) -> bytes:
    """Hex digits, ``0x`` optional; ValueError otherwise (odd length, other characters, spaces)."""
    digits = text.removeprefix("0x")
    if not digits.isalnum() and digits:
        raise ValueError("encoding/hex: invalid byte")
    return bytes.fromhex(digits)


T = TypeVar("T")
Ts = TypeVarTuple("Ts")
Handler = Callable[[Call], Response]


@dataclass(frozen=True, slots=True)
class Stream:
    """A handler that takes the body itself, as it comes, in the event loop."""

    answer: Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One path of the API; *slash* paths answer with and without a slash at the end."""

    path: str
    handlers: Mapping[str, tuple[str, Handler | Stream]]  # method -> (route name, what answers)
    slash: bool = False


@dataclass(kw_only=True)
class Desk:
    """Answers calls: faults first, then the handler in a thread; every error becomes an answer."""

    faults: Faults
    # Its own threads: a handler that waits for the chain must not use up those in which the chain answers.
    threads: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(12))

    async def answer(self, name: str, handler: Handler | Stream, request: Request) -> Response:
        if self.faults.slow:
            await anyio.sleep(self.faults.slow)
        status = self.faults.refusal(name)
        if status is not None:
            return fail(status, "Service Unavailable").answer() if status else HangUp()
        try:
            if isinstance(handler, Stream):
                response = await handler.answer(request)
            else:
                call = Call(
                    path=request.path_params,
                    query=request.query_params,
                    headers=request.headers,
                    body=await request.body(),
                )
                response = await self.in_thread(handler, call)
        except Refusal as refusal:
            return refusal.answer()
        except NodeSilent as silent:
            return fail(500, f"Failed to send transaction: {silent}").answer()
        except NodeError as error:
            return Refusal(500, f"chain: {error}").answer()
        if response.status_code < 400 and name in self.faults.drop_answer_after_success:
            return HangUp()
        return response

    async def in_thread(self, work: Callable[[*Ts], T], *arguments: *Ts) -> T:
        """Run *work* in one of the provider's threads."""
        return await anyio.to_thread.run_sync(work, *arguments, limiter=self.threads)


class Watched:
    """An application of its own behind the provider's faults, under the route name *name*."""

    def __init__(self, name: str, app: ASGIApp, faults: Faults) -> None:
        self._name, self._app, self._faults = name, app, faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._faults.slow:
            await anyio.sleep(self._faults.slow)
        status = self._faults.refusal(self._name)
        if status is None:
            await self._app(scope, receive, send)
        else:
            answer = fail(status, "Service Unavailable").answer() if status else HangUp()
            await answer(scope, receive, send)


class _Endpoint:
    """The methods of one path; unlike a plain route it names all of them in a 405 and adds no HEAD."""

    def __init__(self, desk: Desk, rule: Rule) -> None:
        self._desk = desk
        self._handlers = rule.handlers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        if request.method not in self._handlers:
            response = Response(status_code=405, headers={"Allow": ", ".join(self._handlers)})
        else:
            name, handler = self._handlers[request.method]
            try:
                response = await self._desk.answer(name, handler, request)
            except ClientDisconnect:
                return
        await response(scope, receive, send)


def build_app(desk: Desk, rules: list[Rule], mounts: list[BaseRoute]) -> ASGIApp:
    """The whole server: *rules*, *mounts* (other apps under a prefix), and what every answer carries."""
    routes: list[BaseRoute] = []
    for rule in rules:
        endpoint = _Endpoint(desk, rule)
        paths = [rule.path, rule.path + "/"] if rule.slash else [rule.path]
        routes += [Route(path, endpoint) for path in paths]
    inner = Starlette(routes=[*routes, *mounts], exception_handlers={HTTPException: _unknown})
    inner.router.redirect_slashes = False
    return _Envelope(GZipMiddleware(inner, minimum_size=200, compresslevel=1))


async def _unknown(_: Request, exc: Exception) -> Response:
    status = exc.status_code if isinstance(exc, HTTPException) else 500
    return Refusal(status, "Requested resource not found" if status == 404 else "").answer()


class _Envelope:
    """CORS, security headers, and compression's side effect: it takes ranges away."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._add(message, compressing)
            await send(message)

        headers = Headers(scope=scope)
        compressing = _compresses(headers.get("accept-encoding", ""))
        if scope["method"] == "OPTIONS":
            await Response(status_code=204)(scope, receive, send_with_headers)
            return
        if compressing:
            kept = [(name, value) for name, value in scope["headers"] if name != b"range"]
            scope = {**scope, "headers": kept}
        await self._app(scope, receive, send_with_headers)

    def _add(self, message: MutableMapping[str, Any], compressing: bool) -> None:
        headers = MutableHeaders(raw=message["headers"])
        for name, value in (_CORS | _SECURITY).items():
            headers[name] = value
        headers.add_vary_header("Accept-Encoding")
        if compressing and "accept-ranges" in headers:
            del headers["accept-ranges"]
        if "content-encoding" in headers and "content-length" in headers:
            del headers["content-length"]  # a real server compresses while it sends


def _compresses(accepted: str) -> bool:
    names = [part.partition(";") for part in accepted.lower().split(",")]
    return any(name.strip() in _ENCODINGS and rest.strip() not in ("q=0", "q=0.0") for name, _, rest in names)
