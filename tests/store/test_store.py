import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from fpin.errors import LocalError
from fpin.store import CopyState, NewPiece, Pin, Store
from fpin.store.migrations import MIGRATIONS

CHAIN = 31415926
ROOT = b"\x01\x55\x12\x20" + b"\x07" * 32
BIG = 2**256 - 1


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "fpin.sqlite"


def record(
    store: Store,
    *,
    pieces: tuple[str, ...] = ("piece-a",),
    copies: int = 1,
    metadata: Sequence[tuple[str, str]] = (("name", "photos"),),
    chain_id: int = CHAIN,
    wallet: str = "0x1",
    root_cid: bytes = ROOT,
) -> Pin:
    return store.record_pin(
        chain_id=chain_id,
        wallet=wallet,
        root_cid=root_cid,
        name="photos",
        path="/photos",
        profile="unixfs-v1-2025",
        size=10,
        files=1,
        copies_wanted=copies,
        metadata=metadata,
        pieces=[NewPiece(piece_cid=cid, size=200, sample=("bafy-leaf",)) for cid in pieces],
    )


def plan(store: Store, pin: Pin, provider_id: int = 1) -> list[int]:
    return [
        store.plan_copy(piece.piece, provider_id=provider_id, provider_url=f"http://sp{provider_id}")
        for piece in pin.pieces
    ]


def add_all(store: Store, pin: Pin, provider_id: int = 1) -> list[int]:
    copies = plan(store, pin, provider_id)
    for copy in copies:
        store.mark_parked(copy, uploaded=True)
    submission = store.mark_signed(
        copies, provider_id=provider_id, payer="0x1", data_set_id=None, client_data_set_id=1, nonce=2
    )
    store.mark_submitted(submission.submission, tx="0xabc")
    store.mark_confirmed(submission.submission, data_set_id=9, first_piece_id=4)
    return copies


def test_a_pin_is_there_after_the_store_was_closed(path: Path) -> None:
    with Store(path) as store:
        record(store, pieces=("piece-a", "piece-b"))
    with Store(path) as store:
        [pin] = store.pins(CHAIN)
    assert (pin.root_cid, pin.name, pin.path) == (ROOT, "photos", "/photos")
    assert pin.metadata == (("name", "photos"),)
    assert pin.pieces[0].sample == ("bafy-leaf",)
    assert [(piece.position, piece.piece_cid, piece.size) for piece in pin.pieces] == [
        (0, "piece-a", 200),
        (1, "piece-b", 200),
    ]
    assert pin.car_size == 400
    assert pin.state == "pending"


def test_pins_of_other_chains_are_not_mixed_in(path: Path) -> None:
    with Store(path) as store:
        record(store)
        assert store.pins(314) == []
        assert store.pin_of_root(314, ROOT) is None


def test_pieces_of_one_submission_get_ids_in_the_order_they_were_signed(path: Path) -> None:
    with Store(path) as store:
        pin = record(store, pieces=("piece-a", "piece-b"))
        first, second = plan(store, pin)
        for copy in (first, second):
            store.mark_parked(copy, uploaded=True)
        submission = store.mark_signed(
            [second, first],
            provider_id=1,
            payer="0x1",
            data_set_id=None,
            client_data_set_id=BIG,
            nonce=BIG - 1,
        )
        assert (submission.client_data_set_id, submission.nonce) == (BIG, BIG - 1)
        store.mark_submitted(submission.submission, tx="0xabc")
        store.mark_confirmed(submission.submission, data_set_id=9, first_piece_id=4)
        pin = store.pin(pin.pin)
    assert [(copy.piece_id, copy.data_set_id, copy.tx) for copy in pin.copies] == [
        (5, 9, "0xabc"),
        (4, 9, "0xabc"),
    ]
    assert pin.state == "pinned"


