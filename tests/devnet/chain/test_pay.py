"""FilecoinPay: accounts, approvals, rails, settlement, termination, fees. The operator is a plain account."""

from __future__ import annotations

from typing import Any

import pytest
from eth_account.messages import encode_typed_data

from tests.devnet.chain.world import (
    DEPLOYER,
    FUNDED,
    MAX,
    PAYEE,
    PROVIDER,
    SPONSORED,
    STRANGER,
    USDFC,
    ZERO,
    RpcFailure,
    World,
)

OPERATOR, RECIPIENT = PROVIDER, PAYEE
UNCOVERED = "invariant failure: insufficient funds to cover lockup after function execution"


def pay(world: World, who: Any, name: str, *args: Any, value: int = 0) -> dict[str, Any]:
    return world.send(who, world.at.pay, name, *args, value=value)


def reason(world: World, who: Any, name: str, *args: Any, value: int = 0) -> str:
    """Why the call reverts."""
    with pytest.raises(RpcFailure) as caught:
        pay(world, who, name, *args, value=value)
    return caught.value.reason


def deposit(world: World, amount: int) -> None:
    world.send(FUNDED, world.at.usdfc, "approve", world.at.pay, amount)
    pay(world, FUNDED, "deposit", world.at.usdfc, FUNDED.address, amount)


def approve(world: World, rate: int = MAX, lockup: int = MAX, period: int = 1000) -> None:
    token = world.at.usdfc
    pay(world, FUNDED, "setOperatorApproval", token, OPERATOR.address, True, rate, lockup, period)


def approval(world: World) -> tuple[bool, int, int, int, int, int]:
    """(approved, rate allowance, lockup allowance, rate usage, lockup usage, longest period)."""
    values: tuple[bool, int, int, int, int, int] = world.read(
        world.at.pay, "operatorApprovals", world.at.usdfc, FUNDED.address, OPERATOR.address
    )
    return values


def rail(world: World, rate: int = 0, period: int = 0, fixed: int = 0, commission: int = 0) -> int:
    """Open a rail from FUNDED to RECIPIENT and return its id."""
    recipient = STRANGER.address if commission else ZERO
    parties = world.at.usdfc, FUNDED.address, RECIPIENT.address, ZERO
    receipt = pay(world, OPERATOR, "createRail", *parties, commission, recipient)
    rail_id: int = world.events(receipt, "RailCreated")[0]["railId"]
    if period or fixed:
        pay(world, OPERATOR, "modifyRailLockup", rail_id, period, fixed)
    if rate:
        pay(world, OPERATOR, "modifyRailPayment", rail_id, rate, 0)
    return rail_id


def funds(world: World, owner: str) -> int:
    return world.account(owner)[0]


def permit(world: World, amount: int) -> tuple[int, int, bytes, bytes]:
    domain = {"name": "USDFC", "version": "1", "chainId": 31415926, "verifyingContract": world.at.usdfc}
    message = {
        "owner": FUNDED.address,
        "spender": world.at.pay,
        "value": amount,
        "nonce": world.read(world.at.usdfc, "nonces", FUNDED.address),
        "deadline": world.wall.now + 60,
    }
    types = [{"name": n, "type": "address" if n in ("owner", "spender") else "uint256"} for n in message]
    signed = FUNDED.sign_message(encode_typed_data(domain, {"Permit": types}, message))
    return message["deadline"], signed.v, signed.r.to_bytes(32, "big"), signed.s.to_bytes(32, "big")


# Deposits, approvals, withdrawals


def test_a_deposit_takes_from_the_sender_and_credits_anyone(world: World) -> None:
    world.send(FUNDED, world.at.usdfc, "approve", world.at.pay, 9)
    receipt = pay(world, FUNDED, "deposit", world.at.usdfc, STRANGER.address, 9)
    (event,) = world.events(receipt, "DepositRecorded")
    assert (event["from"], event["to"], event["amount"]) == (
        FUNDED.address.lower(),
        STRANGER.address.lower(),
        9,
    )
    assert (funds(world, STRANGER.address), funds(world, FUNDED.address)) == (9, 0)
    assert world.read(world.at.usdfc, "balanceOf", world.at.pay) == 100 * USDFC + 9


