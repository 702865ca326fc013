"""Proving periods: challenges, proofs, removals at the boundary, faults, payment, deletion, abandonment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from eth_utils.crypto import keccak

from tests.devnet.chain.trees import Piece, cid_of_size, make_piece
from tests.devnet.chain.world import (
    FUNDED,
    MONTH,
    OTHER_PROVIDER,
    PAYEE,
    PROVIDER,
    SPONSORED,
    ZERO,
    RpcFailure,
    World,
)

PERIOD, WINDOW, FINALITY, CHALLENGES = 120, 10, 2, 5
PIECES = (make_piece(1, height=3), make_piece(2, height=2), make_piece(3, height=4))
CLIENT_ID = 12


def refused(action: Any, *args: Any, **kwargs: Any) -> str:
    with pytest.raises(RpcFailure) as caught:
        action(*args, **kwargs)
    return caught.value.reason


def store(world: World, pieces: Sequence[Piece] = PIECES) -> None:
    cids = [piece.cid for piece in pieces]
    create = world.create_data(SPONSORED, CLIENT_ID)
    metadata = [[("name", str(n))] for n in range(len(cids))]
    world.create_and_add(create, world.add_data(SPONSORED, CLIENT_ID, 13, cids, metadata), cids)


def schedule(world: World, piece_ids: Sequence[int]) -> dict[str, Any]:
    return world.remove(1, piece_ids, world.removal_data(SPONSORED, CLIENT_ID, piece_ids))


def ask(world: World, name: str, *args: Any) -> Any:
    return world.read(world.at.pdp_verifier, name, *args)


def view(world: World, name: str, *args: Any) -> Any:
    return world.read(world.at.fwss_view, name, *args)


def mine_to(world: World, epoch: int) -> None:
    """Make *epoch* the next block's, so that a transaction sent now runs in it."""
    if epoch - 1 > world.chain.epoch:
        world.chain.mine(epoch - 1 - world.chain.epoch)
    assert world.chain.epoch == epoch - 1


def next_period(world: World, challenge_epoch: int, who: Any = PROVIDER) -> dict[str, Any]:
    return world.send(who, world.at.pdp_verifier, "nextProvingPeriod", 1, challenge_epoch, b"")


def start(world: World) -> int:
    """Activate proving in the next block; return the activation epoch."""
    first = view(world, "getPDPConfig")[3] + 1  # asked one block before it is used
    next_period(world, first)
    return world.chain.epoch


def proofs(
    world: World, pieces: Sequence[Piece] = PIECES, count: int = CHALLENGES
) -> list[tuple[bytes, list[bytes]]]:
    """Answer the challenge of data set 1 from the leaves, by the rules of the protocol."""
    seed = ask(world, "getRandomness", ask(world, "getNextChallengeEpoch", 1))
    answers = []
    for index in range(count):
        payload = seed.to_bytes(32, "big") + (1).to_bytes(32, "big") + index.to_bytes(8, "big")
        leaf = int.from_bytes(keccak(payload), "big") % ask(world, "getChallengeRange", 1)
        for piece in pieces:
            if leaf < len(piece.leaves):
                answers.append(piece.prove(leaf))
                break
            leaf -= len(piece.leaves)
    return answers


def prove(world: World, answers: Any, who: Any = PROVIDER, value: int = 10**9) -> dict[str, Any]:
    return world.send(who, world.at.pdp_verifier, "provePossession", 1, answers, value=value)


def prove_period(world: World, activation: int, number: int) -> None:
    """Prove in the window of period *number* and roll over to the next one."""
    deadline = activation + (number + 1) * PERIOD
    mine_to(world, deadline - 2)
    prove(world, proofs(world))
    mine_to(world, deadline + 1)
    next_period(world, deadline + PERIOD - WINDOW)


# Starting


