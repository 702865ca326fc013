"""USDFC: transfers, allowances, permits."""

from __future__ import annotations

from typing import Any

import pytest
from eth_account.messages import encode_typed_data
from eth_account.signers.local import LocalAccount

from tests.devnet.chain.world import (
    DEPLOYER,
    FUNDED,
    MAX,
    SPONSORED,
    STRANGER,
    USDFC,
    ZERO,
    RpcFailure,
    World,
)

Signed = tuple[int, int, int, bytes, bytes]  # amount, deadline, v, r, s


def permit(world: World, who: LocalAccount, spender: str, amount: int, /, **changes: Any) -> Signed:
    """Sign a permit by what the token says of itself, except for *changes*."""
    message = {
        "owner": who.address,
        "spender": spender,
        "value": amount,
        "nonce": world.read(world.at.usdfc, "nonces", who.address),
        "deadline": world.wall.now + 3600,
    }
    domain = {
        "name": world.read(world.at.usdfc, "name"),
        "version": world.read(world.at.usdfc, "version"),
        "chainId": world.chain.chain_id,
        "verifyingContract": world.at.usdfc,
    }
    types = [{"name": n, "type": "address" if n in ("owner", "spender") else "uint256"} for n in message]
    message.update({k: v for k, v in changes.items() if k in message})
    domain.update({k: v for k, v in changes.items() if k in domain})
    signed = who.sign_message(encode_typed_data(domain, {"Permit": types}, message))
    return amount, message["deadline"], signed.v, signed.r.to_bytes(32, "big"), signed.s.to_bytes(32, "big")


def submit(world: World, owner: str, spender: str, signed: Signed) -> dict[str, Any]:
    return world.send(SPONSORED, world.at.usdfc, "permit", owner, spender, *signed)


def test_it_describes_itself(world: World) -> None:
    assert world.read(world.at.usdfc, "symbol") == "USDFC"
    assert world.read(world.at.usdfc, "decimals") == 18
    assert world.read(world.at.usdfc, "totalSupply") == 2000 * USDFC
    world.send(DEPLOYER, world.at.usdfc, "mint", STRANGER.address, 5)
    assert world.read(world.at.usdfc, "totalSupply") == 2000 * USDFC + 5


def test_a_transfer_moves_exactly_what_it_says(world: World) -> None:
    receipt = world.send(FUNDED, world.at.usdfc, "transfer", STRANGER.address, 7)
    (event,) = world.events(receipt, "Transfer")
    assert (event["from"], event["to"], event["value"]) == (
        FUNDED.address.lower(),
        STRANGER.address.lower(),
        7,
    )
    assert world.read(world.at.usdfc, "balanceOf", FUNDED.address) == 1000 * USDFC - 7


def test_more_than_the_balance_cannot_be_moved(world: World) -> None:
    with pytest.raises(RpcFailure) as caught:
        world.send(FUNDED, world.at.usdfc, "transfer", STRANGER.address, 1000 * USDFC + 1)
    have, need = 1000 * USDFC, 1000 * USDFC + 1
    assert caught.value.reason == f"ERC20InsufficientBalance({FUNDED.address.lower()}, {have}, {need})"


def test_nothing_goes_to_the_zero_address(world: World) -> None:
    with pytest.raises(RpcFailure) as caught:
        world.send(FUNDED, world.at.usdfc, "transfer", ZERO, 1)
    assert caught.value.reason == f"ERC20InvalidReceiver({ZERO})"