def test_the_nonce_is_on_disk_before_anything_is_signed(path: Path) -> None:
    with Store(path) as store:
        pin = record(store)
        copies = plan(store, pin)
        store.mark_parked(copies[0], uploaded=True)
        store.mark_signed(copies, provider_id=1, payer="0x1", data_set_id=3, client_data_set_id=1, nonce=77)
        # Another connection sees it already: no commit is outstanding.
        other = sqlite3.connect(path)
        assert other.execute("SELECT nonce FROM submissions").fetchall() == [("77",)]
        other.close()


def test_a_refused_submission_leaves_its_copies_parked_for_a_new_nonce(path: Path) -> None:
    with Store(path) as store:
        pin = record(store)
        copies = plan(store, pin)
        store.mark_parked(copies[0], uploaded=True)
        submission = store.mark_signed(
            copies, provider_id=1, payer="0x1", data_set_id=3, client_data_set_id=1, nonce=77
        )
        store.mark_unsigned(submission.submission, reason="reverted")
        [copy] = store.pin(pin.pin).copies
    assert (copy.state, copy.submission, copy.uploaded) == (CopyState.PARKED, None, True)


def test_fewer_copies_than_wanted_is_degraded_and_the_rest_is_not_forgotten(path: Path) -> None:
    with Store(path) as store:
        pin = record(store, copies=2)
        add_all(store, pin, provider_id=1)
        [failed] = plan(store, pin, provider_id=2)
        store.mark_failed(failed, reason="provider 2: HTTP 503")
        pin = store.pin(pin.pin)
    assert pin.state == "degraded"
    assert [copy.reason for copy in pin.copies] == [None, "provider 2: HTTP 503"]


def test_removal_is_followed_to_its_end(path: Path) -> None:
    with Store(path) as store:
        pin = record(store)
        [copy] = add_all(store, pin)
        states = []
        store.mark_removing(copy)
        states.append(store.pin(pin.pin).state)
        store.mark_scheduled(copy, tx="0xdead")
        store.mark_removed(copy)
        store.mark_unadvertised(copy, ad_cid="baguqeera")
        states.append(store.pin(pin.pin).state)
        store.mark_gone(copy)
        states.append(store.pin(pin.pin).state)
        [gone] = store.pin(pin.pin).copies
        history = [state for _, state in store.history(copy)]
    assert states == ["removing", "removing", "removed"]
    assert (gone.removal_tx, gone.removal_ad_cid) == ("0xdead", "baguqeera")
    assert history == [
        "planned",
        "parked",
        "signed",
        "submitted",
        "confirmed",
        "removing",
        "scheduled",
        "removed",
        "unadvertised",
        "gone",
    ]


def test_recording_a_root_again_keeps_what_is_known_of_it(path: Path) -> None:
    with Store(path) as store:
        pin = record(store)
        add_all(store, pin)
        again = record(store, copies=2)
        store.want_copies(again.pin, 2)
        more = store.pin(again.pin)
    assert again.pin == pin.pin
    assert [copy.state for copy in again.copies] == [CopyState.CONFIRMED]
    assert (again.copies_wanted, more.copies_wanted) == (1, 2)  # two once it is known that they can be had


def test_a_failure_inside_a_transition_leaves_nothing_of_it(path: Path) -> None:
    with Store(path) as store:
        record(store)
        with pytest.raises(LocalError):
            store.plan_copy(12345, provider_id=1, provider_url="http://sp1")  # no such piece
        [pin] = store.pins(CHAIN)
    assert pin.copies == ()