def test_proving_starts_with_the_first_period(world: World) -> None:
    store(world)
    assert ask(world, "getNextChallengeEpoch", 1) == 0
    assert refused(view, world, "nextPDPChallengeWindowStart", 1) == "ProvingPeriodNotInitialized(1)"
    assert view(world, "getPDPConfig")[:3] == (PERIOD, WINDOW, CHALLENGES)
    activation = start(world)
    assert view(world, "provingActivationEpoch", 1) == activation
    assert view(world, "provingDeadline", 1) == activation + PERIOD
    assert ask(world, "getNextChallengeEpoch", 1) == activation + PERIOD - WINDOW
    assert ask(world, "getChallengeRange", 1) == 8 + 4 + 16
    assert view(world, "nextPDPChallengeWindowStart", 1) == activation + 2 * PERIOD - WINDOW
    assert view(world, "getDataSetStatus", 1) == 1
    assert world.read(world.at.fwss, "getProvingPeriodForEpoch", 1, activation + PERIOD) == 0
    assert world.read(world.at.fwss, "getProvingPeriodForEpoch", 1, activation + PERIOD + 1) == 1


def test_the_first_challenge_must_fall_into_the_window(world: World) -> None:
    store(world)
    following = world.chain.epoch + 1
    first, last = following + PERIOD - WINDOW, following + PERIOD
    for challenge in (first - 1, last + 1):
        said = refused(next_period, world, challenge)
        assert said == f"InvalidChallengeEpoch(1, {first}, {last}, {challenge})"


def test_challenges_too_near_too_far_or_past_are_refused(world: World) -> None:
    store(world)
    following = world.chain.epoch + 1
    assert refused(next_period, world, following + 1) == f"InsufficientChallengeDelay(1, {FINALITY})"
    assert refused(next_period, world, following + 43201) == "ExcessiveChallengeDelay(43201, 43200)"
    assert refused(next_period, world, following - 1).startswith(f"ExcessiveChallengeDelay({2**256 - 1}, ")


def test_an_empty_data_set_cannot_be_proven(world: World) -> None:
    world.create(world.create_data(SPONSORED, CLIENT_ID))
    assert refused(next_period, world, 500) == "can only start proving once leaves are added"
    assert refused(prove, world, [(bytes(32), [])]) == "no challenge scheduled"


def test_only_the_provider_proves(world: World) -> None:
    store(world)
    start(world)
    said = refused(next_period, world, 500, OTHER_PROVIDER)
    assert said == "only the storage provider can move to next proving period"
    said = refused(prove, world, [(bytes(32), [])], OTHER_PROVIDER)
    assert said == "Only the storage provider can prove possession"


# Proving


def test_a_right_proof_is_taken_once_in_its_window(world: World) -> None:
    store(world)
    activation = start(world)
    challenge = activation + PERIOD - WINDOW
    mine_to(world, challenge - 1)
    assert refused(prove, world, [(bytes(32), [])]) == "premature proof"
    world.chain.mine(2)
    receipt = prove(world, proofs(world))
    assert len(world.events(receipt, "PossessionProven")[0]["challenges"]) == CHALLENGES
    assert view(world, "provenThisPeriod", 1) is True
    assert view(world, "provenPeriods", 1, 0) is True
    assert ask(world, "getDataSetLastProvenEpoch", 1) == world.chain.epoch
    assert refused(prove, world, proofs(world)) == "ProofAlreadySubmitted(1)"


def test_the_proof_fee_is_burnt_and_the_rest_returned(world: World) -> None:
    store(world)
    activation = start(world)
    mine_to(world, activation + PERIOD - 2)
    fee = 230_000 * 10**9 * 32 * 28 >> 40
    assert ask(world, "calculateProofFee", 1) == fee
    assert fee > 0
    assert refused(prove, world, proofs(world), value=fee - 1) == "Incorrect fee amount"
    held = world.rpc("eth_getBalance", world.at.pdp_verifier, "latest")
    receipt = prove(world, proofs(world), value=10**18)
    assert world.events(receipt, "ProofFeePaid")[0]["fee"] == fee
    assert world.rpc("eth_getBalance", world.at.pdp_verifier, "latest") == held


