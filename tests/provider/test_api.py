"""The provider's HTTP API against a server that answers well, badly, late and not at all."""

import json
from collections.abc import Callable, Iterator

import pytest

from fpin.errors import PieceMismatch, ProviderError, ProviderUnavailable, SourceChanged
from fpin.http import Http
from fpin.ipld.cid import parse_cid
from fpin.piece import PieceCid
from fpin.provider import ChainRefused, Clock, MaybeSent, ProviderApi, SessionGone
from tests.provider.peer import Answer, Peer, Request, answer

# 127 bytes 00..7e, spec storage-provider §9.3
PIECE = PieceCid.parse("bafkzcibcaablqfyjsvd3rrmqmd7n4f7i73ybzuxfq4p4za6lft2jeaaaaguxefq")
DATA = bytes(range(127))
ZEROS = PieceCid.parse("bafkzcibcaabdomn3tgwgrh3g532zopskstnbrd2n3sxfqbze7rxt7vqn7veigmy")
TX = "0x" + "ab" * 32
EID = " [eid: 0f8fad5b-d9cb-469f-a165-70867728950e]\n"
KEEPER = "0x02925630df557F957f70E112bA06e50965417CA0"
SESSION = "0f8fad5b-d9cb-469f-a165-70867728950e"
UPLOADS = "/pdp/piece/uploads"
REVERT = (
    "chain: message execution failed (exit=[33], revert reason=[message failed with backtrace:\n"
    "00: f0123 (method 1) -- contract reverted (33)\n(RetCode=33)], vm error=[0x42750746" + "00" * 32 + "])\n"
)

no_wait = Clock(now=lambda: 0.0, sleep=lambda _seconds: None)


@pytest.fixture
def peer() -> Iterator[Peer]:
    with Peer() as server:
        yield server


@pytest.fixture
def http(peer: Peer) -> Iterator[Http]:
    with Http() as client:
        yield client


@pytest.fixture
def api(peer: Peer, http: Http) -> ProviderApi:
    return ProviderApi(peer.url, http, provider_id=7)


def open_data(_offset: int) -> list[bytes]:
    return [DATA[:100], DATA[100:]]


def add(api: ProviderApi) -> str:
    return api.add_pieces(12, [PIECE], extra_data=b"\x01\x02")


def create_and_add(api: ProviderApi) -> str:
    return api.create_and_add([PIECE], record_keeper=KEEPER, extra_data=b"\x01")


def delete(api: ProviderApi) -> str:
    return api.delete_pieces(12, [3, 1], extra_data=b"\x01")


# -- addresses -------------------------------------------------------------------------------------


def test_a_path_prefix_in_the_service_url_is_kept_for_every_request(peer: Peer, http: Http) -> None:
    api = ProviderApi(peer.url + "/sp/one/", http, provider_id=7)
    peer.on("GET", "/sp/one/pdp/ping", answer(200, "curio-pdp"))
    # the provider does not know of the prefix, and says so in its Location
    peer.on("POST", "/sp/one" + UPLOADS, answer(201, Location=f"{UPLOADS}/{SESSION}"))
    peer.on("PUT", f"/sp/one{UPLOADS}/{SESSION}", answer(204))
    api.ping()
    api.put(api.open_upload(), len(DATA), open_data(0))
    assert peer.asked() == ["/sp/one/pdp/ping", "/sp/one" + UPLOADS, f"/sp/one{UPLOADS}/{SESSION}"]


def test_a_location_with_scheme_and_host_is_not_followed_there(peer: Peer, api: ProviderApi) -> None:
    peer.on("POST", UPLOADS, answer(201, Location=f"http://elsewhere.example{UPLOADS}/{SESSION}"))
    assert api.open_upload() == SESSION


