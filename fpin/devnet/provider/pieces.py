"""Pieces on disk: received, checked, parked, found, dropped.

A file is put in place before its row is written and outlives it, so a row never promises bytes that are not
there; a file without a row is only rubbish. Knows nothing of HTTP, chains or CARs.
"""

from __future__ import annotations

import contextlib
import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from fpin.devnet.provider.commp import (
    BLOCK_SIZE,
    MAX_PIECE_SIZE,
    MIN_PIECE_SIZE,
    CommitmentHasher,
    Committed,
    Piece,
    piece_cid_v1,
)
from fpin.devnet.provider.state import State
from fpin.values import dataclass

SESSION_SECONDS = 60 * 60  # bytes that were uploaded but not finalized are dropped after this
UNCLAIMED_SECONDS = 2 * 60 * 60  # a parked piece that no data set names is dropped after this

_ZEROS = bytes(BLOCK_SIZE)


class UnusableBytes(Exception):
    """The bytes sent are not a piece that can be stored."""


class TooSmall(UnusableBytes):
    def __init__(self) -> None:
        super().__init__(f"piece data is below the minimum allowed size ({MIN_PIECE_SIZE} bytes)")


class TooLarge(UnusableBytes):
    def __init__(self) -> None:
        super().__init__(f"piece data exceeds the maximum allowed size ({MAX_PIECE_SIZE} bytes)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A classic upload, or a finalized streaming one: bytes on their way into the piece store."""

    uuid: str
    piece: Piece
    ready: bool  # nothing is missing any more


class Intake:
    """A file that bytes are streamed into, as fast as they come; removed unless kept."""

    def __init__(self, path: Path, *, limit: int) -> None:
        self._path = path
        self._limit = limit
        self._file = path.open("w+b")
        self.size = 0  # bytes taken so far

    def write(self, data: bytes) -> None:
        """Take the next bytes; TooLarge once there are more than *limit*."""
        if self.size + len(data) > self._limit:
            raise TooLarge
        self.size += len(data)
        if data == _ZEROS:  # a hole costs no disk; the length is set at the end
            self._file.seek(len(data), os.SEEK_CUR)
        else:
            self._file.write(data)

    def keep(self, target: Path) -> Committed:
        """Finish: hash it and move it to *target*. TooSmall when there is less than a piece can be."""
        if self.size < MIN_PIECE_SIZE:
            raise TooSmall
        self._file.truncate(self.size)
        self._file.seek(0)
        # Only now: hashing is slow here, and no real provider holds up so much who sends to it.
        hasher = CommitmentHasher()
        while block := self._file.read(BLOCK_SIZE):
            hasher.update(block)
        self._file.close()
        os.replace(self._path, target)
        return hasher.finish()

    def close(self) -> None:
        self._file.close()
        self._path.unlink(missing_ok=True)


class PieceStore:
    """The piece files and the rows that say whose they are."""

    def __init__(self, folder: Path, state: State) -> None:
        self._state = state
        self._parked = folder / "pieces"
        self._stash = folder / "stash"
        for place in (self._parked, self._stash):
            place.mkdir(parents=True, exist_ok=True)
        for leftover in self._stash.glob("*.part"):  # a process was killed while these were received
            leftover.unlink()

    # Receiving

    @contextlib.contextmanager
    def intake(self, *, limit: int = MAX_PIECE_SIZE) -> Iterator[Intake]:
        intake = Intake(self._stash / f"{uuid.uuid4()}.part", limit=limit)
        try:
            yield intake
        finally:
            intake.close()

    def open_session(self) -> str:
        session = str(uuid.uuid4())
        with self._state.write() as db:
            db.execute("INSERT INTO sessions (uuid) VALUES (?)", (session,))
        return session

    def session_known(self, session: str) -> bool:
        return self._state.row("SELECT 1 FROM sessions WHERE uuid = ?", session) is not None

    def session_content(self, session: str) -> Piece | None:
        """What the last completed PUT brought; None before the first."""
        row = self._state.row("SELECT root, size FROM sessions WHERE uuid = ?", session)
        return Piece(row["root"], row["size"]) if row is not None and row["root"] is not None else None

    def fill_session(self, session: str, intake: Intake) -> None:
        done = intake.keep(self._stash / session)
        with self._state.write() as db:
            db.execute(
                "UPDATE sessions SET root = ?, size = ?, nodes = ?, completed_at = ? WHERE uuid = ?",
                (done.piece.root, done.piece.payload_size, done.nodes, time.time(), session),
            )

    def finalize_session(self, session: str, notify: str) -> bool:
        """Turn a session into an upload that waits to be parked; False when its bytes were dropped."""
        if not (self._stash / session).exists():
            return False
        with self._state.write() as db:
            db.execute(
                "INSERT INTO uploads SELECT uuid, root, size, nodes, ?, 1 FROM sessions WHERE uuid = ?",
                (notify, session),
            )
            db.execute("DELETE FROM sessions WHERE uuid = ?", (session,))
        return True

    def announce(self, piece: Piece, notify: str) -> Upload:
        """Begin a classic upload; it is `ready` at once when the bytes are parked already."""
        upload = Upload(uuid=str(uuid.uuid4()), piece=piece, ready=self.parked(piece.root) is not None)
        with self._state.write() as db:
            db.execute(
                "INSERT INTO uploads VALUES (?, ?, ?, NULL, ?, ?)",
                (upload.uuid, piece.root, piece.payload_size, notify, upload.ready),
            )
        return upload

    def upload(self, upload_uuid: str) -> Upload | None:
        row = self._state.row("SELECT * FROM uploads WHERE uuid = ?", upload_uuid)
        if row is None:
            return None
        return Upload(uuid=upload_uuid, piece=Piece(row["root"], row["size"]), ready=bool(row["ready"]))

    def fill_upload(self, upload: Upload, intake: Intake) -> Piece:
        """Take the bytes of a classic upload; what they are is returned, and kept only when it is right."""
        target = self._stash / upload.uuid
        done = intake.keep(target)
        if done.piece != upload.piece:
            target.unlink()
            return done.piece
        with self._state.write() as db:
            db.execute("UPDATE uploads SET nodes = ?, ready = 1 WHERE uuid = ?", (done.nodes, upload.uuid))
        return done.piece

    def store_pulled(self, piece: Piece, intake: Intake) -> Piece:
        """Park bytes that came from another provider and make their ref; what they are is returned."""
        target = self._stash / str(uuid.uuid4())
        done = intake.keep(target)
        if done.piece != piece:
            target.unlink()
            return done.piece
        with self._state.write():
            self._store(piece, done.nodes, target)
            self.make_ref(piece.root)
        return done.piece

    # Parking

    def waiting_uploads(self) -> list[tuple[Upload, str]]:
        """Uploads whose bytes are here and have no ref yet, each with the URL to notify (or empty)."""
        rows = self._state.rows("SELECT * FROM uploads WHERE ready = 1 ORDER BY rowid")
        return [
            (Upload(uuid=row["uuid"], piece=Piece(row["root"], row["size"]), ready=True), row["notify"])
            for row in rows
        ]

    def park(self, upload: Upload) -> None:
        """Move an upload's bytes to the piece store and make its ref. May be repeated after a kill."""
        with self._state.write() as db:
            row = db.execute("SELECT nodes FROM uploads WHERE uuid = ?", (upload.uuid,)).fetchone()
            if self._store(upload.piece, row["nodes"] or b"", self._stash / upload.uuid):
                self.make_ref(upload.piece.root)
            db.execute("DELETE FROM uploads WHERE uuid = ?", (upload.uuid,))

    def _store(self, piece: Piece, nodes: bytes, stashed: Path) -> bool:
        """Have *piece* in the store; False when its bytes are gone (kept when parked, dropped since)."""
        if self.parked(piece.root) is not None:
            stashed.unlink(missing_ok=True)
            return True
        target = self._path(piece.root)
        if stashed.exists():
            os.replace(stashed, target)
        elif not target.exists():
            return False
        with self._state.write() as db:
            db.execute(
                "INSERT INTO pieces VALUES (?, ?, ?, ?)", (piece.root, piece.payload_size, nodes, time.time())
            )
        return True

    def make_ref(self, root: bytes) -> None:
        with self._state.write() as db:
            db.execute("INSERT INTO refs (root, created_at) VALUES (?, ?)", (root, time.time()))

    # Finding

    def parked(self, root: bytes) -> Piece | None:
        """The piece as it was first uploaded: data that differ in trailing zeros share a commitment."""
        row = self._state.row("SELECT size FROM pieces WHERE root = ?", root)
        return Piece(root, row["size"]) if row is not None else None

    def oldest_ref(self, root: bytes) -> int | None:
        row = self._state.row("SELECT min(id) AS id FROM refs WHERE root = ?", root)
        return None if row is None or row["id"] is None else int(row["id"])

    def file_of(self, root: bytes) -> Path | None:
        """Where the bytes of a piece that somebody wants kept are."""
        return self._path(root) if self.oldest_ref(root) is not None else None

    @contextlib.contextmanager
    def open(self, root: bytes) -> Iterator[tuple[BinaryIO, Piece, bytes]]:
        """The bytes of a parked piece, what it is, and its kept tree nodes; LookupError when not here."""
        row = self._state.row("SELECT size, nodes FROM pieces WHERE root = ?", root)
        if row is None:
            raise LookupError(piece_cid_v1(root))
        with self._path(root).open("rb") as file:
            yield file, Piece(root, row["size"]), row["nodes"]

    # Dropping

    def discard_unused(self, roots: list[bytes]) -> None:
        """Forget refs of *roots* that no data set and no add in flight uses."""
        with self._state.write() as db:
            for root in roots:
                db.execute(
                    "DELETE FROM refs WHERE root = ?1"
                    " AND id NOT IN (SELECT ref FROM set_pieces WHERE root = ?1)"
                    " AND id NOT IN (SELECT ref FROM adds WHERE root = ?1 AND ok IS NOT 0 AND recorded = 0)",
                    (root,),
                )

    def drop(self, root: bytes) -> None:
        """Delete the bytes of a piece without refs."""
        with self._state.write() as db:
            db.execute("DELETE FROM pieces WHERE root = ?", (root,))
        self._path(root).unlink(missing_ok=True)

    def sweep(self, now: float) -> None:
        """Drop what was uploaded and never finalized."""
        for row in self._state.rows(
            "SELECT uuid FROM sessions WHERE completed_at < ?", now - SESSION_SECONDS
        ):
            (self._stash / row["uuid"]).unlink(missing_ok=True)

    def _path(self, root: bytes) -> Path:
        return self._parked / piece_cid_v1(root)
