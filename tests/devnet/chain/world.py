"""A chain under test, spoken to in JSON-RPC bytes only, with keys to sign with.

Encodes and signs with eth_abi and eth_account, which the emulated contracts do not use for that.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import eth_abi.abi
import httpx
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_account.signers.local import LocalAccount
from eth_utils.crypto import keccak

from fpin.devnet.chain import DevChain, Genesis, GenesisProvider, GenesisUser

ZERO = "0x" + "00" * 20
MAX = 2**256 - 1
USDFC = 10**18
MONTH = 86400
PERMISSIONS = {
    "CreateDataSet": "25ebf20299107c91b4624d5bac3a16d32cabf0db23b450ee09ab7732983b1dc9",
    "AddPieces": "954bdc254591a7eab1b73f03842464d9283a08352772737094d710a4428fd183",
    "SchedulePieceRemovals": "5415701e313bb627e755b16924727217bb356574fe20e7061442c200b0822b22",
    "TerminateService": "522bd88a11de1cdc6574394dde7a21ae488ff13e16e7408d0ea721dd8479dffc",
}
ENTRY = [{"name": "key", "type": "string"}, {"name": "value", "type": "string"}]
TYPES: dict[str, dict[str, list[dict[str, str]]]] = {
    "CreateDataSet": {
        "CreateDataSet": [
            {"name": "clientDataSetId", "type": "uint256"},
            {"name": "payee", "type": "address"},
            {"name": "metadata", "type": "MetadataEntry[]"},
        ],
        "MetadataEntry": ENTRY,
    },
    "AddPieces": {
        "AddPieces": [
            {"name": "clientDataSetId", "type": "uint256"},
            {"name": "nonce", "type": "uint256"},
            {"name": "pieceData", "type": "Cid[]"},
            {"name": "pieceMetadata", "type": "PieceMetadata[]"},
        ],
        "Cid": [{"name": "data", "type": "bytes"}],
        "MetadataEntry": ENTRY,
        "PieceMetadata": [
            {"name": "pieceIndex", "type": "uint256"},
            {"name": "metadata", "type": "MetadataEntry[]"},
        ],
    },
    "SchedulePieceRemovals": {
        "SchedulePieceRemovals": [
            {"name": "clientDataSetId", "type": "uint256"},
            {"name": "pieceIds", "type": "uint256[]"},
        ],
    },
    "TerminateService": {"TerminateService": [{"name": "dataSetId", "type": "uint256"}]},
}
Pairs = Sequence[tuple[str, str]]


def key(number: int) -> LocalAccount:
    account: LocalAccount = Account.from_key(number.to_bytes(32, "big"))
    return account


DEPLOYER, SPONSORED, FUNDED, STRANGER, SESSION = key(1), key(2), key(3), key(4), key(5)
PROVIDER, OTHER_PROVIDER, PAYEE = key(11), key(12), key(13)


@cache
def abi_document() -> dict[str, list[dict[str, Any]]]:
    text = resources.files("fpin.devnet.chain").joinpath("abi.json").read_text()
    document: dict[str, list[dict[str, Any]]] = json.loads(text)
    return document


def kind(param: dict[str, Any]) -> str:
    if not param["type"].startswith("tuple"):
        return str(param["type"])
    return f"({','.join(map(kind, param['components']))}){param['type'][5:]}"


def entry(name: str, count: int | None = None) -> dict[str, Any]:
    """Find a function, error or event by name, or by name and number of inputs."""
    for entries in abi_document().values():
        for candidate in entries:
            if candidate.get("name") == name and count in (None, len(candidate["inputs"])):
                return candidate
    raise KeyError(name)


class RpcFailure(Exception):
    """The node answered an error."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error["message"])
        self.error = error
        self.code = error["code"]
        self.message = error["message"]
        self.data: str = error.get("data", "0x")

    @property
    def reason(self) -> str:
        """The revert as ``Name(arguments)`` or its text."""
        return describe(bytes.fromhex(self.data[2:]))


def describe(data: bytes) -> str:
    if data[:4].hex() == "08c379a0":
        return str(eth_abi.abi.decode(["string"], data[4:])[0])
    for entries in abi_document().values():
        for candidate in entries:
            types = list(map(kind, candidate["inputs"]))
            if (
                candidate["type"] != "error"
                or keccak(text=f"{candidate['name']}({','.join(types)})")[:4] != data[:4]
            ):
                continue
            values = eth_abi.abi.decode(types, data[4:])
            return f"{candidate['name']}({', '.join(map(str, values))})"
    return data.hex()


class Wall:
    """A clock on the wall that a test turns."""

    def __init__(self) -> None:
        self.now = 1_800_000_000

    def __call__(self) -> float:
        return float(self.now)