def test_a_deposit_without_allowance_is_the_tokens_error(world: World) -> None:
    said = reason(world, FUNDED, "deposit", world.at.usdfc, FUNDED.address, 9)
    assert said == f"ERC20InsufficientAllowance({world.at.pay.lower()}, 0, 9)"
    said = reason(world, FUNDED, "deposit", world.at.usdfc, ZERO, 9)
    assert said == "ZeroAddressNotAllowed(to)"
    said = reason(world, FUNDED, "deposit", world.at.usdfc, FUNDED.address, 9, value=1)
    assert said == "NativeTokenNotAccepted(1)"
    said = reason(world, FUNDED, "deposit", STRANGER.address, FUNDED.address, 9)
    assert said == f"SafeERC20FailedOperation({STRANGER.address.lower()})"


def test_a_deposit_with_permit_can_be_sent_by_somebody_else_but_once(world: World) -> None:
    args = world.at.usdfc, FUNDED.address, 9, *permit(world, 9)
    receipt = pay(world, SPONSORED, "depositWithPermit", *args)
    assert world.events(receipt, "DepositRecorded")[0]["from"] == FUNDED.address.lower()
    assert funds(world, FUNDED.address) == 9
    assert reason(world, SPONSORED, "depositWithPermit", *args).startswith("ERC2612InvalidSigner(")


def test_deposit_with_permit_and_approval_is_one_transaction_of_the_owner(world: World) -> None:
    args = world.at.usdfc, FUNDED.address, 9, *permit(world, 9), world.at.fwss, MAX, MAX, 86400
    said = reason(world, SPONSORED, "depositWithPermitAndApproveOperator", *args)
    sender, owner = SPONSORED.address.lower(), FUNDED.address.lower()
    assert said == f"SignerMustBeMsgSender({sender}, {owner})"
    receipt = pay(world, FUNDED, "depositWithPermitAndApproveOperator", *args)
    assert world.events(receipt, "OperatorApprovalUpdated")[0]["operator"] == world.at.fwss.lower()
    got = world.read(world.at.pay, "operatorApprovals", world.at.usdfc, FUNDED.address, world.at.fwss)
    assert got == (True, MAX, MAX, 0, 0, 86400)
    assert funds(world, FUNDED.address) == 9


def test_deposit_with_permit_can_raise_an_approval_that_exists(world: World) -> None:
    name, token = "depositWithPermitAndIncreaseOperatorApproval", world.at.usdfc
    args = token, FUNDED.address, 9, *permit(world, 9), OPERATOR.address, 5, 6
    client, operator = FUNDED.address.lower(), OPERATOR.address.lower()
    assert reason(world, FUNDED, name, *args) == f"OperatorNotApproved({client}, {operator})"
    approve(world, rate=10, lockup=20)
    pay(world, FUNDED, name, *args)
    assert approval(world)[:3] == (True, 15, 26)
    assert funds(world, FUNDED.address) == 9


def test_raising_an_allowance_beyond_the_maximum_panics(world: World) -> None:
    approve(world)
    said = reason(world, FUNDED, "increaseOperatorApproval", world.at.usdfc, OPERATOR.address, 1, 0)
    assert said == f"Panic({0x11})"


def test_fil_can_be_deposited_and_withdrawn_too(world: World) -> None:
    said = reason(world, FUNDED, "deposit", ZERO, FUNDED.address, 5, value=4)
    assert said == "MustSendExactNativeAmount(5, 4)"
    pay(world, FUNDED, "deposit", ZERO, FUNDED.address, 5, value=5)
    assert world.rpc("eth_getBalance", world.at.pay, "latest") == "0x5"
    pay(world, FUNDED, "withdrawTo", ZERO, STRANGER.address, 3)
    assert world.rpc("eth_getBalance", STRANGER.address, "latest") == "0x3"
    said = reason(
        world, FUNDED, "depositWithPermit", ZERO, FUNDED.address, 5, 2**40, 27, bytes(32), bytes(32)
    )
    assert said == "NativeTokenNotSupported()"


