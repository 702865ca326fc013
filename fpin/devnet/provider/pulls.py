"""Copies from other providers: the route that asks for them, and the job that fetches them.

Source: curio pdp/handlers_pull.go, pdp/pull_types.go, tasks/pdpv0/task_pull_piece.go (commit e0294b0f); spec
storage-provider, section 3.15. Plain http is allowed from loopback only.
"""

from __future__ import annotations

import hashlib
import ipaddress
import sqlite3
import time
from collections.abc import Sequence
from urllib.parse import urlsplit

import httpx
from starlette.responses import Response

from fpin.devnet.provider import commp
from fpin.devnet.provider.commp import BLOCK_SIZE, MAX_PIECE_SIZE, MIN_PIECE_SIZE, Piece
from fpin.devnet.provider.datasets import DataSets
from fpin.devnet.provider.faults import Faults
from fpin.devnet.provider.node import NodeError, NodeSilent
from fpin.devnet.provider.onchain import Onchain, decode_creation
from fpin.devnet.provider.pieces import PieceStore, UnusableBytes
from fpin.devnet.provider.sets import MAX_PIECES_PER_CALL, check_record_keeper
from fpin.devnet.provider.state import State
from fpin.devnet.provider.web import Call, JsonObject, Refusal, Rule, fail, from_hex, to_answer

MAX_ACTIVE = 120
MAX_ACTIVE_OF_PAYER = 10
BORROWABLE = 108  # what one payer may have while others have nothing
ATTEMPTS = 3
RETRY_SECONDS = (0.3, 1.2)  # 30 and 120 on a real provider
MAX_URL = 4096
KEPT_SECONDS = 5 * 24 * 60 * 60  # after this the same request makes a new job

_TRANSIENT = (429, 500)
_ACTIVE = "state IN ('pending', 'inProgress', 'retrying')"


