"""The provider registry, endorsements and the approval list."""

from __future__ import annotations

import pytest
from eth_utils.crypto import keccak

from fpin.devnet.chain.provider_registry import REQUIRED_KEYS, bloom_bits
from tests.devnet.chain.world import (
    DEPLOYER,
    FUNDED,
    OTHER_PROVIDER,
    PAYEE,
    PROVIDER,
    RpcFailure,
    World,
)

FEE = 5 * 10**18
KEYS = list(REQUIRED_KEYS)
VALUES = [b"http://x", b"\x7f", b"\x40", b"\x01", b"\x78", b"C=DE", b"\x11" * 20]


def register(world: World, keys: list[str] = KEYS, values: list[bytes] = VALUES, fee: int = FEE) -> None:
    args = FUNDED.address, "third", "about", 0, keys, values
    world.send(FUNDED, world.at.provider_registry, "registerProvider", *args, value=fee)


def test_the_required_keys_have_the_contracts_bloom_filter() -> None:
    # REQUIRED_PDP_KEYS of ServiceProviderRegistry.sol, filecoin-services a16aea49.
    expected = 0x5B6A06F24DD05729018C808802020EB60947D813531DB3C45B14504401400102
    bits = 0
    for key in REQUIRED_KEYS:
        bits |= bloom_bits(key)
    assert bits == expected


def test_a_genesis_provider_is_registered_approved_and_endorsed(world: World) -> None:
    record = world.read(world.at.provider_registry, "getProviderWithProduct", 1, 0)
    provider_id, info, product, values = record
    assert (provider_id, info[0], info[1], info[4]) == (
        1,
        PROVIDER.address.lower(),
        PAYEE.address.lower(),
        True,
    )
    capabilities = dict(zip(product[1], values, strict=True))
    assert capabilities["serviceURL"] == b"http://127.0.0.1:7001"
    assert capabilities["maxPieceSizeInBytes"] == (1_065_353_216).to_bytes(4, "big")
    assert capabilities["ipniPeerId"] == b"\x00\x24\x08\x01"
    assert set(REQUIRED_KEYS) <= set(capabilities)
    assert world.read(world.at.fwss_view, "getApprovedProviders", 0, 0) == (1, 2)
    assert world.read(world.at.endorsements, "getProviderIds") == (1,)
    assert world.read(world.at.endorsements, "containsProviderId", 2) is False


def test_a_provider_can_change_its_service_url(world: World) -> None:
    registry = world.at.provider_registry
    _, keys, values = world.read(registry, "getAllProductCapabilities", 2, 0)
    moved = [b"http://127.0.0.1:9999" if k == "serviceURL" else v for k, v in zip(keys, values, strict=True)]
    receipt = world.send(OTHER_PROVIDER, registry, "updateProduct", 0, keys, moved)
    assert world.events(receipt, "ProductUpdated")[0]["providerId"] == 2
    assert world.read(registry, "productCapabilities", 2, 0, "serviceURL") == b"http://127.0.0.1:9999"
    with pytest.raises(RpcFailure) as caught:
        world.send(FUNDED, registry, "updateProduct", 0, keys, moved)
    assert caught.value.reason == "Provider not registered"


def test_registering_costs_the_fee_which_is_burnt(world: World) -> None:
    before = int(world.rpc("eth_getBalance", FUNDED.address, "latest"), 16)
    register(world)
    assert before - int(world.rpc("eth_getBalance", FUNDED.address, "latest"), 16) > FEE
    assert world.rpc("eth_getBalance", world.at.provider_registry, "latest") == "0x0"
    assert world.read(world.at.provider_registry, "getProviderIdByAddress", FUNDED.address) == 3
    assert world.read(world.at.provider_registry, "getProviderCount") == 3
    with pytest.raises(RpcFailure) as caught:
        register(world)
    assert caught.value.reason == "Address already registered"


@pytest.mark.parametrize(
    ("keys", "values", "fee", "reason"),
    [
        (KEYS, VALUES, FEE - 1, "Incorrect fee amount"),
        (KEYS[1:], VALUES[1:], FEE, "InsufficientCapabilitiesForProduct(0)"),
        (KEYS, VALUES[1:], FEE, "Keys and values arrays must have same length"),
        ([*KEYS, ""], [*VALUES, b"x"], FEE, "Capability key cannot be empty"),
        ([*KEYS, "k" * 33], [*VALUES, b"x"], FEE, "Capability key too long"),
        ([*KEYS, "k"], [*VALUES, b""], FEE, "Capability value cannot be empty"),
        ([*KEYS, "k"], [*VALUES, b"x" * 129], FEE, "Capability value too long"),
        ([*KEYS, *map(str, range(18))], [*VALUES, *[b"x"] * 18], FEE, "Too many capabilities"),
    ],
)
def test_a_bad_registration_is_refused(
    world: World, keys: list[str], values: list[bytes], fee: int, reason: str
) -> None:
    with pytest.raises(RpcFailure) as caught:
        register(world, keys, values, fee)
    assert caught.value.reason == reason