def make_genesis(**changes: Any) -> Genesis:
    values: dict[str, Any] = {
        "deployer": DEPLOYER.address,
        "providers": (
            GenesisProvider(
                address=PROVIDER.address,
                payee=PAYEE.address,
                name="one",
                service_url="http://127.0.0.1:7001",
                peer_id=b"\x00\x24\x08\x01",
            ),
            GenesisProvider(
                address=OTHER_PROVIDER.address,
                payee=OTHER_PROVIDER.address,
                name="two",
                service_url="http://127.0.0.1:7002",
                endorsed=False,
            ),
        ),
        "users": (
            GenesisUser.ready(SPONSORED.address),
            GenesisUser.funded(FUNDED.address),
            GenesisUser(address=STRANGER.address),
        ),
    }
    return Genesis(**{**values, **changes})


class World:
    """A chain and a client of its node."""

    def __init__(self, path: Path, genesis: Genesis | None = None) -> None:
        self.wall = Wall()
        self.chain = DevChain.open(path, genesis or make_genesis(), wall=self.wall)
        self.at = self.chain.contracts

    def close(self) -> None:
        self.chain.close()

    # JSON-RPC

    def post(self, content: bytes, path: str = "/rpc/v1") -> httpx.Response:
        """Send bytes to the node as an HTTP server would hand them over."""

        async def run() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.chain.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://node") as client:
                return await client.post(path, content=content)

        return asyncio.run(run())

    def rpc(self, method: str, *params: Any) -> Any:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
        answer = self.post(json.dumps(body).encode()).json()
        if "error" in answer:
            raise RpcFailure(answer["error"])
        return answer["result"]

    def encode(self, name: str, *args: Any) -> bytes:
        function = entry(name, len(args))
        types = list(map(kind, function["inputs"]))
        selector = keccak(text=f"{name}({','.join(types)})")[:4]
        return selector + eth_abi.abi.encode(types, args)

    def read(self, to: str, name: str, *args: Any, at: str = "latest", sender: str | None = None) -> Any:
        """eth_call; one return value comes alone, several as a tuple."""
        message = {"to": to, "data": "0x" + self.encode(name, *args).hex()}
        if sender:
            message["from"] = sender
        result = bytes.fromhex(self.rpc("eth_call", message, at)[2:])
        values = eth_abi.abi.decode(list(map(kind, entry(name, len(args))["outputs"])), result)
        return values[0] if len(values) == 1 else values

    def send(self, who: LocalAccount, to: str, name: str, *args: Any, value: int = 0) -> dict[str, Any]:
        """Estimate, sign, send; return the receipt. A revert shows in the estimate, as RpcFailure."""
        data = "0x" + self.encode(name, *args).hex()
        message = {"from": who.address, "to": to, "data": data, "value": hex(value)}
        gas = int(self.rpc("eth_estimateGas", message), 16)
        return self.send_raw(self.sign(who, to=to, data=data, value=value, gas=gas))

    def sign(self, who: LocalAccount, **changes: Any) -> str:
        values: dict[str, Any] = {
            "chainId": self.chain.chain_id,
            "nonce": int(self.rpc("eth_getTransactionCount", who.address, "pending"), 16),
            "gas": 20_000_000,
            "maxFeePerGas": 400_000,
            "maxPriorityFeePerGas": 100_000,
            "value": 0,
            "data": "0x",
        }
        values.update(changes)
        if "gasPrice" in changes:
            del values["maxFeePerGas"], values["maxPriorityFeePerGas"]
        return "0x" + who.sign_transaction(values).raw_transaction.hex()

    def send_raw(self, raw: str) -> dict[str, Any]:
        receipt: dict[str, Any] = self.rpc(
            "eth_getTransactionReceipt", self.rpc("eth_sendRawTransaction", raw)
        )
        return receipt

    def events(self, receipt: dict[str, Any], name: str) -> list[dict[str, Any]]:
        """Decode the events of that name in a receipt."""
        found = []
        for candidates in abi_document().values():
            for event in candidates:
                if event["type"] == "event" and event["name"] == name:
                    found += [e for log in receipt["logs"] if (e := _decode_event(event, log)) is not None]
        return found

    # What clients sign

    def typed(self, who: LocalAccount, primary: str, message: dict[str, Any], **domain: Any) -> bytes:
        fields = {
            "name": "FilecoinWarmStorageService",
            "version": "1",
            "chainId": self.chain.chain_id,
            "verifyingContract": self.at.fwss,
        }
        signable = encode_typed_data({**fields, **domain}, TYPES[primary], message)
        return bytes(who.sign_message(signable).signature)

    def create_data(
        self,
        who: LocalAccount,
        client_id: int,
        metadata: Pairs = (),
        payee: str = PAYEE.address,
        payer: str | None = None,
        **domain: Any,
    ) -> bytes:
        entries = [{"key": k, "value": v} for k, v in metadata]
        message = {"clientDataSetId": client_id, "payee": payee, "metadata": entries}
        signature = self.typed(who, "CreateDataSet", message, **domain)
        keys, values = [k for k, _ in metadata], [v for _, v in metadata]
        types = ["address", "uint256", "string[]", "string[]", "bytes"]
        return eth_abi.abi.encode(types, [payer or who.address, client_id, keys, values, signature])

    def add_data(
        self,
        who: LocalAccount,
        client_id: int,
        nonce: int,
        cids: Sequence[bytes],
        metadata: Sequence[Pairs] | None = None,
    ) -> bytes:
        pairs = metadata if metadata is not None else [()] * len(cids)
        entries = [
            {"pieceIndex": i, "metadata": [{"key": k, "value": v} for k, v in each]}
            for i, each in enumerate(pairs)
        ]
        message = {
            "clientDataSetId": client_id,
            "nonce": nonce,
            "pieceData": [{"data": cid} for cid in cids],
            "pieceMetadata": entries,
        }
        signature = self.typed(who, "AddPieces", message)
        keys = [[k for k, _ in each] for each in pairs]
        values = [[v for _, v in each] for each in pairs]
        types = ["uint256", "string[][]", "string[][]", "bytes"]
        return eth_abi.abi.encode(types, [nonce, keys, values, signature])

    def removal_data(self, who: LocalAccount, client_id: int, piece_ids: Sequence[int]) -> bytes:
        message = {"clientDataSetId": client_id, "pieceIds": list(piece_ids)}
        return eth_abi.abi.encode(["bytes"], [self.typed(who, "SchedulePieceRemovals", message)])

    def consent_data(self, who: LocalAccount, data_set_id: int) -> bytes:
        return eth_abi.abi.encode(
            ["bytes"], [self.typed(who, "TerminateService", {"dataSetId": data_set_id})]
        )

    # What providers send

    def create(self, extra_data: bytes, provider: LocalAccount = PROVIDER) -> dict[str, Any]:
        verifier = self.at.pdp_verifier
        return self.send(provider, verifier, "createDataSet", self.at.fwss, extra_data, value=10**17)

    def create_and_add(
        self, create: bytes, add: bytes, cids: Sequence[bytes], provider: LocalAccount = PROVIDER
    ) -> dict[str, Any]:
        extra = eth_abi.abi.encode(["bytes", "bytes"], [create, add])
        pieces = [(cid,) for cid in cids]
        verifier = self.at.pdp_verifier
        return self.send(provider, verifier, "addPieces", 0, self.at.fwss, pieces, extra, value=10**17)

    def add(
        self, data_set_id: int, cids: Sequence[bytes], extra_data: bytes, provider: LocalAccount = PROVIDER
    ) -> dict[str, Any]:
        pieces = [(cid,) for cid in cids]
        return self.send(provider, self.at.pdp_verifier, "addPieces", data_set_id, ZERO, pieces, extra_data)

    def remove(self, data_set_id: int, piece_ids: Sequence[int], extra_data: bytes) -> dict[str, Any]:
        verifier = self.at.pdp_verifier
        return self.send(PROVIDER, verifier, "schedulePieceDeletions", data_set_id, piece_ids, extra_data)

    def account(self, owner: str) -> tuple[int, int, int, int]:
        """(funds, locked, rate, settled at) in FilecoinPay."""
        values: tuple[int, int, int, int] = self.read(self.at.pay, "accounts", self.at.usdfc, owner)
        return values

    def available(self, owner: str) -> int:
        return int(self.read(self.at.pay, "getAccountInfoIfSettled", self.at.usdfc, owner)[2])


def _decode_event(event: dict[str, Any], log: dict[str, Any]) -> dict[str, Any] | None:
    inputs = event["inputs"]
    signature = f"{event['name']}({','.join(map(kind, inputs))})"
    if log["topics"][0] != "0x" + keccak(text=signature).hex():
        return None
    indexed = [i for i in inputs if i["indexed"]]
    plain = [i for i in inputs if not i["indexed"]]
    values: dict[str, Any] = {"address": log["address"]}
    for param, topic in zip(indexed, log["topics"][1:], strict=True):
        (values[param["name"]],) = eth_abi.abi.decode([kind(param)], bytes.fromhex(topic[2:]))
    decoded = eth_abi.abi.decode(list(map(kind, plain)), bytes.fromhex(log["data"][2:]))
    values.update(zip((p["name"] for p in plain), decoded, strict=True))
    return values
