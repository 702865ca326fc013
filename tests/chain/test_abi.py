from __future__ import annotations

import pytest
from eth_abi.abi import encode

from fpin.chain.abi import canonical_type, decode_event, function
from fpin.chain.keccak import keccak
from fpin.errors import ChainError

VIEW = "FilecoinWarmStorageServiceStateView"
PAYER = "0x2e988A386a799F506693793c6A5AF6B54dfAaBfB"
# rails 1 0 0, payer, payee, provider, commission, client id, end epoch, provider id, [pending, reserve,] id
OLD_WORDS: list[int | str] = [1, 0, 0, PAYER, PAYER, PAYER, 0, 12345, 0, 7, 99]
NEW_WORDS: list[int | str] = [*OLD_WORDS[:10], 500, 600, 99]


def words(values: list[int | str]) -> bytes:
    return b"".join(
        value.to_bytes(32, "big") if isinstance(value, int) else bytes(12) + bytes.fromhex(value[2:])
        for value in values
    )


@pytest.mark.parametrize(
    ("contract", "name", "selector"),
    [
        # out of the deployed contracts' published selector tables
        (VIEW, "getDataSet", "bdaac056"),
        (VIEW, "getClientDataSets(address,uint256,uint256)", "3208aa1f"),
        (VIEW, "getClientDataSets(address)", "967c6f21"),
        ("PDPVerifier", "addPieces", "9afd37f2"),
        ("PDPVerifier", "findPieceIdsByCid", "6a4991a1"),
        ("FilecoinPayV1", "depositWithPermitAndApproveOperator", "7218b707"),
        ("FilecoinWarmStorageService", "terminateService(uint256)", "b997a71e"),
        ("FilecoinWarmStorageService", "terminateService(uint256,bytes)", "d0e3c954"),
        ("ServiceProviderRegistry", "getProvidersByProductType", "6ba44226"),
        ("Multicall3", "aggregate3", "82ad56cb"),
        ("SessionKeyRegistry", "login", "0848f33f"),
    ],
)
def test_selectors_are_the_deployed_contracts(contract: str, name: str, selector: str) -> None:
    assert function(contract, name).selector.hex() == selector


def test_an_overloaded_name_alone_means_nothing() -> None:
    with pytest.raises(KeyError):
        function("FilecoinWarmStorageService", "terminateService")


def test_calldata_is_the_selector_and_the_arguments() -> None:
    data = function("FilecoinPayV1", "withdraw").encode(PAYER, 5)
    assert data.hex() == "f3fef3a3" + PAYER[2:].lower().rjust(64, "0") + f"{5:064x}"


@pytest.mark.parametrize("args", [(PAYER, -1), (PAYER, 2**256), ("0x12", 1), (PAYER,)])
def test_arguments_that_do_not_fit_are_refused_with_the_functions_name(args: tuple[object, ...]) -> None:
    with pytest.raises(ValueError, match=r"FilecoinPayV1\.withdraw\(address,uint256\)"):
        function("FilecoinPayV1", "withdraw").encode(*args)


def test_a_data_set_is_read_from_views_of_both_layouts() -> None:
    get = function(VIEW, "getDataSet")
    new, old = get.decode(words(NEW_WORDS)), get.decode(words(OLD_WORDS))
    assert (new["dataSetId"], new["pendingOneTimePayments"], new["lifecycleReserveBalance"]) == (99, 500, 600)
    assert old["dataSetId"] == 99
    assert "pendingOneTimePayments" not in old
    assert new["payer"] == old["payer"] == PAYER


def test_lists_of_data_sets_are_read_in_both_layouts() -> None:
    get = function(VIEW, "getClientDataSets(address,uint256,uint256)")
    head = words([32, 2])
    assert [info["dataSetId"] for info in get.decode(head + 2 * words(NEW_WORDS))] == [99, 99]
    assert [info["clientDataSetId"] for info in get.decode(head + 2 * words(OLD_WORDS))] == [12345, 12345]
    assert get.decode(words([32, 0])) == []


@pytest.mark.parametrize("extra", [-1, 1, 5])
def test_a_layout_of_the_future_is_an_error_and_not_a_wrong_id(extra: int) -> None:
    data = words([*NEW_WORDS, 1, 1, 1, 1, 1][: 13 + extra])
    with pytest.raises(ChainError, match="layout fpin does not know"):
        function(VIEW, "getDataSet").decode(data)


@pytest.mark.parametrize("data", [b"", b"\x01", words([2**255]), words([2**64, 1])])
def test_bytes_that_are_no_answer_are_an_error_with_the_functions_name(data: bytes) -> None:
    with pytest.raises(ChainError, match=r"PDPVerifier\.getScheduledRemovals"):
        function("PDPVerifier", "getScheduledRemovals").decode(data)


def test_several_results_come_as_a_tuple_and_structs_by_name() -> None:
    data = encode(["(bytes)[]", "uint256[]", "bool"], [[(b"cid",)], [3], True])
    assert function("PDPVerifier", "getActivePieces").decode(data) == ([{"data": b"cid"}], [3], True)


def test_an_event_has_its_indexed_values_from_the_topics() -> None:
    topics = [
        keccak(b"PieceAdded(uint256,uint256,(bytes),string[],string[])"),
        words([4]),
        words([9]),
    ]
    data = encode(["(bytes)", "string[]", "string[]"], [(b"cid",), ["name"], ["x"]])
    event = decode_event(topics, data)
    assert event is not None
    assert (event.contract, event.name) == ("FilecoinWarmStorageService", "PieceAdded")
    assert event.values == {
        "dataSetId": 4,
        "pieceId": 9,
        "pieceCid": {"data": b"cid"},
        "keys": ["name"],
        "values": ["x"],
    }


def test_events_of_others_are_passed_over() -> None:
    assert decode_event([bytes(32)], b"") is None
    assert decode_event([], b"") is None
    transfer = keccak(b"Transfer(address,address,uint256)")
    assert decode_event([transfer, bytes(32), bytes(32), bytes(32)], b"") is None  # an ERC-721's


def test_a_struct_is_the_tuple_of_its_fields_in_a_signature() -> None:
    inner = {"type": "tuple", "components": [{"type": "uint8"}]}
    assert canonical_type({"type": "tuple[3][]", "components": [inner, {"type": "bytes"}]}) == (
        "((uint8),bytes)[3][]"
    )