def test_only_what_is_not_locked_can_be_withdrawn(world: World) -> None:
    deposit(world, 1000)
    approve(world)
    rail(world, fixed=300)
    assert reason(world, FUNDED, "withdraw", world.at.usdfc, 701) == "InsufficientUnlockedFunds(700, 701)"
    receipt = pay(world, FUNDED, "withdraw", world.at.usdfc, 700)
    assert world.events(receipt, "WithdrawRecorded")[0]["amount"] == 700
    assert funds(world, FUNDED.address) == 300
    pay(world, SPONSORED, "withdrawTo", world.at.usdfc, STRANGER.address, 5)
    assert world.read(world.at.usdfc, "balanceOf", STRANGER.address) == 5


def test_nothing_can_be_withdrawn_in_deficit(world: World) -> None:
    deposit(world, 1000)
    approve(world)
    rail(world, rate=10, period=50)
    world.chain.mine(100)
    said = reason(world, FUNDED, "withdraw", world.at.usdfc, 1)
    assert said == "payers's full account lockup was not met as a precondition of the requested operation"


# Rails and their lockup


def test_opening_a_rail_needs_an_approval(world: World) -> None:
    parties = world.at.usdfc, FUNDED.address, RECIPIENT.address, ZERO
    client, operator = FUNDED.address.lower(), OPERATOR.address.lower()
    said = reason(world, OPERATOR, "createRail", *parties, 0, ZERO)
    assert said == f"OperatorNotApproved({client}, {operator})"
    approve(world)
    assert (
        reason(world, OPERATOR, "createRail", *parties, 10_001, ZERO) == "CommissionRateTooHigh(10000, 10001)"
    )
    assert reason(world, OPERATOR, "createRail", *parties, 1, ZERO) == "MissingServiceFeeRecipient()"


def test_a_rail_locks_its_fixed_part_and_a_period_of_its_rate(world: World) -> None:
    deposit(world, 10_000)
    approve(world)
    rail_id = rail(world, rate=10, period=50, fixed=300)
    assert world.account(FUNDED.address)[1:3] == (800, 10)
    assert approval(world)[3:5] == (10, 800)
    view = world.read(world.at.pay, "getRail", rail_id)
    assert view[:5] == (
        world.at.usdfc.lower(),
        FUNDED.address.lower(),
        RECIPIENT.address.lower(),
        OPERATOR.address.lower(),
        ZERO,
    )
    assert view[5:8] == (10, 50, 300)
    world.chain.mine(7)
    assert world.available(FUNDED.address) == 10_000 - 800 - 70


def test_limits_of_the_approval_hold(world: World) -> None:
    deposit(world, 10_000)
    approve(world, rate=10, lockup=400, period=50)
    rail_id = rail(world)
    token, operator = world.at.usdfc.lower(), OPERATOR.address.lower()
    said = reason(world, OPERATOR, "modifyRailLockup", rail_id, 51, 0)
    assert said == f"LockupPeriodExceedsOperatorMaximum({token}, {operator}, 50, 51)"
    said = reason(world, OPERATOR, "modifyRailLockup", rail_id, 0, 401)
    assert said == "OperatorLockupAllowanceExceeded(400, 401)"
    said = reason(world, OPERATOR, "modifyRailPayment", rail_id, 11, 0)
    assert said == "OperatorRateAllowanceExceeded(10, 11)"


def test_only_the_operator_changes_a_rail(world: World) -> None:
    approve(world)
    rail_id = rail(world)
    operator, other = OPERATOR.address.lower(), FUNDED.address.lower()
    for name in ("modifyRailLockup", "modifyRailPayment"):
        assert reason(world, FUNDED, name, rail_id, 0, 0) == f"OnlyRailOperatorAllowed({operator}, {other})"
        assert reason(world, OPERATOR, name, 99, 0, 0) == "RailInactiveOrSettled(99)"


