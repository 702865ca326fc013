from __future__ import annotations

import pytest
from eth_abi.abi import decode, encode

from fpin.chain.abi import function
from fpin.chain.multicall import CALLS_PER_REQUEST, Call, read
from fpin.chain.node import Node
from fpin.chain.revert import Revert
from fpin.chain.rpc import JsonRpc, RpcError
from fpin.errors import ChainError, Unaffordable
from tests.chain.nodes import Refusal, ScriptedNode

MULTICALL = "0xcA11bde05977b3631167028862bE2a173976CA11"
TOKEN = "0x80B98d3aa09ffff255c3ba4A241111Ff1262F045"
HOLDER = "0x2e988A386a799F506693793c6A5AF6B54dfAaBfB"


def balance_call() -> Call:
    return Call(TOKEN, function("ERC20Permit", "balanceOf"), (HOLDER,))


def answer(*results: tuple[bool, bytes]) -> str:
    return "0x" + encode(["(bool,bytes)[]"], [list(results)]).hex()


def test_every_call_has_its_own_value_or_revert(rpc: JsonRpc, scripted: ScriptedNode) -> None:
    scripted.methods["eth_call"] = answer((True, (5).to_bytes(32, "big")), (False, b""))
    first, second = read(Node(rpc), MULTICALL, [balance_call(), balance_call()])
    assert first == 5
    assert isinstance(second, Revert)
    assert second.is_empty


def test_calls_are_allowed_to_fail_one_by_one(rpc: JsonRpc, scripted: ScriptedNode) -> None:
    scripted.methods["eth_call"] = answer((True, bytes(32)))
    read(Node(rpc), MULTICALL, [balance_call()])
    (request, _block) = scripted.bodies[-1]["params"]
    assert request["to"] == MULTICALL
    data = bytes.fromhex(request["data"][2:])
    ((target, allow_failure, calldata),) = decode(["(address,bool,bytes)[]"], data[4:])[0]
    assert (target, allow_failure) == (TOKEN.lower(), True)
    assert calldata == balance_call().function.encode(HOLDER)


def test_many_calls_are_cut_into_requests(rpc: JsonRpc, scripted: ScriptedNode) -> None:
    full = answer(*[(True, (1).to_bytes(32, "big"))] * CALLS_PER_REQUEST)
    scripted.methods["eth_call"] = [full, answer((True, (2).to_bytes(32, "big")))]
    values = read(Node(rpc), MULTICALL, [balance_call()] * (CALLS_PER_REQUEST + 1))
    assert values == [1] * CALLS_PER_REQUEST + [2]
    assert scripted.asked == ["eth_call", "eth_call"]


def test_no_calls_ask_nothing(rpc: JsonRpc, scripted: ScriptedNode) -> None:
    assert read(Node(rpc), MULTICALL, []) == []
    assert scripted.asked == []


def test_an_address_without_code_is_named(rpc: JsonRpc, scripted: ScriptedNode) -> None:
    scripted.methods["eth_call"] = answer((True, b""))
    with pytest.raises(ChainError, match=f"no ERC20Permit at {TOKEN}"):
        read(Node(rpc), MULTICALL, [balance_call()])
    scripted.methods["eth_call"] = "0x"
    with pytest.raises(ChainError, match=f"no Multicall3 at {MULTICALL}"):
        read(Node(rpc), MULTICALL, [balance_call()])


def test_fewer_answers_than_calls_are_an_error(rpc: JsonRpc, scripted: ScriptedNode) -> None:
    scripted.methods["eth_call"] = answer((True, bytes(32)))
    with pytest.raises(ChainError, match="1 of 2 calls"):
        read(Node(rpc), MULTICALL, [balance_call(), balance_call()])


def test_a_revert_of_the_whole_is_told_in_words(rpc: JsonRpc, scripted: ScriptedNode) -> None:
    text = "message execution failed (exit=[33], revert reason=[Error(insufficient funds to cover lockup)])"
    scripted.methods["eth_call"] = Refusal(11, text)
    with pytest.raises(Unaffordable, match=r"reading ERC20Permit\.balanceOf: .*does not cover"):
        read(Node(rpc), MULTICALL, [balance_call()])
    scripted.methods["eth_call"] = Refusal(2, "out of gas")
    with pytest.raises(RpcError, match="out of gas"):
        read(Node(rpc), MULTICALL, [balance_call()])