@pytest.mark.parametrize("bent", ["leaf", "sibling", "order", "foreign"])
def test_a_wrong_proof_is_refused(world: World, bent: str) -> None:
    store(world)
    activation = start(world)
    mine_to(world, activation + PERIOD - 2)
    answers = proofs(world)
    leaf, siblings = answers[2]
    answers[2] = {
        "leaf": (bytes([leaf[0] ^ 1]) + leaf[1:], siblings),
        "sibling": (leaf, [*siblings[:-1], bytes(32)]),
        "order": (leaf, siblings[::-1]),
        "foreign": Piece(tuple(bytes([9]) * 32 for _ in range(1 << len(siblings)))).prove(0),
    }[bent]
    assert refused(prove, world, answers) == "proof did not verify"
    assert view(world, "provenThisPeriod", 1) is False


def test_a_proof_of_the_wrong_length_or_number_is_refused(world: World) -> None:
    store(world)
    activation = start(world)
    mine_to(world, activation + PERIOD - 2)
    answers = proofs(world)
    said = refused(prove, world, [(answers[0][0], answers[0][1][:-1]), *answers[1:]])
    assert said == "proof length does not match tree height"
    assert refused(prove, world, answers[:4]) == f"InvalidChallengeCount(1, {CHALLENGES}, 4)"
    assert refused(prove, world, []) == "empty proof"


def test_a_late_proof_is_refused(world: World) -> None:
    store(world)
    activation = start(world)
    deadline = activation + PERIOD
    mine_to(world, deadline + 1)
    assert refused(prove, world, proofs(world)) == f"ProvingPeriodPassed(1, {deadline}, {deadline + 1})"


def test_nobody_knows_the_randomness_of_an_epoch_to_come(world: World) -> None:
    epoch = world.chain.epoch
    known = ask(world, "getRandomness", epoch)
    assert refused(ask, world, "getRandomness", epoch + 1) == ""
    world.chain.mine(3)
    assert ask(world, "getRandomness", epoch) == known
    assert len({known, *(ask(world, "getRandomness", epoch + n) for n in range(1, 4))}) == 4


def test_leaves_are_found_across_pieces(world: World) -> None:
    store(world)
    assert ask(world, "findPieceIds", 1, [0, 7, 8, 11, 12, 27]) == (
        (0, 0),
        (0, 7),
        (1, 0),
        (1, 3),
        (2, 0),
        (2, 15),
    )
    assert refused(ask, world, "findPieceIds", 1, [28]) == "Leaf index out of bounds"


# Rolling over


def test_a_period_is_rolled_over_once(world: World) -> None:
    store(world)
    activation = start(world)
    challenge = activation + 2 * PERIOD - WINDOW
    mine_to(world, activation + PERIOD - 2)
    prove(world, proofs(world))
    receipt = next_period(world, challenge)
    assert world.events(receipt, "FaultRecord") == []
    assert view(world, "provingDeadline", 1) == activation + 2 * PERIOD
    assert view(world, "provenThisPeriod", 1) is False
    said = refused(next_period, world, challenge + PERIOD)
    assert said == f"NextProvingPeriodAlreadyCalled(1, {activation + PERIOD}, {world.chain.epoch + 1})"


def test_rolling_over_before_the_proof_is_possible_and_a_fault(world: World) -> None:
    store(world)
    activation = start(world)
    receipt = next_period(world, activation + 2 * PERIOD - WINDOW)
    assert world.events(receipt, "FaultRecord")[0]["periodsFaulted"] == 1


def test_missed_periods_are_recorded_as_faults(world: World) -> None:
    store(world)
    activation = start(world)
    mine_to(world, activation + 3 * PERIOD + 5)  # periods 0, 1 and 2 have passed
    receipt = next_period(world, activation + 4 * PERIOD - WINDOW)
    (fault,) = world.events(receipt, "FaultRecord")
    assert (fault["periodsFaulted"], fault["deadline"]) == (3, activation + PERIOD)
    assert view(world, "provingDeadline", 1) == activation + 4 * PERIOD


