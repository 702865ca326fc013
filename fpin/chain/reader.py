"""Reader: addressed, batched contract reads on one network, after making sure that it is that network.

Knows where contracts are; what their answers mean is `contracts.py`'s.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from fpin.chain.abi import function
from fpin.chain.multicall import Call, read
from fpin.chain.networks import Network
from fpin.chain.node import Height, Node
from fpin.chain.revert import Revert
from fpin.chain.rpc import JsonRpc, RpcError
from fpin.chain.typed_data import Domain, fwss_domain
from fpin.errors import UsageError

PAY = "FilecoinPayV1"
FWSS = "FilecoinWarmStorageService"
VIEW = "FilecoinWarmStorageServiceStateView"
PDP = "PDPVerifier"
REGISTRY = "ServiceProviderRegistry"
SESSIONS = "SessionKeyRegistry"
ENDORSED = "ProviderIdSet"
TOKEN = "ERC20Permit"
MULTICALL = "Multicall3"


class Reader:
    """Reads through one node. Safe to share between threads.

    The first read makes sure that the node is on the network's chain and asks the service where its view
    contract is. Every read raises `NodeUnavailable`, or `ChainError` for an answer that makes no sense.
    """

    def __init__(self, network: Network, rpc: JsonRpc) -> None:
        self.network = network
        self.rpc = rpc
        self.node = Node(rpc)
        self._view: str | None = None
        self._lock = threading.Lock()

    @property
    def domain(self) -> Domain:
        """The domain that storage operations are signed for."""
        return fwss_domain(self.network.chain_id, self.network.contracts.fwss)

    def connect(self) -> str:
        """Check the chain id once and return the address of the view contract.

        Raises UsageError, naming both ids, when the node serves another chain.
        """
        with self._lock:
            if self._view is None:
                self._view = self._discover()
            return self._view

    def call(self, contract: str, name: str, *args: object) -> Call:
        return Call(self._address(contract), function(contract, name), args)

    def _address(self, contract: str) -> str:
        if contract == VIEW:
            return self.connect()
        addresses = self.network.contracts
        return {
            PAY: addresses.pay,
            FWSS: addresses.fwss,
            PDP: addresses.pdp_verifier,
            REGISTRY: addresses.registry,
            SESSIONS: addresses.session_keys,
            ENDORSED: addresses.endorsements,
            TOKEN: addresses.usdfc,
            MULTICALL: addresses.multicall3,
        }[contract]

    def outcomes(self, calls: Sequence[Call], *, epoch: Height = None) -> list[Any]:
        self.connect()
        return read(self.node, self.network.contracts.multicall3, calls, epoch=epoch)

    def values(self, *calls: Call, epoch: Height = None) -> list[Any]:
        outcomes = self.outcomes(calls, epoch=epoch)
        return [
            unless_reverted(outcome, f"reading {call}") for call, outcome in zip(calls, outcomes, strict=True)
        ]

    def value(self, call: Call) -> Any:
        return self.values(call)[0]

    def _discover(self) -> str:
        contracts = self.network.contracts
        ask = function(FWSS, "viewContractAddress")
        request = {"to": contracts.fwss, "data": "0x" + ask.selector.hex()}
        chain_id, view = self.rpc.batch([("eth_chainId", []), ("eth_call", [request, "latest"])])
        if isinstance(chain_id, RpcError):
            raise chain_id
        found = self.rpc.number(chain_id, "eth_chainId")
        if found != self.network.chain_id:
            raise UsageError(
                f"{self.rpc.peer} serves chain {found}; {self.network.name} is {self.network.chain_id}",
                hint="choose --network and --rpc-url that belong together",
                chain_id=found,
                expected_chain_id=self.network.chain_id,
            )
        word = bytes.fromhex(view[2:]) if isinstance(view, str) and len(view) == 66 else b""
        return ask.decode(word) if any(word) else contracts.view


def unless_reverted(outcome: Any, doing: str) -> Any:
    """Return *outcome*, or raise what its revert means while *doing* something."""
    if isinstance(outcome, Revert):
        raise outcome.error(doing)
    return outcome