def test_a_location_that_names_no_session_is_an_error(peer: Peer, api: ProviderApi) -> None:
    peer.on("POST", UPLOADS, answer(201, Location="/pdp/piece/uploads/a/../../b"))
    with pytest.raises(ProviderError, match="makes no sense"):
        api.open_upload()


# -- upload ----------------------------------------------------------------------------------------


def test_an_upload_sends_all_bytes_with_their_length_and_then_the_piece_cid(
    peer: Peer, api: ProviderApi
) -> None:
    peer.on("POST", UPLOADS, answer(201, Location=f"{UPLOADS}/{SESSION}"))
    peer.on("PUT", f"{UPLOADS}/{SESSION}", answer(204))
    peer.on("POST", f"{UPLOADS}/{SESSION}", answer(200))
    sent: list[int] = []
    api.upload(PIECE, open_data, progress=sent.append, clock=no_wait)
    put = peer.requests[1]
    assert put.body == DATA
    assert put.headers["content-length"] == "127"
    assert "transfer-encoding" not in put.headers
    assert peer.requests[2].json() == {"pieceCid": str(PIECE)}
    assert sent == [100, 127]


def test_an_upload_that_breaks_off_starts_over_from_the_first_byte(peer: Peer, api: ProviderApi) -> None:
    peer.on("POST", UPLOADS, answer(201, Location=f"{UPLOADS}/{SESSION}"))
    peer.on("PUT", f"{UPLOADS}/{SESSION}", answer(500, "Failed to store piece data" + EID), answer(204))
    peer.on("POST", f"{UPLOADS}/{SESSION}", answer(200))
    offsets: list[int] = []

    def open_piece(offset: int) -> list[bytes]:
        offsets.append(offset)
        return [DATA]

    api.upload(PIECE, open_piece, clock=no_wait)
    assert offsets == [0, 0]
    assert [request.body for request in peer.requests if request.method == "PUT"] == [DATA, DATA]


def test_an_upload_is_given_up_when_the_provider_stays_out_of_order(peer: Peer, api: ProviderApi) -> None:
    peer.on("POST", UPLOADS, answer(503, "Service Unavailable" + EID))
    with pytest.raises(ProviderUnavailable, match=r"HTTP 503: Service Unavailable$"):
        api.upload(PIECE, open_data, clock=no_wait)
    assert peer.asked() == [UPLOADS] * 3


def test_a_source_that_yields_other_than_the_promised_bytes_is_a_changed_source(
    peer: Peer, api: ProviderApi
) -> None:
    peer.on("PUT", f"{UPLOADS}/{SESSION}", answer(204))
    with pytest.raises(SourceChanged, match="27 bytes less"):
        api.put(SESSION, 127, [DATA[:100]])
    with pytest.raises(SourceChanged, match="more"):
        api.put(SESSION, 100, [DATA])


def test_an_error_of_the_source_passes_through_the_upload_unchanged(peer: Peer, api: ProviderApi) -> None:
    peer.on("POST", UPLOADS, answer(201, Location=f"{UPLOADS}/{SESSION}"))

    def broken(_offset: int) -> Iterator[bytes]:
        yield DATA[:50]
        raise SourceChanged("photos/a.jpg changed")

    with pytest.raises(SourceChanged, match=r"photos/a\.jpg"):
        api.upload(PIECE, broken, clock=no_wait)


def test_a_finalize_that_is_refused_is_a_piece_mismatch(peer: Peer, api: ProviderApi) -> None:
    said = "Invalid request body: pieceCid does not match the calculated pieceCid for the uploaded piece"
    peer.on("POST", f"{UPLOADS}/{SESSION}", answer(400, said + EID))
    with pytest.raises(PieceMismatch) as caught:
        api.finalize(SESSION, PIECE)
    assert "does not match the calculated" in caught.value.message
    assert "eid" not in caught.value.message
    assert caught.value.values["piece_cid"] == str(PIECE)