class Pulls:
    """POST /pdp/piece/pull: the first request makes a job, the same request again tells how it goes."""

    def __init__(
        self,
        *,
        state: State,
        data_sets: DataSets,
        pieces: PieceStore,
        chain: Onchain,
        faults: Faults,
        http: httpx.Client,
    ) -> None:
        self._state = state
        self._data_sets = data_sets
        self._pieces = pieces
        self._chain = chain
        self._faults = faults
        self._http = http

    def rules(self) -> list[Rule]:
        return [Rule(path="/pdp/piece/pull", handlers={"POST": ("pull", self._pull)})]

    # The request

    def _pull(self, call: Call) -> Response:
        if self._faults.refuse_pulls:
            raise fail(self._faults.refuse_pulls, "Service Unavailable")
        body = call.json("Invalid request body")
        wanted = _check(body)
        data_set = body.number("dataSetId")
        if not data_set:
            check_record_keeper(body.text("recordKeeper"), self._chain)
        try:
            extra_data = from_hex(body.text("extraData"))
        except ValueError as exc:
            raise fail(400, f"Invalid extraData: {exc}") from exc
        key = (hashlib.sha256(extra_data).digest(), data_set, body.text("recordKeeper"))
        job = self._find(key)
        if job is None:
            job = self._accept(key, extra_data, wanted)
        return to_answer(self._progress(job))

    def _find(self, key: tuple[bytes, int, str]) -> int | None:
        if key[1] >= 2**63:
            return None
        row = self._state.row(
            "SELECT id FROM pulls WHERE extra_hash = ? AND data_set = ? AND record_keeper = ?", *key
        )
        return None if row is None else int(row["id"])

    def _accept(
        self, key: tuple[bytes, int, str], extra_data: bytes, wanted: Sequence[tuple[str, str]]
    ) -> int:
        data_set = key[1]
        if data_set:
            known = self._data_sets.known(data_set)
            if known is None:
                raise fail(404, "Data set not found")
            if known["proving_failed"]:
                raise Refusal(409, "data set has been terminated due to unrecoverable proving failure")
        payer = self._payer(data_set, extra_data)
        pieces = [_parse_piece(index, cid) for index, (cid, _) in enumerate(wanted)]
        try:
            self._chain.check_add(data_set, extra_data, pieces)
        except NodeSilent as exc:
            raise fail(500, "Internal error") from exc
        except NodeError as exc:
            raise Refusal(400, f"chain: {exc}") from exc
        items = [(piece, url) for piece, (_, url) in zip(pieces, wanted, strict=True)]
        with self._state.write() as db:
            self._check_room(db, payer, set(pieces))
            job = db.execute(
                "INSERT INTO pulls (extra_hash, data_set, record_keeper, payer, created_at)"
                " VALUES (?, ?, ?, ?, ?)",
                (*key, payer, time.time()),
            ).lastrowid
            db.executemany(
                "INSERT INTO pull_items (pull, root, size, url) VALUES (?, ?, ?, ?)",
                [(job, piece.root, piece.payload_size, url) for piece, url in items],
            )
        assert job is not None
        return job

    def _payer(self, data_set: int, extra_data: bytes) -> str:
        try:
            if data_set:
                return self._chain.payer_and_end(data_set)[0]
            return decode_creation(extra_data, combined=True).payer
        except (ValueError, NodeError) as exc:
            raise fail(400, f"Invalid pull payer: {exc}") from exc

    def _check_room(self, db: sqlite3.Connection, payer: str, pieces: set[Piece]) -> None:
        active: dict[str, set[Piece]] = {}
        for row in db.execute(
            f"SELECT payer, root, size FROM pull_items JOIN pulls ON id = pull WHERE {_ACTIVE}"
        ):
            active.setdefault(row["payer"], set()).add(Piece(row["root"], row["size"]))
        everyone = len(pieces.union(*active.values()))
        others = len(set().union(*(held for owner, held in active.items() if owner != payer)))
        limit = max(MAX_ACTIVE_OF_PAYER, BORROWABLE - others)
        over = max(everyone - MAX_ACTIVE, len(pieces | active.get(payer, set())) - limit)
        if over > 0:
            wait = 60 * min(5, 1 + (over - 1) // 10)
            raise Refusal(429, "pull queue backpressure", headers={"Retry-After": str(wait)})

    def _progress(self, job: int) -> dict[str, object]:
        rows = self._state.rows("SELECT * FROM pull_items WHERE pull = ?", job)
        items = [(Piece(row["root"], row["size"]), row["url"], row["state"]) for row in rows]
        items.sort(key=lambda item: (item[0].v1, item[1]))
        states = [state for _, _, state in items]
        overall = next((s for s in ("retrying", "inProgress", "pending") if s in states), "complete")
        if all(state == "failed" for state in states):
            overall = "failed"
        listed = [{"pieceCid": piece.v2, "status": state} for piece, _, state in items]
        return {"status": overall, "pieces": listed}

    # The job

    def fetch_next(self) -> bool:
        """Fetch one piece that is due; the sources of a piece are tried in turn."""
        row = self._state.row(
            f"SELECT rowid, * FROM pull_items WHERE {_ACTIVE} AND retry_at <= ? ORDER BY retry_at, pull, url"
            " LIMIT 1",
            time.time(),
        )
        if row is None:
            return False
        piece = Piece(row["root"], row["size"])
        if row["state"] == "pending":
            self._set_state(row["rowid"], "inProgress")
        parked = self._pieces.parked(piece.root)
        if parked == piece:
            self._pieces.make_ref(piece.root)
            self._complete(row["pull"], piece)
            return True
        try:
            self._download(piece, row["url"])
        except _Transient:
            self._retry(row)
        except (_Unusable, UnusableBytes):
            self._set_state(row["rowid"], "failed")
        else:
            self._complete(row["pull"], piece)
        return True

    def forget_old(self, now: float) -> None:
        with self._state.write() as db:
            old = "SELECT id FROM pulls WHERE created_at < ?"
            db.execute(f"DELETE FROM pull_items WHERE pull IN ({old})", (now - KEPT_SECONDS,))
            db.execute("DELETE FROM pulls WHERE created_at < ?", (now - KEPT_SECONDS,))

    def _download(self, piece: Piece, url: str) -> None:
        headers = {"Accept-Encoding": "identity"}
        try:
            with (
                self._http.stream("GET", url, headers=headers, follow_redirects=True) as answer,
                self._pieces.intake(limit=piece.payload_size) as intake,
            ):
                if answer.status_code in _TRANSIENT:
                    raise _Transient
                if answer.status_code != 200:
                    raise _Unusable
                for chunk in answer.iter_bytes(BLOCK_SIZE):
                    intake.write(chunk)
                if self._pieces.store_pulled(piece, intake) != piece:
                    raise _Unusable
        except httpx.InvalidURL as exc:
            raise _Unusable from exc
        except (httpx.HTTPError, OSError) as exc:
            raise _Transient from exc

    def _retry(self, row: sqlite3.Row) -> None:
        attempts = row["attempts"] + 1
        if attempts >= ATTEMPTS:
            self._set_state(row["rowid"], "failed")
            return
        with self._state.write() as db:
            db.execute(
                "UPDATE pull_items SET state = 'retrying', attempts = ?, retry_at = ? WHERE rowid = ?",
                (attempts, time.time() + RETRY_SECONDS[attempts - 1], row["rowid"]),
            )

    def _set_state(self, item: int, state: str) -> None:
        with self._state.write() as db:
            db.execute("UPDATE pull_items SET state = ? WHERE rowid = ?", (state, item))

    def _complete(self, job: int, piece: Piece) -> None:
        with self._state.write() as db:
            db.execute(
                "UPDATE pull_items SET state = 'complete' WHERE pull = ? AND root = ? AND size = ?",
                (job, piece.root, piece.payload_size),
            )


class _Transient(Exception):
    """The same source may give the piece later."""


class _Unusable(Exception):
    """This source does not give the piece."""


def _check(body: JsonObject) -> list[tuple[str, str]]:
    """(piece CID, URL) of each piece asked for; 400 when the request makes no sense."""
    try:
        if not body.text("extraData"):
            raise ValueError("extraData is required")
        if not body.number("dataSetId") and not body.text("recordKeeper"):
            raise ValueError("recordKeeper is required when dataSetId is not provided or is 0")
        wanted = [(each.text("pieceCid"), each.text("sourceUrl")) for each in body.objects("pieces")]
        if not wanted:
            raise ValueError("at least one piece is required")
        if len(wanted) > MAX_PIECES_PER_CALL:
            raise ValueError(
                f"piece count ({len(wanted)}) exceeds the maximum allowed per pull ({MAX_PIECES_PER_CALL})"
            )
        for index, (cid, url) in enumerate(wanted):
            _check_source(index, cid, url)
            if (cid, url) in wanted[:index]:
                raise ValueError(f"piece[{index}]: duplicate pieceCid/sourceUrl")
    except ValueError as exc:
        raise fail(400, f"Validation error: {exc}") from exc
    return wanted


def _check_source(index: int, cid: str, url: str) -> None:
    if not cid:
        raise ValueError(f"piece[{index}]: pieceCid is required")
    if not url:
        raise ValueError(f"piece[{index}]: sourceUrl is required")
    parts = urlsplit(url)
    plain_loopback = parts.scheme == "http" and _is_loopback(parts.hostname or "")
    if parts.scheme != "https" and not plain_loopback:
        raise ValueError(f"piece[{index}]: URL must use HTTPS scheme, got {parts.scheme!r}")
    if len(url) > MAX_URL or parts.username is not None:
        raise ValueError(f"piece[{index}]: invalid URL")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _parse_piece(index: int, cid: str) -> Piece:
    try:
        piece = commp.parse_v2(cid)
    except ValueError as exc:
        raise fail(400, f"Invalid pieceCid[{index}]: {exc}") from exc
    size = piece.payload_size
    if size < MIN_PIECE_SIZE:
        raise fail(400, f"pieceCid[{index}]: size {size} is below minimum {MIN_PIECE_SIZE}")
    if size > MAX_PIECE_SIZE:
        raise fail(400, f"pieceCid[{index}]: size {size} exceeds maximum {MAX_PIECE_SIZE}")
    return piece
