"""The advertisement chain of one provider: written once, signed, served and announced.

Knows nothing of pieces: it is told context ids and multihashes. Blocks are stored as they were signed and
served as they were stored; a block is never encoded twice.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import field
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from fpin.devnet import fetch
from fpin.devnet.ipni import announcement
from fpin.devnet.ipni.advertisement import (
    CHUNK_SIZE,
    GATEWAY_METADATA,
    NO_ENTRIES,
    Advertisement,
    entry_chunks,
    signed_head,
)
from fpin.devnet.ipni.announcement import Announcement
from fpin.devnet.ipni.database import Database
from fpin.devnet.ipni.identity import Identity
from fpin.ipld.cid import format_cid, parse_cid
from fpin.values import dataclass

_SCHEMA = """
CREATE TABLE IF NOT EXISTS block (cid TEXT PRIMARY KEY, data BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ad (
    number INTEGER PRIMARY KEY, cid TEXT NOT NULL UNIQUE, context_id BLOB NOT NULL, is_rm INTEGER NOT NULL,
    metadata BLOB NOT NULL, addresses TEXT NOT NULL, fetched REAL);
CREATE INDEX IF NOT EXISTS ad_by_context ON ad (context_id);
CREATE TABLE IF NOT EXISTS announced (
    url TEXT PRIMARY KEY, head TEXT NOT NULL, address TEXT NOT NULL) WITHOUT ROWID;
"""
_NO_CACHE = {"Cache-Control": "no-cache, no-store, must-revalidate"}
_IMMUTABLE = {"Cache-Control": "public, max-age=29030400, immutable"}


@dataclass(slots=True)
class PublisherFaults:
    """What a test can break. All switches are off at first and are not stored."""

    corrupt_signatures: bool = False  # advertisements made from now on carry a wrong signature
    missing: set[str] = field(default_factory=set)  # CIDs (text) answered with 404 although they exist
    failing: int = 0  # the next so many requests for blocks or the head are answered with 500
    lost: bool = False  # head and blocks are answered with 404, as by a provider that lost its index


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedAd:
    """The newest advertisement of one context id."""

    cid: str
    is_rm: bool
    metadata: bytes


class Publisher:
    """One provider's chain, kept in the SQLite file *path*.

    *key_seed* is the 32-byte Ed25519 seed of the provider's identity. *provider_addrs* are the multiaddrs
    where content is retrieved: they go into every advertisement. *publisher_addr* is the multiaddr under
    which `app` is reachable (`http-path` included, ``/p2p/…`` left out): it goes into announcements.

    When a stored chain ends with other addresses than *provider_addrs*, opening it appends an advertisement
    that carries the new ones, so that indexers learn of the move with the next announcement.
    """

    def __init__(
        self,
        path: Path,
        key_seed: bytes,
        provider_addrs: Sequence[str],
        publisher_addr: str,
        *,
        chunk_size: int = CHUNK_SIZE,
    ) -> None:
        self._identity = Identity(key_seed)
        self._addresses = tuple(provider_addrs)
        self._announced_as = f"{publisher_addr}/p2p/{self.peer_id}"
        self._chunk_size = chunk_size
        self._appending = threading.Lock()
        self._database = Database(path, _SCHEMA)
        self.faults = PublisherFaults()
        self.app = Starlette(
            routes=[
                Route("/ipni/v1/ad/head", self._serve_head, methods=["GET"]),
                Route("/ipni/v1/ad/{cid}", self._serve_block, methods=["GET"]),
            ]
        )
        self._advertise_move()

    @property
    def peer_id(self) -> str:
        return self._identity.peer_id

    @property
    def head(self) -> str | None:
        """The newest advertisement's CID, or None while there is none."""
        row = self._database.row("SELECT cid FROM ad ORDER BY number DESC LIMIT 1")
        return row[0] if row else None

    def publish(
        self,
        context_id: bytes,
        multihashes: Iterable[bytes],
        metadata: bytes = GATEWAY_METADATA,
        *,
        beside: Sequence[tuple[bytes, Sequence[str]]] = (),
        override: bool = False,
    ) -> str:
        """Append an advertisement that adds *multihashes* under *context_id*; its CID.

        *beside* are the key seeds and addresses of extended providers; *override* is as in `Extension`.
        """
        chunks = [*entry_chunks(multihashes, self._chunk_size)]
        entries = chunks[-1][0] if chunks else NO_ENTRIES
        others = [(Identity(seed), addresses) for seed, addresses in beside]
        return self._append(
            context_id, entries, metadata, is_rm=False, chunks=chunks, beside=others, override=override
        )

    def retract(self, context_id: bytes) -> str:
        """Append the removal of everything under *context_id*; its CID.

        Where the newest advertisement of *context_id* is a removal already, that one's CID comes back and
        nothing is appended. LookupError for a context id that was never advertised.
        """
        newest = self.newest(context_id)
        if newest is None:
            raise LookupError(f"nothing was advertised under {context_id.hex()}")
        if newest.is_rm:
            return newest.cid
        return self._append(context_id, NO_ENTRIES, newest.metadata, is_rm=True)

    def newest(self, context_id: bytes) -> PublishedAd | None:
        """The newest advertisement of *context_id*, removal or not; None: never advertised."""
        row = self._database.row(
            "SELECT cid, is_rm, metadata FROM ad WHERE context_id = ? ORDER BY number DESC LIMIT 1",
            context_id,
        )
        return PublishedAd(cid=row[0], is_rm=bool(row[1]), metadata=row[2]) if row else None

    def fetched(self, ad_cid: str) -> float | None:
        """When somebody first fetched that advertisement (Unix seconds); None: nobody yet, or unknown."""
        row = self._database.row("SELECT fetched FROM ad WHERE cid = ?", ad_cid)
        return row[0] if row else None

    def announce(self, urls: Sequence[str]) -> bool:
        """Tell every indexer of *urls* about the head, unless it knows; True when all of them know it."""
        head = self.head
        if head is None:
            return True
        told = [self._announce_to(url, head) for url in urls]
        return all(told)

    def announced(self, urls: Sequence[str]) -> bool:
        """Whether every indexer of *urls* has taken the announcement of the head; asks nobody."""
        head = self.head
        return head is None or all(self._knows(url, head) for url in urls)

    def close(self) -> None:
        self._database.close()

    def _advertise_move(self) -> None:
        row = self._database.row("SELECT addresses FROM ad ORDER BY number DESC LIMIT 1")
        if row is not None and tuple(json.loads(row[0])) != self._addresses:
            self._append(b"", NO_ENTRIES, b"", is_rm=False)

    def _append(
        self,
        context_id: bytes,
        entries: bytes,
        metadata: bytes,
        *,
        is_rm: bool,
        chunks: Sequence[tuple[bytes, bytes]] = (),
        beside: Sequence[tuple[Identity, Sequence[str]]] = (),
        override: bool = False,
    ) -> str:
        with self._appending:
            head = self.head
            ad = Advertisement(
                previous=parse_cid(head) if head else None,
                provider=self.peer_id,
                addresses=self._addresses,
                entries=entries,
                context_id=context_id,
                metadata=metadata,
                is_rm=is_rm,
            )
            if beside:
                ad = ad.extended([(self._identity, ()), *beside], override=override)
            cid, block = self._sign(ad).to_json()
            self._store(format_cid(cid), block, ad, chunks)
            return format_cid(cid)

    def _sign(self, ad: Advertisement) -> Advertisement:
        signer = self._identity
        if self.faults.corrupt_signatures:
            signer = Identity(b"\xff" * 32)  # a sound envelope by somebody else's key
        return ad.signed(signer)

    def _store(
        self, cid: str, block: bytes, ad: Advertisement, chunks: Sequence[tuple[bytes, bytes]]
    ) -> None:
        blocks = [(format_cid(chunk), data) for chunk, data in chunks]
        with self._database.transaction() as connection:
            connection.executemany("INSERT OR IGNORE INTO block VALUES (?, ?)", [*blocks, (cid, block)])
            connection.execute(
                "INSERT INTO ad (cid, context_id, is_rm, metadata, addresses) VALUES (?, ?, ?, ?, ?)",
                (cid, ad.context_id, ad.is_rm, ad.metadata, json.dumps(ad.addresses)),
            )

    def _knows(self, url: str, head: str) -> bool:
        row = self._database.row("SELECT head, address FROM announced WHERE url = ?", url)
        return row == (head, self._announced_as)

    def _announce_to(self, url: str, head: str) -> bool:
        if self._knows(url, head):
            return True
        message = Announcement(head=parse_cid(head), addresses=(self._announced_as,))
        headers = {"Content-Type": "application/octet-stream"}
        try:
            answer = fetch.request("PUT", url, body=announcement.encode(message), headers=headers)
        except fetch.NoAnswer:
            return False
        if answer.status not in (200, 204):
            return False
        self._database.execute(
            "INSERT OR REPLACE INTO announced VALUES (?, ?, ?)", url, head, self._announced_as
        )
        return True

    async def _serve_head(self, _: Request) -> Response:
        if self._fails():
            return PlainTextResponse("internal error\n", 500)
        if self.faults.lost:
            return Response(status_code=404)
        head = self.head
        if head is None:
            return Response(status_code=204)
        return Response(signed_head(parse_cid(head), self._identity), headers=_NO_CACHE)

    async def _serve_block(self, request: Request) -> Response:
        if self._fails():
            return PlainTextResponse("internal error\n", 500)
        try:
            cid = format_cid(parse_cid(request.path_params["cid"]))
        except ValueError as exc:
            return PlainTextResponse(f"invalid CID: {exc}\n", 400)
        return self._block(cid, request.headers.get("Ipni-Cid-Schema-Type"))

    def _block(self, cid: str, wanted: str | None) -> Response:
        row = None if self.faults.lost or cid in self.faults.missing else self._find(cid)
        if row is None or (wanted == "Advertisement") > row[1] or (wanted == "EntryChunk") > (not row[1]):
            # Curio answers 204 where an advertisement was asked for by name, which indexers take for a
            # passing failure; anything else that is not there is a 404.
            return Response(status_code=204 if wanted == "Advertisement" else 404)
        data, is_ad = row
        if is_ad:
            self._database.execute(
                "UPDATE ad SET fetched = ? WHERE cid = ? AND fetched IS NULL", time.time(), cid
            )
        media_type = "application/json" if is_ad else "application/cbor"
        return Response(data, media_type=media_type, headers=_IMMUTABLE)

    def _find(self, cid: str) -> tuple[bytes, bool] | None:
        row = self._database.row(
            "SELECT data, EXISTS (SELECT 1 FROM ad WHERE ad.cid = block.cid) FROM block WHERE cid = ?", cid
        )
        return (row[0], bool(row[1])) if row else None

    def _fails(self) -> bool:
        self.faults.failing, failing = max(0, self.faults.failing - 1), self.faults.failing
        return failing > 0
