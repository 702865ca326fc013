"""The HTTP side of the indexer: announce, find, delegated routing, providers and sync status.

Reads the index and queues announcements; never fetches anything itself.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeAlias

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from fpin.devnet.ipni import announcement, routing
from fpin.devnet.ipni.advertisement import is_multihash
from fpin.devnet.ipni.extended import Extension
from fpin.devnet.ipni.identity import base58_decode, parse_peer_id
from fpin.devnet.ipni.index import ProviderInfo, Record
from fpin.ipld.cid import DAG_CBOR, DAG_JSON, codec_of, format_cid, multihash_of, parse_cid

if TYPE_CHECKING:
    from fpin.devnet.ipni.indexer import Indexer
    from fpin.devnet.ipni.ingest import SyncStatus

_JSON, _NDJSON = "application/json", "application/x-ndjson"
_MAX_ANNOUNCEMENT = 1 << 20
_DOUBLE_HASHED = b"\x56"
_CORS = {"Access-Control-Allow-Origin": "*"}
# indexstar sends the same for hits and misses.
_ROUTING_CACHE = {
    "Cache-Control": "public, max-age=300, s-maxage=300, stale-while-revalidate=60, stale-if-error=120"
}
Handler: TypeAlias = Callable[[Request], Awaitable[Response]]


class _Reply(Exception):
    """Ends the handling of a request with this answer."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.response = PlainTextResponse(f"{text}\n", status, headers=_CORS)


def make_app(indexer: Indexer) -> Starlette:
    """All routes over *indexer*."""
    service = _Service(indexer)
    lookups: list[tuple[str, Handler]] = [
        ("/cid/{cid}", service.find_cid),
        ("/multihash/{multihash}", service.find_multihash),
        ("/encrypted/cid/{cid}", service.find_hidden_cid),
        ("/encrypted/multihash/{multihash}", service.find_hidden_multihash),
        ("/metadata/{key}", service.get_metadata),
        ("/routing/v1/providers/{cid}", service.find_routing),
        ("/providers", service.list_providers),
        ("/providers/{peer}", service.get_provider),
        ("/stats", service.get_stats),
        ("/sync/status", service.list_sync_status),
        ("/sync/status/{peer}", service.get_sync_status),
        ("/sync/status/ad/{cid}", service.get_ad_status),
        ("/health", service.get_health),
    ]
    routes = [Route(path, service.guarded(handler), methods=["GET"]) for path, handler in lookups]
    for path in ("/announce", "/ingest/announce"):
        routes.append(Route(path, service.guarded(service.put_announce), methods=["PUT"]))
    return Starlette(routes=routes)


