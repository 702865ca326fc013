"""What an indexer knows, in SQLite: who has which multihash, which advertisements it has dealt with.

One function per change. Knows nothing of HTTP, signatures or the order in which chains are read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from fpin.devnet.ipni import hidden
from fpin.devnet.ipni.database import Database, Row
from fpin.devnet.ipni.extended import Extended, Extension, beside
from fpin.values import dataclass

_SCHEMA = """
CREATE TABLE IF NOT EXISTS pending (
    publisher TEXT PRIMARY KEY, head TEXT, address TEXT NOT NULL,
    attempts INTEGER NOT NULL, not_before REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS publisher (
    peer TEXT PRIMARY KEY, address TEXT NOT NULL, last_contact REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS provider (
    peer TEXT PRIMARY KEY, addresses TEXT NOT NULL, publisher TEXT NOT NULL, last_ad TEXT, last_ad_time REAL,
    lag INTEGER NOT NULL DEFAULT 0, last_error TEXT, last_error_time REAL,
    inactive INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ad (cid TEXT PRIMARY KEY, state TEXT NOT NULL, reason TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS context (
    id INTEGER PRIMARY KEY, provider TEXT NOT NULL, context_id BLOB NOT NULL, metadata BLOB NOT NULL,
    UNIQUE (provider, context_id));
CREATE TABLE IF NOT EXISTS entry (
    multihash BLOB, context INTEGER, PRIMARY KEY (multihash, context)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS entry_by_context ON entry (context);
CREATE INDEX IF NOT EXISTS entry_by_second_hash ON entry (second_hash(multihash));
CREATE INDEX IF NOT EXISTS context_by_key ON context (metadata_key(provider, context_id));
CREATE TABLE IF NOT EXISTS extension (
    provider TEXT PRIMARY KEY, context_id BLOB NOT NULL, override INTEGER NOT NULL,
    providers TEXT NOT NULL) WITHOUT ROWID;
"""
_PROVIDER = """
SELECT provider.peer, addresses, publisher, publisher.address, last_ad, last_ad_time, lag, last_error,
    last_error_time, inactive FROM provider LEFT JOIN publisher ON publisher.peer = provider.publisher
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A publisher whose chain is to be read."""

    publisher: str
    head: str | None  # the announced advertisement; None: nobody announced, it is our turn to ask
    address: str  # multiaddr of its ads, with /p2p/
    attempts: int  # reads that failed since


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One answer to "who has this multihash?"."""

    provider: str
    addresses: tuple[str, ...]
    context_id: bytes
    metadata: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderInfo:
    """One provider, as `/providers` shows it; times are Unix seconds."""

    peer: str
    addresses: tuple[str, ...]
    publisher: str
    publisher_address: str | None
    last_ad: str | None
    last_ad_time: float | None
    lag: int
    last_error: str | None
    last_error_time: float | None
    inactive: bool


class Index:
    """The state of one indexer, kept in the file *path*."""

    def __init__(self, path: Path) -> None:
        self._database = Database(
            path, _SCHEMA, functions={"second_hash": hidden.second_hash, "metadata_key": hidden.metadata_key}
        )

    def close(self) -> None:
        self._database.close()

    # Announcements

    def add_pending(self, publisher: str, head: str | None, address: str, *, not_before: float = 0.0) -> None:
        """A newer announcement replaces the one that waits, and is read at once, or from *not_before* on."""
        self._database.execute(
            "INSERT OR REPLACE INTO pending VALUES (?, ?, ?, 0, ?)", publisher, head, address, not_before
        )

    def due(self, now: float) -> list[Pending]:
        rows = self._database.rows(
            "SELECT publisher, head, address, attempts FROM pending WHERE not_before <= ?", now
        )
        return [Pending(publisher=row[0], head=row[1], address=row[2], attempts=row[3]) for row in rows]

    def postpone(self, pending: Pending, until: float) -> None:
        """Try again at *until*, unless something newer was announced in the meantime."""
        self._database.execute(
            "UPDATE pending SET attempts = attempts + 1, not_before = ? WHERE publisher = ? AND head IS ?",
            until, pending.publisher, pending.head,
        )  # fmt: skip

    def drop_pending(self, pending: Pending) -> None:
        self._database.execute(
            "DELETE FROM pending WHERE publisher = ? AND head IS ? AND address = ?",
            pending.publisher, pending.head, pending.address,
        )  # fmt: skip

    # Advertisements

    def ad_state(self, cid: str) -> tuple[str, str | None]:
        """(`unknown`, `pending`, `indexed` or `skipped`; the reason for skipping)."""
        row = self._database.row("SELECT state, reason FROM ad WHERE cid = ?", cid)
        return (row[0], row[1]) if row else ("unknown", None)

    def is_processed(self, cid: str) -> bool:
        return self.ad_state(cid)[0] in ("indexed", "skipped")

    def mark_pending(self, cids: Iterable[str]) -> None:
        with self._database.transaction() as connection:
            connection.executemany(
                "INSERT OR IGNORE INTO ad VALUES (?, 'pending', NULL)", [(cid,) for cid in cids]
            )

    def mark_processed(self, cid: str, provider: str, *, skipped: str | None, lag: int, now: float) -> None:
        """The advertisement is dealt with for ever; *skipped* is the reason why nothing came of it."""
        state = "skipped" if skipped else "indexed"
        with self._database.transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO ad VALUES (?, ?, ?)", (cid, state, skipped))
            connection.execute(
                "UPDATE provider SET last_ad = ?, last_ad_time = ?, lag = ?, last_error = NULL,"
                " last_error_time = NULL WHERE peer = ?",
                (cid, now, lag, provider),
            )

    # Contents

    def put_context(self, provider: str, context_id: bytes, metadata: bytes) -> int:
        """The id of (provider, context id), made if new; its metadata is replaced."""
        with self._database.transaction() as connection:
            (found,) = connection.execute(
                "INSERT INTO context (provider, context_id, metadata) VALUES (?, ?, ?)"
                " ON CONFLICT DO UPDATE SET metadata = excluded.metadata RETURNING id",
                (provider, context_id, metadata),
            ).fetchone()
            return int(found)

    def put_entries(self, context: int, multihashes: Iterable[bytes]) -> None:
        with self._database.transaction() as connection:
            connection.executemany(
                "INSERT OR IGNORE INTO entry VALUES (?, ?)",
                [(multihash, context) for multihash in multihashes],
            )

    def remove_context(self, provider: str, context_id: bytes) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                "DELETE FROM entry WHERE context IN"
                " (SELECT id FROM context WHERE provider = ? AND context_id = ?)",
                (provider, context_id),
            )
            connection.execute(
                "DELETE FROM context WHERE provider = ? AND context_id = ?", (provider, context_id)
            )

    def find(self, multihash: bytes) -> list[Record]:
        """Who has *multihash*, with each provider's current addresses; inactive providers are left out.

        Extended providers stand after the one that named them.
        """
        rows = self._database.rows(
            "SELECT peer, addresses, context_id, metadata FROM entry"
            " JOIN context ON context.id = entry.context JOIN provider ON provider.peer = context.provider"
            " WHERE multihash = ? AND NOT inactive ORDER BY context.id",
            multihash,
        )
        found = []
        for peer, addresses, context_id, metadata in rows:
            others = beside(peer, context_id, metadata, self.extension(peer))
            for provider, places, how in ((peer, tuple(json.loads(addresses)), metadata), *others):
                found.append(Record(provider=provider, addresses=places, context_id=context_id, metadata=how))
        return found

    def find_hidden(self, second: bytes) -> list[bytes]:
        """The value keys of what has *second* for its second hash, each boxed for whoever knows the first."""
        rows = self._database.rows(
            "SELECT multihash, provider, context_id FROM entry JOIN context ON context.id = entry.context"
            " WHERE second_hash(multihash) = ? ORDER BY context.id",
            second,
        )
        return [hidden.box(hidden.value_key(provider, context), first) for first, provider, context in rows]

    def hidden_metadata(self, key: bytes) -> bytes | None:
        """The boxed metadata of the context with that key; None: there is none."""
        row = self._database.row(
            "SELECT provider, context_id, metadata FROM context WHERE metadata_key(provider, context_id) = ?",
            key,
        )
        return hidden.box(row[2], hidden.value_key(row[0], row[1])) if row else None

    def set_extension(self, provider: str, extension: Extension) -> None:
        """The newest counts, whatever it is for; one without providers ends them."""
        shown = [[one.peer, [*one.addresses], one.metadata.hex()] for one in extension.providers]
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM extension WHERE provider = ?", (provider,))
            if shown:
                connection.execute(
                    "INSERT INTO extension VALUES (?, ?, ?, ?)",
                    (provider, extension.context_id, extension.override, json.dumps(shown)),
                )

    def extension(self, provider: str) -> Extension | None:
        row = self._database.row(
            "SELECT context_id, override, providers FROM extension WHERE provider = ?", provider
        )
        if row is None:
            return None
        providers = tuple(
            Extended(peer=peer, addresses=tuple(addresses), metadata=bytes.fromhex(metadata))
            for peer, addresses, metadata in json.loads(row[2])
        )
        return Extension(context_id=row[0], override=bool(row[1]), providers=providers)

    def entry_count(self) -> int:
        row = self._database.row("SELECT count(DISTINCT multihash) FROM entry")
        return int(row[0]) if row else 0

    # Providers and publishers

    def put_provider(self, peer: str, publisher: str, addresses: Sequence[str]) -> None:
        """The newest addresses count for all records of a provider; none leaves them as they are."""
        self._database.execute(
            "INSERT INTO provider (peer, addresses, publisher) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET"
            " publisher = excluded.publisher,"
            " addresses = iif(excluded.addresses = '[]', addresses, excluded.addresses)",
            peer, json.dumps([*addresses]), publisher,
        )  # fmt: skip

    def set_error(self, peer: str, error: str, now: float) -> None:
        """A publisher nobody has heard of is registered by its first failure, so that it can be seen."""
        self._database.execute(
            "INSERT INTO provider (peer, addresses, publisher, last_error, last_error_time)"
            " VALUES (?, '[]', ?, ?, ?) ON CONFLICT DO UPDATE SET"
            " last_error = excluded.last_error, last_error_time = excluded.last_error_time",
            peer, peer, error, now,
        )  # fmt: skip

    def set_lag(self, peer: str, lag: int) -> None:
        self._database.execute("UPDATE provider SET lag = ? WHERE peer = ?", lag, peer)

    def saw_publisher(self, peer: str, address: str, now: float) -> None:
        """It answered: the clock of its silence starts again."""
        with self._database.transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO publisher VALUES (?, ?, ?)", (peer, address, now))
            connection.execute("UPDATE provider SET inactive = 0 WHERE publisher = ?", (peer,))

    def silent_publishers(self, since: float) -> list[tuple[str, str, float]]:
        """(peer, address, last contact) of the publishers that have not answered after *since*."""
        rows = self._database.rows(
            "SELECT peer, address, last_contact FROM publisher WHERE last_contact < ?", since
        )
        return [(row[0], row[1], row[2]) for row in rows]

    def is_pending(self, publisher: str) -> bool:
        return self._database.row("SELECT 1 FROM pending WHERE publisher = ?", publisher) is not None

    def deactivate(self, publisher: str) -> None:
        """Hide the records of a publisher that no longer answers."""
        self._database.execute("UPDATE provider SET inactive = 1 WHERE publisher = ?", publisher)

    def forget(self, publisher: str) -> None:
        """Delete a publisher, its providers and all their records; processed advertisements stay known."""
        providers = "SELECT peer FROM provider WHERE publisher = ?"
        contexts = f"SELECT id FROM context WHERE provider IN ({providers})"
        with self._database.transaction() as connection:
            connection.execute(f"DELETE FROM entry WHERE context IN ({contexts})", (publisher,))
            connection.execute(f"DELETE FROM context WHERE provider IN ({providers})", (publisher,))
            connection.execute(f"DELETE FROM extension WHERE provider IN ({providers})", (publisher,))
            connection.execute("DELETE FROM provider WHERE publisher = ?", (publisher,))
            connection.execute("DELETE FROM publisher WHERE peer = ?", (publisher,))
            connection.execute("DELETE FROM pending WHERE publisher = ?", (publisher,))

    def provider(self, peer: str) -> ProviderInfo | None:
        row = self._database.row(f"{_PROVIDER} WHERE provider.peer = ?", peer)
        return _provider_info(row) if row else None

    def providers(self) -> list[ProviderInfo]:
        return [_provider_info(row) for row in self._database.rows(f"{_PROVIDER} ORDER BY provider.peer")]


def _provider_info(row: Row) -> ProviderInfo:
    return ProviderInfo(
        peer=row[0], addresses=tuple(json.loads(row[1])), publisher=row[2], publisher_address=row[3],
        last_ad=row[4], last_ad_time=row[5], lag=row[6], last_error=row[7], last_error_time=row[8],
        inactive=bool(row[9]),
    )  # fmt: skip