def test_the_next_window_is_told_to_the_provider(world: World) -> None:
    store(world)
    activation = start(world)
    world.chain.mine(PERIOD + 1)  # past the deadline: the current period's window
    assert view(world, "nextPDPChallengeWindowStart", 1) == activation + 2 * PERIOD - WINDOW


# Removal


def test_a_removal_happens_only_at_the_next_proving_period(world: World) -> None:
    store(world)
    activation = start(world)
    schedule(world, [1])
    assert ask(world, "getScheduledRemovals", 1) == (1,)
    assert ask(world, "pieceLive", 1, 1) is True
    assert ask(world, "getActivePieceCount", 1) == 3
    assert view(world, "getAllPieceMetadata", 1, 1) == (("name",), ("1",))
    rate = world.account(SPONSORED.address)[2]
    mine_to(world, activation + PERIOD - 2)
    prove(world, proofs(world))
    assert ask(world, "pieceLive", 1, 1) is True
    receipt = next_period(world, activation + 2 * PERIOD - WINDOW)
    assert world.events(receipt, "PiecesRemoved")[0]["pieceIds"] == (1,)
    assert world.events(receipt, "NextProvingPeriod")[0]["leafCount"] == 24
    assert ask(world, "pieceLive", 1, 1) is False
    assert ask(world, "getPieceCid", 1, 1) == (b"",)
    assert ask(world, "getScheduledRemovals", 1) == ()
    assert view(world, "getAllPieceMetadata", 1, 1) == ((), ())
    assert view(world, "getAllPieceMetadata", 1, 2) == (("name",), ("2",))
    assert world.account(SPONSORED.address)[2] < rate
    # The pieces that are left are proven without it.
    mine_to(world, activation + 2 * PERIOD - 2)
    prove(world, proofs(world, [PIECES[0], PIECES[2]]))


def test_a_removal_costs_its_fee_at_the_boundary(world: World) -> None:
    store(world)
    activation = start(world)
    reserve = view(world, "getDataSet", 1)[11]
    earned = world.account(PAYEE.address)[0]
    schedule(world, [0, 1])
    assert view(world, "getDataSet", 1)[10:12] == (2 * 10**15, reserve)
    mine_to(world, activation + PERIOD + 1)
    next_period(world, activation + 2 * PERIOD - WINDOW)
    assert view(world, "getDataSet", 1)[10:12] == (0, reserve - 2 * 10**15)
    assert world.account(PAYEE.address)[0] - earned == 2 * 10**15 - 10**13


def test_only_live_pieces_that_are_not_queued_can_be_scheduled(world: World) -> None:
    store(world)
    activation = start(world)
    schedule(world, [1])
    for ids, reason in (
        ([1], "Piece ID already scheduled for removal"),
        ([0, 0], "Piece ID already scheduled for removal"),
        ([3], "Can only schedule removal of existing pieces"),
    ):
        assert refused(schedule, world, ids) == reason
    mine_to(world, activation + PERIOD + 1)
    next_period(world, activation + 2 * PERIOD - WINDOW)
    assert refused(schedule, world, [1]) == "Can only schedule removal of live pieces"
    data = world.removal_data(SPONSORED, CLIENT_ID, [0])
    args = world.at.pdp_verifier, "schedulePieceDeletions", 1, [0], data
    said = refused(world.send, OTHER_PROVIDER, *args)
    assert said == "Only the storage provider can schedule removal of pieces"
    many = list(range(2001))
    assert (
        refused(world.remove, 1, many, data) == "Too many removals wait for next proving period to schedule"
    )