def test_a_store_of_a_newer_fpin_is_refused_by_name(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(LocalError, match="newer fpin") as caught:
        Store(path)
    assert str(path) in caught.value.message


def test_a_file_that_is_no_store_is_refused_by_name(path: Path) -> None:
    path.write_text("this is not a database, and long enough to be sure of it" * 10)
    with pytest.raises(LocalError, match="cannot be used"):
        Store(path)


def test_the_store_is_readable_by_its_owner_only(path: Path) -> None:
    with Store(path):
        assert path.stat().st_mode & 0o077 == 0


def test_pieces_of_which_nothing_is_left_make_way_when_the_content_is_cut_otherwise(path: Path) -> None:
    with Store(path) as store:
        [live, gone, failed] = add_all(store, record(store, pieces=("piece-a", "piece-b", "piece-c")))
        store.mark_gone(gone)
        store.mark_failed(failed, reason="no")
        pin = record(store, pieces=("piece-x", "piece-b", "piece-y"))
        assert [piece.piece_cid for piece in pin.pieces] == ["piece-a", "piece-b", "piece-x", "piece-y"]
        assert pin.pieces[0].copies[0].copy == live
        assert pin.car_size == 800
        assert [piece.piece_cid for piece in record(store, pieces=("piece-z",)).pieces] == [
            "piece-a",
            "piece-z",
        ]


def test_a_copy_that_was_removed_meanwhile_is_not_advertised_again(path: Path) -> None:
    with Store(path) as store:
        [copy] = add_all(store, record(store))
        store.mark_scheduled(copy, tx="0xdead")
        store.mark_advertised(copy, ad_cid="baguqeera")
        now = store.copy(copy)
        last = store.history(copy)[-1][1]
    assert (now.state, now.ad_cid, last) == (CopyState.SCHEDULED, None, "scheduled")


def test_a_copy_whose_provider_moved_stays_what_it_was(path: Path) -> None:
    with Store(path) as store:
        [copy] = add_all(store, record(store))
        before = store.history(copy)
        store.mark_moved(copy, provider_url="http://elsewhere")
        now = store.copy(copy)
        assert store.history(copy) == before
    assert (now.state, now.provider_url) == (CopyState.CONFIRMED, "http://elsewhere")


def test_metadata_may_change_until_it_is_signed(path: Path) -> None:
    with Store(path) as store:
        copies = plan(store, record(store))
        store.mark_parked(copies[0], uploaded=True)
        assert record(store, metadata=[("name", "again")]).metadata == (("name", "again"),)
        store.mark_signed(copies, provider_id=1, payer="0x1", data_set_id=3, client_data_set_id=1, nonce=77)
        assert record(store, metadata=[("name", "too late")]).metadata == (("name", "again"),)


def test_pins_of_an_older_store_become_those_of_the_wallet_that_signed_for_them(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        for migration in MIGRATIONS[:5]:
            migration(db)
        db.executescript(
            """
            INSERT INTO pins VALUES (1, 314, x'01', 'signed', NULL, 'p', 1, 1, 1, 1, '[]', 1);
            INSERT INTO pins VALUES (2, 314, x'02', 'unsigned', NULL, 'p', 1, 1, 1, 1, '[]', 1);
            INSERT INTO pieces VALUES (1, 1, 0, 'piece-a', 10, '[]'), (2, 2, 0, 'piece-b', 10, '[]');
            INSERT INTO submissions VALUES (1, 1, '0xPayer', 9, '1', '2', 'confirmed', '0xabc', 1, 5);
            INSERT INTO copies (copy, piece, provider_id, provider_url, state, submission, changed)
                VALUES (1, 1, 1, 'http://sp1', 'confirmed', 1, 1),
                       (2, 2, 1, 'http://sp1', 'planned', NULL, 1);
            PRAGMA user_version = 5;
            """
        )
    with Store(path) as store:
        assert [(pin.name, pin.wallet, len(pin.copies)) for pin in store.pins(314)] == [
            ("signed", "0xPayer", 1),
            ("unsigned", "", 1),
        ]
        assert [pin.name for pin in store.pins(314, "0xOther")] == ["unsigned"]
        claimed = record(store, root_cid=b"\x02", chain_id=314, wallet="0xOther")
        assert (claimed.pin, claimed.wallet, claimed.name) == (2, "0xOther", "photos")
        assert record(store, root_cid=b"\x01", chain_id=314, wallet="0xOther").pin == 3
        store.forget(314)
    with closing(sqlite3.connect(path)) as db:
        # What belongs to a pin still goes with it.
        assert db.execute("SELECT count(*) FROM pieces").fetchone() == (0,)
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []
