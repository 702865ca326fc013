from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fpin.chain.networks import DevnetInfo, load_network
from fpin.errors import LocalError, UsageError

KEY = "0x1234567890123456789012345678901234567890123456789012345678901234"


def devnet_document(**info: Any) -> dict[str, Any]:
    """The minimal file that the reference client accepts, with other *info* fields mixed in."""
    names = [
        "multicall3_addr",
        "mockusdfc_addr",
        "fwss_service_proxy_addr",
        "fwss_state_view_addr",
        "fwss_impl_addr",
        "pdp_verifier_proxy_addr",
        "pdp_verifier_impl_addr",
        "service_provider_registry_proxy_addr",
        "service_provider_registry_impl_addr",
        "filecoin_pay_v1_addr",
        "endorsements_addr",
        "session_key_registry_addr",
    ]
    contracts = {
        name: f"0x10000000000000000000000000000000000000{number:02x}" for number, name in enumerate(names, 1)
    }
    user = {
        "name": "USER_1",
        "evm_addr": "0x2e988A386a799F506693793c6A5AF6B54dfAaBfB",
        "native_addr": "t410ff2miuodkpgpvazutpe6guwxwwvg7vk73us3ijva",
        "private_key_hex": KEY,
    }
    return {
        "version": 1,
        "info": {
            "users": [user],
            "contracts": contracts,
            "lotus": {"host_rpc_url": "http://127.0.0.1:5700/rpc/v1"},
            **info,
        },
    }


def write(path: Path, document: object) -> Path:
    path.write_text(json.dumps(document))
    return path


@pytest.mark.parametrize(
    ("name", "chain_id", "fwss", "genesis"),
    [
        ("mainnet", 314, "0x8408502033C418E1bbC97cE9ac48E5528F371A9f", 1598306400),
        ("calibration", 314159, "0x02925630df557F957f70E112bA06e50965417CA0", 1667326380),
    ],
)
def test_public_networks_are_the_deployed_ones(name: str, chain_id: int, fwss: str, genesis: int) -> None:
    network = load_network(name)
    assert (network.name, network.chain_id, network.contracts.fwss) == (name, chain_id, fwss)
    assert network.genesis_timestamp == genesis
    assert network.rpc_url.startswith("https://")


def test_calibnet_is_calibration() -> None:
    assert load_network("calibnet") == load_network("calibration")


def test_public_networks_poll_one_indexer_and_confirm_at_the_other() -> None:
    network = load_network("mainnet")
    assert [indexer.url for indexer in network.indexers_for("poll")] == ["https://filecoinpin.contact"]
    assert [indexer.url for indexer in network.indexers_for("confirm")] == ["https://cid.contact"]
    assert [router.url for router in network.indexers_for("route")] == ["https://delegated-ipfs.dev"]


def test_an_unknown_network_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="'testnet'") as caught:
        load_network("testnet")
    assert caught.value.hint == "the networks are mainnet, calibration, devnet"


def test_another_node_can_be_named_for_a_network() -> None:
    network = load_network("mainnet", rpc_url="http://127.0.0.1:1234")
    assert network.rpc_url == "http://127.0.0.1:1234"
    assert network.chain_id == 314


def test_a_devnet_is_all_in_its_file(tmp_path: Path) -> None:
    path = write(tmp_path / "info.json", devnet_document(indexer_url="http://127.0.0.1:7003"))
    network = load_network("devnet", devnet_info=path)
    assert network.chain_id == 31415926
    assert network.rpc_url == "http://127.0.0.1:5700/rpc/v1"
    assert network.contracts.usdfc == "0x1000000000000000000000000000000000000002"
    assert network.contracts.fwss == "0x1000000000000000000000000000000000000003"
    assert network.contracts.pay == "0x100000000000000000000000000000000000000A"
    (indexer,) = network.indexers
    assert (indexer.url, sorted(indexer.roles)) == ("http://127.0.0.1:7003", ["confirm", "poll", "route"])
    assert network.gateways == ()
    assert network.genesis_timestamp is None


def test_a_devnet_file_of_others_has_no_indexer_and_that_is_fine(tmp_path: Path) -> None:
    path = write(tmp_path / "info.json", devnet_document())
    assert load_network("devnet", devnet_info=path).indexers == ()


def test_the_devnets_first_user_comes_with_a_key_that_is_not_shown(tmp_path: Path) -> None:
    info = DevnetInfo.read(write(tmp_path / "info.json", devnet_document()))
    assert info.users[0].private_key == KEY
    assert KEY[2:] not in repr(info)


def test_a_devnet_without_its_file_says_how_to_get_one() -> None:
    with pytest.raises(UsageError) as caught:
        load_network("devnet")
    assert "fpin devnet up" in str(caught.value.hint)


def test_a_missing_devnet_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "nowhere.json"
    with pytest.raises(LocalError, match=r"nowhere\.json"):
        load_network("devnet", devnet_info=path)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"info": {}}',
        '{"info": null}',
        json.dumps(devnet_document(users=[])),
        json.dumps(devnet_document(contracts={})),
        json.dumps(devnet_document(lotus={})),
    ],
)
def test_a_file_that_is_no_devnet_info_is_refused_by_name(text: str, tmp_path: Path) -> None:
    path = tmp_path / "odd.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"odd\.json"):
        load_network("devnet", devnet_info=path)


def test_a_devnet_file_with_a_mistyped_address_is_refused(tmp_path: Path) -> None:
    document = devnet_document()
    document["info"]["contracts"]["mockusdfc_addr"] = "0x1234"
    with pytest.raises(UsageError, match="0x1234"):
        load_network("devnet", devnet_info=write(tmp_path / "info.json", document))
