"""The provider's way to a chain: JSON-RPC over HTTP, ABI encoding, signed transactions one after another.

Works with any EVM node that carries the contracts. Knows nothing of pieces, routes or jobs.
"""

from __future__ import annotations

import itertools
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx
from eth_abi.abi import decode as abi_decode
from eth_abi.abi import encode as abi_encode
from eth_abi.exceptions import DecodingError
from eth_account import Account
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from fpin.values import dataclass

GAS_MARGIN_PERCENT = 25  # Filecoin charges for wild over-estimation, so no large factor


class NodeError(Exception):
    """The node answered with an error. `str()` is what providers put after ``chain: ``."""


class NodeSilent(NodeError):
    """No usable answer from the node: nobody knows whether it took the request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contracts:
    """Addresses as text, `0x` first."""

    verifier: str
    service: str  # FWSS: listener, record keeper
    registry: str

    @classmethod
    def named(cls, addresses: Mapping[str, str]) -> Contracts:
        """From the ``contracts`` object of a ``devnet-info.json``."""
        return cls(
            verifier=addresses["pdp_verifier_proxy_addr"],
            service=addresses["fwss_service_proxy_addr"],
            registry=addresses["service_provider_registry_proxy_addr"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    address: str  # lower case
    topics: tuple[bytes, ...]
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    ok: bool
    block: int
    logs: tuple[Log, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    hash: str  # 0x and lower case: also the key of the provider's own records
    raw: bytes


def topic(event: str) -> bytes:
    """First topic of an event given by its signature, e.g. ``Transfer(address,address,uint256)``."""
    return keccak(text=event)


def calldata(signature: str, *arguments: object) -> bytes:
    """Encode a call: ``calldata("transfer(address,uint256)", to, amount)``."""
    types = _split_types(signature[signature.index("(") + 1 : -1])
    return keccak(text=signature)[:4] + abi_encode(types, arguments)


def _split_types(inside: str) -> list[str]:
    types, depth, start = [], 0, 0
    for index, char in enumerate(inside):
        depth += (char == "(") - (char == ")")
        if char == "," and depth == 0:
            types.append(inside[start:index])
            start = index + 1
    return [*types, inside[start:]] if inside else []


class Node:
    """One account at one node. Safe to use from several threads; sending is serialised."""

    def __init__(self, *, url: str, key: bytes, contracts: Contracts, http: httpx.Client) -> None:
        self._url = url
        self._http = http
        self._account = Account.from_key(key)
        self.address: str = self._account.address
        self.contracts = contracts
        self._ids = itertools.count(1)
        self._sending = threading.Lock()
        self._chain_id: int | None = None
        self._view: str | None = None

    def __repr__(self) -> str:
        return f"<Node {self._url} as {self.address}>"

    def ask(self, method: str, *params: object) -> Any:
        """Return the result of one JSON-RPC call; NodeError with the node's words otherwise."""
        request = {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": params}
        try:
            answer = self._http.post(self._url, json=request).json()
        except (httpx.HTTPError, ValueError) as exc:
            raise NodeSilent(f"{method}: {exc}") from exc
        if not isinstance(answer, dict) or ("result" not in answer and "error" not in answer):
            raise NodeSilent(f"{method}: the node did not answer with JSON-RPC")
        if answer.get("error"):
            raise NodeError(_words(answer["error"]))
        return answer["result"]

    def read(
        self, to: str, signature: str, arguments: Sequence[object], returns: Sequence[str]
    ) -> tuple[Any, ...]:
        """Call a view function and decode what it returns."""
        data = self.ask("eth_call", self._call(to, calldata(signature, *arguments)), "latest")
        try:
            return abi_decode(returns, bytes.fromhex(data[2:]))
        except (DecodingError, ValueError) as exc:
            raise NodeError(f"{signature} at {to} returned something else") from exc

    def simulate(self, to: str, data: bytes, value: int = 0) -> None:
        """Raise NodeError when a transaction with *data* would revert now."""
        self.ask("eth_call", self._call(to, data, value), "latest")

    def head(self) -> int:
        return int(self.ask("eth_blockNumber"), 16)

    @property
    def view(self) -> str:
        """Address of the state view; the service says where it is."""
        if self._view is None:
            (self._view,) = self.read(self.contracts.service, "viewContractAddress()", [], ["address"])
        return self._view

    def receipt(self, tx: str) -> Receipt | None:
        found = self.ask("eth_getTransactionReceipt", tx)
        if found is None:
            return None
        logs = tuple(
            Log(
                address=log["address"].lower(),
                topics=tuple(bytes.fromhex(word[2:]) for word in log["topics"]),
                data=bytes.fromhex(log["data"][2:]),
            )
            for log in found["logs"]
        )
        return Receipt(ok=int(found["status"], 16) == 1, block=int(found["blockNumber"], 16), logs=logs)

    def knows(self, tx: str) -> bool:
        return self.ask("eth_getTransactionByHash", tx) is not None

    def submit(self, raw: bytes) -> None:
        self.ask("eth_sendRawTransaction", "0x" + raw.hex())

    def send(self, to: str, data: bytes, record: Callable[[Signed], None], *, value: int = 0) -> str:
        """Send a transaction and return its hash.

        The gas estimate comes first, so a call that would revert raises here and leaves nothing behind.
        *record* is called with the signed transaction before it leaves: a process that dies right after
        can still find out what became of it. NodeSilent after that means "perhaps sent".
        """
        gas = int(self.ask("eth_estimateGas", self._call(to, data, value)), 16)
        with self._sending:
            signed = self._sign(to, data, value, gas + gas * GAS_MARGIN_PERCENT // 100)
            record(signed)
            self.submit(signed.raw)
        return signed.hash

    def _call(self, to: str, data: bytes, value: int = 0) -> dict[str, str]:
        return {"from": self.address, "to": to, "data": "0x" + data.hex(), "value": hex(value)}

    def _sign(self, to: str, data: bytes, value: int, gas: int) -> Signed:
        if self._chain_id is None:
            self._chain_id = int(self.ask("eth_chainId"), 16)
        tip = int(self.ask("eth_maxPriorityFeePerGas"), 16)
        base = int(self.ask("eth_getBlockByNumber", "latest", False)["baseFeePerGas"], 16)
        signed = self._account.sign_transaction(
            {
                "type": 2,
                "chainId": self._chain_id,
                "nonce": int(self.ask("eth_getTransactionCount", self.address, "pending"), 16),
                "to": to_checksum_address(to),
                "value": value,
                "data": data,
                "gas": gas,
                "maxFeePerGas": 2 * base + tip,
                "maxPriorityFeePerGas": tip,
            }
        )
        return Signed(hash="0x" + bytes(signed.hash).hex(), raw=bytes(signed.raw_transaction))


def _words(error: Any) -> str:
    """The node's message; a revert that carries its data apart is put into Filecoin's usual form."""
    message = str(error.get("message", error)) if isinstance(error, dict) else str(error)
    data = error.get("data") if isinstance(error, dict) else None
    if isinstance(data, str) and re.fullmatch(r"0x[0-9a-fA-F]+", data) and "vm error=[" not in message:
        return f"message execution failed (exit=[33], revert reason=[{message}], vm error=[{data}])"
    return message
