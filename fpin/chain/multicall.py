"""Multicall: many contract reads in one request, each with its own value or revert.

Knows Multicall3 and how answers are decoded. Knows no address but the ones it is given.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from fpin.chain.abi import Function, function
from fpin.chain.node import Height, Node
from fpin.chain.revert import Revert, decode_revert
from fpin.chain.rpc import RpcError
from fpin.errors import ChainError
from fpin.values import dataclass

# Views cost up to some tens of millions of gas each and a node stops at 10**10.
CALLS_PER_REQUEST = 64


@dataclass(frozen=True, slots=True)
class Call:
    """One read: which contract, which function, with what."""

    address: str
    function: Function
    args: tuple[object, ...] = ()

    def __str__(self) -> str:
        return f"{self.function.contract}.{self.function.name}"

    def value(self, data: bytes) -> Any:
        """Decode what the call returned; raises ChainError when there is no contract at the address."""
        if not data and self.function.outputs:
            raise ChainError(
                f"there is no {self.function.contract} at {self.address}",
                hint="check --network, --rpc-url and the devnet's file",
            )
        return self.function.decode(data)


def read(node: Node, multicall: str, calls: Sequence[Call], *, epoch: Height = None) -> list[Any]:
    """Return the value of each call, or a `Revert` in its place; *epoch* None is the newest."""
    outcomes: list[Any] = []
    for start in range(0, len(calls), CALLS_PER_REQUEST):
        outcomes.extend(_read_some(node, multicall, calls[start : start + CALLS_PER_REQUEST], epoch))
    return outcomes


def _read_some(node: Node, multicall: str, calls: Sequence[Call], epoch: Height) -> Iterator[Any]:
    aggregate = function("Multicall3", "aggregate3")
    inner = [(call.address, True, call.function.encode(*call.args)) for call in calls]
    try:
        answer = node.eth_call(multicall, aggregate.encode(inner), epoch=epoch)
    except RpcError as exc:
        if exc.revert is None:
            raise
        raise exc.revert.error(f"reading {', '.join(sorted({str(call) for call in calls}))}") from exc
    results = Call(multicall, aggregate).value(answer)
    if len(results) != len(calls):
        raise ChainError(f"{multicall} answered {len(results)} of {len(calls)} calls")
    for call, result in zip(calls, results, strict=True):
        data: bytes = result["returnData"]
        yield call.value(data) if result["success"] else _revert(data)


def _revert(data: bytes) -> Revert:
    revert = decode_revert(data)
    assert revert is not None  # bytes always give one
    return revert