def test_a_mismatch_is_not_repeated(peer: Peer, api: ProviderApi) -> None:
    peer.on("POST", UPLOADS, answer(201, Location=f"{UPLOADS}/{SESSION}"))
    peer.on("PUT", f"{UPLOADS}/{SESSION}", answer(204))
    peer.on("POST", f"{UPLOADS}/{SESSION}", answer(400, "pieceCid size does not match"))
    with pytest.raises(PieceMismatch):
        api.upload(PIECE, open_data, clock=no_wait)
    assert peer.asked("PUT") == [f"{UPLOADS}/{SESSION}"]


def test_a_lost_answer_to_finalize_followed_by_404_counts_as_done(peer: Peer, api: ProviderApi) -> None:
    peer.on("POST", UPLOADS, answer(201, Location=f"{UPLOADS}/{SESSION}"))
    peer.on("PUT", f"{UPLOADS}/{SESSION}", answer(204))
    peer.on(
        "POST", f"{UPLOADS}/{SESSION}", answer(200, b"", promised=10), answer(404, "404 page not found\n")
    )
    api.upload(PIECE, open_data, clock=no_wait)
    assert peer.asked("POST") == [UPLOADS] + [f"{UPLOADS}/{SESSION}"] * 2


def test_a_404_to_the_first_finalize_is_a_session_that_is_gone(peer: Peer, api: ProviderApi) -> None:
    peer.on("POST", UPLOADS, answer(201, Location=f"{UPLOADS}/{SESSION}"))
    peer.on("PUT", f"{UPLOADS}/{SESSION}", answer(204))
    with pytest.raises(SessionGone):
        api.upload(PIECE, open_data, clock=no_wait)


# -- questions -------------------------------------------------------------------------------------


def test_find_piece_asks_with_the_v2_cid_and_reads_404_as_not_yet(peer: Peer, api: ProviderApi) -> None:
    peer.on("GET", "/pdp/piece", answer(404, "404 page not found\n"), answer(200, {"pieceCid": str(PIECE)}))
    assert [api.find_piece(PIECE), api.find_piece(PIECE)] == [False, True]
    assert peer.requests[0].query == {"pieceCid": str(PIECE)}


def test_piece_status_reads_newer_fields_and_ignores_unknown_ones(peer: Peer, api: ProviderApi) -> None:
    ad = "baguqeeratjpprecc65dibckocfgseich7ldoonayi2ibrp4p3g44qz7oqjrq"
    status = {"pieceCid": str(PIECE), "status": "announced", "indexed": True, "adCreated": True,
              "advertised": True, "advertisedAt": "2026-08-20T10:00:36.5Z", "retrieved": False,
              "synced": True, "adCid": ad, "colour": "green"}  # fmt: skip
    peer.on("GET", f"/pdp/piece/{PIECE}/status", answer(200, status))
    found = api.piece_status(PIECE)
    assert found is not None
    assert (found.status, found.advertised, found.synced, found.ad_cid) == (
        "announced", True, True, parse_cid(ad),
    )  # fmt: skip


def test_piece_status_of_an_older_server_leaves_open_what_it_cannot_tell(
    peer: Peer, api: ProviderApi
) -> None:
    status = {"pieceCid": str(PIECE), "status": "pending", "indexed": False, "retrieved": False}
    peer.on("GET", f"/pdp/piece/{PIECE}/status", answer(200, status))
    found = api.piece_status(PIECE)
    assert found is not None
    assert (found.synced, found.ad_cid, found.advertised) == (None, None, False)
    assert api.piece_status(ZEROS) is None