def test_a_removal_signed_for_other_pieces_is_refused(world: World) -> None:
    store(world)
    said = refused(world.remove, 1, [0], world.removal_data(SPONSORED, CLIENT_ID, [1]))
    assert said.startswith("InvalidSignature(")
    assert refused(world.remove, 1, [0], bytes(257)) == "ExtraDataTooLarge(257, 256)"
    assert refused(world.remove, 1, [0], b"") == "ExtraDataRequired()"


def test_removing_everything_stops_proving_and_payment_until_pieces_come_back(world: World) -> None:
    store(world)
    activation = start(world)
    schedule(world, [0, 1, 2])
    mine_to(world, activation + PERIOD + 1)
    receipt = next_period(world, activation + 2 * PERIOD - WINDOW)
    assert [len(world.events(receipt, name)) for name in ("DataSetEmpty", "PiecesRemoved")] == [1, 1]
    assert ask(world, "getNextChallengeEpoch", 1) == 0
    assert view(world, "provingDeadline", 1) == 0
    assert world.account(SPONSORED.address)[2] == 0

    world.chain.mine(PERIOD)
    cid = PIECES[0].cid
    world.add(1, [cid], world.add_data(SPONSORED, CLIENT_ID, 14, [cid]))
    window = view(world, "nextPDPChallengeWindowStart", 1)
    assert (window + WINDOW - activation) % PERIOD == 0  # still on the periods of old
    next_period(world, window)
    assert view(world, "provingDeadline", 1) == window + WINDOW
    assert view(world, "provingActivationEpoch", 1) == activation


# Listing


def test_pieces_are_listed_by_offset_and_by_cursor(world: World) -> None:
    pieces = [make_piece(n) for n in range(6)]
    store(world, pieces)
    activation = start(world)
    schedule(world, [1, 4])
    mine_to(world, activation + PERIOD + 1)
    next_period(world, activation + 2 * PERIOD - WINDOW)  # 0, 2, 3 and 5 are left

    def page(name: str, first: int, limit: int) -> tuple[list[int], bool]:
        cids, ids, more = ask(world, name, 1, first, limit)
        assert [cid[0] for cid in cids] == [pieces[n].cid for n in ids]
        return list(ids), more

    assert page("getActivePieces", 0, 2) == ([0, 2], True)
    assert page("getActivePieces", 2, 2) == ([3, 5], False)
    assert page("getActivePieces", 4, 2) == ([], False)
    assert page("getActivePiecesByCursor", 0, 2) == ([0, 2], True)
    assert page("getActivePiecesByCursor", 3, 2) == ([3, 5], False)
    assert page("getActivePiecesByCursor", 4, 9) == ([5], False)
    assert page("getActivePiecesByCursor", 99, 1) == ([], False)
    assert refused(ask, world, "getActivePieces", 1, 0, 0) == "Limit must be greater than 0"
    assert ask(world, "getNextPieceId", 1) == 6


def test_pieces_are_found_by_cid(world: World) -> None:
    cids = [PIECES[0].cid, PIECES[1].cid, PIECES[0].cid]
    create = world.create_data(SPONSORED, CLIENT_ID)
    world.create_and_add(create, world.add_data(SPONSORED, CLIENT_ID, 13, cids), cids)
    find = "findPieceIdsByCid", 1, (PIECES[0].cid,)
    assert ask(world, *find, 0, 10) == (0, 2)
    assert ask(world, *find, 1, 10) == (2,)
    assert ask(world, *find, 0, 1) == (0,)
    assert ask(world, "findPieceIdsByCid", 1, (PIECES[2].cid,), 0, 10) == ()


def test_leaves_without_data_do_not_count(world: World) -> None:
    cid = cid_of_size(300, 4)  # 508 - 300 = 208 bytes: 9 of 16 leaves are padding
    create = world.create_data(SPONSORED, CLIENT_ID)
    world.create_and_add(create, world.add_data(SPONSORED, CLIENT_ID, 13, [cid]), [cid])
    assert ask(world, "getPieceLeafCount", 1, 0) == 7
    assert ask(world, "getDataSetLeafCount", 1) == 7


