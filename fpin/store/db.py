"""The SQLite file behind `Store`, and all SQL there is."""

from __future__ import annotations

import contextlib
import functools
import json
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Concatenate, ParamSpec, TypedDict, TypeVar, Unpack

from fpin.errors import LocalError
from fpin.store.lock import OnWait, Sleep, hold
from fpin.store.migrations import MIGRATIONS
from fpin.store.model import (
    ON_CHAIN,
    UNDER_WAY,
    Copy,
    CopyState,
    Packing,
    Payment,
    PaymentState,
    Piece,
    Pin,
    SessionKey,
    Submission,
)
from fpin.values import dataclass

_P = ParamSpec("_P")
_T = TypeVar("_T")

_COPY_COLUMNS = """
    c.copy, c.piece, c.provider_id, c.provider_url, c.state, c.reason, c.uploaded, c.submission,
    c.data_set_id, c.piece_id, s.tx, c.ad_cid, c.removal_tx, c.removal_ad_cid, c.changed
"""


_PAYMENT_COLUMNS = "payment, wallet, doing, subject, amount, nonce, tx, state, reason"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPiece:
    """A piece as it is written down with its pin."""

    piece_cid: str
    size: int
    sample: tuple[str, ...] = ()  # CIDs of some of its blocks


class NewAdd(TypedDict):
    """An add as it is written down before it is signed; *data_set_id* None: it makes the data set."""

    provider_id: int
    payer: str
    data_set_id: int | None
    client_data_set_id: int
    nonce: int


_AS_IT_LIES = Packing()

_REPAIR = (
    "move it away, or put a copy from before in its place; adding the same path again finds what is on chain "
    "and pays nothing twice"
)