@pytest.mark.parametrize(
    ("fields", "state", "data_set_id"),
    [
        ({"txStatus": "pending", "ok": None, "dataSetCreated": False}, "pending", None),
        ({"txStatus": "confirmed", "ok": True, "dataSetCreated": False}, "confirmed", None),
        ({"txStatus": "confirmed", "ok": True, "dataSetCreated": True, "dataSetId": 2**60}, "done", 2**60),
        ({"txStatus": "confirmed", "ok": False, "dataSetCreated": False}, "failed", None),
        ({"txStatus": "failed", "ok": False, "dataSetCreated": False}, "failed", None),
    ],
)
def test_creation_status_tells_a_revert_from_a_success(
    peer: Peer, api: ProviderApi, fields: dict[str, object], state: str, data_set_id: int | None
) -> None:
    body = {"createMessageHash": TX, "service": "public", **fields}
    peer.on("GET", f"/pdp/data-sets/created/{TX}", answer(200, body))
    found = api.creation_status(TX)
    assert found is not None
    assert (found.state, found.data_set_id) == (state, data_set_id)


@pytest.mark.parametrize(
    ("fields", "state", "ids"),
    [
        ({"txStatus": "pending", "addMessageOk": None, "piecesAdded": False}, "pending", ()),
        ({"txStatus": "confirmed", "addMessageOk": True, "piecesAdded": False}, "confirmed", ()),
        (
            {"txStatus": "confirmed", "addMessageOk": True, "piecesAdded": True, "confirmedPieceIds": [7, 8]},
            "done",
            (7, 8),
        ),
        ({"txStatus": "confirmed", "addMessageOk": False, "piecesAdded": False}, "failed", ()),
    ],
)
def test_add_status_tells_a_revert_from_a_success(
    peer: Peer, api: ProviderApi, fields: dict[str, object], state: str, ids: tuple[int, ...]
) -> None:
    body = {"txHash": TX, "dataSetId": 12, "pieceCount": 2, **fields}
    peer.on("GET", f"/pdp/data-sets/12/pieces/added/{TX}", answer(200, body))
    found = api.add_status(12, TX)
    assert found is not None
    assert (found.state, found.piece_ids) == (state, ids)


def test_a_status_that_the_provider_does_not_know_yet_is_none(api: ProviderApi) -> None:
    assert api.creation_status(TX) is None
    assert api.add_status(12, TX) is None
    assert api.data_set(12) is None


def test_a_data_set_lists_each_piece_once(peer: Peer, api: ProviderApi) -> None:
    pieces = [
        {"pieceId": 0, "pieceCid": str(PIECE), "subPieceCid": str(PIECE), "subPieceOffset": 0},
        {"pieceId": 0, "pieceCid": str(PIECE), "subPieceCid": str(ZEROS), "subPieceOffset": 128},
        {"pieceId": 4, "pieceCid": str(ZEROS), "subPieceCid": str(ZEROS), "subPieceOffset": 0},
    ]
    peer.on("GET", "/pdp/data-sets/12", answer(200, {"id": 12, "pieces": pieces, "nextChallengeEpoch": 99}))
    found = api.data_set(12)
    assert found is not None
    assert [(piece.piece_id, piece.piece_cid) for piece in found.pieces] == [(0, PIECE), (4, ZEROS)]
    assert found.next_challenge_epoch == 99


def test_head_piece_returns_the_size(peer: Peer, api: ProviderApi) -> None:
    peer.on("HEAD", f"/piece/{PIECE}", answer(200, Content_Length="127"))
    assert api.head_piece(PIECE) == 127
    assert api.head_piece(ZEROS) is None
    assert peer.requests[0].headers["accept-encoding"] == "identity"


# -- requests that send transactions ---------------------------------------------------------------


def test_adding_pieces_sends_one_sub_piece_each_and_returns_the_hash(peer: Peer, api: ProviderApi) -> None:
    location = f"/pdp/data-sets/12/pieces/added/{TX.upper().replace('0X', '0x')}"
    peer.on("POST", "/pdp/data-sets/12/pieces", answer(201, Location=location))
    assert add(api) == TX
    assert peer.requests[0].json() == {
        "pieces": [{"pieceCid": str(PIECE), "subPieces": [{"subPieceCid": str(PIECE)}]}],
        "extraData": "0x0102",
    }


