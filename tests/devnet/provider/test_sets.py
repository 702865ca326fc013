"""Creating, adding, removing: what is checked, in which order, and how it is told."""

from __future__ import annotations

import re
from collections.abc import Callable

import httpx
import pytest
from eth_abi.abi import encode
from eth_account import Account

from fpin.devnet.provider import datasets, sets
from fpin.devnet.provider.commp import Piece
from fpin.devnet.provider.node import Contracts, Log, Node, calldata, topic
from tests.devnet.provider.conftest import CLIENT, KEYS, Site, World, entry

STRANGER = Account.from_key(b"\x66" * 32)
NO_TX = "0x" + "ab" * 32


@pytest.fixture
def parked(site: Site) -> Piece:
    return site.park(b"\x0a" * 5000)


def add(site: Site, data_set: int, pieces: list[Piece], nonce: int, set_nonce: int = 1) -> httpx.Response:
    body = {
        "pieces": [entry(piece) for piece in pieces],
        "extraData": "0x" + site.wallet.add(set_nonce, nonce, pieces).hex(),
    }
    return site.post(f"/pdp/data-sets/{data_set}/pieces", body)


def test_create_and_add_is_told_step_by_step(site: Site, parked: Piece) -> None:
    answer = site.create_and_add([parked], 1, 2)
    assert answer.status_code == 201
    location = answer.headers["Location"]
    assert re.fullmatch(r"/pdp/data-sets/created/0x[0-9a-f]{64}", location)
    tx = location.rpartition("/")[2]
    assert site.get(location).json() == {
        "createMessageHash": tx,
        "dataSetCreated": False,
        "service": "public",
        "txStatus": "pending",
        "ok": None,
    }
    site.provider.work()
    landed = site.get(location).json()
    assert (landed["txStatus"], landed["ok"], landed["dataSetCreated"]) == ("confirmed", True, False)
    assert "dataSetId" not in landed
    assert site.get(f"/pdp/data-sets/1/pieces/added/{tx}").status_code == 404
    site.provider.work()
    done = site.get(f"/pdp/data-sets/created/{tx[2:].upper()}").json()
    assert (done["dataSetCreated"], done["dataSetId"]) == (True, 1)
    assert site.get(f"/pdp/data-sets/1/pieces/added/{tx}").json() == {
        "txHash": tx,
        "txStatus": "confirmed",
        "dataSetId": 1,
        "pieceCount": 1,
        "addMessageOk": True,
        "piecesAdded": True,
        "confirmedPieceIds": [0],
        "confirmedTxHash": tx,
    }


def test_a_set_lists_its_pieces_in_version_2_and_details_them_in_version_1(
    world: World, site: Site, parked: Piece
) -> None:
    data_set = site.new_set([parked])
    listed = {"pieceId": 0, "pieceCid": parked.v2, "subPieceCid": parked.v2, "subPieceOffset": 0}
    for path in (f"/pdp/data-sets/{data_set}", f"/pdp/data-sets/{data_set}/"):
        told = site.get(path).json()
        assert (told["id"], told["pieces"]) == (data_set, [listed])
        assert told["nextChallengeEpoch"] > world.chain.epoch
    assert site.get(f"/pdp/data-sets/{data_set}/pieces/0").json() == {
        "pieceId": 0,
        "pieceCid": parked.v1,
        "subPieces": [{"subPieceCid": parked.v1, "subPieceOffset": 0}],
    }
    assert site.get(f"/pdp/data-sets/{data_set}/pieces/1").status_code == 404
    explored = site.get(f"/explore/data-sets/{data_set}/pieces").json()
    assert (explored["total"], explored["pieces"][0]["size"]) == (1, 5000)


