"""The JSON-RPC node: protocol, transactions, receipts, blocks and null rounds, calls into the past, logs."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from eth_account import Account
from eth_utils.crypto import keccak

from tests.devnet.chain.world import (
    DEPLOYER,
    FUNDED,
    PROVIDER,
    SPONSORED,
    STRANGER,
    USDFC,
    ZERO,
    RpcFailure,
    World,
    abi_document,
    kind,
)

ERROR_TEXT = "message execution failed (exit=[33], revert reason=[{0}], vm error=[{0}])"


def ask(world: World, body: object) -> Any:
    return world.post(json.dumps(body).encode()).json()


# The protocol


def test_it_answers_on_both_paths_with_the_devnets_chain_id(world: World) -> None:
    body = b'{"jsonrpc":"2.0","id":"x","method":"eth_chainId"}'
    for path in ("/", "/rpc/v1"):
        response = world.post(body, path)
        assert response.headers["content-type"] == "application/json"
        assert response.json() == {"jsonrpc": "2.0", "id": "x", "result": "0x1df5e76"}


def test_a_batch_is_answered_in_order_without_the_notifications(world: World) -> None:
    answers = ask(
        world,
        [
            {"jsonrpc": "2.0", "id": 1, "method": "eth_blockNumber", "params": []},
            {"jsonrpc": "2.0", "method": "eth_chainId"},
            {"jsonrpc": "2.0", "id": 2, "method": "eth_fillTransaction", "params": [{}]},
            7,
        ],
    )
    assert [answer["id"] for answer in answers] == [1, 2, None]
    assert answers[0]["result"] == "0x1"
    assert [answers[1]["error"]["code"], answers[2]["error"]["code"]] == [-32601, -32600]


def test_a_notification_is_answered_with_nothing(world: World) -> None:
    assert world.post(b'{"jsonrpc":"2.0","method":"eth_chainId"}').content == b""


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", -32700),
        (b"\xff\xfe\x00", -32700),
        (b"[]", -32600),
        (b'{"id":1,"method":5}', -32600),
        (b'{"id":1,"method":"eth_nonsense","params":[]}', -32601),
        (b'{"id":1,"method":"eth_getBalance","params":[]}', -32602),
        (b'{"id":1,"method":"eth_getBalance","params":["0x12"]}', -32602),
        (b'{"id":1,"method":"eth_getBalance","params":{"address":"0x12"}}', -32602),
        (b'{"id":1,"method":"eth_call","params":[{"data":"0x"}]}', -32602),
        (b'{"id":1,"method":"eth_getTransactionReceipt","params":["zz"]}', -32602),
        (b'{"id":1,"method":"devnet_mine","params":[0]}', -32602),
        (b'{"id":1,"method":"devnet_mine","params":["many"]}', -32602),
    ],
)
def test_a_bad_request_gets_the_error_code_for_it(world: World, body: bytes, code: int) -> None:
    assert world.post(body).json()["error"]["code"] == code
    assert world.chain.epoch == 1


# Transactions


def test_a_transfer_is_mined_at_once_and_charged(world: World) -> None:
    before = int(world.rpc("eth_getBalance", SPONSORED.address, "latest"), 16)
    receipt = world.send_raw(world.sign(SPONSORED, to=STRANGER.address, value=5, gas=2_000_000))
    assert receipt["status"] == "0x1"
    assert int(world.rpc("eth_getBalance", STRANGER.address, "latest"), 16) == 5
    # Base fee 100 on the gas used, the premium of 100000 on the whole limit.
    fee = int(receipt["gasUsed"], 16) * 100 + 2_000_000 * 100_000
    assert int(world.rpc("eth_getBalance", SPONSORED.address, "latest"), 16) == before - 5 - fee
    assert world.rpc("eth_getTransactionCount", SPONSORED.address, "latest") == "0x1"


def test_a_receipt_has_every_field_clients_read(world: World) -> None:
    receipt = world.send(SPONSORED, world.at.usdfc, "transfer", STRANGER.address, 7)
    block = world.rpc("eth_getBlockByNumber", "latest", False)
    assert receipt["blockNumber"] == block["number"] == "0x2"
    assert receipt["blockHash"] == block["hash"]
    assert block["transactions"] == [receipt["transactionHash"]]
    assert receipt["from"] == SPONSORED.address.lower()
    assert receipt["to"] == world.at.usdfc.lower()
    assert (receipt["type"], receipt["transactionIndex"], receipt["contractAddress"]) == ("0x2", "0x0", None)
    assert int(receipt["effectiveGasPrice"], 16) > 0
    (log,) = receipt["logs"]
    assert log["topics"][0] == "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
    assert log["transactionHash"] == receipt["transactionHash"]
    bits = int(receipt["logsBloom"], 16)
    for item in (log["address"], *log["topics"]):
        digest = keccak(hexstr=item)
        for offset in (0, 2, 4):
            assert bits >> (int.from_bytes(digest[offset : offset + 2], "big") % 2048) & 1


def test_a_legacy_transaction_is_taken_with_and_without_a_chain_id(world: World) -> None:
    for chain_id in (world.chain.chain_id, None):
        raw = world.sign(SPONSORED, to=STRANGER.address, value=1, gasPrice=100_100, chainId=chain_id)
        receipt = world.send_raw(raw)
        assert (receipt["status"], receipt["type"]) == ("0x1", "0x0")
        found = world.rpc("eth_getTransactionByHash", receipt["transactionHash"])
        assert (found["from"], found["gasPrice"]) == (SPONSORED.address.lower(), hex(100_100))


def test_a_transaction_can_be_read_back_by_hash(world: World) -> None:
    raw = world.sign(SPONSORED, to=STRANGER.address, value=3, data="0x1234", gas=3_000_000)
    transaction_hash = world.rpc("eth_sendRawTransaction", raw)
    found = world.rpc("eth_getTransactionByHash", transaction_hash)
    assert "0x" + keccak(hexstr=raw).hex() == transaction_hash == found["hash"]
    assert (found["input"], found["value"], found["nonce"]) == ("0x1234", "0x3", "0x0")
    assert (found["gas"], found["maxFeePerGas"]) == (hex(3_000_000), hex(400_000))
    full = world.rpc("eth_getBlockByHash", found["blockHash"], True)
    assert full["transactions"] == [found]


def test_an_unknown_hash_is_null_and_not_an_error(world: World) -> None:
    for method in ("eth_getTransactionReceipt", "eth_getTransactionByHash"):
        assert world.rpc(method, "0x" + "ab" * 32) is None
    assert world.rpc("eth_getBlockByHash", "0x" + "ab" * 32, False) is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"nonce": 1}, "nonce too high: transaction has 1, next is 0"),
        ({"chainId": 314159}, "invalid chain id"),
        ({"gas": 1_000_000}, "intrinsic gas too low"),
        ({"gas": 10**10 + 1}, "exceeds the block's"),
        ({"maxFeePerGas": 50, "maxPriorityFeePerGas": 50}, "less than block base fee"),
        ({"value": 10**30}, "insufficient funds for gas"),
        ({"to": ""}, "contract creation is not possible"),
    ],
)
def test_a_transaction_that_cannot_run_is_refused_and_changes_nothing(
    world: World, changes: dict[str, Any], words: str
) -> None:
    raw = world.sign(SPONSORED, **{"to": STRANGER.address, **changes})
    with pytest.raises(RpcFailure, match=words) as caught:
        world.rpc("eth_sendRawTransaction", raw)
    assert caught.value.code == 1
    assert world.chain.epoch == 1
    assert world.rpc("eth_getTransactionCount", SPONSORED.address, "pending") == "0x0"


def test_a_transaction_sent_twice_is_mined_once(world: World) -> None:
    raw = world.sign(SPONSORED, to=STRANGER.address, value=1)
    world.send_raw(raw)
    with pytest.raises(RpcFailure, match="nonce too low"):
        world.rpc("eth_sendRawTransaction", raw)
    assert int(world.rpc("eth_getBalance", STRANGER.address, "latest"), 16) == 1


@pytest.mark.parametrize("raw", ["0x", "0x02", "0x02c0", "0x01c0", "0xc0", "0x05aabb", "0xf86b" + "00" * 20])
def test_bytes_that_are_no_transaction_are_refused(world: World, raw: str) -> None:
    with pytest.raises(RpcFailure):
        world.rpc("eth_sendRawTransaction", raw)
    assert world.chain.epoch == 1


def test_a_reverted_transaction_is_mined_charged_and_leaves_no_logs(world: World) -> None:
    data = "0x" + world.encode("transfer", STRANGER.address, 10**30).hex()
    receipt = world.send_raw(world.sign(SPONSORED, to=world.at.usdfc, data=data))
    assert (receipt["status"], receipt["logs"]) == ("0x0", [])
    assert world.rpc("eth_getTransactionCount", SPONSORED.address, "latest") == "0x1"
    assert world.read(world.at.usdfc, "balanceOf", STRANGER.address) == 0


def test_running_out_of_gas_spends_the_limit_and_keeps_nothing(world: World) -> None:
    data = "0x" + world.encode("transfer", STRANGER.address, 7).hex()
    estimate = int(
        world.rpc("eth_estimateGas", {"from": SPONSORED.address, "to": world.at.usdfc, "data": data}), 16
    )
    short = estimate * 100 // 125 - 1
    receipt = world.send_raw(world.sign(SPONSORED, to=world.at.usdfc, data=data, gas=short))
    assert (receipt["status"], receipt["logs"], receipt["gasUsed"]) == ("0x0", [], hex(short))
    assert world.read(world.at.usdfc, "balanceOf", STRANGER.address) == 0
    assert (
        world.send_raw(world.sign(SPONSORED, to=world.at.usdfc, data=data, gas=short + 1))["status"] == "0x1"
    )


# Calls


def test_a_revert_is_told_with_data_and_in_filecoins_words(world: World) -> None:
    with pytest.raises(RpcFailure) as caught:
        world.read(world.at.provider_registry, "getProvider", 99)
    assert caught.value.code == 11
    assert caught.value.message == ERROR_TEXT.format("Error(Provider does not exist)")
    with pytest.raises(RpcFailure) as caught:
        world.read(world.at.pdp_verifier, "getDataSetLeafCount", 99)
    assert caught.value.data == "0x5d946944"
    assert caught.value.message == ERROR_TEXT.format("0x5d946944")


def test_an_estimate_of_a_call_that_reverts_is_the_revert(world: World) -> None:
    data = "0x" + world.encode("mint", STRANGER.address, 1).hex()
    with pytest.raises(RpcFailure) as caught:
        world.rpc("eth_estimateGas", {"from": STRANGER.address, "to": world.at.usdfc, "data": data})
    assert caught.value.reason == f"OwnableUnauthorizedAccount({STRANGER.address.lower()})"


def test_a_call_changes_nothing(world: World) -> None:
    assert world.read(world.at.usdfc, "transfer", STRANGER.address, 7, sender=FUNDED.address) is True
    assert world.read(world.at.usdfc, "balanceOf", STRANGER.address) == 0


@pytest.mark.parametrize("data", ["0x", "0x12345678", "0x70a08231", "0x70a08231" + "ff" * 32])
def test_calldata_no_function_can_read_reverts_without_a_reason(world: World, data: str) -> None:
    with pytest.raises(RpcFailure) as caught:
        world.rpc("eth_call", {"to": world.at.usdfc, "data": data}, "latest")
    assert (caught.value.code, caught.value.data) == (11, "0x")


def test_fil_sent_to_a_function_that_takes_none_reverts(world: World) -> None:
    with pytest.raises(RpcFailure) as caught:
        world.send(SPONSORED, world.at.usdfc, "transfer", STRANGER.address, 1, value=1)
    assert caught.value.data == "0x"


def test_an_address_without_code_answers_nothing(world: World) -> None:
    assert world.rpc("eth_call", {"to": STRANGER.address, "data": "0x1234"}, "latest") == "0x"
    assert world.rpc("eth_getCode", STRANGER.address, "latest") == "0x"
    assert world.rpc("eth_getCode", world.at.fwss, "latest") != "0x"


def test_multicall_reports_a_failing_call_when_that_is_allowed(world: World) -> None:
    calls = [
        (world.at.usdfc, True, world.encode("name")),
        (world.at.pdp_verifier, True, world.encode("getDataSetLeafCount", 99)),
        (STRANGER.address, True, b"\x01"),
    ]
    name, failed, empty = world.read(world.at.multicall3, "aggregate3", calls)
    assert name[0] is True
    assert b"USDFC" in name[1]
    assert failed == (False, bytes.fromhex("5d946944"))
    assert empty == (True, b"")


def test_multicall_fails_as_a_whole_when_a_failure_is_not_allowed(world: World) -> None:
    calls = [(world.at.pdp_verifier, False, world.encode("getDataSetLeafCount", 99))]
    with pytest.raises(RpcFailure) as caught:
        world.read(world.at.multicall3, "aggregate3", calls)
    assert caught.value.reason == "Multicall3: call failed"


def test_a_failing_call_of_a_multicall_takes_back_only_its_own_writes(world: World) -> None:
    world.send(FUNDED, world.at.usdfc, "transfer", world.at.multicall3, 10)
    calls = [
        (world.at.usdfc, True, world.encode("transfer", STRANGER.address, 4)),
        (world.at.usdfc, True, world.encode("transfer", STRANGER.address, 999)),
    ]
    world.send_raw(world.sign(SPONSORED, to=STRANGER.address, value=10**18, gas=2_000_000))
    receipt = world.send(STRANGER, world.at.multicall3, "aggregate3", calls)
    assert len(receipt["logs"]) == 1
    assert world.read(world.at.usdfc, "balanceOf", STRANGER.address) == 4
    assert world.read(world.at.usdfc, "balanceOf", world.at.multicall3) == 6


def test_multicall_knows_balances_and_the_block(world: World) -> None:
    assert world.read(world.at.multicall3, "getChainId") == 31415926
    assert world.read(world.at.multicall3, "getBlockNumber") == 1
    assert world.read(world.at.multicall3, "getEthBalance", PROVIDER.address) == 1000 * 10**18


# Blocks and time


def test_epochs_pass_as_null_rounds_but_for_the_last(world: World) -> None:
    assert world.rpc("devnet_mine", 5) == world.rpc("devnet_epoch") == world.rpc("eth_blockNumber") == "0x6"
    with pytest.raises(RpcFailure, match=r"requested epoch was a null round \(4\)") as caught:
        world.rpc("eth_getBlockByNumber", "0x4", False)
    assert caught.value.code == 12
    assert caught.value.error["data"] == 4
    head = world.rpc("eth_getBlockByNumber", "0x6", False)
    assert head["parentHash"] == world.rpc("eth_getBlockByNumber", "0x1", False)["hash"]
    assert head["transactions"] == []


def test_an_epoch_that_has_not_come_is_an_error(world: World) -> None:
    for method, params in (
        ("eth_getBlockByNumber", ["0x9", False]),
        ("eth_call", [{"to": world.at.usdfc, "data": "0x06fdde03"}, "0x9"]),
        ("eth_getBalance", [STRANGER.address, "0x9"]),
    ):
        with pytest.raises(RpcFailure, match="future epoch"):
            world.rpc(method, *params)


def test_a_call_at_a_past_block_sees_the_state_of_then(world: World) -> None:
    world.rpc("devnet_mine", 3)  # 2 and 3 are null rounds, 4 is a block
    world.send(FUNDED, world.at.usdfc, "transfer", STRANGER.address, 7)  # 5
    world.send(FUNDED, world.at.usdfc, "transfer", STRANGER.address, 1)  # 6
    balances = [world.read(world.at.usdfc, "balanceOf", STRANGER.address, at=hex(n)) for n in range(7)]
    assert balances == [0, 0, 0, 0, 0, 7, 8]
    assert world.read(world.at.usdfc, "balanceOf", STRANGER.address, at="earliest") == 0
    block_hash = world.rpc("eth_getBlockByNumber", "0x5", False)["hash"]
    message = {"to": world.at.usdfc, "data": "0x" + world.encode("balanceOf", STRANGER.address).hex()}
    assert int(world.rpc("eth_call", message, {"blockHash": block_hash}), 16) == 7
    assert world.rpc("eth_getTransactionCount", FUNDED.address, "0x5") == "0x1"
    assert world.read(world.at.usdfc, "balanceOf", STRANGER.address) == 8


def test_a_call_at_a_null_round_runs_in_the_block_before_it(world: World) -> None:
    world.rpc("devnet_mine", 5)
    assert world.read(world.at.multicall3, "getBlockNumber", at="0x4") == 1


def test_blocks_are_thirty_seconds_an_epoch_apart_and_never_in_the_future(world: World) -> None:
    world.wall.now += 300  # ten epochs' worth
    started = int(world.rpc("eth_getBlockByNumber", "0x1", False)["timestamp"], 16)
    world.chain.mine(4)
    assert int(world.rpc("eth_getBlockByNumber", "0x5", False)["timestamp"], 16) == started + 150
    world.chain.mine(1000)
    hurried = int(world.rpc("eth_getBlockByNumber", "latest", False)["timestamp"], 16)
    assert hurried == world.wall.now
    world.wall.now -= 50
    world.chain.mine()
    assert int(world.rpc("eth_getBlockByNumber", "latest", False)["timestamp"], 16) == hurried


def test_calls_blocks_and_looks_into_the_past_do_not_disturb_each_other(world: World) -> None:
    world.send(FUNDED, world.at.usdfc, "transfer", STRANGER.address, 7)
    message = {"to": world.at.usdfc, "data": "0x" + world.encode("balanceOf", STRANGER.address).hex()}

    def ask_often(block: str) -> set[str]:
        return {world.rpc("eth_call", message, block) for _ in range(15)}

    with ThreadPoolExecutor(3) as pool:
        then, now = pool.submit(ask_often, "0x1"), pool.submit(ask_often, "latest")
        mined = pool.submit(lambda: [world.chain.mine(2) for _ in range(30)])
        assert [int(answer, 16) for answer in then.result()] == [0]
        assert [int(answer, 16) for answer in now.result()] == [7]
        assert mined.result() == list(range(4, 64, 2))


def test_no_epoch_can_pass_backwards(world: World) -> None:
    with pytest.raises(RpcFailure) as caught:
        world.rpc("devnet_mine", -1)
    assert caught.value.code == -32602


def test_fees_can_be_asked_for(world: World) -> None:
    assert world.rpc("eth_gasPrice") == hex(100_100)
    assert world.rpc("eth_maxPriorityFeePerGas") == hex(100_000)
    assert world.rpc("eth_getBlockByNumber", "latest", False)["baseFeePerGas"] == hex(100)
    history = world.rpc("eth_feeHistory", "0x2", "latest", [50])
    assert (len(history["baseFeePerGas"]), history["reward"]) == (3, [[hex(100_000)]] * 2)


# Logs


def test_logs_are_found_by_address_topics_and_range(world: World) -> None:
    world.send(DEPLOYER, world.at.usdfc, "mint", FUNDED.address, 5)  # 2
    world.send(FUNDED, world.at.usdfc, "transfer", STRANGER.address, 7)  # 3
    world.send(FUNDED, world.at.usdfc, "approve", STRANGER.address, 8)  # 4
    transfer = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
    everything = {"fromBlock": "0x0", "toBlock": "latest"}

    def blocks(**wanted: Any) -> list[str]:
        return [log["blockNumber"] for log in world.rpc("eth_getLogs", {**everything, **wanted})]

    def padded(address: str) -> str:
        return "0x" + "00" * 12 + address[2:].lower()

    assert blocks() == ["0x2", "0x3", "0x4"]
    assert blocks(topics=[transfer]) == ["0x2", "0x3"]
    assert blocks(topics=[None, padded(FUNDED.address)]) == ["0x3", "0x4"]
    assert blocks(topics=[[transfer], [padded(ZERO)]]) == ["0x2"]
    assert blocks(topics=[None, None, None, None]) == []
    assert blocks(address=world.at.pay) == []
    assert blocks(address=[world.at.pay, world.at.usdfc], fromBlock="0x3") == ["0x3", "0x4"]
    third = world.rpc("eth_getBlockByNumber", "0x3", False)
    (log,) = world.rpc("eth_getLogs", {"blockHash": third["hash"]})
    assert log["blockNumber"] == third["number"]
    assert [log["blockNumber"] for log in world.rpc("eth_getLogs", {})] == ["0x4"]  # the head alone


def test_logs_over_too_many_epochs_are_refused_as_on_public_nodes(world: World) -> None:
    world.chain.mine(3000)
    with pytest.raises(RpcFailure, match="block range too large"):
        world.rpc("eth_getLogs", {"fromBlock": "0x1", "toBlock": "latest"})


# Genesis


def test_users_start_sponsored_funded_and_with_nothing(world: World) -> None:
    assert world.account(SPONSORED.address)[0] == 100 * USDFC
    assert world.read(world.at.usdfc, "balanceOf", SPONSORED.address) == 900 * USDFC
    approval = world.read(world.at.pay, "operatorApprovals", world.at.usdfc, SPONSORED.address, world.at.fwss)
    assert approval == (True, 2**256 - 1, 2**256 - 1, 0, 0, 86400)
    assert world.account(FUNDED.address) == (0, 0, 0, 0)
    assert world.read(world.at.usdfc, "balanceOf", FUNDED.address) == 1000 * USDFC
    assert world.rpc("eth_getBalance", STRANGER.address, "latest") == "0x0"


def test_contracts_name_each_other(world: World) -> None:
    names = {
        "paymentsContractAddress": world.at.pay,
        "viewContractAddress": world.at.fwss_view,
        "pdpVerifierAddress": world.at.pdp_verifier,
        "serviceProviderRegistry": world.at.provider_registry,
        "sessionKeyRegistry": world.at.session_key_registry,
        "usdfcTokenAddress": world.at.usdfc,
    }
    for getter, address in names.items():
        assert world.read(world.at.fwss, getter) == address.lower()


def test_every_function_of_the_clients_abi_has_an_implementation(world: World) -> None:
    deployed = world.chain.deployed
    groups = {
        "FilecoinPayV1": deployed.pay,
        "FilecoinWarmStorageService": deployed.fwss,
        "FilecoinWarmStorageServiceStateView": deployed.fwss_view,
        "PDPVerifier": deployed.pdp_verifier,
        "ServiceProviderRegistry": deployed.provider_registry,
        "SessionKeyRegistry": deployed.session_key_registry,
        "ProviderIdSet": deployed.endorsements,
        "ERC20Permit": deployed.usdfc,
        "Multicall3": deployed.multicall3,
    }
    missing = []
    for group, contract in groups.items():
        for function in abi_document()[group]:
            if function["type"] == "function":
                signature = f"{function['name']}({','.join(map(kind, function['inputs']))})"
                if not contract.answers(keccak(text=signature)[:4]):
                    missing.append(f"{group}.{signature}")
    assert missing == []


def test_a_stranger_has_no_key_to_the_deployers_functions(world: World) -> None:
    stranger = Account.from_key(b"\x77" * 32)
    for to, name, args in (
        (world.at.usdfc, "mint", (stranger.address, 1)),
        (world.at.fwss, "addApprovedProvider", (9,)),
        (world.at.endorsements, "addProviderId", (9,)),
    ):
        with pytest.raises(RpcFailure) as caught:
            world.read(to, name, *args, sender=stranger.address)
        assert caught.value.reason.startswith("OwnableUnauthorizedAccount")