def test_create_and_add_names_the_record_keeper_as_given(peer: Peer, api: ProviderApi) -> None:
    peer.on("POST", "/pdp/data-sets/create-and-add", answer(201, Location=f"/pdp/data-sets/created/{TX}"))
    peer.on("POST", "/pdp/data-sets", answer(201, Location=f"/pdp/data-sets/created/{TX}"))
    assert create_and_add(api) == TX
    assert api.create_data_set(record_keeper=KEEPER, extra_data=b"\xff") == TX
    assert peer.requests[0].json()["recordKeeper"] == KEEPER
    assert peer.requests[1].json() == {"recordKeeper": KEEPER, "extraData": "0xff"}


def test_deleting_sends_the_ids_in_the_order_they_were_signed(peer: Peer, api: ProviderApi) -> None:
    peer.on("DELETE", "/pdp/data-sets/12/pieces/3", answer(200, {"txHash": TX}))
    assert delete(api) == TX
    assert peer.requests[0].json() == {"extraData": "0x01", "pieceIds": [3, 1]}


SENDING = [
    ("POST", "/pdp/data-sets/12/pieces", add),
    ("POST", "/pdp/data-sets/create-and-add", create_and_add),
    ("DELETE", "/pdp/data-sets/12/pieces/3", delete),
]


UNCLEAR = {
    "500": answer(500, "Internal server error" + EID),
    "504": answer(504, "<html>gateway timeout</html>"),
    "cut": answer(201, b"", promised=10),
}
UNCLEAR_POST = {
    "no-location": answer(201, "no location here"),
    "no-hash": answer(201, Location="/pdp/data-sets"),
}
UNCLEAR_DELETE = {"nonsense": answer(200, "nonsense"), "no-hash": answer(200, {"tx": TX})}


@pytest.mark.parametrize(
    ("method", "path", "send", "reply"),
    [
        pytest.param(method, path, send, reply, id=f"{send.__name__}-{name}")
        for method, path, send in SENDING
        for name, reply in (UNCLEAR | (UNCLEAR_POST if method == "POST" else UNCLEAR_DELETE)).items()
    ],
)
def test_an_answer_that_leaves_open_what_happened_is_maybe_sent_and_never_repeated(
    peer: Peer, api: ProviderApi, method: str, path: str, send: Callable[[ProviderApi], str], reply: Answer
) -> None:
    peer.on(method, path, reply)
    with pytest.raises(MaybeSent):
        send(api)
    assert len(peer.requests) == 1


@pytest.mark.parametrize(("method", "path", "send"), SENDING)
def test_a_revert_in_estimation_was_not_sent_and_keeps_the_whole_chain_error(
    peer: Peer, api: ProviderApi, method: str, path: str, send: Callable[[ProviderApi], str]
) -> None:
    peer.on(method, path, answer(500, REVERT))
    with pytest.raises(ChainRefused) as caught:
        send(api)
    assert caught.value.values["chain_error"] == REVERT.strip()
    assert "\n" not in caught.value.message
    assert not isinstance(caught.value, ProviderUnavailable)


def test_a_provider_out_of_gas_money_may_have_sent_and_keeps_its_words(peer: Peer, api: ProviderApi) -> None:
    peer.on("POST", "/pdp/data-sets/12/pieces", answer(500, "chain: not enough funds: 0 < 100\n"))
    with pytest.raises(MaybeSent) as caught:
        add(api)
    assert caught.value.values["chain_error"] == "chain: not enough funds: 0 < 100"


def test_nobody_listening_is_proof_that_nothing_was_sent(http: Http) -> None:
    with Peer() as gone:
        url = gone.url
    with pytest.raises(ProviderUnavailable, match="cannot be reached") as caught:
        add(ProviderApi(url, http, provider_id=7))
    assert not isinstance(caught.value, MaybeSent)


