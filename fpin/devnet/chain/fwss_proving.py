"""The warm storage service's proving periods: which proof counts, and what unproven epochs are paid.

Follows filecoin-services a16aea49: possessionProven, nextProvingPeriod and validatePayment of
FilecoinWarmStorageService.sol.
"""

from __future__ import annotations

from fpin.devnet.chain.fwss_rails import ServiceRails
from fpin.devnet.chain.fwss_state import CHALLENGES_PER_PROOF
from fpin.devnet.chain.machine import external


class ProvingSchedule(ServiceRails):
    """The part of FilecoinWarmStorageService that watches proofs and arbitrates settlements."""

    verifier_address: str

    def only_verifier(self) -> None:
        if self.sender != self.verifier_address:
            raise self.error("OnlyPDPVerifierAllowed", self.verifier_address, self.sender)

    def not_beyond_end(self, data_set_id: int) -> None:
        end = self.state.info(data_set_id).pdp_end_epoch
        if end and self.epoch > end:
            raise self.error("DataSetPaymentBeyondEndEpoch", data_set_id, end, self.epoch)

    @external("possessionProven")
    def possession_proven(self, data_set_id: int, _leaf_count: int, _seed: int, challenges: int) -> None:
        self.only_verifier()
        self.not_beyond_end(data_set_id)
        state, deadline = self.state, self.state.deadlines[data_set_id]
        if state.proven_now[data_set_id]:
            raise self.error("ProofAlreadySubmitted", data_set_id)
        if challenges < CHALLENGES_PER_PROOF:
            raise self.error("InvalidChallengeCount", data_set_id, CHALLENGES_PER_PROOF, challenges)
        if deadline == 0:
            raise self.error("ProvingNotStarted", data_set_id)
        if deadline < self.epoch:
            raise self.error("ProvingPeriodPassed", data_set_id, deadline, self.epoch)
        window_start = deadline - state.settings.challenge_window
        if window_start > self.epoch:
            raise self.error("ChallengeWindowTooEarly", data_set_id, window_start, self.epoch)
        state.proven_now[data_set_id] = True
        state.proven[data_set_id, state.period_of(data_set_id, self.epoch)] = True

    @external("nextProvingPeriod")
    def next_proving_period(
        self, data_set_id: int, challenge_epoch: int, leaf_count: int, _extra_data: bytes
    ) -> None:
        self.only_verifier()
        self.not_beyond_end(data_set_id)
        state, deadline = self.state, self.state.deadlines[data_set_id]
        if deadline == 0:
            state.deadlines[data_set_id] = self._first_deadline(data_set_id, challenge_epoch)
        else:
            state.deadlines[data_set_id] = self._roll_over(data_set_id, deadline, challenge_epoch)
            state.proven_now[data_set_id] = False
        # Additions have set their rate already; only removals and unpaid fees are left to account for.
        removed = self.forget_removed_pieces(data_set_id)
        info = state.info(data_set_id)
        pending = info.pending_payments
        if removed or pending:
            self.update_rate(data_set_id, info, leaf_count, pending)

    def _first_deadline(self, data_set_id: int, challenge_epoch: int) -> int:
        """Start proving; after an empty stretch, on the periods of old."""
        period = self.state.settings.max_proving_period
        activation = self.state.activation[data_set_id]
        if activation == 0:
            self.state.activation[data_set_id] = activation = self.epoch
            deadline = activation + period
        else:
            if challenge_epoch <= activation:
                window = activation + 1, activation + period
                raise self.error("InvalidChallengeEpoch", data_set_id, *window, challenge_epoch)
            number = self.state.period_of(data_set_id, self.epoch + period)
            deadline = self._deadline_of(activation, number)
        self._check_challenge(data_set_id, deadline, challenge_epoch)
        return deadline

    def _roll_over(self, data_set_id: int, deadline: int, challenge_epoch: int) -> int:
        period = self.state.settings.max_proving_period
        if self.epoch <= deadline - period:
            raise self.error("NextProvingPeriodAlreadyCalled", data_set_id, deadline - period, self.epoch)
        skipped = 0 if self.epoch <= deadline else (self.epoch - deadline - 1) // period
        next_deadline = 0  # an empty data set has none
        if challenge_epoch:
            next_deadline = deadline + period * (skipped + 1)
            self._check_challenge(data_set_id, next_deadline, challenge_epoch)
        faults = skipped + (0 if self.state.proven_now[data_set_id] else 1)
        if faults:
            self.emit("FaultRecord", data_set_id, faults, deadline)
        return next_deadline

    def _check_challenge(self, data_set_id: int, deadline: int, challenge_epoch: int) -> None:
        start = deadline - self.state.settings.challenge_window
        if not start <= challenge_epoch <= deadline:
            raise self.error("InvalidChallengeEpoch", data_set_id, start, deadline, challenge_epoch)

    def _deadline_of(self, activation: int, number: int) -> int:
        return activation + (number + 1) * self.state.settings.max_proving_period

    def forget_removed_pieces(self, data_set_id: int) -> bool:
        """Delete the metadata of pieces whose removal was scheduled; tell whether there were any."""
        removed = self.state.removals[data_set_id]
        for piece_id in removed:
            self.state.piece_metadata.clear((data_set_id, piece_id))
        del self.state.removals[data_set_id]
        return bool(removed)

    # Settlement

    @external("validatePayment")
    def validate_payment(
        self, rail_id: int, proposed: int, from_epoch: int, to_epoch: int, _rate: int
    ) -> tuple[int, int, str]:
        """Return (amount, settled up to, note); proven epochs are paid, faulted pass unpaid, open wait."""
        data_set_id = self.state.rail_to_data_set[rail_id]
        if data_set_id == 0:
            return 0, to_epoch, "Rail not associated with a data set"
        if to_epoch <= from_epoch:
            raise self.error("InvalidEpochRange", from_epoch, to_epoch)
        activation = self.state.activation[data_set_id]
        if activation == 0 or to_epoch <= activation:
            return 0, to_epoch, "No proving activity"
        proven, until = self._proven_epochs(data_set_id, from_epoch, to_epoch, activation)
        if proven == 0:
            return 0, until, "No proven epochs in the requested range"
        return proposed * proven // (to_epoch - from_epoch), until, ""

    def _proven_epochs(
        self, data_set_id: int, from_epoch: int, to_epoch: int, activation: int
    ) -> tuple[int, int]:
        if to_epoch > self.epoch:
            raise self.error("InvalidEpochRange", from_epoch, to_epoch)
        length = self.state.settings.max_proving_period
        start = max(from_epoch, activation)
        proven, until = 0, start
        first = self.state.period_of(data_set_id, start + 1)
        for number in range(first, self.state.period_of(data_set_id, to_epoch) + 1):
            deadline = self._deadline_of(activation, number)
            if self.state.proven[data_set_id, number]:
                until = min(to_epoch, deadline)
                proven += until - max(deadline - length, start)
            elif deadline < self.epoch:
                until = min(to_epoch, deadline)
        return proven, until
