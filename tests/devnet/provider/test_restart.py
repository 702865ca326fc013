"""A provider that is killed goes on where it was: every job starts again from its rows."""

from __future__ import annotations

import pytest

from fpin.devnet.provider import Provider
from fpin.devnet.provider.commp import commit
from fpin.devnet.provider.node import NodeSilent
from tests.devnet.provider.conftest import Site, World, random_car


def test_every_step_of_a_piece_survives_a_restart(world: World, site: Site) -> None:
    data, _ = random_car(40)
    location = site.post("/pdp/piece/uploads").headers["Location"]
    site.http.put(site.url + location, content=data)
    world.restart(site)
    piece = commit(data)
    assert site.post(location, {"pieceCid": piece.v2}).status_code == 200
    world.restart(site)
    site.idle()
    assert site.find(piece).status_code == 200
    answer = site.create_and_add([piece], 1, 2)
    world.restart(site)
    world.settle()
    assert site.get(answer.headers["Location"]).json()["dataSetId"] == 1
    assert site.status(piece)["synced"] is True
    world.restart(site)
    assert site.status(piece)["synced"] is True
    head = site.provider.publisher.head
    world.settle()
    assert site.provider.publisher.head == head


def test_a_kill_between_signing_and_sending_loses_nothing(
    world: World, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    piece = site.park(b"\x01" * 2000)

    def killed(_: bytes) -> None:
        raise NodeSilent("the process died here")

    monkeypatch.setattr(site.provider._chain.node, "submit", killed)
    assert site.create_and_add([piece], 1, 2).status_code == 500
    epoch = world.chain.epoch
    world.restart(site)
    site.idle()
    assert world.chain.epoch > epoch, "what was signed was sent after all"
    assert site.get("/pdp/data-sets/1").json()["pieces"][0]["pieceCid"] == piece.v2


def test_a_kill_after_publishing_does_not_advertise_twice(world: World, site: Site) -> None:
    piece = site.park(random_car(41)[0])
    site.new_set([piece])
    head = site.provider.publisher.head
    with site.provider._state.write() as db:  # as if the process had died before it wrote these
        db.execute("DELETE FROM ads")
        db.execute("UPDATE refs SET ad_state = 'wanted', ad_created_at = NULL")
    world.restart(site)
    world.settle()
    assert site.provider.publisher.head == head
    assert site.status(piece)["adCid"] == head


def test_a_kill_while_parking_keeps_the_piece(world: World, site: Site) -> None:
    data = b"\x02" * 3000
    piece = site.upload(data)
    folder = site.options["folder"]
    (stashed,) = (folder / "stash").iterdir()
    stashed.rename(folder / "pieces" / piece.v1)  # the file was moved, the rows were not written
    world.restart(site)
    site.idle()
    assert site.get(f"/piece/{piece.v2}").content == data


def test_half_received_uploads_are_cleared_away_at_the_start(world: World, site: Site) -> None:
    leftover = site.options["folder"] / "stash" / "0.part"
    leftover.write_bytes(b"x")
    world.restart(site)
    assert not leftover.exists()


def test_a_removal_goes_on_after_a_restart(world: World, site: Site) -> None:
    piece = site.park(random_car(42)[0])
    data_set = site.new_set([piece])
    world.settle()
    assert site.remove(data_set, [0]).status_code == 200
    world.restart(site)
    site.idle()
    assert site.provider.hurry()
    while site.provider.hurry():
        world.pass_epochs(1)
        world.restart(site)
        site.idle()
    assert site.find(piece).status_code == 404


def test_another_place_is_registered(world: World, site: Site) -> None:
    site.new_set([site.park(random_car(43)[0])])
    world.settle()
    other = world.sites[1]
    site.provider.close()
    moved = site.options | {"service_url": other.url}
    site.provider = Provider(**moved)
    site.provider.work()
    product = site.provider._chain.own_product()
    assert product is not None
    assert product["serviceURL"] == other.url.encode()
