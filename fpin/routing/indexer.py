"""An IPNI indexer: who has this CID, was this advertisement processed, what is known of this provider.

Knows the find API and the sync status (spec routing-and-retrieval §1, §3.10, upstream-changes.md), and the
difference between "absent" and "could not say" (rule R2). Refuses to know which record is the right one.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Literal

from fpin.addresses import shown
from fpin.errors import IndexerUnavailable, VerificationFailed
from fpin.http import Http, Reply, Timeout, retry_after
from fpin.ipld import cid as cids
from fpin.ipld.jsonbytes import read_json
from fpin.routing import peer_id
from fpin.routing.metadata import decode as decode_metadata
from fpin.routing.multiaddr import url_of
from fpin.values import dataclass

TIMEOUT = Timeout(connect=10, io=10)
MAX_ANSWER = 16 * 2**20  # a popular CID has thousands of records

AdState = Literal["indexed", "pending", "skipped", "unknown", "inconclusive"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One provider's record for a CID, as the indexer has it."""

    provider: str
    peer_id: bytes | None  # None: the text is no peer ID
    addresses: tuple[str, ...]  # current ones, not those of the advertisement
    context_id: bytes
    metadata: bytes

    @property
    def http_urls(self) -> tuple[str, ...]:
        """Where the blocks are to be had over HTTP (rule R4); empty where the record does not say so."""
        if not decode_metadata(self.metadata).http_retrievable:
            return ()
        return tuple(dict.fromkeys(url for address in self.addresses if (url := url_of(address))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What an indexer says about one CID.

    ``absent`` is a 404 or a well-formed empty answer, and true of this moment and this cache only. Everything
    else without records is ``inconclusive``; *refused* then says that asking again is of no use.
    """

    state: Literal["found", "absent", "inconclusive"]
    records: tuple[Record, ...] = ()
    status: int | None = None  # HTTP; None: there was no answer
    reason: str = ""
    retry_after: float | None = None
    refused: bool = False
    age: str | None = None  # the answer's age in a cache on the way, in seconds


NOT_ASKED = Answer(state="inconclusive", reason="not asked")


def merged(answers: Sequence[Answer]) -> Answer:
    """Return what several indexers say together: all records; absent where one says so and none has any.

    Without a usable answer it is inconclusive, and refused only if each of them refuses.
    """
    if not answers:
        return NOT_ASKED
    waits = [answer.retry_after for answer in answers if answer.retry_after is not None]
    later = max(waits, default=None)
    records = tuple(record for answer in answers for record in answer.records)
    if records:
        first = next(answer for answer in answers if answer.records)
        return Answer(state="found", records=records, status=first.status, age=first.age, retry_after=later)
    absent = [answer for answer in answers if answer.state == "absent"]
    if absent:
        # One that is at work says 404; an empty 200 may come from one that was closed down.
        best = next((answer for answer in absent if answer.status == 404), absent[0])
        return Answer(state="absent", status=best.status, age=best.age, retry_after=later)
    if len(answers) == 1:
        return answers[0]
    return Answer(
        state="inconclusive",
        status=answers[0].status,
        reason="; ".join(dict.fromkeys(answer.reason for answer in answers if answer.reason)),
        retry_after=later,
        refused=all(answer.refused for answer in answers),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderInfo:
    """What an indexer knows of a provider: the best diagnostic when records are late (gotcha G9)."""

    last_advertisement: str | None
    last_advertisement_time: str | None
    lag: int | None  # advertisements still to process
    last_error: str | None
    inactive: bool


def ask(http: Http, url: str, *, peer: str) -> Reply:
    """Return what an indexer or a router answers; raises IndexerUnavailable where there is no answer."""
    return http.request(
        "GET",
        url,
        headers={"Accept": "application/json"},
        timeout=TIMEOUT,
        peer=peer,
        error=IndexerUnavailable,
        max_body=MAX_ANSWER,
    )


def looked_up(
    ask: Callable[[], Reply],
    read: Callable[[Reply], Iterable[Record]],
    refusals: Collection[int] = (400, 405, 406),
) -> Answer:
    """Return what *ask* brought, its records read by *read*. Never raises for what a server can do wrong."""
    try:
        reply = ask()
    except IndexerUnavailable as exc:
        return Answer(state="inconclusive", reason=exc.message)
    age = reply.headers.get("age")
    if reply.status == 404:
        return Answer(state="absent", status=404, age=age)
    if reply.status != 200:
        return Answer(
            state="inconclusive",
            status=reply.status,
            reason=f"HTTP {reply.status}",
            retry_after=retry_after(reply.headers),
            refused=reply.status in refusals,
        )
    try:
        records = tuple(read(reply))
    except IndexerUnavailable as exc:
        return Answer(state="inconclusive", status=200, reason=exc.message)
    except (ValueError, KeyError, TypeError, AttributeError):
        return Answer(state="inconclusive", status=200, reason="the answer makes no sense")
    return Answer(state="found" if records else "absent", records=records, status=200, age=age)


class Indexer:
    """The indexer at *base*. *url* is what it is called: a token that *base* holds is not in it."""

    def __init__(self, base: str, http: Http) -> None:
        self.base = base.rstrip("/")
        self.url = shown(self.base)
        self._http = http

    def __repr__(self) -> str:
        return f"Indexer({self.url!r})"

    def find(self, cid: bytes) -> Answer:
        """Ask who has *cid*. Never raises for what an indexer can do wrong."""
        # JSON, never NDJSON: `Accept` is part of cache keys, and this is the form everybody asks for (R1).
        return looked_up(lambda: self._get(f"cid/{cids.format_cid(cid)}"), _records)

    def ad_state(self, ad_cid: bytes) -> AdState:
        """Ask what became of an advertisement. Safe at any time: no cache entry for content is involved.

        Older servers say ``indexed`` for skipped ones, too.
        """
        try:
            reply = self._get(f"sync/status/ad/{cids.format_cid(ad_cid)}")
            if reply.status in (204, 404):
                return "unknown"
            data = reply.json() if reply.status == 200 else None
        except (IndexerUnavailable, ValueError):
            return "inconclusive"
        if not isinstance(data, dict):
            return "inconclusive"
        state = str(data.get("State", "")).lower()
        if state in ("indexed", "pending", "skipped", "unknown"):
            return state  # type: ignore[return-value]  # narrowed by the line above
        return "indexed" if data.get("Indexed") is True else "pending"

    def provider(self, peer: bytes) -> ProviderInfo | None:
        """Return what is known of a provider; None when the indexer does not know it, or does not say."""
        try:
            reply = self._get(f"providers/{peer_id.text_of(peer)}")
            data = reply.json() if reply.status == 200 else None
        except (IndexerUnavailable, ValueError):
            return None
        if not isinstance(data, dict):
            return None
        link, lag = data.get("LastAdvertisement"), data.get("Lag")
        return ProviderInfo(
            last_advertisement=_text(link.get("/")) if isinstance(link, dict) else None,
            last_advertisement_time=_text(data.get("LastAdvertisementTime")),
            lag=lag if isinstance(lag, int) else None,
            last_error=_text(data.get("LastError")),
            inactive=data.get("Inactive") is True,
        )

    def _get(self, path: str) -> Reply:
        return ask(self._http, f"{self.base}/{path}", peer=f"indexer {self.url}")


def _records(reply: Reply) -> Iterator[Record]:
    """Yield the records of an answer, read as what its Content-Type says it is (rule R1)."""
    if is_ndjson(reply):
        # A last line that is cut short is damage, not an empty answer: `read_json` raises.
        for line in reply.body.splitlines():
            if line.strip() and "Provider" in (item := read_json(line)):
                yield _record(item)
        return
    for result in reply.json().get("MultihashResults") or []:
        for item in result.get("ProviderResults") or []:
            yield _record(item)


def is_ndjson(reply: Reply) -> bool:
    """Tell whether an answer is one JSON value a line, whatever was asked for."""
    kind = reply.headers.get("content-type", "").partition(";")[0]
    return kind.strip().lower() == "application/x-ndjson"


def _record(item: Mapping[str, object]) -> Record:
    context_id, metadata = decode_base64(item.get("ContextID")), decode_base64(item.get("Metadata"))
    return record_of(item["Provider"], context_id, metadata)


def record_of(provider: object, context_id: bytes, metadata: bytes) -> Record:
    """Return the record of a *provider* written as ``{"ID": …, "Addrs": […]}``; ValueError for others."""
    if not isinstance(provider, dict) or not isinstance(provider["ID"], str):
        raise ValueError("no provider in a record")
    addresses = provider.get("Addrs") or []
    try:
        peer = peer_id.parse(provider["ID"])
    except (ValueError, VerificationFailed):
        peer = None
    return Record(
        provider=provider["ID"],
        peer_id=peer,
        addresses=tuple(address for address in addresses if isinstance(address, str)),
        context_id=context_id,
        metadata=metadata,
    )


def decode_base64(value: object) -> bytes:
    """Return the bytes of a JSON text in base64, none for null; ValueError for anything else."""
    if value is None:
        return b""
    if not isinstance(value, str):
        raise ValueError("base64 expected")
    return base64.b64decode(value, validate=True)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
