"""A cache before an indexer, as `cid.contact` has one: what it answered it repeats for long, to all.

Keeps answers as the published configuration of that distribution does (spec routing-and-retrieval §4.1), and
writes down which content it was asked for. Knows nothing of indexers: it stands before any application.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import field

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fpin.values import dataclass

# Seconds.
_NEGATIVE = 1200
_OTHER_ERRORS = 10
_LEAST, _DEFAULT, _MOST = 1200, 7200, 86_400
_LIST_OF_PROVIDERS = 300

_CONTENT = ("/cid/", "/multihash/", "/routing/v1/")


@dataclass
class _Kept:
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes = b""
    since: float = 0.0
    until: float = 0.0


@dataclass
class CachingFront:
    """An ASGI application that passes requests on to *app* and keeps its answers; *clock* gives seconds."""

    app: ASGIApp
    clock: Callable[[], float] = time.time
    asked: list[str] = field(default_factory=list)  # paths of content, in the order they were asked for
    _answers: dict[tuple[str, ...], _Kept] = field(default_factory=dict)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        if scope["method"] != "GET" or path.startswith("/sync/status"):
            await self.app(scope, receive, send)
            return
        if path.startswith(_CONTENT):
            self.asked.append(path)
        key = self._key(scope)
        kept = self._answers.get(key)
        hit = kept is not None and self.clock() < kept.until
        if kept is None or not hit:
            kept = self._answers[key] = await self._fetched(scope, receive)
        notes = [
            (b"age", str(int(self.clock() - kept.since)).encode()),
            (b"x-cache", b"Hit from cloudfront" if hit else b"Miss from cloudfront"),
        ]
        await send({"type": "http.response.start", "status": kept.status, "headers": [*kept.headers, *notes]})
        await send({"type": "http.response.body", "body": kept.body})

    def _key(self, scope: Scope) -> tuple[str, ...]:
        """What tells answers apart; other parameters do not, so that nobody can step round the cache."""
        wanted = ("cascade", "filter-addrs", "filter-protocols")
        query = scope.get("query_string", b"").decode().split("&")
        chosen = [part for part in sorted(query) if part.partition("=")[0] in wanted]
        return (scope["path"], Headers(scope=scope).get("accept", ""), *chosen)

    async def _fetched(self, scope: Scope, receive: Receive) -> _Kept:
        kept = _Kept(status=500, headers=[])

        async def take(message: Message) -> None:
            if message["type"] == "http.response.start":
                kept.status, kept.headers = message["status"], list(message["headers"])
            elif message["type"] == "http.response.body":
                kept.body += message.get("body", b"")

        await self.app(scope, receive, take)
        kept.since = self.clock()
        kept.until = kept.since + self._lifetime(scope["path"], kept)
        return kept

    def _lifetime(self, path: str, kept: _Kept) -> float:
        if kept.status == 404:
            return _NEGATIVE
        if kept.status >= 400:
            return _OTHER_ERRORS
        if path == "/providers":
            return _LIST_OF_PROVIDERS
        said = re.search(r"(?:^|[ ,])max-age=(\d+)", Headers(raw=kept.headers).get("cache-control", ""))
        return min(max(int(said[1]) if said else _DEFAULT, _LEAST), _MOST)
