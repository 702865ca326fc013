from __future__ import annotations

import socket

import pytest

from fpin.chain.rpc import JsonRpc, RpcError
from fpin.errors import ChainError, FpinError, NodeUnavailable
from fpin.http import Http, Reply
from tests.chain.nodes import Refusal, ScriptedNode, Waits, make_rpc

FUNDS = "0xdae03403" + f"{1:064x}" + f"{620 * 10**15:064x}" + f"{100 * 10**15:064x}"


def test_a_result_is_returned(rpc: JsonRpc, scripted: ScriptedNode) -> None:
    scripted.methods["eth_chainId"] = "0x13a"
    assert rpc.call("eth_chainId") == "0x13a"
    assert rpc.number("0x13a", "eth_chainId") == 314


def test_a_batch_is_one_request_and_comes_back_in_order(rpc: JsonRpc, scripted: ScriptedNode) -> None:
    scripted.methods |= {"a": 1, "b": Refusal(-1, "no"), "c": 3}
    first, second, third = rpc.batch([("a", []), ("b", []), ("c", [])])
    assert (first, third) == (1, 3)
    assert isinstance(second, RpcError)
    assert len(scripted.bodies) == 1


def test_a_node_without_batches_is_asked_one_by_one(rpc: JsonRpc, scripted: ScriptedNode) -> None:
    scripted.takes_batches = False
    scripted.methods |= {"a": 1, "b": 2}
    assert rpc.batch([("a", []), ("b", [])]) == [1, 2]


def test_a_batch_with_an_answer_missing_is_no_answer(rpc: JsonRpc, scripted: ScriptedNode) -> None:
    scripted.raw = [(200, {}, b'[{"jsonrpc": "2.0", "id": 0, "result": 1}]')] * 3
    with pytest.raises(NodeUnavailable, match="not JSON-RPC"):
        rpc.batch([("a", []), ("b", [])])


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>maintenance</html>", b"[]", b'"x"', b"{}", b"null", b'{"error": "busy"}', b"\xff\xfe"],
)
def test_garbage_is_no_answer(body: bytes, rpc: JsonRpc, scripted: ScriptedNode, waits: Waits) -> None:
    scripted.raw = [(200, {}, body)] * 3
    with pytest.raises(NodeUnavailable, match=r"node 127\.0\.0\.1:\d+ answered something"):
        rpc.call("eth_chainId")
    assert waits.slept == [0.5, 1.0]


def test_a_node_that_recovers_is_not_reported(rpc: JsonRpc, scripted: ScriptedNode, waits: Waits) -> None:
    scripted.raw = [(503, {}, b""), (429, {"Retry-After": "7"}, b"")]
    scripted.methods["eth_chainId"] = "0x1"
    assert rpc.call("eth_chainId") == "0x1"
    assert waits.slept == [0.5, 7.0]


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_a_node_that_stays_away_is_unavailable(status: int, rpc: JsonRpc, scripted: ScriptedNode) -> None:
    scripted.raw = [(status, {}, b"")] * 3
    with pytest.raises(NodeUnavailable, match=f"HTTP {status}"):
        rpc.call("eth_chainId")
    assert len(scripted.bodies) == 3


def test_a_node_that_asks_for_much_time_is_reported_at_once(
    rpc: JsonRpc, scripted: ScriptedNode, waits: Waits
) -> None:
    scripted.raw = [(429, {"Retry-After": "3600"}, b"")]
    with pytest.raises(NodeUnavailable, match="HTTP 429"):
        rpc.call("eth_chainId")
    assert waits.slept == []


class SilentNode(Http):
    """Takes every request and lets a minute pass without an answer."""

    def __init__(self, waits: Waits) -> None:
        super().__init__()
        self.waits = waits
        self.asked = 0

    def request(self, *_: object, error: type[FpinError] = FpinError, **__: object) -> Reply:
        self.asked += 1
        self.waits.now += 60
        raise error("node 127.0.0.1 did not answer in time")


def test_a_node_that_was_silent_for_a_minute_is_reported_and_not_asked_again(waits: Waits) -> None:
    node = SilentNode(waits)
    with node, pytest.raises(NodeUnavailable, match="did not answer in time"):
        make_rpc("http://127.0.0.1:1/", node, waits).call("eth_chainId")
    assert (node.asked, waits.slept) == (1, [])


def test_an_error_object_with_status_500_is_an_answer(rpc: JsonRpc, scripted: ScriptedNode) -> None:
    scripted.raw = [(500, {}, b'{"id": 0, "error": {"code": -1, "message": "no such thing"}}')]
    with pytest.raises(RpcError, match="no such thing"):
        rpc.call("eth_chainId")


def test_a_wrong_path_or_token_is_not_tried_again(rpc: JsonRpc, scripted: ScriptedNode) -> None:
    scripted.raw = [(403, {}, b"bad token")]
    with pytest.raises(ChainError, match="HTTP 403: bad token") as caught:
        rpc.call("eth_chainId")
    assert not isinstance(caught.value, NodeUnavailable)


def test_a_node_that_is_not_there_is_unavailable_and_its_address_holds_no_token(
    http: Http, waits: Waits
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        rpc = make_rpc(f"http://user:pass@127.0.0.1:{port}/v1/secret-token?key=secret", http, waits)
        with pytest.raises(NodeUnavailable, match=f"node 127.0.0.1:{port} cannot be reached") as caught:
            rpc.call("eth_chainId")
    assert "secret" not in str(caught.value)
    assert "pass" not in str(caught.value)


def test_a_transient_refusal_is_tried_again(rpc: JsonRpc, scripted: ScriptedNode, waits: Waits) -> None:
    fork = Refusal(1, "refusing explicit call due to state fork at epoch 12")
    scripted.methods["eth_call"] = [fork, "0x"]
    assert rpc.call("eth_call") == "0x"
    assert waits.slept == [0.5]


def test_a_refusal_that_stays_transient_is_unavailable(rpc: JsonRpc, scripted: ScriptedNode) -> None:
    scripted.methods["eth_call"] = Refusal(-32005, "limits exceeded")
    with pytest.raises(NodeUnavailable, match="cannot answer now: limits exceeded"):
        rpc.call("eth_call")


@pytest.mark.parametrize(
    ("refusal", "name"),
    [
        (
            Refusal(11, "message execution failed (exit=[33], revert reason=[none], vm error=[x])", FUNDS),
            None,
        ),
        (Refusal(3, "execution reverted", FUNDS), None),
        (Refusal(1, f"message execution failed (exit=[33], revert reason=[{FUNDS}], vm error=[x])"), None),
        (Refusal(1, "x", f"revert reason=[{FUNDS}]"), None),
        (Refusal(3, "execution reverted"), ""),
        (Refusal(3, "execution reverted", "0x"), ""),
    ],
)
def test_reverts_are_recognized_by_content_whatever_the_code(
    refusal: Refusal, name: str | None, rpc: JsonRpc, scripted: ScriptedNode
) -> None:
    scripted.methods["eth_call"] = refusal
    with pytest.raises(RpcError) as caught:
        rpc.call("eth_call")
    assert caught.value.revert is not None
    assert caught.value.revert.name == ("InsufficientLockupFunds" if name is None else name)


def test_an_error_that_is_no_revert_is_not_made_one(rpc: JsonRpc, scripted: ScriptedNode) -> None:
    scripted.methods["eth_call"] = Refusal(-32602, "invalid params", "0xzz")
    with pytest.raises(RpcError) as caught:
        rpc.call("eth_call")
    assert caught.value.revert is None
