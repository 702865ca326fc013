"""Pieces coming in: both ways of uploading, and every status code on the way."""

from __future__ import annotations

import uuid

import httpx
import pytest

from fpin.devnet.provider import commp, pieces
from fpin.devnet.provider.commp import Piece, commit
from tests.devnet.provider.conftest import Site, World

DATA = bytes(range(256)) * 20


def session(site: Site) -> str:
    answer = site.post("/pdp/piece/uploads")
    assert answer.status_code == 201
    location = answer.headers["Location"]
    assert location.startswith("/pdp/piece/uploads/")
    return location


def put(site: Site, location: str, content: bytes) -> httpx.Response:
    return site.http.put(site.url + location, content=content)


def finalize(site: Site, location: str, cid: str) -> httpx.Response:
    return site.post(location, {"pieceCid": cid})


def test_a_streamed_piece_is_found_once_it_is_parked(site: Site) -> None:
    location = session(site)
    assert put(site, location, DATA).status_code == 204
    done = finalize(site, location, commit(DATA).v2)
    assert (done.status_code, done.content) == (200, b"")
    missing = site.find(commit(DATA))
    assert (missing.status_code, missing.text) == (404, "404 page not found\n")
    site.idle()
    assert site.find(commit(DATA)).json() == {"pieceCid": commit(DATA).v2}


def test_finalizing_twice_is_not_found(site: Site) -> None:
    location = session(site)
    put(site, location, DATA)
    assert finalize(site, location, commit(DATA).v2).status_code == 200
    assert finalize(site, location, commit(DATA).v2).status_code == 404


def test_a_wrong_piece_cid_is_refused_and_the_session_stays(site: Site) -> None:
    location = session(site)
    put(site, location, DATA)
    other_root = Piece(bytes(32), len(DATA)).v2
    other_size = Piece(commit(DATA).root, len(DATA) - 1).v2
    for cid, words in [
        (other_root, "does not match the calculated pieceCid"),
        (other_size, "size does not match"),
        (commit(DATA).v1, "invalid pieceCid"),
        ("nonsense", "invalid pieceCid"),
    ]:
        refused = finalize(site, location, cid)
        assert refused.status_code == 400
        assert words in refused.text
        assert "[eid: " in refused.text
    assert finalize(site, location, commit(DATA).v2).status_code == 200


@pytest.mark.parametrize("size", [0, 1, 126])
def test_less_than_127_bytes_are_no_piece(site: Site, size: int) -> None:
    location = session(site)
    refused = put(site, location, b"x" * size)
    assert refused.status_code == 400
    assert "below the minimum allowed size (127 bytes)" in refused.text
    assert put(site, location, b"x" * 127).status_code == 204


def test_more_than_the_maximum_is_413(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces.PieceStore.intake.__wrapped__, "__kwdefaults__", {"limit": 5000})  # type: ignore[attr-defined]
    assert put(site, session(site), b"x" * 5001).status_code == 413
    assert put(site, session(site), b"x" * 5000).status_code == 204


def test_a_second_put_replaces_the_first(site: Site) -> None:
    location = session(site)
    put(site, location, b"first" * 100)
    put(site, location, DATA)
    assert finalize(site, location, commit(b"first" * 100).v2).status_code == 400
    assert finalize(site, location, commit(DATA).v2).status_code == 200


def test_sessions_that_never_were_and_sessions_without_bytes(site: Site) -> None:
    unknown = f"/pdp/piece/uploads/{uuid.uuid4()}"
    assert put(site, unknown, DATA).status_code == 404
    assert finalize(site, unknown, commit(DATA).v2).status_code == 404
    assert put(site, "/pdp/piece/uploads/nonsense", DATA).status_code == 400
    empty = finalize(site, session(site), commit(DATA).v2)
    assert empty.status_code == 500
    assert empty.text.startswith("Database error")