def test_a_lockup_the_funds_do_not_cover_is_refused_afterwards(world: World) -> None:
    deposit(world, 100)
    approve(world)
    rail_id = rail(world)
    assert reason(world, OPERATOR, "modifyRailLockup", rail_id, 0, 101) == UNCOVERED
    assert world.account(FUNDED.address)[1] == 0


def test_in_deficit_neither_rate_nor_lockup_can_rise(world: World) -> None:
    deposit(world, 1000)
    approve(world)
    rail_id = rail(world, rate=10, period=50, fixed=100)
    world.chain.mine(200)
    token, owner = world.at.usdfc.lower(), FUNDED.address.lower()
    said = reason(world, OPERATOR, "modifyRailPayment", rail_id, 11, 0)
    assert said == f"LockupNotSettledRateChangeNotAllowed({rail_id}, {owner}, False, 10, 11)"
    said = reason(world, OPERATOR, "modifyRailLockup", rail_id, 50, 101)
    assert said == f"LockupFixedIncreaseNotAllowedDueToInsufficientFunds({token}, {owner}, 100, 101)"
    said = reason(world, OPERATOR, "modifyRailLockup", rail_id, 49, 100)
    assert said == f"LockupPeriodChangeNotAllowedDueToInsufficientFunds({token}, {owner}, 50, 49)"
    pay(world, OPERATOR, "modifyRailLockup", rail_id, 50, 99)  # less is always possible


def test_a_one_time_payment_comes_out_of_the_fixed_lockup_and_the_allowance(world: World) -> None:
    deposit(world, 1000)
    approve(world, lockup=500)
    rail_id = rail(world, fixed=300)
    said = reason(world, OPERATOR, "modifyRailPayment", rail_id, 0, 301)
    assert said == f"OneTimePaymentExceedsLockup({rail_id}, 300, 301)"
    receipt = pay(world, OPERATOR, "modifyRailPayment", rail_id, 0, 201)
    (event,) = world.events(receipt, "RailOneTimePaymentProcessed")
    # A network fee of one half per cent, rounded up.
    assert (event["netPayeeAmount"], event["operatorCommission"], event["networkFee"]) == (199, 0, 2)
    assert world.account(FUNDED.address)[:2] == (799, 99)
    assert funds(world, RECIPIENT.address) == 199
    assert funds(world, world.at.pay) == 2
    assert approval(world)[2:5] == (299, 0, 99)


def test_a_commission_is_taken_after_the_network_fee(world: World) -> None:
    deposit(world, 10_000)
    approve(world)
    rail_id = rail(world, fixed=2000, commission=1000)
    pay(world, OPERATOR, "modifyRailPayment", rail_id, 0, 2000)
    assert [funds(world, who) for who in (world.at.pay, STRANGER.address, RECIPIENT.address)] == [
        10,
        199,
        1791,
    ]


# Settlement


def test_settling_pays_the_rate_for_the_epochs_that_passed(world: World) -> None:
    deposit(world, 10_000)
    approve(world)
    rail_id = rail(world, rate=10, period=50)
    start = world.read(world.at.pay, "getRail", rail_id)[8]
    world.chain.mine(99)
    preview = world.read(world.at.pay, "settleRail", rail_id, start + 40)
    assert preview == (400, 398, 0, 2, start + 40, "")
    receipt = pay(world, DEPLOYER, "settleRail", rail_id, start + 40)
    assert world.events(receipt, "RailSettled")[0]["settledUpTo"] == start + 40
    assert funds(world, RECIPIENT.address) == 398
    assert funds(world, FUNDED.address) == 9600
    again = world.read(world.at.pay, "settleRail", rail_id, start + 40)
    assert again == (0, 0, 0, 0, start + 40, f"already settled up to epoch {start + 40}")