def test_a_removed_provider_is_not_offered_any_more(world: World) -> None:
    registry = world.at.provider_registry
    world.send(PROVIDER, registry, "removeProvider")
    offered, more = world.read(registry, "getProvidersByProductType", 0, True, 0, 10)
    assert ([record[0] for record in offered], more) == ([2], False)
    assert world.read(registry, "isRegisteredProvider", PROVIDER.address) is False
    assert world.read(registry, "getProvidersByIds", [1, 2, 9])[1] == (False, True, False)
    assert world.read(registry, "getProviderByAddress", PROVIDER.address)[0] == 0
    with pytest.raises(RpcFailure) as caught:
        world.create(world.create_data(FUNDED, 7))
    assert caught.value.reason == f"ProviderNotRegistered({PROVIDER.address.lower()})"


def test_a_removed_product_can_be_added_again(world: World) -> None:
    registry = world.at.provider_registry
    world.send(PROVIDER, registry, "removeProduct", 0)
    assert world.read(registry, "providerHasProduct", 1, 0) is False
    assert world.read(registry, "getAllProductCapabilities", 1, 0) == (False, (), ())
    world.send(PROVIDER, registry, "addProduct", 0, KEYS, VALUES)
    assert world.read(registry, "providerHasProduct", 1, 0) is True
    with pytest.raises(RpcFailure) as caught:
        world.send(PROVIDER, registry, "addProduct", 0, KEYS, VALUES)
    assert caught.value.reason == "Product already exists for this provider"


def test_providers_come_in_pages(world: World) -> None:
    registry = world.at.provider_registry
    pages = [world.read(registry, "getProvidersByProductType", 0, True, offset, 1) for offset in range(3)]
    assert [([r[0] for r in records], more) for records, more in pages] == [
        ([1], True),
        ([2], False),
        ([], False),
    ]
    assert world.read(registry, "getAllActiveProviders", 1, 5) == ((2,), False)


def test_a_provider_can_rename_itself(world: World) -> None:
    world.send(PROVIDER, world.at.provider_registry, "updateProviderInfo", "new name", "new words")
    assert world.read(world.at.provider_registry, "getProvider", 1)[1][2:4] == ("new name", "new words")


def test_unknown_products_and_ids_revert(world: World) -> None:
    for args in ((1, 1), (0, 0), (3, 0)):
        with pytest.raises(RpcFailure):
            world.read(world.at.provider_registry, "getProviderWithProduct", *args)


def test_the_owner_approves_and_endorses(world: World) -> None:
    register(world)
    world.send(DEPLOYER, world.at.fwss, "addApprovedProvider", 3)
    world.send(DEPLOYER, world.at.endorsements, "addProviderId", 2)
    world.send(DEPLOYER, world.at.endorsements, "addProviderId", 3)
    world.send(DEPLOYER, world.at.endorsements, "removeProviderId", 1)
    assert world.read(world.at.endorsements, "getProviderIds") == (3, 2)
    assert world.read(world.at.fwss_view, "getApprovedProviders", 1, 1) == (2,)
    world.send(DEPLOYER, world.at.fwss, "removeApprovedProvider", 1, 0)
    assert world.read(world.at.fwss_view, "getApprovedProviders", 0, 0) == (3, 2)
    assert world.read(world.at.fwss_view, "isProviderApproved", 1) is False
    for name, args, reason in (
        ("addApprovedProvider", (3,), "ProviderAlreadyApproved(3)"),
        ("removeApprovedProvider", (1, 0), "ProviderNotInApprovedList(1)"),
        ("removeApprovedProvider", (3, 1), "ProviderIdMismatchAtIndex(1, 3)"),
    ):
        with pytest.raises(RpcFailure) as caught:
            world.send(DEPLOYER, world.at.fwss, name, *args)
        assert caught.value.reason == reason
    with pytest.raises(RpcFailure) as caught:
        world.send(DEPLOYER, world.at.endorsements, "removeProviderId", 9)
    assert caught.value.reason == "ProviderIdNotFound(9)"


def test_a_topic_is_the_hash_of_the_events_signature(world: World) -> None:
    receipt = world.send(PROVIDER, world.at.provider_registry, "updateProviderInfo", "a", "b")
    assert receipt["logs"][0]["topics"][0] == "0x" + keccak(text="ProviderInfoUpdated(uint256)").hex()