def test_bytes_that_were_swept_away_fail_the_finalization(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    location = session(site)
    put(site, location, DATA)
    monkeypatch.setattr(pieces, "SESSION_SECONDS", -1)
    site.provider.work()
    late = finalize(site, location, commit(DATA).v2)
    assert late.status_code == 500
    assert late.text.startswith("Failed to process piece upload")


def test_an_upload_in_chunks_of_unknown_length_is_taken(site: Site) -> None:
    location = session(site)
    data = DATA * 700  # more than three hashing blocks
    chunks = (data[start : start + 70_001] for start in range(0, len(data), 70_001))
    assert site.http.put(site.url + location, content=chunks).status_code == 204
    assert finalize(site, location, commit(data).v2).status_code == 200
    site.idle()
    assert site.get(f"/piece/{commit(data).v2}").content == data


def test_a_sparse_upload_is_stored_with_its_holes(site: Site) -> None:
    data = b"\x01" + bytes(4 * commp.BLOCK_SIZE) + b"\x02"
    piece = site.park(data)
    assert site.get(f"/piece/{piece.v2}").content == data


def test_a_provider_that_lies_about_the_piece_refuses_the_right_cid(site: Site) -> None:
    site.provider.faults.lie_about_piece = True
    location = session(site)
    put(site, location, DATA)
    assert finalize(site, location, commit(DATA).v2).status_code == 400


# Classic


def announce(site: Site, cid: str) -> httpx.Response:
    return site.post("/pdp/piece", {"pieceCid": cid})


def test_a_classic_upload_is_found_once_it_is_parked(site: Site) -> None:
    piece = commit(DATA)
    begun = announce(site, piece.v2)
    assert begun.status_code == 201
    location = begun.headers["Location"]
    assert location.startswith("/pdp/piece/upload/")
    assert (
        put(site, location, DATA[:-1] + b"\xff" if DATA[-1:] != b"\xff" else DATA[:-1] + b"\0").status_code
        == 400
    )
    assert put(site, location, DATA[:-1]).status_code == 400
    longer = put(site, location, DATA + b"x")
    assert longer.status_code == 400
    assert f"exceeds the size declared in pieceCid ({len(DATA)} bytes)" in longer.text
    assert put(site, location, DATA).status_code == 204
    assert put(site, location, DATA).status_code == 409
    site.idle()
    assert site.find(piece).status_code == 200
    assert put(site, location, DATA).status_code == 404


def test_announcing_a_piece_that_is_parked_needs_no_bytes(site: Site) -> None:
    piece = site.park(DATA)
    known = announce(site, piece.v2)
    assert (known.status_code, known.json()) == (200, {"pieceCid": piece.v2})


def test_announcements_that_cannot_be_stored(site: Site) -> None:
    assert announce(site, "nonsense").status_code == 400
    assert announce(site, commit(b"x" * 96).v2).status_code == 400
    assert announce(site, Piece(bytes(32), commp.MAX_PIECE_SIZE + 1).v2).status_code == 413
    assert site.http.post(f"{site.url}/pdp/piece", content=b"{").status_code == 400


# Find and notify


def test_find_wants_a_version_2_cid(site: Site) -> None:
    assert site.get("/pdp/piece").status_code == 400
    assert site.get("/pdp/piece", params={"pieceCid": commit(DATA).v1}).status_code == 400


def test_find_looks_at_the_commitment_only(site: Site) -> None:
    piece = site.park(DATA)
    other = Piece(piece.root, len(DATA) - 1)
    assert site.find(other).json() == {"pieceCid": other.v2}


def test_whoever_asked_is_told_when_a_piece_is_parked(world: World) -> None:
    told: list[bytes] = []

    async def listener(scope: dict[str, object], receive, send) -> None:  # type: ignore[no-untyped-def]
        message = await receive()
        told.append(message["body"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    site, other = world.sites
    world.apps[httpx.URL(other.url).port or 0] = listener
    location = session(site)
    put(site, location, DATA)
    site.post(location, {"pieceCid": commit(DATA).v2, "notify": f"{other.url}/told"})
    site.idle()
    assert len(told) == 1
    assert commit(DATA).v1.encode() in told[0]