def test_the_future_cannot_be_settled(world: World) -> None:
    approve(world)
    rail_id = rail(world)
    epoch = world.chain.epoch
    with pytest.raises(RpcFailure) as caught:
        world.read(world.at.pay, "settleRail", rail_id, epoch + 1)
    assert caught.value.reason == f"CannotSettleFutureEpochs({rail_id}, {epoch + 1}, {epoch})"


def test_each_stretch_is_paid_at_the_rate_of_its_time(world: World) -> None:
    deposit(world, 100_000)
    approve(world)
    rail_id = rail(world, rate=10, period=50)
    first = world.chain.epoch
    world.chain.mine(19)
    pay(world, OPERATOR, "modifyRailPayment", rail_id, 0, 0)
    second = world.chain.epoch
    world.chain.mine(9)
    pay(world, OPERATOR, "modifyRailPayment", rail_id, 30, 0)
    third = world.chain.epoch
    assert (second - first, third - second) == (20, 10)
    assert world.read(world.at.pay, "getRateChangeQueueSize", rail_id) == 2
    world.chain.mine(5)
    settled = world.read(world.at.pay, "settleRail", rail_id, third + 5)
    assert (settled[0], settled[4]) == (20 * 10 + 5 * 30, third + 5)
    pay(world, OPERATOR, "settleRail", rail_id, third + 5)
    assert world.read(world.at.pay, "getRateChangeQueueSize", rail_id) == 0


def test_settlement_stops_where_the_money_ran_out(world: World) -> None:
    deposit(world, 1000)
    approve(world)
    rail_id = rail(world, rate=10, period=50)
    start = world.chain.epoch
    world.chain.mine(200)
    assert world.read(world.at.pay, "getAccountInfoIfSettled", world.at.usdfc, FUNDED.address) == (
        start + 50,
        1000,
        0,
        10,
    )
    settled = world.read(world.at.pay, "settleRail", rail_id, start + 200)
    assert (settled[0], settled[4]) == (500, start + 50)


# Termination


def test_a_terminated_rail_is_paid_for_one_more_period_and_then_gone(world: World) -> None:
    deposit(world, 10_000)
    approve(world)
    rail_id = rail(world, rate=10, period=50, fixed=300)
    receipt = pay(world, FUNDED, "terminateRail", rail_id)
    end = world.chain.epoch + 50
    assert world.events(receipt, "RailTerminated")[0]["endEpoch"] == end
    assert world.account(FUNDED.address)[2] == 0
    assert reason(world, FUNDED, "terminateRail", rail_id) == f"RailAlreadyTerminated({rail_id})"
    said = reason(world, OPERATOR, "modifyRailPayment", rail_id, 11, 0)
    assert said == f"RateChangeNotAllowedOnTerminatedRail({rail_id})"
    said = reason(world, OPERATOR, "modifyRailLockup", rail_id, 50, 301)
    assert said == "InvalidTerminatedRailModification(50, 300, 50, 301)"
    pay(world, OPERATOR, "modifyRailLockup", rail_id, 50, 200)
    world.chain.mine(60)
    said = reason(world, OPERATOR, "modifyRailPayment", rail_id, 0, 0)
    assert said == f"CannotModifyTerminatedRailBeyondEndEpoch({rail_id}, {end}, {world.chain.epoch + 1})"
    page = world.read(world.at.pay, "getRailsForPayerAndToken", FUNDED.address, world.at.usdfc, 0, 0)
    assert page == (((rail_id, True, end),), 1, 1)
    receipt = pay(world, OPERATOR, "settleRail", rail_id, world.chain.epoch)
    assert world.events(receipt, "RailFinalized")[0]["railId"] == rail_id
    with pytest.raises(RpcFailure) as caught:
        world.read(world.at.pay, "getRail", rail_id)
    assert caught.value.reason == f"RailInactiveOrSettled({rail_id})"
    assert world.account(FUNDED.address)[1] == 0
    assert approval(world)[3:5] == (0, 0)
    page = world.read(world.at.pay, "getRailsForPayerAndToken", FUNDED.address, world.at.usdfc, 0, 0)
    assert page == ((), 1, 1)