def test_an_empty_set_is_created_and_filled_later(site: Site, parked: Piece) -> None:
    body = {"recordKeeper": site.wallet.service, "extraData": "0x" + site.wallet.create(1).hex()}
    answer = site.post("/pdp/data-sets", body)
    assert answer.status_code == 201
    site.idle()
    data_set = site.get(answer.headers["Location"]).json()["dataSetId"]
    second = site.park(b"\x0b" * 700)
    added = add(site, data_set, [parked, second], nonce=2)
    assert added.status_code == 201
    assert added.headers["Location"].startswith(f"/pdp/data-sets/{data_set}/pieces/added/0x")
    site.idle()
    assert site.get(added.headers["Location"]).json()["confirmedPieceIds"] == [0, 1]


def test_a_forged_signature_is_refused_by_the_chain_before_anything_is_sent(
    world: World, site: Site, parked: Piece
) -> None:
    epoch = world.chain.epoch
    answer = site.create_and_add([parked], 1, 2, account=STRANGER)
    assert answer.status_code == 500
    assert re.match(r"chain: message execution failed \(exit=\[33\], .*vm error=\[0x[0-9a-f]+\]", answer.text)
    assert world.chain.epoch == epoch
    assert not site.provider.work()


def test_a_nonce_works_once(site: Site, parked: Piece) -> None:
    data_set = site.new_set([parked], set_nonce=1, nonce=2)
    again = site.create_and_add([parked], 1, 3)
    assert (again.status_code, again.text[:7]) == (500, "chain: ")
    assert add(site, data_set, [parked], nonce=2).status_code == 500
    assert add(site, data_set, [parked], nonce=3).status_code == 201


def test_a_piece_that_is_not_parked_cannot_be_added(site: Site, parked: Piece) -> None:
    data_set = site.new_set([parked])
    waiting = site.upload(b"\x0c" * 900)
    refused = add(site, data_set, [waiting], nonce=5)
    assert refused.status_code == 400
    assert f"subPiece CID {waiting.v1} not found or does not belong to service public" in refused.text
    site.idle()
    assert add(site, data_set, [waiting], nonce=5).status_code == 201


def test_the_shape_of_an_add_is_checked(site: Site, parked: Piece) -> None:
    data_set = site.new_set([parked])
    path = f"/pdp/data-sets/{data_set}/pieces"
    other = site.park(b"\x0d" * 5000)

    def refused(pieces: list[dict[str, object]], words: str) -> None:
        answer = site.post(path, {"pieces": pieces, "extraData": "0x"})
        assert (answer.status_code, words in answer.text) == (400, True), answer.text

    refused([], "At least one piece must be provided")
    refused([entry(parked)] * 41, "piece count (41) exceeds the maximum allowed per AddPieces call (40)")
    refused([entry(parked)] * 2, "duplicate subPieceCid in request")
    refused([{"pieceCid": parked.v2, "subPieces": []}], "at least one subPiece is required")
    refused([{"subPieces": [{"subPieceCid": parked.v2}]}], "PieceCID is required for each piece")
    refused([{"pieceCid": parked.v2, "subPieces": [{"subPieceCid": "x"}]}], "Invalid subPieceCid")
    refused([entry(parked) | {"pieceCid": other.v2}], "does not match generated PieceCid")
    refused([entry(parked) | {"pieceCid": parked.v1}], "must be PieceCIDv2 format")
    refused([entry(Piece(parked.root, 4999))], "raw size mismatch: expected 5000, got 4999")
    assert site.post(path, {"pieces": [entry(parked)], "extraData": "0x0"}).status_code == 400
    assert site.http.post(site.url + path, content=b"[]").status_code == 400
    assert site.post(path, {"pieces": 7}).status_code == 400


def test_field_names_match_in_any_case_and_unknown_ones_are_ignored(site: Site, parked: Piece) -> None:
    data_set = site.new_set([parked])
    body = {
        "PIECES": [{"piececid": parked.v2, "SubPieces": [{"SUBPIECECID": parked.v1}], "more": 1}],
        "ExtraData": site.wallet.add(1, 9, [parked]).hex(),  # no 0x
        "unknown": {},
    }
    assert site.post(f"/pdp/data-sets/{data_set}/pieces/", body).status_code == 201


