"""PDPVerifier 3.4.0: creating data sets, adding and removing pieces, challenges and proofs.

Follows FilOzone/pdp v3.4.0, PDPVerifier.sol, in the order of its checks; what it keeps and tells is in
`pdp_sets`. Upgrades, fee changes and data sets older than 3.4 are left out.
"""

from __future__ import annotations

from eth_utils.crypto import keccak

from fpin.devnet.chain import abi
from fpin.devnet.chain.machine import BURN, ZERO, Revert, external
from fpin.devnet.chain.pdp_sets import (
    CLEANUP_DEPOSIT,
    FEE_PER_TIB,
    IN_CLEANUP,
    INACTIVITY_WINDOW,
    MAX_ENQUEUED_REMOVALS,
    MAX_FINALITY,
    Cid,
    DataSet,
    Listener,
    PieceSets,
)
from fpin.devnet.chain.pieces import MAX_HEIGHT, parse_piece_cid, verify_proof


class PDPVerifier(PieceSets):
    def _listener(self, data_set: DataSet) -> Listener | None:
        if data_set.listener == ZERO:
            return None
        contract: object = self.machine.contracts.get(data_set.listener)
        if not isinstance(contract, Listener):
            raise Revert  # Solidity refuses to call an address without that code
        return contract

    # Creating, adding

    @external("createDataSet")
    def create_data_set(self, listener: str, extra_data: bytes) -> int:
        set_id = self._create(listener, extra_data)
        self._take_deposit(set_id)
        return set_id

    def _create(self, listener_address: str, extra_data: bytes) -> int:
        self.counter.data_sets += 1
        set_id = self.counter.data_sets
        data_set = self.data_set(set_id)
        data_set.provider, data_set.listener = self.sender, listener_address
        data_set.last_proven_epoch = self.epoch
        if listener := self._listener(data_set):
            self.call(listener.data_set_created, set_id, self.sender, extra_data)
        self.emit("DataSetCreated", set_id, self.sender)
        return set_id

    def _take_deposit(self, set_id: int) -> None:
        if self.value < CLEANUP_DEPOSIT:
            raise self.error("CleanupDepositRequired")
        self.data_set(set_id).cleanup_deposit = CLEANUP_DEPOSIT
        self.machine.transfer(self.address, self.sender, self.value - CLEANUP_DEPOSIT)

    @external("addPieces")
    def add_pieces(self, set_id: int, listener: str, pieces: tuple[Cid, ...], extra_data: bytes) -> int:
        """Return the first new piece id, or the new data set's id when *set_id* is 0."""
        if set_id == 0:
            return self._create_and_add(listener, pieces, extra_data)
        if listener != ZERO:
            raise Revert.text("listener must be zero for existing dataset")
        if self.value:
            raise Revert.text("no fee on add to existing dataset")
        if self.live(set_id).provider != self.sender:
            raise Revert.text("Only the storage provider can add pieces")
        return self._add(set_id, pieces, extra_data)

    def _create_and_add(self, listener: str, pieces: tuple[Cid, ...], extra_data: bytes) -> int:
        try:
            create_data, add_data = abi.decode(["bytes", "bytes"], extra_data)
        except abi.Malformed:
            raise Revert from None
        assert isinstance(create_data, bytes)
        assert isinstance(add_data, bytes)
        if listener == ZERO:
            raise Revert.text("listener required for new dataset")
        set_id = self._create(listener, create_data)
        if pieces:
            self._add(set_id, pieces, add_data)
        self._take_deposit(set_id)
        return set_id

    def _add(self, set_id: int, pieces: tuple[Cid, ...], extra_data: bytes) -> int:
        if not pieces:
            raise Revert.text("Must add at least one piece")
        data_set = self.data_set(set_id)
        first = data_set.next_piece_id
        for index, (cid,) in enumerate(pieces):
            self._add_one(set_id, data_set, index, cid)
        self.emit("PiecesAdded", set_id, list(range(first, first + len(pieces))), pieces)
        if listener := self._listener(data_set):
            self.call(listener.pieces_added, set_id, first, pieces, extra_data)
        return first

    def _add_one(self, set_id: int, data_set: DataSet, index: int, cid: bytes) -> None:
        shape = parse_piece_cid(cid)
        if shape.padding_excessive:
            raise self.error("IndexedError", index, "Padding is too large")
        if shape.height > MAX_HEIGHT:
            raise self.error("IndexedError", index, "Piece size must be less than 2^50")
        self.pieces[set_id, data_set.next_piece_id] = (cid, shape.leaf_count)
        data_set.next_piece_id += 1
        data_set.leaf_count += shape.leaf_count

    # Removing

    @external("schedulePieceDeletions")
    def schedule_piece_deletions(self, set_id: int, piece_ids: tuple[int, ...], extra_data: bytes) -> None:
        data_set = self.live(set_id)
        if data_set.provider != self.sender:
            raise Revert.text("Only the storage provider can schedule removal of pieces")
        if len(piece_ids) + len(data_set.removals) > MAX_ENQUEUED_REMOVALS:
            raise Revert.text("Too many removals wait for next proving period to schedule")
        queued = set(data_set.removals)
        for piece_id in piece_ids:
            if piece_id >= data_set.next_piece_id:
                raise Revert.text("Can only schedule removal of existing pieces")
            if not self.pieces[set_id, piece_id][1]:
                raise Revert.text("Can only schedule removal of live pieces")
            if piece_id in queued:
                raise Revert.text("Piece ID already scheduled for removal")
            queued.add(piece_id)
        data_set.removals = (*data_set.removals, *piece_ids)
        if listener := self._listener(data_set):
            self.call(listener.pieces_scheduled_remove, set_id, piece_ids, extra_data)

    def _remove_scheduled(self, set_id: int, data_set: DataSet) -> None:
        removals = data_set.removals
        if not removals:
            return
        data_set.removals = ()
        for piece_id in removals:
            data_set.leaf_count -= self.pieces[set_id, piece_id][1]
            del self.pieces[set_id, piece_id]
        self.emit("PiecesRemoved", set_id, removals)

    @external("deleteDataSet")
    def delete_data_set(self, set_id: int, extra_data: bytes) -> None:
        data_set = self.data_set(set_id)
        if not data_set.exists:
            raise self.error("DataSetNotLive")
        if not data_set.live:
            raise self.error("DataSetAlreadyInCleanup")
        inactive = self.epoch > data_set.last_proven_epoch + INACTIVITY_WINDOW
        if not inactive and self.sender != data_set.provider:
            raise self.error("OnlyStorageProviderCanDelete")
        leaf_count, data_set.leaf_count = data_set.leaf_count, 0
        if listener := self._listener(data_set):
            self.call(listener.data_set_deleted, set_id, leaf_count, extra_data)
        self.emit("DataSetDeleted", set_id, leaf_count)
        if data_set.next_piece_id == 0:
            self._finish_cleanup(data_set)
        else:
            data_set.next_challenge_epoch, data_set.cleanup_epoch = IN_CLEANUP, self.epoch

    @external("cleanupPieces")
    def cleanup_pieces(self, set_id: int, max_pieces: int) -> bool:
        """Delete up to *max_pieces* of a deleted data set; True when none is left."""
        if max_pieces == 0:
            raise self.error("MaxPiecesMustBePositive")
        data_set = self.data_set(set_id)
        if data_set.next_challenge_epoch != IN_CLEANUP:
            raise self.error("DataSetNotInCleanupMode")
        inactive = self.epoch > data_set.cleanup_epoch + INACTIVITY_WINDOW
        if not inactive and self.sender != data_set.provider:
            raise self.error("OnlyStorageProviderCanCleanupPieces")
        count = data_set.next_piece_id
        left = max(count - max_pieces, 0)
        for piece_id in range(left, count):
            del self.pieces[set_id, piece_id]
        data_set.next_piece_id = left
        if left == 0:
            self._finish_cleanup(data_set)
        return left == 0

    def _finish_cleanup(self, data_set: DataSet) -> None:
        deposit = data_set.cleanup_deposit
        data_set.clear()
        self.machine.transfer(self.address, self.sender, deposit)

    # Handing a data set to another provider

    @external("proposeDataSetStorageProvider")
    def propose_storage_provider(self, set_id: int, new_provider: str) -> None:
        data_set = self.live(set_id)
        if data_set.provider != self.sender:
            raise Revert.text("Only the current storage provider can propose a new storage provider")
        data_set.proposed_provider = ZERO if new_provider == self.sender else new_provider

    @external("claimDataSetStorageProvider")
    def claim_storage_provider(self, set_id: int, extra_data: bytes) -> None:
        data_set = self.live(set_id)
        if data_set.proposed_provider != self.sender:
            raise Revert.text("Only the proposed storage provider can claim storage provider role")
        old = data_set.provider
        data_set.provider, data_set.proposed_provider = self.sender, ZERO
        self.emit("StorageProviderChanged", set_id, old, self.sender)
        if listener := self._listener(data_set):
            self.call(listener.storage_provider_changed, set_id, old, self.sender, extra_data)

    # Proving

    @external("nextProvingPeriod")
    def next_proving_period(self, set_id: int, challenge_epoch: int, extra_data: bytes) -> None:
        data_set = self.data_set(set_id)
        if self.sender != data_set.provider:
            raise Revert.text("only the storage provider can move to next proving period")
        if data_set.leaf_count == 0:
            raise Revert.text("can only start proving once leaves are added")
        self._remove_scheduled(set_id, data_set)
        data_set.challenge_range = data_set.leaf_count
        # The contract subtracts unchecked: an epoch in the past is a huge delay.
        delay = (challenge_epoch - self.epoch) % 2**256
        if delay < self.challenge_finality:
            raise self.error("InsufficientChallengeDelay", delay, self.challenge_finality)
        if delay > MAX_FINALITY:
            raise self.error("ExcessiveChallengeDelay", delay, MAX_FINALITY)
        data_set.next_challenge_epoch = challenge_epoch
        if data_set.leaf_count == 0:
            self.emit("DataSetEmpty", set_id)
            data_set.last_proven_epoch, data_set.next_challenge_epoch = self.epoch, 0
        if listener := self._listener(data_set):
            self.call(
                listener.next_proving_period,
                set_id,
                data_set.next_challenge_epoch,
                data_set.leaf_count,
                extra_data,
            )
        self.emit("NextProvingPeriod", set_id, challenge_epoch, data_set.leaf_count)

    @external("provePossession")
    def prove_possession(self, set_id: int, proofs: tuple[tuple[bytes, tuple[bytes, ...]], ...]) -> None:
        data_set = self.data_set(set_id)
        if self.sender != data_set.provider:
            raise Revert.text("Only the storage provider can prove possession")
        if not proofs:
            raise Revert.text("empty proof")
        if self.epoch < data_set.next_challenge_epoch:
            raise Revert.text("premature proof")
        if data_set.next_challenge_epoch == 0:
            raise Revert.text("no challenge scheduled")
        seed = self.get_randomness(data_set.next_challenge_epoch)
        challenges = self._verify(set_id, data_set, seed, proofs)
        refund = self._burn_proof_fee(set_id)
        data_set.last_proven_epoch = self.epoch
        if listener := self._listener(data_set):
            self.call(listener.possession_proven, set_id, data_set.leaf_count, seed, len(proofs))
        self.emit("PossessionProven", set_id, challenges)
        self.machine.transfer(self.address, self.sender, refund)

    def _verify(
        self,
        set_id: int,
        data_set: DataSet,
        seed: int,
        proofs: tuple[tuple[bytes, tuple[bytes, ...]], ...],
    ) -> list[tuple[int, int]]:
        challenges = []
        for index, (leaf, siblings) in enumerate(proofs):
            payload = seed.to_bytes(32, "big") + set_id.to_bytes(32, "big") + index.to_bytes(8, "big")
            leaf_index = int.from_bytes(keccak(payload), "big") % data_set.challenge_range
            piece_id, offset = self.find_leaf(set_id, leaf_index)
            cid = self.pieces[set_id, piece_id][0]
            if not verify_proof(cid, leaf, siblings, offset):
                raise Revert.text("proof did not verify")
            challenges.append((piece_id, offset))
        return challenges

    def _burn_proof_fee(self, set_id: int) -> int:
        """Burn the fee for the set's challengeable size; return what was sent too much."""
        fee = self.calculate_proof_fee(set_id)
        if self.value < fee:
            raise Revert.text("Incorrect fee amount")
        self.machine.transfer(self.address, BURN, fee)
        self.emit("ProofFeePaid", set_id, fee)
        return self.value - fee

    @external("getRandomness")
    def get_randomness(self, epoch: int) -> int:
        """Return the beacon's value of a past epoch; nobody knows a future one."""
        if epoch > self.epoch:
            raise Revert
        return int.from_bytes(keccak(self.seed + epoch.to_bytes(32, "big")), "big")

    @external("calculateProofFee")
    def calculate_proof_fee(self, set_id: int) -> int:
        return self.calculate_proof_fee_for_size(32 * self.data_set(set_id).challenge_range)

    @external("calculateProofFeeForSize")
    def calculate_proof_fee_for_size(self, size: int) -> int:
        if size == 0:
            raise Revert.text("failed to validate: proof size must be greater than 0")
        return FEE_PER_TIB * size >> 40

    @external("feePerTiB")
    def fee_per_tib(self) -> int:
        return FEE_PER_TIB
