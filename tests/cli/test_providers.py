"""`fpin provider ls` and `fpin data-set ls` against the devnet, and what is shown where nobody answers."""

from __future__ import annotations

from pathlib import Path

from fpin.devnet.world import World
from fpin.settings import folders, make_folder
from fpin.store import NewPiece, Store
from tests.conftest import Fpin

PIECE = "bafkzcibcp4bdomn3tgwgrh3g532zopskstnbrd2n3sxfqbze7rxt7vqn7veigmy"


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


def test_a_network_without_pins_is_named_in_what_to_do(fpin: Fpin) -> None:
    listed = fpin("ls", "--network", "calibration")
    assert listed.stdout == "nothing is pinned on calibration yet: fpin add PATH --network calibration\n"


def test_without_a_node_a_refresh_shows_what_the_store_has_and_says_so(fpin: Fpin) -> None:
    where = folders(fpin.env)
    with Store(make_folder(where.data) / where.store.name) as store:
        pin = store.record_pin(
            chain_id=314,
            root_cid=b"\x01\x55\x12\x20" + b"\x07" * 32,
            name="photos",
            path=None,
            profile="unixfs-v1-2025",
            size=10,
            files=1,
            copies_wanted=1,
            metadata=[],
            pieces=[NewPiece(piece_cid=PIECE, size=200)],
        )
        copy = store.plan_copy(pin.pieces[0].piece, provider_id=1, provider_url="http://sp1")
        store.mark_on_chain(copy, data_set_id=1, piece_id=1)
    node = ("--network", "mainnet", "--rpc-url", "http://127.0.0.1:9")
    shown = fpin("status", "--refresh", *node)
    assert shown.code == 0, shown.stderr
    assert "photos is shown as the store has it" in shown.stderr
    assert "pinned" in shown.stdout