def test_adding_to_an_unknown_set_throws_the_upload_away(site: Site, parked: Piece) -> None:
    refused = add(site, 77, [parked], nonce=5)
    assert refused.status_code == 404
    assert refused.text.startswith("Data set not found")
    assert site.find(parked).status_code == 404


def test_the_record_keeper_must_be_the_service(site: Site, parked: Piece) -> None:
    def status(record_keeper: str) -> int:
        body = {"recordKeeper": record_keeper, "extraData": "0x", "pieces": [entry(parked)]}
        statuses = {
            site.post("/pdp/data-sets", body).status_code,
            site.post("/pdp/data-sets/create-and-add", body).status_code,
        }
        assert len(statuses) == 1
        return statuses.pop()

    assert status("") == 400
    assert status("nonsense") == 400
    assert status("0x" + "00" * 20) == 400
    assert status("0x" + "12" * 20) == 403


def test_extra_data_of_a_creation_is_limited(site: Site) -> None:
    body = {"recordKeeper": site.wallet.service, "extraData": "00" * 4097}
    refused = site.post("/pdp/data-sets", body)
    assert refused.status_code == 400
    assert "(4097 bytes) exceeds" in refused.text
    text = '{"recordKeeper":"0x01"} {}'
    assert site.http.post(f"{site.url}/pdp/data-sets", content=text.encode()).status_code == 400


def hold_back(site: Site) -> Callable[[], None]:
    """Let signed transactions pile up instead of leaving; what is returned lets them go on."""
    node = site.provider._chain.node
    submit = node.submit
    node.submit = lambda raw: None  # type: ignore[method-assign]

    def release() -> None:
        node.submit = submit  # type: ignore[method-assign]
        site.provider._transactions._send_again_at = 0.0
        site.idle()

    return release


def as_client(world: World, to: str, signature: str, *arguments: object) -> None:
    """A transaction of the client's own."""
    options = world.sites[0].options
    with httpx.Client(trust_env=False) as http:
        node = Node(
            url=world.rpc_url,
            key=bytes(CLIENT.key),
            contracts=Contracts.named(options["contracts"]),
            http=http,
        )
        node.send(to, calldata(signature, *arguments), lambda _: None)


def test_an_add_that_reverts_in_its_block_is_confirmed_and_not_ok(
    world: World, site: Site, parked: Piece
) -> None:
    data_set = site.new_set([parked])
    release = hold_back(site)
    answer = add(site, data_set, [parked], nonce=5)
    assert answer.status_code == 201, "the gas estimate saw nothing wrong"
    as_client(world, site.wallet.service, "terminateService(uint256)", data_set)
    release()
    told = site.get(answer.headers["Location"]).json()
    assert (told["txStatus"], told["addMessageOk"], told["piecesAdded"]) == ("confirmed", False, False)
    assert "confirmedPieceIds" not in told
    assert site.find(parked).status_code == 200


def test_a_creation_that_reverts_in_its_block_is_confirmed_and_not_ok(
    world: World, site: Site, parked: Piece
) -> None:
    release = hold_back(site)
    answer = site.create_and_add([parked], 1, 2)
    contracts = world.chain.contracts
    approval = "setOperatorApproval(address,address,bool,uint256,uint256,uint256)"
    as_client(world, contracts.pay, approval, contracts.usdfc, contracts.fwss, False, 0, 0, 0)
    release()
    told = site.get(answer.headers["Location"]).json()
    assert (told["txStatus"], told["ok"], told["dataSetCreated"]) == ("confirmed", False, False)
    assert "dataSetId" not in told


def test_a_transaction_whose_nonce_was_used_up_is_lost(world: World, site: Site, parked: Piece) -> None:
    release = hold_back(site)
    answer = site.create_and_add([parked], 1, 2)
    thief = world.sites[1]
    node = Node(
        url=world.rpc_url, key=KEYS[0], contracts=site.provider._chain.node.contracts, http=thief.http
    )
    node.send(CLIENT.address, b"", lambda _: None, value=1)
    release()
    told = site.get(answer.headers["Location"]).json()
    assert (told["txStatus"], told["ok"]) == ("failed", False)


