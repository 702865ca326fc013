"""A trustless IPFS gateway over a block store, as storage providers run it: CARs and raw blocks.

Knows HTTP and the CAR format; `traverse` chooses the blocks, `negotiate` reads the request.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request as HttpRequest
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from fpin.devnet.gateway.negotiate import Asked, BadRequest, Form, read_request
from fpin.devnet.gateway.traverse import BlockStore, Missing, traverse
from fpin.ipld import car
from fpin.ipld.cid import format_cid, identity_data, multihash_of

__all__ = ["BlockStore", "Gateway"]

_PART = 1 << 18  # bytes gathered before they are sent: a thread is changed for each part, not for each block


class Gateway:
    """An ASGI application that answers ``/ipfs/{cid}[/path]`` out of *blocks*."""

    def __init__(self, blocks: BlockStore) -> None:
        self._blocks = blocks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await run_in_threadpool(self.answer, HttpRequest(scope))
        await response(scope, receive, send)

    def answer(self, request: HttpRequest) -> Response:
        """The answer to *request*; reads the store, so not for an event loop's thread."""
        if request.method not in ("GET", "HEAD"):
            return PlainTextResponse("method not allowed", 405, headers={"Allow": "GET, HEAD"})
        path = request.scope.get("raw_path") or quote(request.scope["path"]).encode()
        try:
            asked = read_request(path.split(b"?")[0].decode("latin-1"), request.query_params, request.headers)
            return self._serve(request, asked)
        except BadRequest as exc:
            return PlainTextResponse(str(exc), exc.status)

    def _serve(self, request: HttpRequest, asked: Asked) -> Response:
        root = asked.request.root
        inline = identity_data(root)
        if inline is None and not self._blocks.has(multihash_of(root)):
            if "only-if-cached" in request.headers.get("cache-control", "").lower():
                raise BadRequest("content not in cache", 412)
            raise BadRequest(str(Missing(root)), 404)
        headers = _headers(request, asked)
        if request.method == "HEAD":
            return Response(headers=headers)
        if not asked.form.raw:
            return StreamingResponse(_car(self._blocks, asked), headers=headers)
        data = inline if inline is not None else self._blocks.get(multihash_of(root))
        if data is None:
            raise BadRequest(str(Missing(root)), 404)
        return Response(data, headers=headers)


def _car(blocks: BlockStore, asked: Asked) -> Iterator[bytes]:
    """The CAR in parts. Where a block is missing or broken it ends, as if it were complete: that is what
    Curio's gateway does, and the reason why a client has to check for completeness itself.
    """
    parts, size = [car.header([asked.request.root])], 0
    try:
        for block in traverse(blocks, asked.request):
            parts += [car.section_prefix(block.cid, len(block.data)), block.data]
            size += len(block.data)
            if size >= _PART:
                yield b"".join(parts)
                parts, size = [], 0
    except (Missing, ValueError):
        pass
    yield b"".join(parts)


def _headers(request: HttpRequest, asked: Asked) -> dict[str, str]:
    root = format_cid(asked.request.root)
    path = quote("/".join(("", "ipfs", asked.root_text, *asked.request.path)))
    headers = {
        "Content-Type": asked.form.content_type,
        "Content-Disposition": f'attachment; filename="{asked.filename}"',
        "Cache-Control": "public, max-age=29030400, immutable",
        "Etag": f'W/"{root}.car.{_fingerprint(asked)}"',
        "X-Content-Type-Options": "nosniff",
        "X-Ipfs-Path": path,
        "Vary": "Accept, Accept-Encoding",
    }
    if not asked.form.raw:
        headers["Accept-Ranges"] = "none"
    if not asked.request.path:
        headers["X-Ipfs-Roots"] = root
    if not request.query_params.get("format"):
        headers["Content-Location"] = _location(request, path, asked.form)
    return headers


def _location(request: HttpRequest, path: str, form: Form) -> str:
    query = request.scope.get("query_string", b"").decode("latin-1")
    return f"{path}?{query}{'&' if query else ''}format={'raw' if form.raw else 'car'}"


def _fingerprint(asked: Asked) -> str:
    """Differs between any two answers that differ."""
    return hashlib.sha256(repr((asked.request, asked.form)).encode()).hexdigest()[:13]