def _told(
    read: Callable[Concatenate[Store, _P], _T],
) -> Callable[Concatenate[Store, _P], _T]:
    """Let a method that reads tell what SQLite cannot read as a LocalError."""

    @functools.wraps(read)
    def reading(store: Store, /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        with store._local_errors():
            return read(store, *args, **kwargs)

    return reading


class Store:
    """The pins of one user. Use it in a ``with``; one per thread (`another`)."""

    def __init__(self, path: Path) -> None:
        """Open the store at *path*, created and migrated as needed.

        Raises LocalError when it cannot be opened, is no store, or was written by a newer fpin.
        """
        self._path = path
        self._writing = threading.Lock()
        self._retired = False
        with self._local_errors():
            self._db = sqlite3.connect(path, isolation_level=None, timeout=30)
            self._db.row_factory = sqlite3.Row
            try:
                self._refuse_newer()  # before anything is changed in it
                path.chmod(0o600)
                self._db.execute("PRAGMA journal_mode = WAL")
                # FULL: a transition that cost money must be on disk before the next step is taken.
                self._db.execute("PRAGMA synchronous = FULL")
                self._migrate()
                # Now, because a table that is made anew drops the old one, and must not take rows along.
                self._db.execute("PRAGMA foreign_keys = ON")
            except BaseException:
                self._db.close()
                raise

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._db.close()

    def another(self) -> Store:
        """Open the same store once more, for another thread."""
        return Store(self._path)

    def retire(self) -> None:
        """Finish the transition that is being written, and refuse every further one; from any thread.

        For a thread that is left behind in the middle of something: what it still does must not be written
        into what others do meanwhile.
        """
        with self._writing:
            self._retired = True

    @contextlib.contextmanager
    def exclusively(self, pin: int, *, on_wait: OnWait) -> Iterator[None]:
        """Let no other process add or remove copies of *pin* meanwhile; read it again inside.

        Two at once would each plan, sign and pay for the same copy. *on_wait* is called where one is at it.
        """
        with hold(self._path.parent / "locks" / f"pin-{pin}", on_wait=on_wait):
            yield

    @contextlib.contextmanager
    def making_data_set(
        self, chain_id: int, payer: str, provider_id: int, *, on_wait: OnWait, sleep: Sleep
    ) -> Iterator[None]:
        """Let nobody else make a data set of *payer* at the provider meanwhile; look for one again inside.

        Two first adds at once would each make one, and every data set costs a monthly fee.
        """
        name = f"data-set-{chain_id}-{payer.lower()}-{provider_id}"
        with hold(self._path.parent / "locks" / name, on_wait=on_wait, sleep=sleep):
            yield

    @contextlib.contextmanager
    def alone_with_wallet(self, chain_id: int, wallet: str, *, on_wait: OnWait) -> Iterator[None]:
        """Let no other process of this user send payments of *wallet* meanwhile."""
        name = f"wallet-{chain_id}-{wallet.lower()}"
        with hold(self._path.parent / "locks" / name, on_wait=on_wait):
            yield

    # Reading

    @_told
    def pins(self, chain_id: int, wallet: str | None = None) -> list[Pin]:
        """Return the pins on *chain_id*, oldest first: all, or those of *wallet* and of nobody yet."""
        rows = self._db.execute(
            """
            SELECT pin FROM pins WHERE chain_id = ?1 AND (?2 IS NULL OR wallet IN (?2, '')) ORDER BY pin
            """,
            (chain_id, wallet),
        )
        return [self.pin(row[0]) for row in rows.fetchall()]

    @_told
    def pin(self, pin: int) -> Pin:
        """Return the pin in row *pin* as it is now."""
        row = self._db.execute(
            """
            SELECT pin, chain_id, wallet, root_cid, name, path, profile, packing, size, files,
                   car_size, copies_wanted, seed, metadata, created FROM pins WHERE pin = ?
            """,
            (pin,),
        ).fetchone()
        fields = dict(row)
        fields["packing"] = _packing(fields["packing"])
        fields["metadata"] = tuple((key, value) for key, value in json.loads(fields["metadata"]))
        return Pin(**fields, pieces=self._pieces(pin))

    @_told
    def pin_of_root(self, chain_id: int, root_cid: bytes) -> Pin | None:
        """Return the pin of a root; of several wallets' the one with the most copies."""
        rows = self._db.execute(
            "SELECT pin FROM pins WHERE chain_id = ? AND root_cid = ? ORDER BY pin", (chain_id, root_cid)
        )
        return max((self.pin(row[0]) for row in rows.fetchall()), key=lambda pin: pin.held, default=None)

    @_told
    def copy(self, copy: int) -> Copy:
        """Return the copy in row *copy* as it is now."""
        row = self._db.execute(
            f"""
            SELECT {_COPY_COLUMNS} FROM copies c LEFT JOIN submissions s ON s.submission = c.submission
            WHERE c.copy = ?
            """,
            (copy,),
        ).fetchone()
        return _copy(row)

    @_told
    def submission(self, submission: int) -> Submission:
        row = self._db.execute(
            """
            SELECT submission, provider_id, payer, data_set_id, client_data_set_id, nonce, tx, epoch
            FROM submissions WHERE submission = ?
            """,
            (submission,),
        ).fetchone()
        copies = self._db.execute(
            "SELECT copy FROM copies WHERE submission = ? ORDER BY place", (submission,)
        ).fetchall()
        return Submission(
            submission=row["submission"],
            provider_id=row["provider_id"],
            payer=row["payer"],
            data_set_id=row["data_set_id"],
            client_data_set_id=int(row["client_data_set_id"]),
            nonce=int(row["nonce"]),
            tx=row["tx"],
            epoch=row["epoch"],
            copies=tuple(copy["copy"] for copy in copies),
        )

    @_told
    def unsettled(self, pin: int) -> list[Submission]:
        """Return the adds of *pin* that were seen on chain in blocks which may still be replaced."""
        rows = self._db.execute(
            """
            SELECT DISTINCT s.submission FROM submissions s JOIN copies USING (submission)
            JOIN pieces USING (piece) WHERE pin = ? AND s.state = 'confirmed' ORDER BY s.submission
            """,
            (pin,),
        )
        return [self.submission(row[0]) for row in rows.fetchall()]

    @_told
    def history(self, copy: int) -> list[tuple[int, str]]:
        """Return the transitions of a copy as (unix seconds, state), oldest first."""
        rows = self._db.execute("SELECT at, state FROM journal WHERE copy = ? ORDER BY entry", (copy,))
        return [(row[0], row[1]) for row in rows.fetchall()]

    @_told
    def live_holders(self, chain_id: int, piece_cid: str, besides: Copy) -> int:
        """Return how many pieces *piece_cid* the provider of *besides* has on chain, beside that one."""
        row = self._db.execute(
            """
            SELECT count(*) FROM (
                SELECT DISTINCT data_set_id, piece_id
                FROM copies JOIN pieces USING (piece) JOIN pins USING (pin)
                WHERE chain_id = ? AND piece_cid = ? AND provider_id = ?
                  AND state IN ('confirmed', 'advertised')
            ) WHERE (data_set_id, piece_id) IS NOT (?, ?)
            """,
            (chain_id, piece_cid, besides.provider_id, besides.data_set_id, besides.piece_id),
        ).fetchone()
        return int(row[0])

    @_told
    def piece_cid(self, copy: int) -> str:
        """Return the piece CID of the copy in row *copy*."""
        row = self._db.execute(
            "SELECT piece_cid FROM copies JOIN pieces USING (piece) WHERE copy = ?", (copy,)
        )
        return str(row.fetchone()[0])

    @_told
    def payment(self, payment: int) -> Payment:
        row = self._db.execute(
            f"SELECT {_PAYMENT_COLUMNS} FROM payments WHERE payment = ?", (payment,)
        ).fetchone()
        return _payment(row)

    @_told
    def payments(self, chain_id: int, wallet: str, states: Collection[PaymentState]) -> list[Payment]:
        """Return the payments of *wallet* that are in one of *states*, oldest first."""
        rows = self._db.execute(
            f"""
            SELECT {_PAYMENT_COLUMNS} FROM payments
            WHERE chain_id = ? AND wallet = ? AND state IN ({", ".join("?" * len(states))}) ORDER BY payment
            """,
            (chain_id, wallet, *states),
        )
        return [_payment(row) for row in rows.fetchall()]

    def _pieces(self, pin: int) -> tuple[Piece, ...]:
        copies: dict[int, list[Copy]] = {}
        rows = self._db.execute(
            f"""
            SELECT {_COPY_COLUMNS} FROM copies c JOIN pieces USING (piece)
            LEFT JOIN submissions s ON s.submission = c.submission
            WHERE pin = ? ORDER BY c.copy
            """,
            (pin,),
        )
        for row in rows.fetchall():
            copies.setdefault(row["piece"], []).append(_copy(row))
        pieces = self._db.execute(
            "SELECT piece, position, piece_cid, size, sample FROM pieces WHERE pin = ? ORDER BY position",
            (pin,),
        )
        return tuple(_piece(row, copies.get(row["piece"], ())) for row in pieces.fetchall())

    # Writing: a pin

    def record_pin(
        self,
        *,
        chain_id: int,
        wallet: str = "",
        root_cid: bytes,
        name: str | None,
        default_name: str | None = None,
        path: str | None,
        profile: str,
        packing: Packing = _AS_IT_LIES,
        size: int,
        files: int,
        copies_wanted: int,
        seed: str | None = None,
        default_seed: str = "",
        metadata: Sequence[tuple[str, str]],
        pieces: Sequence[NewPiece],
    ) -> Pin:
        """Write down a pin of *wallet* and its pieces; for a root already there, what changed of it.

        A pin that was nobody's yet becomes that of *wallet*.

        *default_name* and *default_seed* are for a pin that has none. How many copies are wanted of one
        already there is changed by `want_copies`, when it is known that they can be had.

        A pin whose pieces were cut otherwise before gets the new pieces beside those that still have
        copies: what may be on chain is never forgotten. The last of *pieces* holds the root. *metadata* stays
        what it was once a copy was signed with it, for the chain has that for good.
        """
        with self._transaction():
            row = self._db.execute(
                """
                SELECT pin FROM pins WHERE chain_id = ? AND root_cid = ? AND wallet IN (?, '')
                ORDER BY wallet DESC
                """,
                (chain_id, root_cid, wallet),
            ).fetchone()
            if row is None:
                cursor = self._db.execute(
                    """
                    INSERT INTO pins (chain_id, wallet, root_cid, name, path, profile, packing, size, files,
                                      car_size, copies_wanted, seed, metadata, created)
                    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                    """,
                    (
                        chain_id,
                        wallet,
                        root_cid,
                        name or default_name,
                        path,
                        profile,
                        _packing_text(packing),
                        size,
                        files,
                        0,  # known when the pieces are there
                        copies_wanted,
                        seed or default_seed,
                        json.dumps(list(metadata)),
                        _now(),
                    ),
                )
                pin = int(cursor.lastrowid or 0)
            else:
                pin = row[0]
                self._db.execute(
                    """
                    UPDATE pins SET wallet = ?, name = coalesce(?, name, ?), profile = ?, size = ?, files = ?,
                                    seed = coalesce(?, nullif(seed, ''), ?)
                    WHERE pin = ?
                    """,
                    (wallet, name, default_name, profile, size, files, seed, default_seed, pin),
                )
                self._db.execute(
                    "UPDATE pins SET path = ?1, packing = ?2 WHERE pin = ?3 AND ?1 IS NOT NULL",
                    (path, _packing_text(packing), pin),
                )
                if not any(copy.state in ON_CHAIN | UNDER_WAY for copy in self.pin(pin).copies):
                    self._db.execute(
                        "UPDATE pins SET metadata = ? WHERE pin = ?", (json.dumps(list(metadata)), pin)
                    )
            self._drop_pieces(pin, keep={piece.piece_cid for piece in pieces})
            known = {piece.piece_cid for piece in self._pieces(pin)}
            row = self._db.execute("SELECT max(position) FROM pieces WHERE pin = ?", (pin,)).fetchone()
            for position, piece in enumerate(pieces, start=0 if row[0] is None else row[0] + 1):
                if piece.piece_cid not in known:
                    self._db.execute(
                        "INSERT INTO pieces (pin, position, piece_cid, size, sample) VALUES (?, ?, ?, ?, ?)",
                        (pin, position, piece.piece_cid, piece.size, json.dumps(list(piece.sample))),
                    )
            self._db.execute(
                "UPDATE pins SET car_size = (SELECT sum(size) FROM pieces WHERE pin = ?1) WHERE pin = ?1",
                (pin,),
            )
        return self.pin(pin)

    def want_copies(self, pin: int, copies: int) -> None:
        """*copies* of the pin are wanted from now on."""
        with self._transaction():
            self._db.execute("UPDATE pins SET copies_wanted = ? WHERE pin = ?", (copies, pin))

    def forget(self, chain_id: int) -> int:
        """Forget every pin, payment and session key on *chain_id*, which is no more; returns how many pins.

        The journal stays.
        """
        with self._transaction():
            self._db.execute("DELETE FROM payments WHERE chain_id = ?", (chain_id,))
            self._db.execute("DELETE FROM sessions WHERE chain_id = ?", (chain_id,))
            return self._db.execute("DELETE FROM pins WHERE chain_id = ?", (chain_id,)).rowcount

    def _drop_pieces(self, pin: int, *, keep: set[str]) -> None:
        """Forget pieces of which nothing is left or was ever paid for; their history stays in the journal."""
        ended = {CopyState.PLANNED, CopyState.PARKED, CopyState.FAILED, CopyState.GONE}
        for piece in self._pieces(pin):
            if piece.piece_cid not in keep and {copy.state for copy in piece.copies} <= ended:
                self._db.execute("DELETE FROM pieces WHERE piece = ?", (piece.piece,))

    # Writing: the way in

    def plan_copy(self, piece: int, *, provider_id: int, provider_url: str, why: str | None = None) -> int:
        """A provider was chosen for *piece*, and *why*. Returns the row of the new copy."""
        with self._transaction():
            cursor = self._db.execute(
                """
                INSERT INTO copies (piece, provider_id, provider_url, state, changed) VALUES (?, ?, ?, ?, ?)
                """,
                (piece, provider_id, provider_url, CopyState.PLANNED, _now()),
            )
            copy = int(cursor.lastrowid or 0)
            self._journal(copy, CopyState.PLANNED, provider_id=provider_id, why=why)
        return copy

    def mark_pulling(self, copies: Sequence[int], **add: Unpack[NewAdd]) -> Submission:
        """The provider is about to be asked to fetch *copies*; the add that it is shown has *nonce*."""
        return self._submit(copies, CopyState.PULLING, add)

    def mark_parked(self, copy: int, *, uploaded: bool, pulled_from: int | None = None) -> None:
        """The provider says that it holds the bytes.

        *uploaded* tells whether we sent them, *pulled_from* which provider gave them.
        """
        with self._transaction():
            self._db.execute("UPDATE copies SET uploaded = max(uploaded, ?) WHERE copy = ?", (uploaded, copy))
            self._move(copy, CopyState.PARKED, uploaded=uploaded, pulled_from=pulled_from)

    def mark_signed(self, copies: Sequence[int], **add: Unpack[NewAdd]) -> Submission:
        """An add of *copies*, in this order, is about to be signed and sent under *nonce*."""
        return self._submit(copies, CopyState.SIGNED, add)

    def mark_sending(self, submission: int) -> Submission:
        """The add that its pieces were fetched for is about to be sent, under the nonce it has."""
        with self._transaction():
            found = self.submission(submission)
            for copy in found.copies:
                self._move(copy, CopyState.SIGNED, nonce=str(found.nonce))
        return found

    def _submit(self, copies: Sequence[int], state: CopyState, add: NewAdd) -> Submission:
        with self._transaction():
            cursor = self._db.execute(
                """
                INSERT INTO submissions
                    (provider_id, payer, data_set_id, client_data_set_id, nonce, state, created)
                VALUES (?, ?, ?, ?, ?, 'signed', ?)
                """,
                (
                    add["provider_id"],
                    add["payer"],
                    add["data_set_id"],
                    str(add["client_data_set_id"]),
                    str(add["nonce"]),
                    _now(),
                ),
            )
            submission = int(cursor.lastrowid or 0)
            for place, copy in enumerate(copies):
                self._db.execute(
                    "UPDATE copies SET submission = ?, place = ? WHERE copy = ?", (submission, place, copy)
                )
                self._move(copy, state, nonce=str(add["nonce"]))
        return self.submission(submission)

    def mark_submitted(self, submission: int, *, tx: str) -> None:
        """The provider took the add and named its transaction."""
        with self._transaction():
            self._db.execute(
                "UPDATE submissions SET state = 'submitted', tx = ? WHERE submission = ?", (tx, submission)
            )
            for copy in self.submission(submission).copies:
                self._move(copy, CopyState.SUBMITTED, tx=tx)

    def mark_confirmed(
        self, submission: int, *, data_set_id: int, first_piece_id: int, epoch: int | None = None
    ) -> None:
        """At height *epoch* the chain holds the pieces of *submission*, with ids from *first_piece_id* on."""
        with self._transaction():
            self._db.execute(
                "UPDATE submissions SET state = 'confirmed', data_set_id = ?, epoch = ? WHERE submission = ?",
                (data_set_id, epoch, submission),
            )
            for place, copy in enumerate(self.submission(submission).copies):
                self.mark_on_chain(copy, data_set_id=data_set_id, piece_id=first_piece_id + place)

    def mark_final(self, submission: int) -> None:
        """The block that holds *submission* cannot be replaced any more."""
        with self._transaction():
            self._db.execute("UPDATE submissions SET state = 'final' WHERE submission = ?", (submission,))

    def mark_taken_back(self, submission: int, *, data_set_id: int | None) -> None:
        """Its block was replaced by one without it: it is to be sent again, under the same nonce.

        *data_set_id* is where to; None where the data set has to be made again too.
        """
        with self._transaction():
            self._db.execute(
                """
                UPDATE submissions SET state = 'signed', tx = NULL, epoch = NULL, data_set_id = ?
                WHERE submission = ?
                """,
                (data_set_id, submission),
            )
            for copy in self.submission(submission).copies:
                self._db.execute(
                    "UPDATE copies SET data_set_id = NULL, piece_id = NULL WHERE copy = ?", (copy,)
                )
                self._move(copy, CopyState.SIGNED)

    def mark_on_chain(self, copy: int, *, data_set_id: int, piece_id: int) -> None:
        """The chain holds this copy, by whatever way it came there."""
        with self._transaction():
            self._db.execute(
                "UPDATE copies SET data_set_id = ?, piece_id = ? WHERE copy = ?",
                (data_set_id, piece_id, copy),
            )
            self._move(copy, CopyState.CONFIRMED, data_set_id=data_set_id, piece_id=piece_id)

    def mark_advertised(self, copy: int, *, ad_cid: str | None) -> None:
        """An indexer was seen to have it; *ad_cid* where the advertisement is known.

        Nothing happens to a copy that somebody had removed meanwhile: asking an indexer takes long.
        """
        with self._transaction():
            cursor = self._db.execute(
                """
                UPDATE copies SET ad_cid = coalesce(?, ad_cid)
                WHERE copy = ? AND state IN ('confirmed', 'advertised')
                """,
                (ad_cid, copy),
            )
            if cursor.rowcount:
                self._move(copy, CopyState.ADVERTISED, ad_cid=ad_cid)

    def mark_moved(self, copy: int, *, provider_url: str) -> None:
        """Its provider is reached at another address now; no transition, for the copy stays what it is."""
        with self._transaction():
            self._db.execute("UPDATE copies SET provider_url = ? WHERE copy = ?", (provider_url, copy))

    def mark_failed(self, copy: int, *, reason: str) -> None:
        """Given up at this provider. Nothing is on chain for it."""
        with self._transaction():
            self._db.execute("UPDATE copies SET reason = ? WHERE copy = ?", (reason, copy))
            self._move(copy, CopyState.FAILED, reason=reason)

    def mark_unsigned(self, submission: int, *, reason: str) -> None:
        """The add will not be carried out: its copies are what they were before, and need a new nonce."""
        with self._transaction():
            for copy in self.submission(submission).copies:
                self._db.execute("UPDATE copies SET submission = NULL, place = NULL WHERE copy = ?", (copy,))
                fetching = self.copy(copy).state is CopyState.PULLING
                self._move(copy, CopyState.PLANNED if fetching else CopyState.PARKED, reason=reason)
            self._db.execute("UPDATE submissions SET state = 'refused' WHERE submission = ?", (submission,))

    def mark_unanswered(self, submission: int) -> None:
        """Its transaction did not appear: the add is to be sent again, under the same nonce."""
        with self._transaction():
            self._db.execute(
                "UPDATE submissions SET state = 'signed', tx = NULL WHERE submission = ?", (submission,)
            )
            for copy in self.submission(submission).copies:
                self._move(copy, CopyState.SIGNED)

    # Writing: the way out

    def mark_removing(self, copy: int, *, tx: str | None = None) -> None:
        """The removal is about to be asked for; with *tx*, was sent in that transaction."""
        with self._transaction():
            self._db.execute("UPDATE copies SET removal_tx = ? WHERE copy = ?", (tx, copy))
            self._move(copy, CopyState.REMOVING, tx=tx)

    def mark_scheduled(self, copy: int, *, tx: str | None, reason: str | None = None) -> None:
        """The chain will let the piece go: its removal is in the queue, or *reason* says why else.

        *tx* is None when somebody else put it there.
        """
        with self._transaction():
            self._db.execute(
                "UPDATE copies SET removal_tx = coalesce(?, removal_tx), reason = ? WHERE copy = ?",
                (tx, reason, copy),
            )
            self._move(copy, CopyState.SCHEDULED, tx=tx, reason=reason)

    def mark_removed(self, copy: int) -> None:
        """The piece is no longer live on chain."""
        with self._transaction():
            self._move(copy, CopyState.REMOVED)

    def mark_unadvertised(self, copy: int, *, ad_cid: str) -> None:
        """The provider's removal advertisement was seen on its signed chain."""
        with self._transaction():
            self._db.execute("UPDATE copies SET removal_ad_cid = ? WHERE copy = ?", (ad_cid, copy))
            self._move(copy, CopyState.UNADVERTISED, ad_cid=ad_cid)

    def mark_gone(self, copy: int) -> None:
        """The indexer no longer lists it."""
        with self._transaction():
            self._move(copy, CopyState.GONE)

    def release(self, copy: int) -> bytes | None:
        """End *copy* where another pin keeps the very piece that it is on chain; return that pin's root.

        None, and nothing is changed, where no other pin does. One step, so that of two pins one stays.
        """
        with self._transaction():
            row = self._db.execute(
                """
                SELECT pins.root_cid, mine.data_set_id, mine.piece_id
                FROM copies mine JOIN pieces piece ON piece.piece = mine.piece
                JOIN pins own ON own.pin = piece.pin
                JOIN copies c ON c.data_set_id = mine.data_set_id AND c.piece_id = mine.piece_id
                JOIN pieces p ON p.piece = c.piece JOIN pins ON pins.pin = p.pin
                WHERE mine.copy = ? AND c.state IN ('confirmed', 'advertised')
                  AND pins.pin != own.pin AND pins.chain_id = own.chain_id
                """,
                (copy,),
            ).fetchone()
            if row is None:
                return None
            # Not its any more: an add of the same content later may take the piece over again.
            self._db.execute("UPDATE copies SET data_set_id = NULL, piece_id = NULL WHERE copy = ?", (copy,))
            self._move(copy, CopyState.GONE, data_set_id=row["data_set_id"], piece_id=row["piece_id"])
        return bytes(row["root_cid"])

    # Session keys

    def record_session(self, *, chain_id: int, wallet: str, address: str, kept: str) -> None:
        """A session key of *wallet* is about to be allowed; *kept* says where the key is, if fpin had it."""
        with self._transaction():
            self._db.execute(
                """
                INSERT INTO sessions (chain_id, wallet, address, kept, created) VALUES (?1, ?2, ?3, ?4, ?5)
                ON CONFLICT DO UPDATE SET kept = ?4 WHERE ?4 != ''
                """,
                (chain_id, wallet, address, kept, _now()),
            )

    @_told
    def sessions(self, chain_id: int, wallet: str) -> list[SessionKey]:
        """Return the session keys of *wallet* that were made here, oldest first."""
        rows = self._db.execute(
            """
            SELECT address, kept, created FROM sessions WHERE chain_id = ? AND wallet = ?
            ORDER BY created, address
            """,
            (chain_id, wallet),
        )
        return [SessionKey(**dict(row)) for row in rows]

    # Writing: payments

    def record_payment(
        self,
        *,
        chain_id: int,
        wallet: str,
        doing: str,
        amount: int,
        nonce: int,
        tx: str,
        subject: str = "",
    ) -> Payment:
        """A payment was signed and is about to be sent."""
        with self._transaction():
            cursor = self._db.execute(
                """
                INSERT INTO payments
                    (chain_id, wallet, doing, amount, nonce, tx, subject, state, created, changed)
                VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'signed', ?8, ?8)
                """,
                (chain_id, wallet, doing, str(amount), nonce, tx, subject, _now()),
            )
            return self.payment(int(cursor.lastrowid or 0))

    def mark_payment(self, payment: int, state: PaymentState, *, reason: str | None = None) -> Payment:
        """Write down what became of a payment, by what the chain said.

        Where it was executed, whatever else was signed under its number never will be.
        """
        with self._transaction():
            self._db.execute(
                "UPDATE payments SET state = ?, reason = ?, changed = ? WHERE payment = ?",
                (state, reason, _now(), payment),
            )
            if state in (PaymentState.EXECUTED, PaymentState.FAILED):
                self._db.execute(
                    """
                    UPDATE payments SET state = 'replaced', changed = ?1
                    WHERE payment != ?2 AND state IN ('signed', 'lost') AND (chain_id, wallet, nonce) =
                          (SELECT chain_id, wallet, nonce FROM payments WHERE payment = ?2)
                    """,
                    (_now(), payment),
                )
            return self.payment(payment)

    # Below

    def _move(self, copy: int, state: CopyState, **detail: object) -> None:
        self._db.execute("UPDATE copies SET state = ?, changed = ? WHERE copy = ?", (state, _now(), copy))
        self._journal(copy, state, **detail)

    def _journal(self, copy: int, state: CopyState, **detail: object) -> None:
        self._db.execute(
            "INSERT INTO journal (at, copy, state, detail) VALUES (?, ?, ?, ?)",
            (_now(), copy, state, json.dumps(detail)),
        )

    def _refuse_newer(self) -> None:
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version > len(MIGRATIONS):
            raise LocalError(
                f"the store {self._path} was written by a newer fpin (schema {version})",
                hint="upgrade fpin, or set FPIN_HOME to another folder",
                path=str(self._path),
            )

    def _migrate(self) -> None:
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        while version < len(MIGRATIONS):
            with self._transaction():
                # Read again inside the transaction: another process may have migrated meanwhile.
                version = self._db.execute("PRAGMA user_version").fetchone()[0]
                if version < len(MIGRATIONS):
                    MIGRATIONS[version](self._db)
                    version += 1
                    self._db.execute(f"PRAGMA user_version = {version}")

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        """All or nothing; a transaction inside a transaction belongs to the outer one."""
        if self._db.in_transaction:
            yield
            return
        with self._writing, self._local_errors():
            if self._retired:
                raise LocalError("this run was ended: nothing more of it is written down")
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                # A full disk makes SQLite roll back by itself; a second time would hide why.
                with contextlib.suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def _local_errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as exc:
            damaged = getattr(exc, "sqlite_errorname", "") in ("SQLITE_CORRUPT", "SQLITE_NOTADB")
            raise LocalError(
                f"the store {self._path} cannot be used: {exc}",
                hint=_REPAIR
                if damaged
                else "free some space, correct its permissions, or set FPIN_HOME to another folder",
                path=str(self._path),
            ) from exc


def _copy(row: sqlite3.Row) -> Copy:
    fields = {name: row[name] for name in row.keys() if name != "piece"}  # noqa: SIM118  (a Row is no dict)
    fields["state"] = CopyState(fields["state"])
    fields["uploaded"] = bool(fields["uploaded"])
    return Copy(**fields)


def _payment(row: sqlite3.Row) -> Payment:
    fields = dict(row)
    fields["amount"] = int(fields["amount"])
    fields["state"] = PaymentState(fields["state"])
    return Payment(**fields)


def _packing(text: str) -> Packing:
    fields = json.loads(text)
    return Packing(**{**fields, "exclude": tuple(fields.get("exclude", ()))})


def _packing_text(packing: Packing) -> str:
    return json.dumps({name: value for name, value in asdict(packing).items() if value})


def _piece(row: sqlite3.Row, copies: Sequence[Copy]) -> Piece:
    fields = dict(row)
    fields["sample"] = tuple(json.loads(fields["sample"]))
    return Piece(**fields, copies=tuple(copies))


def _now() -> int:
    return int(time.time())