class _Service:
    def __init__(self, indexer: Indexer) -> None:
        self._indexer = indexer
        self._index = indexer.index

    def guarded(self, handler: Handler) -> Handler:
        """*handler* behind the fault switches, with `_Reply` turned into its answer."""

        async def handle(request: Request) -> Response:
            try:
                broken = self._broken(request)
                return broken if broken is not None else await handler(request)
            except _Reply as reply:
                return reply.response

        return handle

    def _broken(self, request: Request) -> Response | None:
        faults = self._indexer.faults
        if faults.stopped:
            return PlainTextResponse("stopped\n", 503)
        if request.method != "GET":
            return None
        if faults.failing > 0:
            faults.failing -= 1
            headers = {} if faults.retry_after is None else {"Retry-After": str(faults.retry_after)}
            return PlainTextResponse("out of order\n", faults.status, headers=headers)
        return HTMLResponse("<!doctype html><title>Welcome</title>") if faults.nonsense else None

    # Announce

    async def put_announce(self, request: Request) -> Response:
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > _MAX_ANNOUNCEMENT:
                raise _Reply(400, "announce: http: request body too large")
        try:
            said = announcement.decode(bytes(body), request.headers.get("Content-Type", ""))
            publisher = said.publisher
        except ValueError as exc:
            raise _Reply(400, f"announce: {exc}") from exc
        self._indexer.announced(publisher, format_cid(said.head), said.addresses[0])
        return Response(status_code=204)

    # Find

    async def find_cid(self, request: Request) -> Response:
        stream = _accepts(request, _NDJSON, _JSON) == _NDJSON
        return self._answer(multihash_of(_cid(request)), stream)

    async def find_multihash(self, request: Request) -> Response:
        stream = _accepts(request, _NDJSON, _JSON) == _NDJSON
        return self._answer(_multihash(request), stream)

    def _found(self, multihash: bytes) -> list[Record]:
        return [] if self._indexer.faults.encrypted_only else self._index.find(multihash)

    def _answer(self, multihash: bytes, stream: bool) -> Response:
        results = [_provider_result(record) for record in self._found(multihash)]
        if not results:
            raise _Reply(404, "no results for query")
        if stream:
            return _lines(results, {"X-Content-Type-Options": "nosniff"})
        return _json(
            {"MultihashResults": [{"Multihash": _base64(multihash), "ProviderResults": results}]},
        )

    async def find_hidden_cid(self, request: Request) -> Response:
        stream = _accepts(request, _NDJSON, _JSON) == _NDJSON
        return self._hidden_answer(multihash_of(_cid(request)), stream)

    async def find_hidden_multihash(self, request: Request) -> Response:
        stream = _accepts(request, _NDJSON, _JSON) == _NDJSON
        return self._hidden_answer(_multihash(request), stream)

    def _hidden_answer(self, second: bytes, stream: bool) -> Response:
        if second[:1] != _DOUBLE_HASHED:
            raise _Reply(400, "multihash must be of code dbl-sha2-256")
        keys = [_base64(key) for key in self._index.find_hidden(second)]
        if not keys:
            raise _Reply(404, "no results for query")
        if stream:
            lines = [{"EncryptedValueKey": key} for key in keys]
            return _lines(lines, {"X-Content-Type-Options": "nosniff"})
        found = {"Multihash": _base64(second), "EncryptedValueKeys": keys}
        return _json({"EncryptedMultihashResults": [found]})

    async def get_metadata(self, request: Request) -> Response:
        _accepts(request, _JSON)
        try:
            key = base58_decode(request.path_params["key"])
        except ValueError as exc:
            raise _Reply(400, f"cannot decode key: {exc}") from exc
        box = self._index.hidden_metadata(key)
        if box is None:
            raise _Reply(404, "no metadata for key")
        return _json({"EncryptedMetadata": _base64(box)})

    async def find_routing(self, request: Request) -> Response:
        stream = _accepts(request, _NDJSON, _JSON) == _NDJSON
        found = routing.peers(self._found(multihash_of(_cid(request))))
        query = request.query_params
        kept = routing.keep(found, query.get("filter-addrs"), query.get("filter-protocols"))
        records = [peer.to_json() for peer in kept]
        if not records:
            # indexstar answers a miss so, although the specification now wants 200 and an empty list.
            return PlainTextResponse("no results for query\n", 404, headers={**_CORS, **_ROUTING_CACHE})
        if stream:
            return _lines(records, _ROUTING_CACHE)
        return _json({"Providers": records}, _ROUTING_CACHE)

    # Providers and health

    async def list_providers(self, request: Request) -> Response:
        _accepts(request, _JSON)
        return _json([self._shown(info) for info in self._index.providers()])

    async def get_provider(self, request: Request) -> Response:
        _accepts(request, _JSON)
        info = self._index.provider(_peer(request, "cannot decode provider id"))
        if info is None or info.inactive:
            raise _Reply(404, "provider not found")
        return _json(self._shown(info))

    def _shown(self, info: ProviderInfo) -> dict[str, object]:
        shown, extension = _provider_info(info), self._index.extension(info.peer)
        return {**shown, "ExtendedProviders": _extension(extension)} if extension else shown

    async def get_stats(self, _: Request) -> Response:
        count = self._index.entry_count()
        return _json({"EntriesEstimate": count, "EntriesCount": count})

    async def get_health(self, _: Request) -> Response:
        return PlainTextResponse("ready fpin-devnet\n", headers={**_CORS, "Cache-Control": "no-cache"})

    # Sync status

    async def list_sync_status(self, _: Request) -> Response:
        statuses = dict(self._indexer.statuses)
        if not statuses:
            return Response(status_code=204, headers=_CORS)
        return _json({peer: _sync_status(peer, status) for peer, status in statuses.items()})

    async def get_sync_status(self, request: Request) -> Response:
        peer = _peer(request, "Cannot decode peer id")
        status = self._indexer.statuses.get(peer)
        return _json(_sync_status(peer, status)) if status else Response(status_code=204, headers=_CORS)

    async def get_ad_status(self, request: Request) -> Response:
        cid = _cid(request)
        if codec_of(cid) not in (DAG_JSON, DAG_CBOR):
            raise _Reply(400, "not an advertisement CID; to look up content use /cid/{cid}")
        state, reason = self._index.ad_state(format_cid(cid))
        answer = {"Ad": format_cid(cid), "Indexed": state == "indexed", "State": state}
        return _json({**answer, "Reason": reason} if reason else answer)


