"""What the provider asks of and sends to the contracts, by name.

Knows their functions and the tuples inside ``extraData``; keeps nothing but the data sets' records of what
was sent. Sources: PDPVerifier 3.4.0, FWSS 1.3.1; spec chain, sections 2.7 and 6.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

from eth_abi.abi import decode as abi_decode
from eth_abi.exceptions import DecodingError

from fpin.devnet.provider.commp import Piece
from fpin.devnet.provider.datasets import AddedPiece, DataSets
from fpin.devnet.provider.node import Node, NodeError, NodeSilent, Signed, calldata
from fpin.values import dataclass

ZERO_ADDRESS = "0x" + "00" * 20
INDEXING_KEY = "withIPFSIndexing"
PDP_PRODUCT = 0

_CREATE_TUPLE = ["address", "uint256", "string[]", "string[]", "bytes"]
_DATA_SET_INFO = "(" + ",".join(
    ["uint256"] * 3 + ["address"] * 3 + ["uint256"] * 4 + ["uint96"] * 2 + ["uint256"]
) + ")"  # fmt: skip
_PROVIDER = (
    "(uint256,(address,address,string,string,bool),(uint8,string[],bool),bytes[])"  # getProviderWithProduct
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When data sets of the service are proven; epochs."""

    challenge_window: int
    challenges: int
    first_window: int  # start of the first window of a set that begins to be proven now


@dataclass(frozen=True, slots=True, kw_only=True)
class Creation:
    """The part of a create ``extraData`` that the provider looks at."""

    payer: str
    keys: tuple[str, ...]


def decode_creation(extra_data: bytes, *, combined: bool) -> Creation:
    """Read the create tuple; *combined*: it is the first half of a create-and-add. ValueError otherwise."""
    try:
        create = abi_decode(["bytes", "bytes"], extra_data)[0] if combined else extra_data
        payer, _, keys, _, _ = abi_decode(_CREATE_TUPLE, create)
    except (DecodingError, UnicodeDecodeError, OverflowError) as exc:
        raise ValueError(f"decode createPayload: {exc}") from exc
    return Creation(payer=payer, keys=tuple(keys))


def wants_indexing(extra_data: bytes, *, combined: bool) -> bool:
    """Whether the new data set is to be indexed; what cannot be decoded counts as no."""
    try:
        return INDEXING_KEY in decode_creation(extra_data, combined=combined).keys
    except ValueError:
        return False


