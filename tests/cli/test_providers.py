"""`fpin provider` and `fpin data-set ls` against the devnet, and what is shown where nobody answers."""

from __future__ import annotations

from pathlib import Path

from fpin.devnet.world import World
from fpin.settings import folders, make_folder
from fpin.store import NewPiece, Store
from tests.cli.conftest import Tenant
from tests.cli.test_bad_input import told
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


def test_a_provider_is_shown_with_what_it_registered_and_what_is_there(
    tenant: Tenant, tmp_path: Path
) -> None:
    note = tmp_path / "note.txt"
    note.write_text("to be kept")
    assert tenant.here("add", note, "--provider", "2", "-q").code == 0
    [data_set] = tenant.here("data-set", "ls", "--json").json["data_sets"]
    shown = tenant.here("provider", "show", "2", "--json").json["provider"]
    assert shown["provider"]["provider_id"] == 2
    assert shown["provider"]["url"] == tenant.world.urls.providers[1] == shown["capabilities"]["serviceURL"]
    assert shown["data_sets"] == [data_set["data_set_id"]]
    assert shown["peer_id"].startswith("12D3KooW")
    assert int(shown["capabilities"]["maxPieceSizeInBytes"]) == shown["largest_piece"]
    assert tenant.here("provider", "show", "2", "-q").stdout == tenant.world.urls.providers[1] + "\n"
    told(tenant.here("provider", "show", "77"), 1, "77", "fpin provider ls")
    watching = tenant.here("provider", "show", "2", "--json", env={"FPIN_PRIVATE_KEY": ""})
    assert watching.code == 0


def test_providers_are_asked_whether_they_are_well(tenant: Tenant) -> None:
    every = tenant.here("provider", "ping", "--json")
    assert (every.code, [one["provider_id"] for one in every.json["providers"]]) == (0, [1, 2, 3])
    assert all(one["problem"] is None and one["milliseconds"] >= 0 for one in every.json["providers"])
    tenant.world.provider(3).faults.status_for["ping"] = (503, 99)
    some = tenant.here("provider", "ping", "--json")
    assert (some.code, some.json["well"]) == (0, True)
    assert "503" in some.json["providers"][2]["problem"]
    named = tenant.here("provider", "ping", "1", "3")
    assert named.code == 5
    assert "503" in named.stdout
    assert tenant.here("provider", "ping", "1", "3", "-q").stdout == "1\n"
