"""A delegated router: who serves a CID over HTTP, asked in the Delegated Routing V1 API.

Knows its kinds of records, its statuses and filters (spec routing-and-retrieval §2). A router says from whom
content is to be had, and nothing about advertisements; it may ask anybody itself. Refuses to know when it is
safe to be asked: the gate does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from fpin.addresses import shown
from fpin.errors import VerificationFailed
from fpin.http import Http, Reply
from fpin.ipld import cid as cids
from fpin.ipld.jsonbytes import read_json
from fpin.routing import metadata, peer_id
from fpin.routing.indexer import Answer, Record, ask, is_ndjson, looked_up

_PROTOCOL = "transport-ipfs-gateway-http"
MAX_RECORDS = 1000  # what routers stream at most; 100 are the rule for lists
MAX_ID = 100  # bytes of the ID of a ``generic`` record


class Router:
    """The router at *base*. *url* is what it is called: a token that *base* holds is not in it."""

    def __init__(self, base: str, http: Http) -> None:
        self.base = base.rstrip("/")
        self.url = shown(self.base)
        self._http = http

    def __repr__(self) -> str:
        return f"Router({self.url!r})"

    def find(self, cid: bytes) -> Answer:
        """Ask who gives out *cid* over HTTP. Never raises for what a router can do wrong."""
        text = cids.format_cid(cids.to_v1(cid))
        url = f"{self.base}/routing/v1/providers/{text}?filter-protocols={_PROTOCOL}"
        # 404 is what older servers say in place of an empty list (IPIP-513).
        refusals = (400, 405, 406, 422, 501)
        return looked_up(lambda: ask(self._http, url, peer=f"router {self.url}"), _http_records, refusals)


def _http_records(reply: Reply) -> Iterator[Record]:
    """Yield the records of those who serve over HTTP: a server may leave the filter alone."""
    return (record for record in _records(reply) if record.http_urls)


def _records(reply: Reply) -> Iterator[Record]:
    """Yield the records of an answer that are of a known kind (rule R7), read by its Content-Type."""
    items: Iterable[Mapping[str, object]]
    if is_ndjson(reply):
        items = [read_json(line) for line in reply.body.splitlines() if line.strip()]
    else:
        items = reply.json()["Providers"] or ()
    for item, _ in zip(items, range(MAX_RECORDS), strict=False):
        if (record := _record(item)) is not None:
            yield record


def _record(item: Mapping[str, object]) -> Record | None:
    match item["Schema"]:
        case "peer" | "generic":
            protocols = item.get("Protocols") or []
        case "bitswap" | "graphsync-filecoinv1":  # from before there was ``peer``
            protocols = [item.get("Protocol")]
        case _:
            return None
    name, addresses = item["ID"], item.get("Addrs") or []
    if not isinstance(name, str) or not isinstance(protocols, list) or not isinstance(addresses, list):
        raise ValueError("ID, Protocols or Addrs has a wrong type")
    try:
        peer = peer_id.parse(name)
    except (ValueError, VerificationFailed):
        peer = None  # a ``generic`` record has any name
        if item["Schema"] != "generic" or len(name.encode()) >= MAX_ID:
            return None
    return Record(
        provider=name,
        peer_id=peer,
        addresses=tuple(address for address in addresses if isinstance(address, str)),
        context_id=b"",
        metadata=metadata.encode(protocol for protocol in protocols if isinstance(protocol, str)),
    )