def test_a_piece_is_challengeable_from_the_next_period_on(world: World) -> None:
    store(world, PIECES[:1])
    assert refused(ask, world, "pieceChallengable", 1, 0) == "Panic(17)"
    activation = start(world)
    cid = PIECES[1].cid
    world.add(1, [cid], world.add_data(SPONSORED, CLIENT_ID, 14, [cid]))
    assert [ask(world, "pieceChallengable", 1, n) for n in (0, 1)] == [True, False]
    mine_to(world, activation + PERIOD + 1)
    next_period(world, activation + 2 * PERIOD - WINDOW)
    assert [ask(world, "pieceChallengable", 1, n) for n in (0, 1)] == [True, True]


# Payment follows proof


def settle(world: World, until: int) -> tuple[int, int, int, int, int, str]:
    values: tuple[int, int, int, int, int, str] = world.read(world.at.pay, "settleRail", 1, until)
    return values


def test_proven_epochs_are_paid_faulted_ones_pass_unpaid_open_ones_wait(world: World) -> None:
    store(world)
    added = world.chain.epoch
    rate = world.account(SPONSORED.address)[2]
    activation = start(world)
    assert settle(world, activation)[::4] == (0, activation)  # before activation: nothing is owed
    prove_period(world, activation, 0)
    mine_to(world, activation + 2 * PERIOD + 30)  # period 1 is faulted, period 2 open
    gross, net, commission, fee, until, note = settle(world, world.chain.epoch)
    assert (gross, until, note) == (rate * PERIOD, activation + 2 * PERIOD, "")
    assert (net + fee, commission, fee) == (gross, 0, -(-gross // 200))
    assert activation - added == 1
    before = world.account(PAYEE.address)[0]
    world.send(FUNDED, world.at.pay, "settleRail", 1, world.chain.epoch)
    assert world.account(PAYEE.address)[0] - before == net
    assert world.read(world.at.pay, "getRail", 1)[8] == activation + 2 * PERIOD
    said = refused(settle, world, world.chain.epoch)
    expected = f"NoProgressInSettlement(1, {activation + 2 * PERIOD + 1}, {activation + 2 * PERIOD})"
    assert said == expected


def test_part_of_a_proven_period_is_paid_in_part(world: World) -> None:
    store(world)
    rate = world.account(SPONSORED.address)[2]
    activation = start(world)
    mine_to(world, activation + PERIOD - 2)
    prove(world, proofs(world))
    assert settle(world, activation + 40)[0] == rate * 40
    assert settle(world, activation + 40)[4] == activation + 40


def test_a_set_never_proven_is_settled_for_nothing(world: World) -> None:
    store(world)
    world.chain.mine(50)
    assert settle(world, world.chain.epoch)[::4] == (0, world.chain.epoch)
    assert settle(world, world.chain.epoch)[5] == "No proving activity"


# The end


def test_after_its_end_a_set_is_settled_deleted_and_cleaned_up(world: World) -> None:
    store(world)
    activation = start(world)
    prove_period(world, activation, 0)
    delete = PROVIDER, world.at.pdp_verifier, "deleteDataSet", 1, b""
    assert refused(world.send, *delete).startswith("DataSetNotAbandoned(1, ")
    world.send(PROVIDER, world.at.fwss, "terminateService", 1, world.consent_data(SPONSORED, 1))
    end = view(world, "getDataSet", 1)[8]
    assert refused(world.send, *delete).startswith("RailNotFullySettled(1, ")
    said = refused(schedule, world, [0])
    assert said == f"DataSetPaymentBeyondEndEpoch(1, {end}, {end + 1})"
    mine_to(world, activation + 3 * PERIOD)
    assert "finalized" in settle(world, world.chain.epoch)[5]
    world.send(PROVIDER, world.at.pay, "settleRail", 1, world.chain.epoch)
    assert world.account(SPONSORED.address)[1:3] == (0, 0)

    assert refused(world.send, FUNDED, *delete[1:]) == "OnlyStorageProviderCanDelete()"
    receipt = world.send(*delete)
    assert world.events(receipt, "DataSetDeleted")[0]["deletedLeafCount"] == 28
    assert ask(world, "dataSetLive", 1) is False
    assert ask(world, "getNextChallengeEpoch", 1) == 2**256 - 1
    assert refused(ask, world, "getDataSetLeafCount", 1) == "DataSetNotLive()"
    assert view(world, "getDataSet", 1)[:12] == (0, 0, 0, ZERO, ZERO, ZERO, 0, 0, 0, 0, 0, 0)
    assert view(world, "clientDataSets", SPONSORED.address) == ()
    assert view(world, "clientNonces", SPONSORED.address, CLIENT_ID) == 1  # never to be used again
    assert view(world, "provenPeriods", 1, 0) is False
    assert refused(world.send, *delete) == "DataSetAlreadyInCleanup()"

    cleanup = world.at.pdp_verifier, "cleanupPieces", 1
    assert refused(world.send, PROVIDER, *cleanup, 0) == "MaxPiecesMustBePositive()"
    assert refused(world.send, OTHER_PROVIDER, *cleanup, 9) == "OnlyStorageProviderCanCleanupPieces()"
    world.send(PROVIDER, *cleanup, 2)
    assert ask(world, "getNextPieceId", 1) == 1
    world.send(PROVIDER, *cleanup, 2)
    assert world.rpc("eth_getBalance", world.at.pdp_verifier, "latest") == "0x0"  # the deposit went back
    assert refused(world.send, PROVIDER, *cleanup, 1) == "DataSetNotInCleanupMode()"
    assert refused(ask, world, "getNextPieceId", 1) == "DataSetNotFound()"


def test_an_empty_set_can_be_deleted_at_once(world: World) -> None:
    world.create(world.create_data(SPONSORED, CLIENT_ID))
    world.send(PROVIDER, world.at.pdp_verifier, "deleteDataSet", 1, b"")
    assert ask(world, "dataSetLive", 1) is False
    assert world.account(SPONSORED.address)[1] == 0  # the reserve is free again
    assert view(world, "clientDataSets", SPONSORED.address) == ()


def test_a_set_nobody_proves_for_a_month_can_be_deleted_by_anyone(world: World) -> None:
    store(world)
    activation = start(world)
    prove_period(world, activation, 0)
    world.chain.mine(MONTH + 1)
    receipt = world.send(FUNDED, world.at.pdp_verifier, "deleteDataSet", 1, b"")
    assert len(world.events(receipt, "DataSetAbandoned")) == 1
    rate_of_a_period = world.account(PAYEE.address)[0]
    assert rate_of_a_period > 0
    assert world.account(SPONSORED.address)[1:3] == (0, 0)
    assert refused(world.read, world.at.pay, "getRail", 1) == "RailInactiveOrSettled(1)"
    assert view(world, "getDataSet", 1)[0] == 0


def test_a_data_set_cannot_change_hands_yet(world: World) -> None:
    store(world)
    verifier = world.at.pdp_verifier
    said = refused(world.send, FUNDED, verifier, "proposeDataSetStorageProvider", 1, FUNDED.address)
    assert said == "Only the current storage provider can propose a new storage provider"
    world.send(PROVIDER, verifier, "proposeDataSetStorageProvider", 1, OTHER_PROVIDER.address)
    assert ask(world, "getDataSetStorageProvider", 1)[1] == OTHER_PROVIDER.address.lower()
    said = refused(world.send, FUNDED, verifier, "claimDataSetStorageProvider", 1, b"")
    assert said == "Only the proposed storage provider can claim storage provider role"
    said = refused(world.send, OTHER_PROVIDER, verifier, "claimDataSetStorageProvider", 1, b"")
    assert said == "StorageProviderChangesNotSupported()"
    assert ask(world, "getDataSetStorageProvider", 1)[0] == PROVIDER.address.lower()