def test_removal_wants_known_ids_and_the_clients_signature(world: World, site: Site, parked: Piece) -> None:
    data_set = site.new_set([parked])
    assert site.remove(77, [0]).status_code == 404
    assert site.remove(data_set, [0, 5]).status_code == 404
    assert site.remove(data_set, list(range(36))).status_code == 400
    assert site.remove(data_set, [2**63]).status_code == 400
    forged = site.remove(data_set, [0], set_nonce=2)
    assert (forged.status_code, forged.text[:7]) == (500, "chain: ")
    path = f"{site.url}/pdp/data-sets/{data_set}/pieces/0"
    bare = site.http.delete(path)
    assert (bare.status_code, bare.text[:7]) == (500, "chain: ")
    sent = site.remove(data_set, [0])
    assert re.fullmatch(r"0x[0-9a-f]{64}", sent.json()["txHash"])
    site.idle()
    assert len(site.get(f"/pdp/data-sets/{data_set}").json()["pieces"]) == 1, "listed until the boundary"
    assert site.remove(data_set, [0]).status_code == 500, "scheduled already"


def test_a_full_queue_of_removals_is_429(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sets, "MAX_QUEUED_REMOVALS", 1)
    data_set = site.new_set([site.park(bytes([n]) * 500) for n in (1, 2)], indexing=False)
    assert site.remove(data_set, [0]).status_code == 200
    refused = site.remove(data_set, [1])
    assert refused.status_code == 429
    assert "Retry-After" not in refused.headers


def test_ids_are_read_from_the_events_of_either_verifier() -> None:
    def log(event: str, kinds: list[str], values: list[object]) -> Log:
        return Log(address="0x", topics=(topic(event), bytes(32)), data=encode(kinds, values))

    old = log(
        "PiecesAdded(uint256,uint256[],(bytes)[])", ["uint256[]", "(bytes)[]"], [[3, 4], [(b"a",), (b"b",)]]
    )
    pair = (bytes(32), bytes(32))
    new = "PiecesAddedV2(uint256,uint256,(bytes32,bytes32)[])"
    kinds = ["uint256", "(bytes32,bytes32)[]"]
    assert datasets._added_ids([old]) == [3, 4]
    assert datasets._added_ids([log(new, kinds, [3, [pair, pair]]), log(new, kinds, [5, [pair]])]) == [
        3,
        4,
        5,
    ]


def test_transactions_and_sets_that_are_not_known(site: Site) -> None:
    for path in (
        f"/pdp/data-sets/created/{NO_TX}",
        f"/pdp/data-sets/1/pieces/added/{NO_TX}",
        "/pdp/data-sets/1",
        f"/pdp/data-sets/{2**64 - 1}",
        "/pdp/data-sets/1/pieces/0",
        "/explore/data-sets/1/pieces",
    ):
        assert site.get(path).status_code == 404
    for path in (
        "/pdp/data-sets/created/0x12",
        "/pdp/data-sets/created/" + "zz" * 32,
        f"/pdp/data-sets/{2**64}",
        "/pdp/data-sets/x",
        "/pdp/data-sets/-1",
    ):
        assert site.get(path).status_code == 400


def test_a_node_that_does_not_answer_is_no_revert(site: Site, parked: Piece) -> None:
    site.provider._chain.node._url = "http://127.0.0.1:9"  # the discard port: nobody listens
    answer = site.create_and_add([parked], 1, 2)
    assert answer.status_code == 500
    assert not answer.text.startswith("chain: ")
    assert not site.provider.work()


def test_keys_do_not_show(site: Site) -> None:
    shown = repr(site.provider._chain.node) + repr(site.provider) + repr(site.provider.faults)
    assert KEYS[0].hex() not in shown
