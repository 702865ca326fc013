"""The warm storage service: signatures, nonces, metadata, money, session keys, termination."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import eth_abi.abi
import pytest

from fpin.devnet.chain import eip712
from fpin.devnet.chain import fwss_signatures as signed
from fpin.devnet.chain.fwss_signatures import Signatures
from fpin.devnet.chain.machine import Frame, Revert
from fpin.devnet.chain.token import PERMIT
from tests.devnet.chain.trees import cid_of_size, make_piece
from tests.devnet.chain.world import (
    DEPLOYER,
    FUNDED,
    MAX,
    MONTH,
    OTHER_PROVIDER,
    PAYEE,
    PERMISSIONS,
    PROVIDER,
    SESSION,
    SPONSORED,
    STRANGER,
    USDFC,
    ZERO,
    RpcFailure,
    World,
    describe,
    make_genesis,
)

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "eip712.json").read_text())
CASES = {case["id"]: case for case in VECTORS["cases"]}
SERVICES = {  # proxies of mainnet and calibration, spec chain 1.2
    "mainnet": (314, "0x8408502033c418e1bbc97ce9ac48e5528f371a9f"),
    "calibration": (314159, "0x02925630df557f957f70e112ba06e50965417ca0"),
}
PAYER = VECTORS["keys"]["payer"].lower()
SMALL = cid_of_size(0, 2)  # 127 bytes
SMALL_RATE = 277_777_781_119  # spec chain 4.3, the row of 127 bytes
UNCOVERED = "invariant failure: insufficient funds to cover lockup after function execution"


def refused(action: Any, *args: Any, **kwargs: Any) -> str:
    with pytest.raises(RpcFailure) as caught:
        action(*args, **kwargs)
    return caught.value.reason


def fund(world: World, amount: int, *, rate: int = MAX, lockup: int = MAX, period: int = MONTH) -> None:
    """Give FUNDED a deposit and the service its approval."""
    world.send(FUNDED, world.at.usdfc, "approve", world.at.pay, amount)
    world.send(FUNDED, world.at.pay, "deposit", world.at.usdfc, FUNDED.address, amount)
    limits = True, rate, lockup, period
    world.send(FUNDED, world.at.pay, "setOperatorApproval", world.at.usdfc, world.at.fwss, *limits)


def data_set(world: World, data_set_id: int = 1) -> dict[str, Any]:
    names = (
        "pdpRailId cacheMissRailId cdnRailId payer payee serviceProvider commissionBps clientDataSetId"
        " pdpEndEpoch providerId pending reserve dataSetId"
    )
    values = world.read(world.at.fwss_view, "getDataSet", data_set_id)
    return dict(zip(names.split(), values, strict=True))


def stored(world: World, who: Any = SPONSORED, client_id: int = 12, pieces: int = 1) -> list[bytes]:
    """Create data set *client_id* of *who* with some pieces; return their CIDs."""
    cids = [make_piece(n).cid for n in range(pieces)]
    create = world.create_data(who, client_id)
    world.create_and_add(create, world.add_data(who, client_id, client_id + 10**6, cids), cids)
    return cids


# EIP-712, against signatures made by others


def message_of(signatures: Signatures, case: dict[str, Any]) -> tuple[bytes, bytes]:
    """(permission, struct hash) of a vector."""
    pairs = case.get("metadata", [])
    if case["operation"] == "create":
        keys, values = tuple(k for k, _ in pairs), tuple(v for _, v in pairs)
        client_id, payee = int(case["client_data_set_id"]), case["payee"].lower()
        return signed.CREATE_DATA_SET, signatures.create_data_set(client_id, payee, keys, values)
    if case["operation"] == "add":
        all_keys = tuple(tuple(k for k, _ in each) for each in pairs)
        all_values = tuple(tuple(v for _, v in each) for each in pairs)
        cids = list(map(bytes.fromhex, case["pieces"]))
        ids = int(case["client_data_set_id"]), int(case["nonce"])
        return signed.ADD_PIECES, signatures.add_pieces(*ids, cids, all_keys, all_values)
    if case["operation"] == "remove":
        ids_of_pieces = tuple(case["piece_ids"])
        message = signatures.schedule_piece_removals(int(case["client_data_set_id"]), ids_of_pieces)
        return signed.SCHEDULE_PIECE_REMOVALS, message
    return signed.TERMINATE_SERVICE, signatures.terminate_service(int(case["data_set_id"]))


@pytest.mark.parametrize("case_id", ["V1", "V2", "V3", "V4", "V6", "V8", "V9", "V10"])
def test_signatures_made_elsewhere_are_accepted_and_bent_ones_refused(world: World, case_id: str) -> None:
    case, service = CASES[case_id], world.chain.deployed.fwss
    separator = eip712.domain_separator("FilecoinWarmStorageService", "1", *SERVICES[case["network"]])
    assert separator.hex() == VECTORS["domain_separators"][case["network"]]
    signatures = replace(service.signatures, separator=separator)
    permission, message = message_of(signatures, case)
    assert message.hex() == case["struct_hash"]
    assert eip712.digest(separator, message).hex() == case["digest"]
    signature = bytes.fromhex(case["signature"])
    signer = "0x4eca729c82f836242cfab65a356f55892c0d81f2" if case_id == "V8" else PAYER
    with world.chain.state_at(None) as machine:
        machine.frames.append(Frame(ZERO, service.address, 0))
        assert signatures.check(signer, permission, message, signature) == signer
        with pytest.raises(Revert) as caught:
            signatures.check(signer, permission, bytes([message[0] ^ 1]) + message[1:], signature)
        machine.frames.pop()
    assert describe(caught.value.data).startswith(f"InvalidSignature({signer}, 0x")


def test_type_hashes_are_the_session_permissions() -> None:
    hashes = {
        "CreateDataSet": signed.CREATE_DATA_SET,
        "AddPieces": signed.ADD_PIECES,
        "SchedulePieceRemovals": signed.SCHEDULE_PIECE_REMOVALS,
        "TerminateService": signed.TERMINATE_SERVICE,
    }
    assert (
        {name: value.hex() for name, value in hashes.items()} == VECTORS["permission_hashes"] == PERMISSIONS
    )


def test_the_permit_vector_hashes_as_published() -> None:
    case = CASES["V7"]
    domain = case["domain"]
    contract = str(domain["verifying_contract"]).lower()
    separator = eip712.domain_separator(domain["name"], domain["version"], domain["chain_id"], contract)
    assert separator.hex() == case["domain_separator"]
    values = PAYER, case["spender"].lower(), *(int(case[k]) for k in ("value", "nonce", "deadline"))
    message = eip712.struct_hash(PERMIT, "address,address,uint256,uint256,uint256", *values)
    assert (message.hex(), eip712.digest(separator, message).hex()) == (case["struct_hash"], case["digest"])
    signature = bytes.fromhex(case["signature"])
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
    assert eip712.recover(bytes.fromhex(case["digest"]), signature[64], r, s) == PAYER


def test_the_service_tells_its_domain(world: World) -> None:
    domain = world.read(world.at.fwss, "eip712Domain")
    assert domain[1:5] == ("FilecoinWarmStorageService", "1", 31415926, world.at.fwss.lower())


# Creating


def test_creating_a_data_set_records_what_was_signed(world: World) -> None:
    metadata = [("source", "fpin"), ("withIPFSIndexing", "")]
    receipt = world.create(world.create_data(SPONSORED, 12, metadata))
    (event,) = [e for e in world.events(receipt, "DataSetCreated") if "providerId" in e]
    assert (event["dataSetId"], event["providerId"], event["metadataKeys"]) == (
        1,
        1,
        ("source", "withIPFSIndexing"),
    )
    info = data_set(world)
    assert (info["pdpRailId"], info["cdnRailId"], info["clientDataSetId"], info["providerId"]) == (
        1,
        0,
        12,
        1,
    )
    parties = [SPONSORED.address.lower(), PAYEE.address.lower(), PROVIDER.address.lower()]
    assert [info["payer"], info["payee"], info["serviceProvider"]] == parties
    view = world.at.fwss_view
    assert world.read(view, "getAllDataSetMetadata", 1) == (("source", "withIPFSIndexing"), ("fpin", ""))
    assert world.read(view, "getDataSetMetadata", 1, "withIPFSIndexing") == (True, "")
    assert world.read(view, "getDataSetMetadata", 1, "other") == (False, "")
    assert world.read(view, "clientNonces", SPONSORED.address, 12) == 1
    assert world.read(view, "getClientDataSetsLength", SPONSORED.address) == 1
    assert world.read(view, "railToDataSet", 1) == 1
    assert world.read(view, "getDataSetStatus", 1) == 0
    assert world.read(world.at.pdp_verifier, "dataSetLive", 1) is True
    assert world.read(world.at.pdp_verifier, "getDataSetListener", 1) == world.at.fwss.lower()


def test_an_unknown_data_set_reads_as_zeros(world: World) -> None:
    info = data_set(world, 9)
    assert info.pop("dataSetId") == 9
    assert set(info.values()) == {0, ZERO}


def test_a_forged_signature_names_who_should_have_signed_and_who_did(world: World) -> None:
    said = refused(world.create, world.create_data(STRANGER, 12, payer=SPONSORED.address))
    assert said == f"InvalidSignature({SPONSORED.address.lower()}, {STRANGER.address.lower()})"


@pytest.mark.parametrize(
    "changes",
    [
        {"payee": PROVIDER.address},  # the address it sends from, not the one it is paid at
        {"chainId": 314159},
        {"verifyingContract": "0x" + "12" * 20},
        {"name": "Other"},
    ],
)
def test_a_signature_for_other_terms_recovers_somebody_else(world: World, changes: dict[str, Any]) -> None:
    said = refused(world.create, world.create_data(SPONSORED, 12, **changes))
    assert said.startswith(f"InvalidSignature({SPONSORED.address.lower()}, 0x")
    assert SPONSORED.address.lower() not in said[60:]


def test_metadata_in_another_order_than_signed_is_refused(world: World) -> None:
    data = world.create_data(SPONSORED, 12, [("a", "1"), ("b", "2")])
    types = ["address", "uint256", "string[]", "string[]", "bytes"]
    payer, client_id, keys, values, signature = eth_abi.abi.decode(types, data)
    bent = eth_abi.abi.encode(types, [payer, client_id, keys[::-1], values[::-1], signature])
    assert refused(world.create, bent).startswith("InvalidSignature(")


@pytest.mark.parametrize(
    ("signature", "reason"),
    [
        (b"\x01" * 64, "InvalidSignatureLength(65, 64)"),
        (b"\x01" * 64 + b"\x1d", "UnsupportedSignatureV(29)"),
        (b"\x02" * 64 + b"\x02", "UnsupportedSignatureV(2)"),
    ],
)
def test_a_signature_of_the_wrong_form_is_refused(world: World, signature: bytes, reason: str) -> None:
    types = ["address", "uint256", "string[]", "string[]", "bytes"]
    data = eth_abi.abi.encode(types, [SPONSORED.address, 12, [], [], signature])
    assert refused(world.create, data) == reason


def test_a_signature_that_recovers_nobody_is_refused(world: World) -> None:
    types = ["address", "uint256", "string[]", "string[]", "bytes"]
    data = eth_abi.abi.encode(types, [SPONSORED.address, 12, [], [], b"\xff" * 64 + b"\x1b"])
    assert refused(world.create, data) == f"InvalidSignature({SPONSORED.address.lower()}, {ZERO})"


def test_a_signature_may_count_v_from_zero(world: World) -> None:
    data = world.create_data(SPONSORED, 12)
    types = ["address", "uint256", "string[]", "string[]", "bytes"]
    *rest, signature = eth_abi.abi.decode(types, data)
    world.create(eth_abi.abi.encode(types, [*rest, signature[:64] + bytes([signature[64] - 27])]))
    assert data_set(world)["clientDataSetId"] == 12


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "ExtraDataRequired()"),
        (bytes(4097), "ExtraDataTooLarge(4097, 4096)"),
        (bytes(33), ""),  # nothing that decodes
    ],
)
def test_extra_data_of_the_wrong_size_is_refused(world: World, data: bytes, reason: str) -> None:
    assert refused(world.create, data) == reason


def test_the_payer_cannot_be_nobody(world: World) -> None:
    said = refused(world.create, world.create_data(SPONSORED, 12, payer=ZERO))
    assert said == "ZeroAddress(6)"


def test_a_client_id_and_a_nonce_are_good_for_one_use_between_them(world: World) -> None:
    (cid,) = stored(world, client_id=12)
    assert refused(world.create, world.create_data(SPONSORED, 12)) == "ClientDataSetAlreadyRegistered(12)"
    for nonce in (12, 12 + 10**6):  # the client id of the set, the nonce of the first add
        said = refused(world.add, 1, [cid], world.add_data(SPONSORED, 12, nonce, [cid]))
        assert said == f"ClientDataSetAlreadyRegistered({nonce})"
    world.add(1, [cid, cid], world.add_data(SPONSORED, 12, 77, [cid, cid]))
    # A later reader learns what became of an add: next piece id and data set.
    assert world.read(world.at.fwss_view, "clientNonces", SPONSORED.address, 77) == 3 << 128 | 1
    assert refused(world.create, world.create_data(SPONSORED, 77)) == "ClientDataSetAlreadyRegistered(77)"


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ([(str(n), "v") for n in range(11)], "TooManyMetadataKeys(10, 11)"),
        ([("a", "1"), ("a", "2")], "DuplicateMetadataKey(1, a)"),
        ([("ok", "1"), ("k" * 33, "1")], "MetadataKeyExceedsMaxLength(1, 32, 33)"),
        ([("ключ" * 5, "1")], "MetadataKeyExceedsMaxLength(0, 32, 40)"),
        ([("a", "v" * 97)], "MetadataValueExceedsMaxLength(0, 96, 97)"),
        ([("a", "ü" * 49)], "MetadataValueExceedsMaxLength(0, 96, 98)"),
    ],
)
def test_data_set_metadata_has_limits_in_bytes(world: World, metadata: Any, reason: str) -> None:
    assert refused(world.create, world.create_data(SPONSORED, 12, metadata)) == reason
    assert world.read(world.at.fwss_view, "clientNonces", SPONSORED.address, 12) == 0


def test_metadata_at_its_limits_is_taken(world: World) -> None:
    metadata = [("k" * 31 + str(n), "v" * 96) for n in range(10)]
    world.create(world.create_data(SPONSORED, 12, metadata))
    assert world.read(world.at.fwss_view, "getAllDataSetMetadata", 1)[1] == ("v" * 96,) * 10


def test_a_repeated_key_with_an_empty_value_slips_through_as_on_chain(world: World) -> None:
    world.create(world.create_data(SPONSORED, 12, [("a", ""), ("a", "")]))
    assert world.read(world.at.fwss_view, "getAllDataSetMetadata", 1)[0] == ("a", "a")


def test_the_cleanup_deposit_must_be_sent_and_the_rest_comes_back(world: World) -> None:
    verifier, data = world.at.pdp_verifier, world.create_data(SPONSORED, 12)
    args = "createDataSet", world.at.fwss, data
    assert refused(world.send, PROVIDER, verifier, *args, value=10**17 - 1) == "CleanupDepositRequired()"
    world.send(PROVIDER, verifier, *args, value=10**18)
    assert world.rpc("eth_getBalance", verifier, "latest") == hex(10**17)


# Money: figures of contracts 1.3.x, spec chain 4.3 and 4.7


def test_a_payer_needs_the_reserve_and_a_month_of_the_data_set_fee(world_1_3: World) -> None:
    world, required = world_1_3, 124 * 10**15
    fund(world, required - 1)
    said = refused(world.create, world.create_data(FUNDED, 12))
    assert said == f"InsufficientLockupFunds({FUNDED.address.lower()}, {required}, {required - 1})"
    fund(world, 1)
    world.create(world.create_data(FUNDED, 12))
    assert world.account(FUNDED.address)[:3] == (required, 10**17, 0)
    assert (data_set(world)["pending"], data_set(world)["reserve"]) == (25 * 10**15, 10**17)


def test_funds_come_before_the_approval_and_its_limits_in_order(world_1_3: World) -> None:
    world, required, rate = world_1_3, 124 * 10**15, 277_777_777_777
    world.send(FUNDED, world.at.usdfc, "approve", world.at.pay, USDFC)
    payer, service = FUNDED.address.lower(), world.at.fwss.lower()
    data = world.create_data(FUNDED, 12)
    assert refused(world.create, data) == f"InsufficientLockupFunds({payer}, {required}, 0)"
    world.send(FUNDED, world.at.pay, "deposit", world.at.usdfc, FUNDED.address, USDFC)
    assert refused(world.create, data) == f"OperatorNotApproved({payer}, {service})"
    for rate_limit, lockup, period, expected in (
        (rate - 1, 0, 0, f"InsufficientRateAllowance({payer}, {service}, {rate - 1}, 0, {rate})"),
        (
            rate,
            required - 1,
            0,
            f"InsufficientLockupAllowance({payer}, {service}, {required - 1}, 0, {required})",
        ),
        (
            rate,
            required,
            MONTH - 1,
            f"InsufficientMaxLockupPeriod({payer}, {service}, {MONTH - 1}, {MONTH})",
        ),
    ):
        limits = True, rate_limit, lockup, period
        world.send(FUNDED, world.at.pay, "setOperatorApproval", world.at.usdfc, world.at.fwss, *limits)
        assert refused(world.create, data) == expected


def test_create_and_add_takes_fees_from_the_reserve_and_locks_a_month(world_1_3: World) -> None:
    world = world_1_3
    create, add = world.create_data(SPONSORED, 12), world.add_data(SPONSORED, 12, 13, [SMALL])
    receipt = world.create_and_add(create, add, [SMALL])
    fee = 25 * 10**15 + 5 * 10**14 + 3 * 10**14
    assert fee == 25_800_000_000_000_000
    assert (data_set(world)["pending"], data_set(world)["reserve"]) == (0, 74_200_000_000_000_000)
    funds, locked, rate, _ = world.account(SPONSORED.address)
    assert funds == 100 * USDFC - fee
    assert rate == SMALL_RATE
    assert locked == 74_200_000_000_000_000 + SMALL_RATE * MONTH
    assert world.available(SPONSORED.address) == 100 * USDFC - 10**17 - SMALL_RATE * MONTH
    assert world.account(PAYEE.address)[0] == fee - fee // 200
    assert world.account(world.at.pay)[0] == fee // 200
    approval = world.read(world.at.pay, "operatorApprovals", world.at.usdfc, SPONSORED.address, world.at.fwss)
    assert approval == (True, MAX, MAX - fee, SMALL_RATE, locked, MONTH)
    assert world.events(receipt, "RailRateUpdated")[0]["newRate"] == SMALL_RATE
    assert world.read(world.at.fwss_view, "getDataSetSizeInBytes", 4) == 127


def test_the_least_that_pays_for_a_first_piece_is_exact(world_1_3: World) -> None:
    world, least = world_1_3, 10**17 + SMALL_RATE * MONTH
    create, add = world.create_data(FUNDED, 12), world.add_data(FUNDED, 12, 13, [SMALL])
    fund(world, least - 1)
    assert refused(world.create_and_add, create, add, [SMALL]) == UNCOVERED
    assert world.read(world.at.pdp_verifier, "dataSetLive", 1) is False
    fund(world, 1)
    world.create_and_add(create, add, [SMALL])
    assert world.available(FUNDED.address) == 0


def test_a_second_add_costs_only_the_difference_in_rate(world_1_3: World) -> None:
    world = world_1_3
    stored(world)  # eight leaves, 254 bytes
    before = world.account(SPONSORED.address)
    world.add(1, [SMALL], world.add_data(SPONSORED, 12, 14, [SMALL]))
    after = world.account(SPONSORED.address)
    total, first = 381 * 5 * 10**17 * 5 // (2**40 * MONTH), 254 * 5 * 10**17 * 5 // (2**40 * MONTH)
    assert after[2] - before[2] == total - first
    assert after[2] == 277_777_777_777 + total
    assert before[0] - after[0] == 8 * 10**14
    assert data_set(world)["reserve"] == 74_200_000_000_000_000 - 8 * 10**14


def test_the_reserve_is_refilled_when_it_runs_low(world_1_3: World) -> None:
    world = world_1_3
    cids = stored(world, pieces=5)
    assert data_set(world)["reserve"] == 10**17 - 25 * 10**15 - 2 * 10**15
    for count in range(34):  # 0.002 each: 0.073 less 34 x 0.002 leaves 0.005
        world.add(1, cids, world.add_data(SPONSORED, 12, 100 + count, cids))
    assert data_set(world)["reserve"] == 5 * 10**15
    world.add(1, cids, world.add_data(SPONSORED, 12, 200, cids))
    # 0.005 is below the fee plus 0.005: raised to the target above the fee, which is then paid.
    assert data_set(world)["reserve"] == 10**17


def test_an_account_in_deficit_cannot_add(world_1_3: World) -> None:
    world = world_1_3
    fund(world, 125 * 10**15)
    stored(world, FUNDED)
    world.chain.mine(MONTH)
    said = refused(world.add, 1, [SMALL], world.add_data(FUNDED, 12, 14, [SMALL]))
    assert said.startswith("LockupNotSettledRateChangeNotAllowed(1, ")


def test_cdn_opens_two_more_rails_with_their_own_lockup(world_1_3: World) -> None:
    world = world_1_3
    fund(world, 1_124 * 10**15 - 1)
    data = world.create_data(FUNDED, 12, [("withCDN", "")])
    assert refused(world.create, data).startswith(
        f"InsufficientLockupFunds({FUNDED.address.lower()}, {1_124 * 10**15}"
    )
    fund(world, 1)
    world.create(data)
    info = data_set(world)
    assert (info["pdpRailId"], info["cacheMissRailId"], info["cdnRailId"]) == (1, 2, 3)
    assert world.account(FUNDED.address)[1] == 11 * 10**17
    fund(world, 5)
    top_up = world.at.fwss, "topUpCDNPaymentRails", 1
    assert refused(world.send, SPONSORED, *top_up, 1, 0).startswith("CallerNotPayer(1, ")
    assert refused(world.send, FUNDED, *top_up, 0, 0) == "InvalidTopUpAmount(1)"
    receipt = world.send(FUNDED, *top_up, 2, 3)
    (event,) = world.events(receipt, "CDNPaymentRailsToppedUp")
    assert (event["totalCdnLockup"], event["totalCacheMissLockup"]) == (7 * 10**17 + 2, 3 * 10**17 + 3)


def test_the_reserve_can_be_topped_up_by_the_payer(world: World) -> None:
    stored(world)
    before = data_set(world)["reserve"]
    assert refused(world.send, PROVIDER, world.at.fwss, "topUpLifecycleReserve", 1, 5).startswith(
        "CallerNotPayer("
    )
    assert (
        refused(world.send, SPONSORED, world.at.fwss, "topUpLifecycleReserve", 9, 5) == "InvalidDataSetId(9)"
    )
    world.send(SPONSORED, world.at.fwss, "topUpLifecycleReserve", 1, 5)
    assert data_set(world)["reserve"] == before + 5
    assert world.read(world.at.pay, "getRail", 1)[7] == before + 5


def test_the_price_list_of_the_devnet_is_that_of_contracts_1_4(world: World) -> None:
    token, rates, fees, lockups = world.read(world.at.fwss_view, "getPriceList")
    assert token == world.at.usdfc.lower()
    assert rates == (25 * 10**17, 12 * 10**16, 7 * 10**18, 7 * 10**18)
    assert fees == (25 * 10**15, 5 * 10**14, 3 * 10**14, 2 * 10**15, 112 * 10**13)
    assert lockups == (5 * 10**17, 5 * 10**15, MONTH, 7 * 10**17, 3 * 10**17, 14_400)
    assert world.read(world.at.fwss, "getServicePrice")[5] == 12 * 10**16


def test_the_price_list_of_1_3_is_an_option(world_1_3: World) -> None:
    _, rates, _, lockups = world_1_3.read(world_1_3.at.fwss_view, "getPriceList")
    assert (rates[1], lockups[0]) == (24 * 10**15, 10**17)
    assert world_1_3.read(world_1_3.at.fwss_view, "getCurrentPricingRates") == (25 * 10**17, 24 * 10**15)


# Adding


def test_pieces_keep_their_metadata_and_announce_it(world: World) -> None:
    cids = [make_piece(n).cid for n in range(2)]
    metadata = [[("ipfsRootCID", "bafy"), ("name", "photos")], []]
    create = world.create_data(SPONSORED, 12)
    receipt = world.create_and_add(create, world.add_data(SPONSORED, 12, 13, cids, metadata), cids)
    events = world.events(receipt, "PieceAdded")
    assert [(e["pieceId"], e["pieceCid"][0], e["keys"]) for e in events] == [
        (0, cids[0], ("ipfsRootCID", "name")),
        (1, cids[1], ()),
    ]
    assert world.events(receipt, "PiecesAdded")[0]["pieceIds"] == (0, 1)
    view = world.at.fwss_view
    assert world.read(view, "getAllPieceMetadata", 1, 0) == (("ipfsRootCID", "name"), ("bafy", "photos"))
    assert world.read(view, "getPieceMetadata", 1, 1, "name") == (False, "")


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ([[]], "MetadataArrayCountMismatch(1, 2)"),
        ([[], [], []], "MetadataArrayCountMismatch(3, 2)"),
        ([[], [(str(n), "v") for n in range(4)]], "TooManyMetadataKeys(3, 4)"),
        ([[], [("a", "1"), ("a", "2")]], "DuplicateMetadataKey(1, a)"),
        ([[], [("a", "1"), ("k" * 33, "2")]], "MetadataKeyExceedsMaxLength(1, 32, 33)"),
        ([[("a", "v" * 97)], []], "MetadataValueExceedsMaxLength(0, 96, 97)"),
    ],
)
def test_piece_metadata_has_limits(world: World, metadata: Any, reason: str) -> None:
    cids = stored(world, pieces=2)
    data = world.add_data(SPONSORED, 12, 14, cids, metadata)
    assert refused(world.add, 1, cids, data) == reason


def test_an_add_that_fails_late_leaves_nothing_of_itself(world: World) -> None:
    cids = [make_piece(1).cid]
    create = world.create_data(SPONSORED, 12)
    add = world.add_data(SPONSORED, 12, 13, cids, [[("a", "v" * 97)]])
    extra = eth_abi.abi.encode(["bytes", "bytes"], [create, add])
    data = world.encode("addPieces", 0, world.at.fwss, [(cid,) for cid in cids], extra)
    raw = world.sign(PROVIDER, to=world.at.pdp_verifier, data="0x" + data.hex(), value=10**17)
    before = world.account(SPONSORED.address), world.account(PAYEE.address)
    receipt = world.send_raw(raw)
    assert (receipt["status"], receipt["logs"]) == ("0x0", [])
    assert (world.account(SPONSORED.address), world.account(PAYEE.address)) == before
    assert world.read(world.at.pdp_verifier, "getNextDataSetId") == 1
    assert world.read(world.at.fwss_view, "clientNonces", SPONSORED.address, 12) == 0
    assert world.read(world.at.fwss_view, "getClientDataSetsLength", SPONSORED.address) == 0
    assert world.rpc("eth_getBalance", world.at.pdp_verifier, "latest") == "0x0"


def test_an_add_of_more_pieces_than_an_event_holds_fails(world: World) -> None:
    stored(world)
    cids = [make_piece(n).cid for n in range(42)]
    world.add(1, cids[:41], world.add_data(SPONSORED, 12, 14, cids[:41]))
    assert refused(world.add, 1, cids, world.add_data(SPONSORED, 12, 15, cids)) == ""
    assert world.read(world.at.pdp_verifier, "getNextPieceId", 1) == 42


def test_an_add_signed_for_other_pieces_is_refused(world: World) -> None:
    (cid,) = stored(world)
    said = refused(world.add, 1, [SMALL], world.add_data(SPONSORED, 12, 14, [cid]))
    assert said.startswith(f"InvalidSignature({SPONSORED.address.lower()}, 0x")
    said = refused(world.add, 1, [cid], world.add_data(SPONSORED, 13, 14, [cid]))
    assert said.startswith("InvalidSignature(")


def test_only_the_sets_provider_adds_to_it(world: World) -> None:
    (cid,) = stored(world)
    said = refused(world.add, 1, [cid], world.add_data(SPONSORED, 12, 14, [cid]), OTHER_PROVIDER)
    assert said == "Only the storage provider can add pieces"
    assert refused(world.add, 9, [cid], b"x") == "DataSetNotLive()"
    assert refused(world.add, 1, [], b"x") == "Must add at least one piece"
    assert refused(world.add, 1, [cid], b"") == "ExtraDataRequired()"


def test_listener_and_value_of_an_add_depend_on_whether_the_set_exists(world: World) -> None:
    (cid,) = stored(world)
    verifier, pieces = world.at.pdp_verifier, [(cid,)]
    send = PROVIDER, verifier, "addPieces"
    assert (
        refused(world.send, *send, 1, world.at.fwss, pieces, b"x")
        == "listener must be zero for existing dataset"
    )
    assert refused(world.send, *send, 1, ZERO, pieces, b"x", value=1) == "no fee on add to existing dataset"
    both = eth_abi.abi.encode(["bytes", "bytes"], [b"", b""])
    assert refused(world.send, *send, 0, ZERO, pieces, both) == "listener required for new dataset"
    assert refused(world.send, *send, 0, world.at.fwss, pieces, b"x") == ""


@pytest.mark.parametrize(
    ("cid", "reason"),
    [
        (b"", "Panic(50)"),
        (bytes.fromhex("0155a0e402"), "Cid must be CommPv2"),
        (bytes.fromhex("0155912021") + bytes(33), "CommPv2 multihash length must be at least 34"),
        (bytes.fromhex("0155912022") + bytes(33), "CommPv2 multihash length does not match data length"),
        (cid_of_size(127, 2), "IndexedError(1, Padding is too large)"),
        (cid_of_size(0, 51), "IndexedError(1, Piece size must be less than 2^50)"),
    ],
)
def test_a_malformed_piece_cid_is_refused(world: World, cid: bytes, reason: str) -> None:
    stored(world)
    assert refused(world.add, 1, [SMALL, cid], b"x") == reason


def test_callbacks_are_for_the_verifier_and_pay_alone(world: World) -> None:
    verifier, mine = world.at.pdp_verifier.lower(), STRANGER.address.lower()
    for name, args in (
        ("dataSetCreated", (1, STRANGER.address, b"")),
        ("dataSetDeleted", (1, 0, b"")),
        ("piecesAdded", (1, 0, [], b"")),
        ("piecesScheduledRemove", (1, [], b"")),
        ("possessionProven", (1, 0, 0, 5)),
        ("storageProviderChanged", (1, ZERO, ZERO, b"")),
    ):
        said = refused(world.read, world.at.fwss, name, *args, sender=STRANGER.address)
        assert said == f"OnlyPDPVerifierAllowed({verifier}, {mine})"
    said = refused(world.read, world.at.fwss, "railTerminated", 1, ZERO, 1, sender=STRANGER.address)
    assert said == f"CallerNotPayments({world.at.pay.lower()}, {mine})"


# Session keys


def login(world: World, expiry: int, *names: str) -> None:
    permissions = [bytes.fromhex(PERMISSIONS[name]) for name in names]
    registry = world.at.session_key_registry
    receipt = world.send(SPONSORED, registry, "login", SESSION.address, expiry, permissions, "tests")
    (event,) = world.events(receipt, "AuthorizationsUpdated")
    assert (event["identity"], event["expiry"]) == (SPONSORED.address.lower(), expiry)


def test_a_session_key_signs_for_what_it_was_given(world: World) -> None:
    login(world, world.wall.now + 3600, "CreateDataSet", "AddPieces")
    create = world.create_data(SESSION, 12, payer=SPONSORED.address)
    world.create_and_add(create, world.add_data(SESSION, 12, 13, [SMALL]), [SMALL])
    assert data_set(world)["payer"] == SPONSORED.address.lower()
    said = refused(world.remove, 1, [0], world.removal_data(SESSION, 12, [0]))
    assert said == f"InvalidSignature({SPONSORED.address.lower()}, {SESSION.address.lower()})"


def test_a_session_key_ends_with_its_last_second(world: World) -> None:
    login(world, world.wall.now + 90, "CreateDataSet")
    world.wall.now += 90
    world.chain.mine(10)
    world.create(world.create_data(SESSION, 12, payer=SPONSORED.address))
    world.wall.now += 1
    world.chain.mine()
    said = refused(world.create, world.create_data(SESSION, 13, payer=SPONSORED.address))
    assert said == f"InvalidSignature({SPONSORED.address.lower()}, {SESSION.address.lower()})"


def test_a_revoked_session_key_is_a_stranger(world: World) -> None:
    login(world, world.wall.now + 3600, "CreateDataSet", "AddPieces")
    permission = bytes.fromhex(PERMISSIONS["CreateDataSet"])
    registry = world.at.session_key_registry
    world.send(SPONSORED, registry, "revoke", SESSION.address, [permission], "tests")
    expiry = "authorizationExpiry", SPONSORED.address, SESSION.address
    assert world.read(registry, *expiry, permission) == 0
    assert world.read(registry, *expiry, bytes.fromhex(PERMISSIONS["AddPieces"])) == world.wall.now + 3600
    data = world.create_data(SESSION, 12, payer=SPONSORED.address)
    assert refused(world.create, data).startswith("InvalidSignature(")


def test_a_login_can_give_the_key_its_gas(world: World) -> None:
    args = SESSION.address, world.wall.now + 60, [bytes(32)], "tests"
    world.send(SPONSORED, world.at.session_key_registry, "loginAndFund", *args, value=123)
    assert world.rpc("eth_getBalance", SESSION.address, "latest") == hex(123)


# Ending


def test_direct_termination_pays_one_more_month(world: World) -> None:
    (cid,) = stored(world)
    terminate = world.at.fwss, "terminateService", 1
    parties = ", ".join(a.address.lower() for a in (SPONSORED, PROVIDER, FUNDED))
    assert refused(world.send, FUNDED, *terminate) == f"CallerNotPayerOrPayee(1, {parties})"
    receipt = world.send(SPONSORED, *terminate)
    end = world.chain.epoch + MONTH
    assert world.events(receipt, "ServiceTerminated")[0]["approver"] == SPONSORED.address.lower()
    assert world.events(receipt, "PDPPaymentTerminated")[0]["endEpoch"] == end
    assert data_set(world)["pdpEndEpoch"] == end
    assert refused(world.send, SPONSORED, *terminate) == "DataSetPaymentAlreadyTerminated(1)"
    said = refused(world.add, 1, [cid], world.add_data(SPONSORED, 12, 14, [cid]))
    assert said == "DataSetPaymentAlreadyTerminated(1)"
    world.remove(1, [0], world.removal_data(SPONSORED, 12, [0]))  # still possible


def test_termination_with_consent_ends_at_once_for_a_fee(world: World) -> None:
    stored(world)
    before = world.account(PAYEE.address)[0]
    consent = world.consent_data(SPONSORED, 1)
    terminate = world.at.fwss, "terminateService", 1
    assert refused(world.send, SPONSORED, *terminate, consent).startswith("CallerNotServiceProvider(1, ")
    assert refused(world.send, PROVIDER, *terminate, bytes(257)) == "ExtraDataTooLarge(257, 256)"
    forged = world.consent_data(STRANGER, 1)
    assert refused(world.send, PROVIDER, *terminate, forged).startswith("InvalidSignature(")
    world.send(PROVIDER, *terminate, consent)
    assert data_set(world)["pdpEndEpoch"] == world.chain.epoch
    fee = 112 * 10**13
    assert world.account(PAYEE.address)[0] - before == fee - fee // 200
    # What is still locked is what was streamed and not yet settled.
    rate = world.read(world.at.pay, "getRail", 1)[5]
    assert world.account(SPONSORED.address)[1] <= 3 * rate


def test_a_payer_cannot_end_the_storage_rail_behind_the_services_back(world: World) -> None:
    stored(world)
    assert (
        refused(world.send, SPONSORED, world.at.pay, "terminateRail", 1)
        == "ServiceContractMustTerminateRail()"
    )


def test_the_filbeam_controller_settles_and_ends_cdn_rails(world: World) -> None:
    world.create(world.create_data(SPONSORED, 12, [("withCDN", "")]))
    settle = world.at.fwss, "settleFilBeamPaymentRails", 1, 1000, 2000
    assert refused(world.send, SPONSORED, *settle).startswith("OnlyFilBeamControllerAllowed(")
    world.send(DEPLOYER, *settle)
    beneficiary = world.read(world.at.fwss, "filBeamBeneficiaryAddress")
    assert world.account(beneficiary)[0] == 995
    assert world.account(PAYEE.address)[0] == 1990
    receipt = world.send(DEPLOYER, world.at.fwss, "terminateCDNService", 1)
    assert world.events(receipt, "CDNServiceTerminated")[0]["cdnRailId"] == 3
    assert world.read(world.at.fwss_view, "getAllDataSetMetadata", 1) == ((), ())
    said = refused(world.send, SPONSORED, world.at.fwss, "topUpCDNPaymentRails", 1, 1, 0)
    assert said == "FilBeamServiceNotConfigured(1)"
    said = refused(world.send, DEPLOYER, world.at.fwss, "terminateCDNService", 1)
    assert said == "FilBeamServiceNotConfigured(1)"


# Listing


def test_a_clients_data_sets_come_in_pages(world: World) -> None:
    for client_id in (21, 22, 23):
        world.create(world.create_data(SPONSORED, client_id))
    view, client = world.at.fwss_view, SPONSORED.address
    assert world.read(view, "clientDataSets", client) == (1, 2, 3)
    assert world.read(view, "clientDataSets", client, 1, 1) == (2,)
    assert world.read(view, "clientDataSets", client, 1, 0) == (2, 3)
    assert world.read(view, "clientDataSets", client, 3, 1) == ()
    assert [info[7] for info in world.read(view, "getClientDataSets", client)] == [21, 22, 23]
    assert [info[12] for info in world.read(view, "getClientDataSets", client, 2, 5)] == [3]


def test_getters_of_piece_metadata_can_be_missing_as_in_contracts_1_4(tmp_path: Path) -> None:
    world = World(tmp_path / "chain.sqlite", make_genesis(piece_metadata_getters=False))
    stored(world)
    assert refused(world.read, world.at.fwss_view, "getAllPieceMetadata", 1, 0) == ""
    assert world.read(world.at.fwss_view, "getAllDataSetMetadata", 1) == ((), ())
    world.close()
