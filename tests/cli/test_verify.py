"""`fpin verify`: every block or a sample, at each provider; what is missing, wrong or silent."""

from __future__ import annotations

from pathlib import Path

import pytest

from fpin.devnet.gateway import BlockStore
from fpin.ipld.cid import RAW, cid_of, format_cid, multihash_of
from tests.cli.conftest import Tenant


@pytest.fixture
def folder(tenant: Tenant, tmp_path: Path) -> Path:
    """Twelve files and one of several blocks, which no other test stores."""
    place = tmp_path / "folder"
    (place / "sub").mkdir(parents=True)
    for number in range(12):
        (place / "sub" / f"{number}.txt").write_text(f"{number} of {tenant.wallet}")
    (place / "big.bin").write_bytes(tenant.wallet.encode() * 60_000)
    return place


@pytest.fixture
def root(tenant: Tenant, folder: Path) -> str:
    added = tenant.here("add", folder, "--copies", "2", "--json")
    assert added.code == 0, added.stderr
    cid: str = added.json["root_cid"]
    return cid


def leaf(tenant: Tenant, number: int) -> bytes:
    return cid_of(RAW, f"{number} of {tenant.wallet}".encode())


class Damage:
    """Makes one provider lack a block, or give another one in its place."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, tenant: Tenant, number: int) -> None:
        self.store: BlockStore = tenant.world.provider(number).blocks
        self._get, self._monkeypatch = self.store.get, monkeypatch

    def set(self, cid: bytes, data: bytes | None) -> None:
        wanted, get = multihash_of(cid), self._get

        def broken(multihash: bytes) -> bytes | None:
            return data if multihash == wanted else get(multihash)

        self._monkeypatch.setattr(self.store, "get", broken)


def test_every_block_at_every_provider_is_right(tenant: Tenant, root: str) -> None:
    result = tenant.here("verify", root, "--json")
    assert (result.code, result.json["complete"]) == (0, True), result.stderr
    assert [one["provider_id"] for one in result.json["providers"]] == [1, 2]
    # 12 small files, a file of 3 leaves with a node over them, two folders
    assert [one["blocks"] for one in result.json["providers"]] == [18, 18]
    assert result.json["blocks"] == 18
    shown = tenant.here("verify", root)
    assert "provider 2" in shown.stdout
    assert shown.stdout.endswith("complete\n")


def test_a_path_inside_the_content_and_a_name_are_verified_too(tenant: Tenant, root: str) -> None:
    assert tenant.here("verify", f"{root}/sub", "--json").json["blocks"] == 13
    assert tenant.here("verify", "folder", "--json").json["blocks"] == 18


def test_a_sample_is_repeated_by_its_seed(tenant: Tenant, root: str) -> None:
    first = tenant.here("verify", root, "--sample", "7", "--json")
    assert (first.code, first.json["blocks"], first.json["sample"]) == (0, 7, 7)
    again = tenant.here("verify", root, "--sample", "7", "--sample-seed", str(first.json["seed"]), "--json")
    assert [one["bytes"] for one in again.json["providers"]] == [
        one["bytes"] for one in first.json["providers"]
    ]
    assert tenant.here("verify", root, "--sample", "1000", "--json").json["blocks"] <= 18
    assert tenant.here("verify", root, "--sample", "0").code == 2


def test_a_block_that_one_provider_lost_is_named_and_fails(
    tenant: Tenant, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Damage(monkeypatch, tenant, 2).set(leaf(tenant, 5), None)
    result = tenant.here("verify", root, "--json")
    assert (result.code, result.json["complete"], result.json["lost"]) == (6, False, [])
    good, bad = result.json["providers"]
    assert (good["good"], good["blocks"]) == (True, 18)
    assert (bad["missing"], bad["missing_cids"]) == (1, [format_cid(leaf(tenant, 5))])
    assert bad["blocks"] == 17


def test_a_block_that_everybody_lost_is_lost(
    tenant: Tenant, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (1, 2):
        Damage(monkeypatch, tenant, number).set(leaf(tenant, 5), None)
    result = tenant.here("verify", root, "--json")
    assert (result.code, result.json["lost"]) == (6, [format_cid(leaf(tenant, 5))])


def test_a_block_that_is_another_one_is_told(
    tenant: Tenant, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Damage(monkeypatch, tenant, 1).set(leaf(tenant, 3), b"evil")
    result = tenant.here("verify", root, "--json")
    assert (result.code, result.json["complete"]) == (6, False)
    bad, good = result.json["providers"]
    assert "cannot be trusted" in bad["wrong"]
    assert good["good"]


def test_a_provider_that_does_not_answer_is_temporary(tenant: Tenant, root: str) -> None:
    tenant.world.provider(2).faults.status_for["ipfs"] = (503, 10**9)
    result = tenant.here("verify", root, "--json")
    assert (result.code, result.json["complete"]) == (5, False), result.stdout
    assert result.json["providers"][0]["good"]
    assert "503" in result.json["providers"][1]["unavailable"]


def test_what_nobody_has_is_not_found(tenant: Tenant) -> None:
    assert tenant.here("verify", format_cid(cid_of(RAW, b"nobody has this"))).code == 1
