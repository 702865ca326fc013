"""HTTP as a real provider speaks it: methods, headers, compression and ranges, small routes, faults."""

from __future__ import annotations

import socket

import httpx
import pytest

from fpin.devnet.provider.commp import Piece, commit
from tests.devnet.provider.conftest import Site

# Begins with a byte that is not text, so that the piece is an octet-stream.
DATA = bytes(range(256)) * 40


@pytest.fixture
def piece(site: Site) -> Piece:
    return site.park(DATA)


def ranged(site: Site, piece: Piece, wanted: str, **headers: str) -> httpx.Response:
    return site.get(f"/piece/{piece.v2}", headers={"Range": wanted, **headers})


def test_the_small_routes(site: Site) -> None:
    ping = site.get("/pdp/ping")
    assert (ping.status_code, ping.text) == (200, "curio-pdp")
    assert ping.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert site.get("/health").text == "Service is up and running"
    assert site.get("/version").text.startswith("1.")
    assert site.get("/info").json()["Server"].startswith("Curio/1.")
    assert site.get("/").text.startswith("Hello, World!")


def test_a_piece_is_given_out_by_either_of_its_cids(site: Site, piece: Piece) -> None:
    for cid in (piece.v2, piece.v1):
        answer = site.get(f"/piece/{cid}")
        assert answer.content == DATA
        assert answer.headers["ETag"] == f'"{cid}"'
    head = site.http.head(f"{site.url}/piece/{piece.v2}")
    assert (head.status_code, head.headers["Content-Length"], head.content) == (200, str(len(DATA)), b"")
    assert head.headers["Content-Type"] == "application/octet-stream"
    assert head.headers["Accept-Ranges"] == "bytes"
    assert head.headers["Cache-Control"] == "public, max-age=29030400, immutable"
    assert head.headers["Last-Modified"] == "Thu, 01 Jan 1970 00:00:00 GMT"
    assert "Content-Disposition" not in head.headers


def test_a_piece_of_text_is_served_as_text(site: Site) -> None:
    text = site.park(b"plain words\n" * 20)
    answer = site.get(f"/piece/{text.v2}")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.headers["Content-Disposition"] == f'inline; filename="{text.v2}.txt"'


def test_pieces_that_are_not_here(site: Site) -> None:
    absent = commit(b"x" * 500)
    assert site.get(f"/piece/{absent.v2}").status_code == 404
    assert site.get(f"/piece/{absent.v1}").status_code == 500
    assert site.get("/piece/nonsense").status_code == 400


def test_ranges_of_a_piece(site: Site, piece: Piece) -> None:
    part = ranged(site, piece, "bytes=100-199")
    assert (part.status_code, part.content) == (206, DATA[100:200])
    assert part.headers["Content-Range"] == f"bytes 100-199/{len(DATA)}"
    assert ranged(site, piece, "bytes=-5").content == DATA[-5:]
    assert ranged(site, piece, "bytes=10000-").content == DATA[10000:]
    several = ranged(site, piece, "bytes=0-1,50-59")
    assert several.status_code == 206
    assert several.headers["Content-Type"].startswith("multipart/byteranges")
    assert DATA[50:60] in several.content
    beyond = ranged(site, piece, f"bytes={len(DATA)}-")
    assert (beyond.status_code, beyond.headers["Content-Range"]) == (416, f"bytes */{len(DATA)}")


def test_conditions_on_a_piece(site: Site, piece: Piece) -> None:
    tag = f'"{piece.v2}"'
    assert ranged(site, piece, "bytes=0-9", **{"If-Range": tag}).status_code == 206
    assert ranged(site, piece, "bytes=0-9", **{"If-Range": '"other"'}).status_code == 200
    same = site.get(f"/piece/{piece.v2}", headers={"If-None-Match": tag})
    assert (same.status_code, same.content) == (304, b"")


def test_compression_takes_ranges_and_lengths_away(site: Site, piece: Piece) -> None:
    answer = ranged(site, piece, "bytes=0-9", **{"Accept-Encoding": "gzip"})
    assert (answer.status_code, answer.content) == (200, DATA)
    assert answer.headers["Content-Encoding"] == "gzip"
    assert "Content-Length" not in answer.headers
    assert "Accept-Ranges" not in answer.headers
    assert ranged(site, piece, "bytes=0-9", **{"Accept-Encoding": "gzip;q=0, identity"}).status_code == 206


def test_every_answer_carries_cors_and_security_headers(site: Site) -> None:
    for answer in (site.get("/pdp/ping"), site.get("/nowhere")):
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert answer.headers["Access-Control-Expose-Headers"] == "Location"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "Accept-Encoding" in answer.headers["Vary"]
    options = site.http.request("OPTIONS", f"{site.url}/pdp/piece/uploads")
    assert (options.status_code, options.content) == (204, b"")


def test_unknown_paths_and_wrong_methods(site: Site) -> None:
    unknown = site.get("/pdp/nothing")
    assert (unknown.status_code, unknown.text) == (404, "Requested resource not found\n")
    assert site.get("/pdp/ping/").status_code == 404
    assert site.get("/pdp/piece/").status_code == 404
    wrong = site.http.delete(f"{site.url}/pdp/piece")
    assert (wrong.status_code, wrong.headers["Allow"], wrong.content) == (405, "POST, GET", b"")
    assert site.get("/pdp/data-sets/1/pieces").status_code == 405
    assert site.http.head(f"{site.url}/pdp/ping").status_code == 405


def test_the_gateway_and_the_advertisements_are_served_beside(site: Site) -> None:
    probe = site.get("/ipfs/bafkqaaa?format=raw")
    assert (probe.status_code, probe.content) == (200, b"")
    head = site.get(f"/ipni-provider/{site.provider.peer_id}/ipni/v1/ad/head")
    assert head.status_code == 204


def test_a_client_that_goes_away_in_the_middle_of_an_upload_leaves_nothing(site: Site) -> None:
    location = site.post("/pdp/piece/uploads").headers["Location"]
    url = httpx.URL(site.url)
    with socket.create_connection((url.host, url.port or 0)) as raw:
        raw.sendall(f"PUT {location} HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\nhello".encode())
    assert site.http.put(site.url + location, content=DATA).status_code == 204
    names = [file.name for file in (site.options["folder"] / "stash").iterdir()]
    assert location.rpartition("/")[2] in names


# Faults


def test_a_route_can_fail_a_number_of_times(site: Site) -> None:
    site.provider.faults.status_for["ping"] = (503, 2)
    assert [site.get("/pdp/ping").status_code for _ in range(3)] == [503, 503, 200]
    assert "ping" in site.provider.routes


def test_an_answer_can_be_lost_after_the_work_was_done(site: Site, piece: Piece) -> None:
    site.provider.faults.drop_answer_after_success.add("create-and-add")
    with pytest.raises(httpx.RemoteProtocolError):
        site.create_and_add([piece], 1, 2)
    site.idle()
    assert site.get("/pdp/data-sets/1").status_code == 200


def test_a_provider_can_stop_at_indexing(site: Site) -> None:
    from tests.devnet.provider.conftest import random_car

    site.provider.faults.never_advertise = True
    indexed = site.park(random_car(20)[0])
    site.new_set([indexed])
    assert site.status(indexed)["status"] == "creating_ad"
    assert site.status(indexed)["indexed"] is True
    site.provider.faults.never_advertise = False
    site.idle()
    assert site.status(indexed)["adCreated"] is True
