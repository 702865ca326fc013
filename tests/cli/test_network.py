"""`fpin provider ls` and `fpin data-set ls` against the devnet."""

from __future__ import annotations

from pathlib import Path

from fpin.devnet.world import World
from tests.conftest import Fpin


def test_providers_are_listed_with_their_standing(fpin: Fpin, world: World) -> None:
    listed = fpin("provider", "ls", "--json")
    assert listed.code == 0, listed.stderr
    found = {one["provider_id"]: one for one in listed.json["providers"]}
    assert {number: one["url"] for number, one in found.items()} == dict(enumerate(world.urls.providers, 1))
    assert all(one["approved"] and one["endorsed"] and one["problem"] is None for one in found.values())


def test_data_sets_are_listed_with_what_is_in_them(fpin: Fpin, world: World, site: Path) -> None:
    assert fpin("data-set", "ls", "--json").json["data_sets"] == []
    added = fpin("add", site, "--copies", "1", "--json").json
    [found] = fpin("data-set", "ls", "--json").json["data_sets"]
    [copy] = added["pieces"][0]["copies"]
    assert (found["data_set_id"], found["provider_id"]) == (copy["data_set_id"], copy["provider_id"])
    assert found["state"] == "live"
    assert found["metadata"] == {"source": "filecoin-pin", "withIPFSIndexing": ""}
    # Billed by 32-byte leaves of the padded piece, so a little more than the CAR.
    assert added["car_size"] <= found["size"] <= added["car_size"] + 128
