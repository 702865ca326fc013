"""Copies from provider to provider: what is asked, what is refused, how it ends."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from fpin.devnet.provider import pulls
from fpin.devnet.provider.commp import Piece
from tests.devnet.provider.conftest import Site, World, random_car

DATA = b"\x07" * 9000


@pytest.fixture
def other(world: World) -> Site:
    return world.sites[1]


@pytest.fixture
def piece(site: Site) -> Piece:
    return site.park(DATA)


def request(to: Site, wanted: list[tuple[Piece, str]], nonce: int = 2) -> dict[str, Any]:
    return {
        "recordKeeper": to.wallet.service,
        "extraData": to.wallet.create_and_add(1, nonce, [piece for piece, _ in wanted]),
        "pieces": [{"pieceCid": piece.v2, "sourceUrl": url} for piece, url in wanted],
    }


def pull(to: Site, body: dict[str, Any]) -> httpx.Response:
    return to.post("/pdp/piece/pull", body)


def source(site: Site, piece: Piece) -> str:
    return f"{site.url}/piece/{piece.v2}"


def test_a_piece_is_copied_and_the_same_request_tells_how_it_went(
    site: Site, other: Site, piece: Piece
) -> None:
    body = request(other, [(piece, source(site, piece))])
    first = pull(other, body)
    assert first.json() == {"status": "pending", "pieces": [{"pieceCid": piece.v2, "status": "pending"}]}
    other.idle()
    assert pull(other, body).json() == {
        "status": "complete",
        "pieces": [{"pieceCid": piece.v2, "status": "complete"}],
    }
    assert other.find(piece).status_code == 200
    assert other.get(f"/piece/{piece.v2}").content == DATA


def test_the_extra_data_of_a_pull_can_be_used_to_commit(world: World, site: Site, other: Site) -> None:
    car = random_car(30)[0]
    piece = site.park(car)
    body = request(other, [(piece, source(site, piece))])
    assert pull(other, body).status_code == 200
    other.idle()
    commit = {key: body[key] for key in ("recordKeeper", "extraData")}
    commit["pieces"] = [{"pieceCid": piece.v2, "subPieces": [{"subPieceCid": piece.v2}]}]
    assert other.post("/pdp/data-sets/create-and-add", commit).status_code == 201
    world.settle()
    assert other.status(piece)["synced"] is True


def test_a_source_that_sends_other_bytes_fails(site: Site, other: Site, piece: Piece) -> None:
    lie = site.park(b"\x08" * 9000)
    shorter = site.park(b"\x07" * 8000)
    body = request(other, [(piece, source(site, lie)), (piece, source(site, shorter))])
    pull(other, body)
    other.idle()
    assert [each["status"] for each in pull(other, body).json()["pieces"]] == ["failed", "failed"]
    assert pull(other, body).json()["status"] == "failed"
    assert other.find(piece).status_code == 404


def test_the_second_source_is_tried_when_the_first_has_nothing(site: Site, other: Site, piece: Piece) -> None:
    nothing = f"{site.url}/piece/{Piece(bytes(32), 9000).v2}"
    body = request(other, [(piece, nothing), (piece, source(site, piece))])
    pull(other, body)
    other.idle()
    told = pull(other, body).json()
    assert told["status"] == "complete"
    assert other.find(piece).status_code == 200


def test_a_source_that_fails_for_a_while_is_asked_again(
    site: Site, other: Site, piece: Piece, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulls, "RETRY_SECONDS", (3600.0, 3600.0))
    site.provider.faults.status_for["retrieve"] = (500, 1)
    body = request(other, [(piece, source(site, piece))])
    pull(other, body)
    other.idle()
    assert pull(other, body).json()["status"] == "retrying"
    with other.provider._state.write() as db:
        db.execute("UPDATE pull_items SET retry_at = 0")
    other.idle()
    assert pull(other, body).json()["status"] == "complete"


def test_a_source_that_keeps_failing_is_given_up(
    site: Site, other: Site, piece: Piece, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulls, "RETRY_SECONDS", (0.0, 0.0))
    site.provider.faults.status_for["retrieve"] = (429, 100)
    body = request(other, [(piece, source(site, piece))])
    pull(other, body)
    other.idle()
    assert pull(other, body).json()["status"] == "failed"
    assert site.provider.faults.status_for["retrieve"] == (429, 97), "three attempts"


def test_a_piece_that_is_here_already_is_not_fetched(site: Site, other: Site, piece: Piece) -> None:
    other.park(DATA)
    body = request(other, [(piece, "http://127.0.0.1:9/")])
    pull(other, body)
    other.idle()
    assert pull(other, body).json()["status"] == "complete"


def test_a_forged_authorisation_is_refused(site: Site, other: Site, piece: Piece) -> None:
    body = request(other, [(piece, source(site, piece))])
    body["extraData"] = site.wallet.create_and_add(1, 2, [piece])  # signed for the other provider
    refused = pull(other, body)
    assert (refused.status_code, refused.text[:7]) == (400, "chain: ")
    body["extraData"] = "0x1234"
    assert "Invalid pull payer" in pull(other, body).text


def test_requests_that_make_no_sense(site: Site, other: Site, piece: Piece) -> None:
    good = request(other, [(piece, source(site, piece))])

    def refused(words: str, status: int = 400, **change: Any) -> None:
        answer = pull(other, good | change)
        assert (answer.status_code, words in answer.text) == (status, True), answer.text

    one = good["pieces"][0]
    refused("extraData is required", extraData="")
    refused("recordKeeper is required", recordKeeper="")
    refused("not allowed", 403, recordKeeper="0x" + "12" * 20)
    refused("at least one piece", pieces=[])
    refused("exceeds the maximum", pieces=[one] * 41)
    refused("duplicate", pieces=[one, one])
    refused("pieceCid is required", pieces=[{"sourceUrl": "https://a.example"}])
    refused("sourceUrl is required", pieces=[{"pieceCid": piece.v2}])
    refused("must use HTTPS", pieces=[one | {"sourceUrl": "http://sp.example/piece/x"}])
    refused("must use HTTPS", pieces=[one | {"sourceUrl": "ftp://127.0.0.1/x"}])
    refused("below minimum", pieces=[one | {"pieceCid": Piece(piece.root, 100).v2}])
    refused("exceeds maximum", pieces=[one | {"pieceCid": Piece(piece.root, 2**30).v2}])
    refused("Data set not found", 404, dataSetId=99)


def test_a_full_queue_says_when_to_come_back(other: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulls, "BORROWABLE", 2)
    monkeypatch.setattr(pulls, "MAX_ACTIVE_OF_PAYER", 2)
    wanted = [(Piece(bytes([n]) * 31 + b"\x00", 9000), "http://127.0.0.1:9/") for n in range(3)]
    refused = pull(other, request(other, wanted))
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "60")
    assert refused.text == "pull queue backpressure\n"
    assert pull(other, request(other, wanted[:2])).status_code == 200


def test_pulls_can_be_refused(site: Site, other: Site, piece: Piece) -> None:
    other.provider.faults.refuse_pulls = 503
    assert pull(other, request(other, [(piece, source(site, piece))])).status_code == 503
