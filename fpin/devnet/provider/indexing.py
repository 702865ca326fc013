"""Blocks inside pieces: the index, the advertisements made from it, and what is told of both.

Knows CARs and the publisher's chain; knows no contracts. Left out: FRC-0058 aggregates, which are read as
plain CARs here.

Source: curio tasks/indexing/*_pdp_v0_*.go, pdp/handlers.go (commit e0294b0f); spec storage-provider, sections
3.5 and 8.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence

import httpx
from starlette.responses import Response

from fpin.devnet.ipni import Publisher
from fpin.devnet.provider import commp
from fpin.devnet.provider.commp import Piece
from fpin.devnet.provider.faults import Faults
from fpin.devnet.provider.pieces import PieceStore
from fpin.devnet.provider.retrieval import rfc3339
from fpin.devnet.provider.state import State
from fpin.devnet.provider.web import Call, Refusal, Rule, to_answer
from fpin.errors import VerificationFailed
from fpin.ipld.car import index_car
from fpin.ipld.cid import multihash_of

INDEX_ATTEMPTS = 3
ANNOUNCE_AGAIN_SECONDS = 1.0  # 5 on a real provider
SYNC_TIMEOUT_SECONDS = 2.0


class BlockIndex:
    """Where each block is: multihash to piece, offset and size. Blocks are not hashed again."""

    def __init__(self, state: State, pieces: PieceStore) -> None:
        self._state = state
        self._pieces = pieces

    def has(self, multihash: bytes) -> bool:
        return self.size(multihash) is not None

    def size(self, multihash: bytes) -> int | None:
        row = self._state.row("SELECT size FROM blocks WHERE multihash = ?", multihash)
        return None if row is None else int(row["size"])

    def get(self, multihash: bytes) -> bytes | None:
        """The bytes that stand where the index says; None when no piece here has the block."""
        row = self._state.row("SELECT root, offset, size FROM blocks WHERE multihash = ?", multihash)
        if row is None:
            return None
        try:
            with self._pieces.open(row["root"]) as (file, _, _):
                file.seek(row["offset"])
                return file.read(row["size"])
        except (LookupError, FileNotFoundError):  # collected in this moment
            return None

    def build(self, root: bytes) -> None:
        """Index the CAR that a piece is; VerificationFailed when it is none."""
        with self._pieces.open(root) as (file, _, _):
            found = [(multihash_of(each.cid), root, each.offset, each.size) for each in index_car(file)]
        with self._state.write() as db:
            db.executemany("INSERT OR IGNORE INTO blocks VALUES (?, ?, ?, ?)", found)

    def covers(self, root: bytes) -> bool:
        return self._state.row("SELECT 1 FROM blocks WHERE root = ? LIMIT 1", root) is not None

    def multihashes(self, root: bytes) -> list[bytes]:
        rows = self._state.rows("SELECT multihash FROM blocks WHERE root = ? ORDER BY multihash", root)
        return [row["multihash"] for row in rows]

    def forget(self, root: bytes) -> None:
        with self._state.write() as db:
            db.execute("DELETE FROM blocks WHERE root = ?", (root,))


class Indexing:
    """Jobs: index what is wanted, advertise what is indexed, announce what is advertised, retract."""

    def __init__(
        self,
        *,
        state: State,
        pieces: PieceStore,
        blocks: BlockIndex,
        publisher: Publisher,
        announce_urls: Sequence[str],
        faults: Faults,
    ) -> None:
        self._state = state
        self._pieces = pieces
        self._blocks = blocks
        self._publisher = publisher
        self._announce_urls = announce_urls
        self._faults = faults
        self._announce_after = 0.0

    def index_next(self) -> bool:
        """Index one piece. What cannot be read as a CAR is tried three times and stays ``indexing``."""
        row = self._state.row("SELECT * FROM refs WHERE index_state = 'wanted' ORDER BY id LIMIT 1")
        if row is None:
            return False
        # A piece that is indexed already is not advertised again for another ref.
        fresh = not self._blocks.covers(row["root"])
        try:
            if fresh:
                self._blocks.build(row["root"])
        except (VerificationFailed, LookupError, FileNotFoundError):
            self._index_failed(row["id"])
            return True
        ad_state = "wanted" if fresh and self._blocks.covers(row["root"]) else "none"
        with self._state.write() as db:
            db.execute(
                "UPDATE refs SET index_state = 'done', indexed_at = ?, ad_state = ? WHERE id = ?",
                (time.time(), ad_state, row["id"]),
            )
        return True

    def _index_failed(self, ref: int) -> None:
        with self._state.write() as db:
            db.execute(
                "UPDATE refs SET index_failures = index_failures + 1, index_state ="
                " CASE WHEN index_failures + 1 >= ? THEN 'failed' ELSE 'wanted' END WHERE id = ?",
                (INDEX_ATTEMPTS, ref),
            )

    def advertise_next(self) -> bool:
        row = None
        if not self._faults.never_advertise:
            row = self._state.row("SELECT * FROM refs WHERE ad_state = 'wanted' ORDER BY id LIMIT 1")
        piece = self._pieces.parked(row["root"]) if row is not None else None
        if row is None or piece is None:
            return False
        newest = self._publisher.newest(context_id(piece))
        if newest is not None and not newest.is_rm:  # made by a process that was killed before it said so
            ad = newest.cid
        else:
            ad = self._publisher.publish(context_id(piece), self._blocks.multihashes(piece.root))
        now = time.time()
        with self._state.write() as db:
            _insert_ad(db, ad, piece.root, removal=False)
            db.execute("UPDATE refs SET ad_state = 'done', ad_created_at = ? WHERE id = ?", (now, row["id"]))
        return True

    def retract(self, piece: Piece) -> None:
        """Publish the removal of a piece unless it was never advertised; then its index is dropped."""
        newest = self._publisher.newest(context_id(piece))
        if newest is not None:
            ad = self._publisher.retract(context_id(piece))
            with self._state.write() as db:
                _insert_ad(db, ad, piece.root, removal=True)
        self._blocks.forget(piece.root)

    def announce(self) -> bool:
        """Tell the indexers about a new head; again after a while when one did not answer."""
        if time.monotonic() < self._announce_after or self._publisher.announced(self._announce_urls):
            return False
        if not self._publisher.announce(self._announce_urls):
            self._announce_after = time.monotonic() + ANNOUNCE_AGAIN_SECONDS
            return False
        with self._state.write() as db:
            db.execute("UPDATE ads SET announced_at = ? WHERE announced_at IS NULL", (time.time(),))
        return True


class StatusRoute:
    """GET /pdp/piece/{cid}/status."""

    def __init__(
        self,
        state: State,
        pieces: PieceStore,
        publisher: Publisher,
        indexers: Sequence[str],
        http: httpx.Client,
    ) -> None:
        self._state = state
        self._pieces = pieces
        self._publisher = publisher
        self._indexers = indexers
        self._http = http

    def rules(self) -> list[Rule]:
        return [Rule(path="/pdp/piece/{cid}/status", handlers={"GET": ("status", self._status)})]

    def _status(self, call: Call) -> Response:
        try:
            root, _ = commp.parse_any(call.path["cid"])
        except ValueError as exc:
            raise Refusal(400, f"Invalid pieceCid format: {exc}") from exc
        ref = self._state.row("SELECT * FROM refs WHERE root = ? ORDER BY id LIMIT 1", root)
        piece = self._pieces.parked(root)
        if ref is None or piece is None:
            raise Refusal(404, "Piece not found or does not belong to service")
        # The newest advertisement that adds the piece, even when a removal followed it: a real provider
        # looks no further, so its status is a poor witness after a removal.
        ad = self._state.row(
            "SELECT * FROM ads WHERE root = ? AND removal = 0 ORDER BY created_at DESC LIMIT 1", root
        )
        answer: dict[str, object] = {
            "pieceCid": piece.v2,
            "status": "pending",
            "indexed": ref["ad_state"] != "none" or ad is not None,
            "adCreated": ad is not None,
            "advertised": False,
            "retrieved": False,
            "synced": False,
        }
        answer |= _moment("indexedAt", ref["indexed_at"]) | _moment("adCreatedAt", ref["ad_created_at"])
        if ad is not None:
            answer |= self._told_of(ad)
        elif ref["ad_state"] == "wanted":
            answer["status"] = "creating_ad"
        elif ref["index_state"] in ("wanted", "failed"):
            answer["status"] = "indexing"
        return to_answer(answer)

    def _told_of(self, ad: sqlite3.Row) -> dict[str, object]:
        fetched = self._publisher.fetched(ad["cid"])
        synced = ad["synced_at"] or self._ask_indexers(ad["cid"])
        announced = ad["announced_at"] or fetched
        return {
            "status": "retrieved" if fetched else "announced",
            "adCid": ad["cid"],
            "advertised": announced is not None,
            "retrieved": fetched is not None,
            "synced": synced is not None,
            **_moment("advertisedAt", min(announced, fetched) if announced and fetched else announced),
            **_moment("retrievedAt", fetched),
            **_moment("syncedAt", synced),
        }

    def _ask_indexers(self, ad: str) -> float | None:
        for indexer in self._indexers:
            if self._is_synced(f"{indexer.rstrip('/')}/sync/status/ad/{ad}"):
                now = time.time()
                with self._state.write() as db:
                    db.execute("UPDATE ads SET synced_at = ? WHERE cid = ?", (now, ad))
                return now
        return None

    def _is_synced(self, url: str) -> bool:
        try:
            answer = self._http.get(url, timeout=SYNC_TIMEOUT_SECONDS)
            told = answer.json() if answer.status_code == 200 else {}
        except (httpx.HTTPError, ValueError):
            return False
        return isinstance(told, dict) and told.get("Indexed") is True


def context_id(piece: Piece) -> bytes:
    """What advertisements of the blocks in *piece* are filed under (0 in front: of the piece itself)."""
    return b"\x01" + piece.binary


def _insert_ad(db: sqlite3.Connection, ad: str, root: bytes, *, removal: bool) -> None:
    db.execute(
        "INSERT OR IGNORE INTO ads (cid, root, removal, created_at) VALUES (?, ?, ?, ?)",
        (ad, root, removal, time.time()),
    )


def _moment(name: str, when: float | None) -> dict[str, object]:
    return {} if when is None else {name: rfc3339(when)}
