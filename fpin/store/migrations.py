"""The store's schema as numbered steps. A step that was released is never edited; a change is a new one."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable


def _m001_pins_pieces_copies(db: sqlite3.Connection) -> None:
    # Nonces and client data set ids are decimal TEXT: they have 256 bits, SQLite's integers 63.
    db.execute(
        """
        CREATE TABLE pins (
            pin INTEGER PRIMARY KEY,
            chain_id INTEGER NOT NULL,
            root_cid BLOB NOT NULL,
            name TEXT,
            path TEXT,
            profile TEXT NOT NULL,
            size INTEGER NOT NULL,
            files INTEGER NOT NULL,
            car_size INTEGER NOT NULL,
            copies_wanted INTEGER NOT NULL,
            metadata TEXT NOT NULL,
            created INTEGER NOT NULL,
            UNIQUE (chain_id, root_cid)
        )
        """
    )
    db.execute(
        """
        CREATE TABLE pieces (
            piece INTEGER PRIMARY KEY,
            pin INTEGER NOT NULL REFERENCES pins ON DELETE CASCADE,
            position INTEGER NOT NULL,
            piece_cid TEXT NOT NULL,
            size INTEGER NOT NULL,
            sample TEXT NOT NULL,
            UNIQUE (pin, position)
        )
        """
    )
    db.execute(
        """
        CREATE TABLE submissions (
            submission INTEGER PRIMARY KEY,
            provider_id INTEGER NOT NULL,
            payer TEXT NOT NULL,
            data_set_id INTEGER,
            client_data_set_id TEXT NOT NULL,
            nonce TEXT NOT NULL,
            state TEXT NOT NULL,
            tx TEXT,
            created INTEGER NOT NULL
        )
        """
    )
    db.execute(
        """
        CREATE TABLE copies (
            copy INTEGER PRIMARY KEY,
            piece INTEGER NOT NULL REFERENCES pieces ON DELETE CASCADE,
            provider_id INTEGER NOT NULL,
            provider_url TEXT NOT NULL,
            state TEXT NOT NULL,
            reason TEXT,
            uploaded INTEGER NOT NULL DEFAULT 0,
            submission INTEGER REFERENCES submissions,
            place INTEGER,
            data_set_id INTEGER,
            piece_id INTEGER,
            ad_cid TEXT,
            removal_tx TEXT,
            removal_ad_cid TEXT,
            changed INTEGER NOT NULL
        )
        """
    )
    db.execute(
        """
        CREATE TABLE journal (
            entry INTEGER PRIMARY KEY,
            at INTEGER NOT NULL,
            copy INTEGER NOT NULL,
            state TEXT NOT NULL,
            detail TEXT NOT NULL
        )
        """
    )
    db.execute("CREATE INDEX copies_by_piece ON copies (piece)")
    db.execute("CREATE INDEX pieces_by_cid ON pieces (piece_cid)")


def _m002_when_an_add_was_seen(db: sqlite3.Connection) -> None:
    # The height of the chain at which an add was seen there; NULL where an earlier fpin saw it.
    db.execute("ALTER TABLE submissions ADD COLUMN epoch INTEGER")


def _m003_payments(db: sqlite3.Connection) -> None:
    # Amounts are decimal TEXT: they have 256 bits.
    db.execute(
        """
        CREATE TABLE payments (
            payment INTEGER PRIMARY KEY,
            chain_id INTEGER NOT NULL,
            wallet TEXT NOT NULL,
            doing TEXT NOT NULL,
            amount TEXT NOT NULL,
            nonce INTEGER NOT NULL,
            tx TEXT NOT NULL,
            state TEXT NOT NULL,
            reason TEXT,
            created INTEGER NOT NULL,
            changed INTEGER NOT NULL
        )
        """
    )
    db.execute("CREATE INDEX payments_by_wallet ON payments (chain_id, wallet, state)")


def _m004_what_a_transaction_is_about(db: sqlite3.Connection) -> None:
    # The address of a session key, or the number of a data set; empty for what is about the account.
    db.execute("ALTER TABLE payments ADD COLUMN subject TEXT NOT NULL DEFAULT ''")


def _m005_session_keys(db: sqlite3.Connection) -> None:
    # Addresses only: no contract lists the keys that a wallet allowed.
    db.execute(
        """
        CREATE TABLE sessions (
            chain_id INTEGER NOT NULL,
            wallet TEXT NOT NULL,
            address TEXT NOT NULL,
            kept TEXT NOT NULL,
            created INTEGER NOT NULL,
            PRIMARY KEY (chain_id, wallet, address)
        )
        """
    )


def _m006_how_a_path_was_packed(db: sqlite3.Connection) -> None:
    # JSON of what differs from the defaults.
    db.execute("ALTER TABLE pins ADD COLUMN packing TEXT NOT NULL DEFAULT '{}'")


def _m007_pins_of_wallets(db: sqlite3.Connection) -> None:
    # Before, a pin was of everybody on its chain. It becomes that of the wallet that signed for its copies;
    # where none did, of the wallet that does so first. Foreign keys are not enforced while this runs.
    db.execute(
        """
        CREATE TABLE pins_of_wallets (
            pin INTEGER PRIMARY KEY,
            chain_id INTEGER NOT NULL,
            wallet TEXT NOT NULL,
            root_cid BLOB NOT NULL,
            name TEXT,
            path TEXT,
            profile TEXT NOT NULL,
            packing TEXT NOT NULL,
            size INTEGER NOT NULL,
            files INTEGER NOT NULL,
            car_size INTEGER NOT NULL,
            copies_wanted INTEGER NOT NULL,
            metadata TEXT NOT NULL,
            created INTEGER NOT NULL,
            UNIQUE (chain_id, wallet, root_cid)
        )
        """
    )
    db.execute(
        """
        INSERT INTO pins_of_wallets
        SELECT pin, chain_id,
               coalesce((SELECT payer FROM submissions s JOIN copies c USING (submission)
                         JOIN pieces p USING (piece) WHERE p.pin = pins.pin
                         ORDER BY s.submission LIMIT 1), ''),
               root_cid, name, path, profile, packing, size, files, car_size, copies_wanted, metadata, created
        FROM pins
        """
    )
    db.execute("DROP TABLE pins")
    db.execute("ALTER TABLE pins_of_wallets RENAME TO pins")


def _m008_how_providers_were_chosen(db: sqlite3.Connection) -> None:
    db.execute("ALTER TABLE pins ADD COLUMN seed TEXT NOT NULL DEFAULT ''")


MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (
    _m001_pins_pieces_copies,
    _m002_when_an_add_was_seen,
    _m003_payments,
    _m004_what_a_transaction_is_about,
    _m005_session_keys,
    _m006_how_a_path_was_packed,
    _m007_pins_of_wallets,
    _m008_how_providers_were_chosen,
)