def test_429_was_not_sent_and_carries_the_seconds_to_wait(peer: Peer, api: ProviderApi) -> None:
    words = "too many requests for unavailable data sets\n"
    peer.on("POST", "/pdp/data-sets/12/pieces", answer(429, words, Retry_After="300"))
    with pytest.raises(ProviderUnavailable) as caught:
        add(api)
    assert not isinstance(caught.value, MaybeSent)
    assert caught.value.values["retry_after"] == 300.0


def test_a_refusal_carries_the_providers_words_without_its_log_id(peer: Peer, api: ProviderApi) -> None:
    peer.on("POST", "/pdp/data-sets/12/pieces", answer(404, "Data set not found" + EID))
    with pytest.raises(ProviderError) as caught:
        add(api)
    assert caught.value.message == f"{api.name}: HTTP 404: Data set not found"
    assert caught.value.values == {"status": 404}


def test_endless_words_are_cut(peer: Peer, api: ProviderApi) -> None:
    peer.on("POST", "/pdp/data-sets/12/pieces", answer(400, "x" * 100_000))
    with pytest.raises(ProviderError) as caught:
        add(api)
    assert len(caught.value.message) < 400


def test_pulling_repeats_the_request_and_looks_at_each_piece(peer: Peer, api: ProviderApi) -> None:
    body = {"status": "complete", "pieces": [{"pieceCid": str(PIECE), "status": "complete"},
                                             {"pieceCid": str(ZEROS), "status": "failed"}]}  # fmt: skip
    peer.on("POST", "/pdp/piece/pull", answer(200, body))
    source = "https://other.example/piece/x"
    found = api.pull([(PIECE, source)], record_keeper=KEEPER, extra_data=b"\x01", data_set_id=12)
    assert found.ended
    assert (found.arrived(PIECE), found.arrived(ZEROS)) == (True, False)
    assert peer.requests[0].json() == {
        "extraData": "0x01",
        "recordKeeper": KEEPER,
        "dataSetId": 12,
        "pieces": [{"pieceCid": str(PIECE), "sourceUrl": source}],
    }


# -- nonsense --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"<!DOCTYPE html><html>Welcome to nginx</html>",
        b"[1,2]",
        b'{"status": 3}',
        b'{"status"',
        b"[" * 100_000,
    ],
    ids=["html", "list", "type", "cut", "deep"],
)
def test_an_answer_that_makes_no_sense_is_a_provider_error_that_names_the_provider(
    peer: Peer, api: ProviderApi, body: bytes
) -> None:
    peer.on("GET", f"/pdp/piece/{PIECE}/status", answer(200, body))
    with pytest.raises(ProviderError, match=r"provider 7 \(127\.0\.0\.1") as caught:
        api.piece_status(PIECE)
    assert len(caught.value.message) < 500


def test_a_piece_cid_that_is_none_is_a_provider_error(peer: Peer, api: ProviderApi) -> None:
    pieces = [{"pieceId": 0, "pieceCid": "hello"}]
    peer.on("GET", "/pdp/data-sets/1", answer(200, {"id": 1, "pieces": pieces, "nextChallengeEpoch": 0}))
    with pytest.raises(ProviderError, match="pieceCid"):
        api.data_set(1)


def test_a_redirect_names_where_it_leads(peer: Peer, api: ProviderApi) -> None:
    peer.on("GET", "/pdp/ping", answer(301, Location="https://new.example/pdp/ping"))
    with pytest.raises(ProviderError, match=r"https://new\.example"):
        api.ping()


def test_requests_of_uploads_carry_no_credentials(peer: Peer, api: ProviderApi) -> None:
    def check(request: Request) -> Answer:
        assert not {"authorization", "cookie"} & set(request.headers)
        return answer(200, json.dumps({"pieceCid": str(PIECE)}))

    peer.on("GET", "/pdp/piece", check)
    assert api.find_piece(PIECE)
