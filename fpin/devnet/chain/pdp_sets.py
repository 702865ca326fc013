"""PDPVerifier 3.4.0, what it keeps and tells: data sets, their pieces, who is told of changes.

Follows FilOzone/pdp v3.4.0, PDPVerifier.sol; what changes them is in `pdp_verifier`. The contract's sum
tree is a plain walk over the pieces here: the answers are the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

from fpin.devnet.chain.machine import PANIC_ARITHMETIC, ZERO, Contract, Machine, Revert, external
from fpin.devnet.chain.pieces import MAX_HEIGHT
from fpin.devnet.chain.storage import Field, Mapping, Record

VERSION = "3.4.0"
MAX_ENQUEUED_REMOVALS = 2000
INACTIVITY_WINDOW = 86400
MAX_FINALITY = INACTIVITY_WINDOW // 2
CLEANUP_DEPOSIT = 10**17  # 0.1 FIL
FEE_PER_TIB = 230_000 * 10**9  # attoFIL for proving one TiB
IN_CLEANUP = 2**256 - 1  # stands in next_challenge_epoch

Cid = tuple[bytes]  # struct Cid { bytes data; }
Page = tuple[list[Cid], list[int], bool]


@runtime_checkable
class Listener(Protocol):
    """The service a data set belongs to; it may refuse any step by reverting."""

    def data_set_created(self, data_set_id: int, provider: str, extra_data: bytes, /) -> None: ...
    def data_set_deleted(self, data_set_id: int, leaf_count: int, extra_data: bytes, /) -> None: ...
    def pieces_added(
        self, data_set_id: int, first_added: int, pieces: tuple[Cid, ...], extra_data: bytes, /
    ) -> None: ...
    def pieces_scheduled_remove(
        self, data_set_id: int, piece_ids: tuple[int, ...], extra_data: bytes, /
    ) -> None: ...
    def possession_proven(self, data_set_id: int, leaf_count: int, seed: int, challenges: int, /) -> None: ...
    def next_proving_period(
        self, data_set_id: int, challenge_epoch: int, leaf_count: int, extra_data: bytes, /
    ) -> None: ...
    def storage_provider_changed(
        self, data_set_id: int, old: str, new: str, extra_data: bytes, /
    ) -> None: ...


class DataSet(Record):
    provider = Field(ZERO)
    proposed_provider = Field(ZERO)
    listener = Field(ZERO)
    leaf_count = Field(0)
    challenge_range = Field(0)
    next_challenge_epoch = Field(0)  # 0: nothing scheduled
    last_proven_epoch = Field(0)
    next_piece_id = Field(0)
    removals = Field[tuple[int, ...]](())
    cleanup_deposit = Field(0)
    cleanup_epoch = Field(0)

    @property
    def exists(self) -> bool:
        return self.provider != ZERO

    @property
    def live(self) -> bool:
        return self.exists and self.next_challenge_epoch != IN_CLEANUP


class Counter(Record):
    data_sets = Field(0)


class PieceSets(Contract):
    """The part of PDPVerifier that only reads."""

    name = "pdp_verifier"
    groups = ("PDPVerifier",)

    def __init__(self, machine: Machine, address: str, *, challenge_finality: int, seed: bytes) -> None:
        super().__init__(machine, address)
        self.challenge_finality = challenge_finality
        self.seed = seed  # stands in for the chain's randomness beacon
        self.counter = Counter(self.storage, self.name)
        # (data set, piece id) -> (binary CID, leaf count); gone when removed
        self.pieces: Mapping[tuple[bytes, int]] = Mapping(self.storage, (self.name, "piece"), (b"", 0))

    def data_set(self, set_id: int) -> DataSet:
        return DataSet(self.storage, self.name, "set", set_id)

    def live(self, set_id: int) -> DataSet:
        data_set = self.data_set(set_id)
        if not data_set.live:
            raise self.error("DataSetNotLive")
        return data_set

    def existing(self, set_id: int) -> DataSet:
        data_set = self.data_set(set_id)
        if not data_set.exists:
            raise self.error("DataSetNotFound")
        return data_set

    def find_leaf(self, set_id: int, leaf_index: int) -> tuple[int, int]:
        """Return (piece id, offset in that piece) of a leaf of the whole set."""
        if leaf_index >= self.data_set(set_id).leaf_count:
            raise Revert.text("Leaf index out of bounds")
        for piece_id, _, leaf_count in self.active(set_id):
            if leaf_index < leaf_count:
                return piece_id, leaf_index
            leaf_index -= leaf_count
        raise AssertionError("leaf count and pieces disagree")

    # Reading: one data set

    @external("dataSetLive")
    def data_set_live(self, set_id: int) -> bool:
        return self.data_set(set_id).live

    @external("getDataSetListener")
    def get_data_set_listener(self, set_id: int) -> str:
        return self.live(set_id).listener

    @external("getDataSetStorageProvider")
    def get_data_set_storage_provider(self, set_id: int) -> tuple[str, str]:
        data_set = self.live(set_id)
        return data_set.provider, data_set.proposed_provider

    @external("getDataSetLeafCount")
    def get_data_set_leaf_count(self, set_id: int) -> int:
        return self.live(set_id).leaf_count

    @external("getDataSetLastProvenEpoch")
    def get_data_set_last_proven_epoch(self, set_id: int) -> int:
        return self.live(set_id).last_proven_epoch

    @external("getChallengeRange")
    def get_challenge_range(self, set_id: int) -> int:
        return self.live(set_id).challenge_range

    @external("getScheduledRemovals")
    def get_scheduled_removals(self, set_id: int) -> tuple[int, ...]:
        return self.live(set_id).removals

    @external("getNextPieceId")
    def get_next_piece_id(self, set_id: int) -> int:
        return self.existing(set_id).next_piece_id

    @external("getNextChallengeEpoch")
    def get_next_challenge_epoch(self, set_id: int) -> int:
        return self.existing(set_id).next_challenge_epoch

    @external("getNextDataSetId")
    def get_next_data_set_id(self) -> int:
        return self.counter.data_sets + 1

    # Reading: pieces

    def active(self, set_id: int, start: int = 0) -> Iterator[tuple[int, bytes, int]]:
        """Yield (piece id, CID, leaf count) of the pieces that are there, by id."""
        for piece_id in range(start, self.data_set(set_id).next_piece_id):
            cid, leaf_count = self.pieces[set_id, piece_id]
            if leaf_count:
                yield piece_id, cid, leaf_count

    @external("getPieceCid")
    def get_piece_cid(self, set_id: int, piece_id: int) -> Cid:
        self.live(set_id)
        return (self.pieces[set_id, piece_id][0],)

    @external("getPieceLeafCount")
    def get_piece_leaf_count(self, set_id: int, piece_id: int) -> int:
        self.live(set_id)
        return self.pieces[set_id, piece_id][1]

    @external("pieceLive")
    def piece_live(self, set_id: int, piece_id: int) -> bool:
        return self.data_set(set_id).live and self.pieces[set_id, piece_id][1] > 0

    @external("pieceChallengable")
    def piece_challengable(self, set_id: int, piece_id: int) -> bool:
        challenge_range = self.data_set(set_id).challenge_range
        if challenge_range == 0:
            raise Revert.panic(PANIC_ARITHMETIC)
        last, offset = self.find_leaf(set_id, challenge_range - 1)
        if offset != self.pieces[set_id, last][1] - 1:
            raise Revert.text("challengeRange -1 should align with the very last leaf of a piece")
        return self.piece_live(set_id, piece_id) and piece_id <= last

    @external("getActivePieceCount")
    def get_active_piece_count(self, set_id: int) -> int:
        self.live(set_id)
        return sum(1 for _ in self.active(set_id))

    @external("getActivePieces")
    def get_active_pieces(self, set_id: int, offset: int, limit: int) -> Page:
        self._check_limit(set_id, limit)
        active = [(piece_id, cid) for piece_id, cid, _ in self.active(set_id)]
        return _page(active[offset:], limit)

    @external("getActivePiecesByCursor")
    def get_active_pieces_by_cursor(self, set_id: int, start: int, limit: int) -> Page:
        self._check_limit(set_id, limit)
        return _page([(piece_id, cid) for piece_id, cid, _ in self.active(set_id, start)], limit)

    @external("findPieceIdsByCid")
    def find_piece_ids_by_cid(self, set_id: int, cid: Cid, start: int, limit: int) -> list[int]:
        self._check_limit(set_id, limit)
        return [n for n, data, _ in self.active(set_id, start) if data == cid[0]][:limit]

    @external("findPieceIds")
    def find_piece_ids(self, set_id: int, leaf_indexes: tuple[int, ...]) -> list[tuple[int, int]]:
        return [self.find_leaf(set_id, index) for index in leaf_indexes]

    def _check_limit(self, set_id: int, limit: int) -> None:
        self.live(set_id)
        if limit == 0:
            raise Revert.text("Limit must be greater than 0")

    # Constants

    @external("VERSION")
    def version(self) -> str:
        return VERSION

    @external("MAX_PIECE_SIZE_LOG2")
    def max_piece_size_log2(self) -> int:
        return MAX_HEIGHT

    @external("MAX_ENQUEUED_REMOVALS")
    def max_enqueued_removals(self) -> int:
        return MAX_ENQUEUED_REMOVALS

    @external("INACTIVITY_WINDOW")
    def inactivity_window(self) -> int:
        return INACTIVITY_WINDOW

    @external("FIL_CLEANUP_DEPOSIT")
    def fil_cleanup_deposit(self) -> int:
        return CLEANUP_DEPOSIT

    @external("getChallengeFinality")
    def get_challenge_finality(self) -> int:
        return self.challenge_finality


def _page(active: list[tuple[int, bytes]], limit: int) -> Page:
    page = active[:limit]
    return [(cid,) for _, cid in page], [piece_id for piece_id, _ in page], len(active) > limit