class Onchain:
    """The contracts seen by one provider."""

    def __init__(self, node: Node, data_sets: DataSets) -> None:
        self.node = node
        self._data_sets = data_sets
        self._verifier = node.contracts.verifier
        self._service = node.contracts.service
        self._registry = node.contracts.registry

    def is_record_keeper(self, address: str) -> bool:
        return address.lower() == self._service.lower()

    # Sent

    def create(self, extra_data: bytes, *, indexing: bool) -> str:
        data = calldata("createDataSet(address,bytes)", self._service, extra_data)

        def record(signed: Signed) -> None:
            self._data_sets.create_sent(signed, [], indexing=indexing)

        return self._send(self._verifier, data, record, value=self.cleanup_deposit())

    def create_and_add(self, extra_data: bytes, added: Sequence[AddedPiece], *, indexing: bool) -> str:
        data = self._add_call(0, [each.piece for each in added], extra_data)

        def record(signed: Signed) -> None:
            self._data_sets.create_sent(signed, added, indexing=indexing)

        return self._send(self._verifier, data, record, value=self.cleanup_deposit())

    def add(self, data_set: int, extra_data: bytes, added: Sequence[AddedPiece], *, indexing: bool) -> str:
        data = self._add_call(data_set, [each.piece for each in added], extra_data)

        def record(signed: Signed) -> None:
            self._data_sets.add_sent(signed, data_set, added, indexing=indexing)

        return self._send(self._verifier, data, record)

    def check_add(self, data_set: int, extra_data: bytes, pieces: Sequence[Piece]) -> None:
        """Raise NodeError when an add with this *extra_data* would revert now; sends nothing."""
        value = 0 if data_set else self.cleanup_deposit()
        self.node.simulate(self._verifier, self._add_call(data_set, pieces, extra_data), value)

    def _add_call(self, data_set: int, pieces: Sequence[Piece], extra_data: bytes) -> bytes:
        listener = ZERO_ADDRESS if data_set else self._service
        cids = [(piece.binary,) for piece in pieces]
        return calldata("addPieces(uint256,address,(bytes)[],bytes)", data_set, listener, cids, extra_data)

    def schedule_removal(self, data_set: int, piece_ids: Sequence[int], extra_data: bytes) -> str:
        data = calldata("schedulePieceDeletions(uint256,uint256[],bytes)", data_set, piece_ids, extra_data)

        def record(signed: Signed) -> None:
            self._data_sets.removal_sent(signed, data_set, piece_ids)

        return self._send(self._verifier, data, record)

    def terminate(self, data_set: int, extra_data: bytes) -> str:
        data = calldata("terminateService(uint256,bytes)", data_set, extra_data)

        def record(signed: Signed) -> None:
            self._data_sets.termination_sent(signed, data_set)

        return self._send(self._service, data, record)

    def settle_and_delete(self, data_set: int) -> None:
        """Take the last payment, when there is one, and ask for the deletion of an ended data set."""
        with contextlib.suppress(NodeError):  # settled already
            rail = self._info(data_set)[0]
            (pay,) = self.node.read(self._service, "paymentsContractAddress()", [], ["address"])
            data = calldata("settleRail(uint256,uint256)", rail, self.node.head())
            self._send(pay, data, self._data_sets.sent)
        data = calldata("deleteDataSet(uint256,bytes)", data_set, b"")
        self._send(self._verifier, data, self._data_sets.sent)

    def next_proving_period(self, data_set: int, epoch: int, record: Callable[[Signed], None]) -> str:
        data = calldata("nextProvingPeriod(uint256,uint256,bytes)", data_set, epoch, b"")
        return self._send(self._verifier, data, record)

    def prove(
        self, data_set: int, proofs: Sequence[tuple[bytes, Sequence[bytes]]], record: Callable[[Signed], None]
    ) -> str:
        data = calldata("provePossession(uint256,(bytes32,bytes32[])[])", data_set, proofs)
        # What is too much comes back; the fee depends on the block that includes the call.
        return self._send(self._verifier, data, record, value=3 * self.proof_fee(data_set))

    def update_product(self, keys: Sequence[str], values: Sequence[bytes]) -> str:
        data = calldata("updateProduct(uint8,string[],bytes[])", PDP_PRODUCT, keys, values)
        return self._send(self._registry, data, self._data_sets.sent)

    def _send(self, to: str, data: bytes, record: Callable[[Signed], None], *, value: int = 0) -> str:
        recorded: list[str] = []

        def remember(signed: Signed) -> None:
            record(signed)
            recorded.append(signed.hash)

        try:
            return self.node.send(to, data, remember, value=value)
        except NodeSilent:
            raise  # perhaps it was sent: the record stays and is followed up
        except NodeError:
            for tx in recorded:
                self._data_sets.refused(tx)
            raise

    # Read

    def cleanup_deposit(self) -> int:
        """attoFIL that a creation must carry; it comes back when the data set is deleted."""
        return self._one(self._verifier, "FIL_CLEANUP_DEPOSIT()", [], "uint256")

    def proof_fee(self, data_set: int) -> int:
        return self._one(self._verifier, "calculateProofFee(uint256)", [data_set], "uint256")

    def leaf_count(self, data_set: int) -> int:
        return self._one(self._verifier, "getDataSetLeafCount(uint256)", [data_set], "uint256")

    def challenge_range(self, data_set: int) -> int:
        return self._one(self._verifier, "getChallengeRange(uint256)", [data_set], "uint256")

    def next_challenge_epoch(self, data_set: int) -> int:
        return self._one(self._verifier, "getNextChallengeEpoch(uint256)", [data_set], "uint256")

    def next_window(self, data_set: int) -> int | None:
        """Epoch of the next challenge window's start; None: the set was never proven (the view reverts)."""
        try:
            return self._one(self.node.view, "nextPDPChallengeWindowStart(uint256)", [data_set], "uint256")
        except NodeSilent:
            raise
        except NodeError:
            return None

    def randomness(self, epoch: int) -> int:
        return self._one(self._verifier, "getRandomness(uint256)", [epoch], "uint256")

    def _one(self, to: str, signature: str, arguments: Sequence[object], returns: str) -> int:
        return int(self.node.read(to, signature, arguments, [returns])[0])

    def schedule(self) -> Schedule:
        _, window, challenges, first = self.node.read(
            self.node.view, "getPDPConfig()", [], ["uint64", "uint256", "uint256", "uint256"]
        )
        return Schedule(challenge_window=window, challenges=challenges, first_window=first)

    def find_leaves(self, data_set: int, leaves: Sequence[int]) -> list[tuple[int, int]]:
        """(piece id, leaf inside that piece) of each leaf of the set."""
        (found,) = self.node.read(
            self._verifier, "findPieceIds(uint256,uint256[])", [data_set, leaves], ["(uint256,uint256)[]"]
        )
        return [(piece_id, offset) for piece_id, offset in found]

    def live(self, data_set: int) -> bool:
        return bool(self.node.read(self._verifier, "dataSetLive(uint256)", [data_set], ["bool"])[0])

    def piece_live(self, data_set: int, piece_id: int) -> bool:
        arguments = [data_set, piece_id]
        return bool(self.node.read(self._verifier, "pieceLive(uint256,uint256)", arguments, ["bool"])[0])

    def scheduled_removals(self, data_set: int) -> set[int]:
        (ids,) = self.node.read(self._verifier, "getScheduledRemovals(uint256)", [data_set], ["uint256[]"])
        return set(ids)

    def payer_and_end(self, data_set: int) -> tuple[str, int]:
        """(payer, epoch at which payment ends; 0 while it does not) of a data set."""
        info = self._info(data_set)
        return str(info[3]), int(info[8])

    def _info(self, data_set: int) -> tuple[Any, ...]:
        (info,) = self.node.read(self.node.view, "getDataSet(uint256)", [data_set], [_DATA_SET_INFO])
        return tuple(info)

    def has_indexing(self, data_set: int) -> bool:
        found, _ = self.node.read(
            self.node.view, "getDataSetMetadata(uint256,string)", [data_set, INDEXING_KEY], ["bool", "string"]
        )
        return bool(found)

    def supports_termination(self) -> bool:
        """Client-requested termination came with FWSS 1.2.2."""
        (version,) = self.node.read(self._service, "VERSION()", [], ["string"])
        numbers = [int(part) for part in version.lstrip("v").split("-")[0].split(".")]
        return numbers > [1, 2, 1]

    def own_product(self) -> dict[str, bytes] | None:
        """Capabilities of this account's PDP product in the registry; None when it has none."""
        arguments = [self.node.address]
        provider = self._one(self._registry, "getProviderIdByAddress(address)", arguments, "uint256")
        if provider == 0:
            return None
        (record,) = self.node.read(
            self._registry, "getProviderWithProduct(uint256,uint8)", [provider, PDP_PRODUCT], [_PROVIDER]
        )
        return dict(zip(record[2][1], record[3], strict=True))