def test_a_stranger_cannot_end_a_rail_and_a_payer_in_deficit_neither(world: World) -> None:
    deposit(world, 1000)
    approve(world)
    rail_id = rail(world, rate=10, period=50)
    client, operator = FUNDED.address.lower(), OPERATOR.address.lower()
    for who in (SPONSORED, FUNDED):
        if who is FUNDED:
            world.chain.mine(200)
        said = reason(world, who, "terminateRail", rail_id)
        caller = who.address.lower()
        assert said == f"NotAuthorizedToTerminateRail({rail_id}, {client}, {operator}, {caller})"
    pay(world, OPERATOR, "terminateRail", rail_id)


def test_the_payer_can_settle_an_ended_rail_without_its_validator(world: World) -> None:
    deposit(world, 10_000)
    approve(world)
    rail_id = rail(world, rate=10, period=50)
    name = "settleTerminatedRailWithoutValidation"
    assert reason(world, FUNDED, name, rail_id) == f"RailNotTerminated({rail_id})"
    pay(world, FUNDED, "terminateRail", rail_id)
    end = world.chain.epoch + 50
    client, other = FUNDED.address.lower(), SPONSORED.address.lower()
    assert reason(world, SPONSORED, name, rail_id) == f"OnlyRailClientAllowed({client}, {other})"
    said = reason(world, FUNDED, name, rail_id)
    expected = f"CannotSettleTerminatedRailBeforeMaxEpoch({rail_id}, {end + 1}, {world.chain.epoch + 1})"
    assert said == expected
    world.chain.mine(50)
    pay(world, FUNDED, name, rail_id)
    assert world.account(FUNDED.address)[1:3] == (0, 0)


def test_rails_come_in_pages_that_count_the_finalized_ones(world: World) -> None:
    approve(world)
    ids = [rail(world) for _ in range(3)]
    pay(world, OPERATOR, "terminateRail", ids[1])
    pay(world, OPERATOR, "settleRail", ids[1], world.chain.epoch)
    args = RECIPIENT.address, world.at.usdfc
    pages = [world.read(world.at.pay, "getRailsForPayeeAndToken", *args, offset, 2) for offset in (0, 2, 3)]
    assert pages == [
        (((ids[0], False, 0),), 2, 3),
        (((ids[2], False, 0),), 3, 3),
        ((), 3, 3),
    ]


# The fee auction


def test_collected_fees_can_be_bought_with_fil_that_is_burnt(world: World) -> None:
    deposit(world, 1000)
    approve(world)
    rail_id = rail(world, fixed=400)
    pay(world, OPERATOR, "modifyRailPayment", rail_id, 0, 400)
    price, started = world.read(world.at.pay, "auctionInfo", world.at.usdfc)
    assert price == 21 * 10**14
    args = world.at.usdfc, STRANGER.address
    said = reason(world, DEPLOYER, "burnForFees", *args, 3, value=price)
    assert said == f"WithdrawAmountExceedsAccumulatedFees({world.at.usdfc.lower()}, 2, 3)"
    world.wall.now = started + 302_400  # the price halves in 3.5 days
    world.chain.mine(302_400 // 30)
    said = reason(world, DEPLOYER, "burnForFees", *args, 2, value=price // 2 - 10**12)
    assert said.startswith(f"InsufficientNativeTokenForBurn({price // 2 - 10**12}, ")
    pay(world, DEPLOYER, "burnForFees", *args, 2, value=price // 2 + 10**12)
    assert world.read(world.at.usdfc, "balanceOf", STRANGER.address) == 2
    assert funds(world, world.at.pay) == 0
    # The next auction starts at four times what was asked, not what was given.
    restarted = world.read(world.at.pay, "auctionInfo", world.at.usdfc)[0]
    assert abs(restarted - 2 * price) < price // 1000