def test_an_allowance_is_used_up_unless_it_is_unlimited(world: World) -> None:
    take = "transferFrom", FUNDED.address, STRANGER.address
    world.send(FUNDED, world.at.usdfc, "approve", SPONSORED.address, 10)
    world.send(SPONSORED, world.at.usdfc, *take, 4)
    assert world.read(world.at.usdfc, "allowance", FUNDED.address, SPONSORED.address) == 6
    with pytest.raises(RpcFailure) as caught:
        world.send(SPONSORED, world.at.usdfc, *take, 7)
    assert caught.value.reason == f"ERC20InsufficientAllowance({SPONSORED.address.lower()}, 6, 7)"
    world.send(FUNDED, world.at.usdfc, "approve", SPONSORED.address, MAX)
    world.send(SPONSORED, world.at.usdfc, *take, 7)
    assert world.read(world.at.usdfc, "allowance", FUNDED.address, SPONSORED.address) == MAX


def test_a_permit_approves_once(world: World) -> None:
    signed = permit(world, FUNDED, world.at.pay, 30)
    submit(world, FUNDED.address, world.at.pay, signed)
    assert world.read(world.at.usdfc, "allowance", FUNDED.address, world.at.pay) == 30
    assert world.read(world.at.usdfc, "nonces", FUNDED.address) == 1
    with pytest.raises(RpcFailure) as caught:
        submit(world, FUNDED.address, world.at.pay, signed)
    assert caught.value.reason.startswith("ERC2612InvalidSigner(")


@pytest.mark.parametrize(
    "changes",
    [
        {"nonce": 1},
        {"value": 31},
        {"name": "Other"},
        {"version": "2"},
        {"chainId": 314},
        {"verifyingContract": "0x" + "12" * 20},
        {"spender": "0x" + "12" * 20},
    ],
)
def test_a_permit_for_something_else_is_refused(world: World, changes: dict[str, Any]) -> None:
    with pytest.raises(RpcFailure) as caught:
        submit(world, FUNDED.address, world.at.pay, permit(world, FUNDED, world.at.pay, 30, **changes))
    assert caught.value.reason.endswith(f"{FUNDED.address.lower()})")
    assert caught.value.reason.startswith("ERC2612InvalidSigner(")
    assert world.read(world.at.usdfc, "nonces", FUNDED.address) == 0


def test_a_permit_of_somebody_else_is_refused_by_name(world: World) -> None:
    with pytest.raises(RpcFailure) as caught:
        submit(
            world,
            FUNDED.address,
            world.at.pay,
            permit(world, STRANGER, world.at.pay, 30, owner=FUNDED.address),
        )
    signer, owner = STRANGER.address.lower(), FUNDED.address.lower()
    assert caught.value.reason == f"ERC2612InvalidSigner({signer}, {owner})"


def test_a_permit_ends_with_its_deadline(world: World) -> None:
    signed = permit(world, FUNDED, world.at.pay, 30, deadline=world.wall.now + 60)
    world.wall.now += 3600
    world.chain.mine(60)  # half an hour of chain time
    with pytest.raises(RpcFailure) as caught:
        submit(world, FUNDED.address, world.at.pay, signed)
    assert caught.value.reason == f"ERC2612ExpiredSignature({signed[1]})"


def test_a_hurried_chain_does_not_outrun_permits_dated_by_the_wall_clock(world: World) -> None:
    world.chain.mine(100_000)  # 35 days of chain time in no time
    submit(world, FUNDED.address, world.at.pay, permit(world, FUNDED, world.at.pay, 30))
    assert world.read(world.at.usdfc, "allowance", FUNDED.address, world.at.pay) == 30


def test_signatures_that_recover_nobody_are_refused(world: World) -> None:
    amount, deadline, v, r, s = permit(world, FUNDED, world.at.pay, 30)
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    mirrored = (order - int.from_bytes(s, "big")).to_bytes(32, "big")
    for bad, reason in (
        ((amount, deadline, 29, r, s), "ECDSAInvalidSignature()"),
        ((amount, deadline, v, bytes(32), s), "ECDSAInvalidSignature()"),
        ((amount, deadline, 55 - v, r, mirrored), f"ECDSAInvalidSignatureS({mirrored!r})"),
    ):
        with pytest.raises(RpcFailure) as caught:
            submit(world, FUNDED.address, world.at.pay, bad)
        assert caught.value.reason == reason