def _cid(request: Request) -> bytes:
    try:
        return parse_cid(request.path_params["cid"])
    except ValueError as exc:
        raise _Reply(400, f"Cannot decode cid: {exc}") from exc


def _peer(request: Request, complaint: str) -> str:
    try:
        return parse_peer_id(request.path_params["peer"])
    except ValueError as exc:
        raise _Reply(400, f"{complaint}: {exc}") from exc


def _multihash(request: Request) -> bytes:
    for decode in (base58_decode, bytes.fromhex):
        try:
            found = decode(request.path_params["multihash"])
        except ValueError:
            continue
        if is_multihash(found):
            return found
    raise _Reply(400, "find: input is not a valid base58 or hex encoded multihash")


def _accepts(request: Request, *offered: str) -> str:
    """Which of *offered* (best first) the Accept header asks for; 406 where it asks for none of them."""
    header = request.headers.get("accept")
    if header is None:
        return _JSON
    asked = [part.split(";")[0].strip().lower() for part in header.split(",")]
    if any(part.count("/") != 1 or part.startswith("/") or part.endswith("/") for part in asked):
        raise _Reply(406, "invalid Accept header")
    for media_type in offered:
        if media_type in asked:
            return media_type
    if "*/*" in asked:
        return _JSON
    raise _Reply(406, f"media type not supported: {header[:200]}")


def _provider_result(record: Record) -> dict[str, object]:
    return {
        "ContextID": _base64(record.context_id),
        "Metadata": _base64(record.metadata),
        "Provider": {"ID": record.provider, "Addrs": [*record.addresses]},
    }


def _provider_info(info: ProviderInfo) -> dict[str, object]:
    address = info.publisher_address
    shown: dict[str, object] = {
        "AddrInfo": {"ID": info.peer, "Addrs": [*info.addresses]},
        "LastAdvertisement": {"/": info.last_ad} if info.last_ad else None,
        "LastAdvertisementTime": _time(info.last_ad_time),
        "Lag": info.lag,
        "Publisher": {"ID": info.publisher, "Addrs": [address.split("/p2p/")[0]] if address else []},
        "FrozenAt": None,
        "Inactive": info.inactive,
        "LastError": info.last_error,
        "LastErrorTime": _time(info.last_error_time),
    }
    always = ("AddrInfo", "LastAdvertisement", "FrozenAt")
    return {name: value for name, value in shown.items() if value or name in always}


def _extension(extension: Extension) -> dict[str, object]:
    named: dict[str, object] = {
        "Providers": [{"ID": one.peer, "Addrs": [*one.addresses]} for one in extension.providers],
        "Metadatas": [_base64(one.metadata) or None for one in extension.providers],
    }
    if not extension.context_id:
        return named
    # Go takes the bytes for a text, and writes what is no UTF-8 in them as U+FFFD.
    context = extension.context_id.decode("utf-8", "replace")
    return {"Contextual": [{"Override": extension.override, "ContextID": context, **named}]}


def _sync_status(peer: str, status: SyncStatus) -> dict[str, object]:
    times = {"StartTime": _time(status.started), "EndTime": _time(status.ended), "Ongoing": not status.ended}
    scan = {"AdsScanned": status.scanned, "HeadAd": status.head, "Error": status.error, **times}
    left = status.total - status.processed
    processing = {"AdsTotal": status.total, "AdsProcessed": status.processed, "AdsLeft": left}
    return {"Provider": peer, "Scan": _filled(scan), "Processing": _filled(processing)}


def _filled(fields: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value}


def _time(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _json(value: object, headers: dict[str, str] | None = None) -> Response:
    body = json.dumps(value, separators=(",", ":"))
    return Response(body, media_type=_JSON, headers={**_CORS, **(headers or {})})


def _lines(values: Sequence[object], headers: dict[str, str]) -> Response:
    body = "".join(json.dumps(value, separators=(",", ":")) + "\n" for value in values)
    return Response(body, media_type=_NDJSON, headers={**_CORS, **headers})
