"""Files that change under fpin's hands: the change is named, and nothing that was never hashed is stored."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from fpin.backends.base import Wish
from fpin.errors import SourceChanged, SourceError
from fpin.events import Event, Hashing, Packed, Planned, Uploading
from fpin.flows import add as flow
from fpin.flows.packing import Content
from fpin.flows.services import Services
from tests.cli.conftest import Tenant


def request(path: Path, copies: int = 1) -> flow.AddRequest:
    return flow.AddRequest(content=Content(paths=(path,)), wish=Wish(copies=copies))


def at(kind: type[Event], act: Callable[[], object]) -> Callable[[Event], None]:
    """Do *act* when the first event of *kind* comes."""
    todo = [act]

    def on_event(event: Event) -> None:
        if isinstance(event, kind) and todo:
            todo.pop()()

    return on_event


@pytest.fixture
def folder(tenant: Tenant, tmp_path: Path) -> Path:
    place = tmp_path / "folder"
    place.mkdir()
    (place / "first.txt").write_text(f"first of {tenant.wallet}")
    (place / "large.bin").write_bytes(os.urandom(5 * 2**20))
    (place / "second.txt").write_text(f"second of {tenant.wallet}")
    return place


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def rewrite_unseen(path: Path) -> None:
    """Change one byte and leave size and times as they were."""
    before = path.stat()
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"!")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


CHANGES = [grow, rewrite_unseen, Path.unlink]


@pytest.mark.parametrize("change", [grow, Path.unlink])
@pytest.mark.parametrize("name", ["second.txt", "large.bin"])
def test_a_file_that_changes_before_it_is_hashed_is_named_and_nothing_is_written_down(
    services: Services, tenant: Tenant, folder: Path, change: Callable[[Path], object], name: str
) -> None:
    with pytest.raises(SourceChanged) as caught:
        flow.add(services, request(folder), on_event=at(Planned, lambda: change(folder / name)))
    assert str(folder / name) in caught.value.message
    assert caught.value.hint
    assert tenant.pins() == []


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", ["second.txt", "large.bin"])
def test_a_file_that_changes_between_hashing_and_sending_is_named_and_nothing_is_paid(
    services: Services, tenant: Tenant, folder: Path, change: Callable[[Path], object], name: str
) -> None:
    before = tenant.funds()
    with pytest.raises(SourceChanged) as caught:
        flow.add(services, request(folder), on_event=at(Packed, lambda: change(folder / name)))
    assert str(folder / name) in caught.value.message
    assert tenant.chain.client_data_sets(tenant.wallet) == ()
    assert tenant.funds() == before
    [pin] = tenant.pins()
    [copy] = pin["pieces"][0]["copies"]
    assert (pin["state"], copy["state"]) == ("failed", "failed")
    assert name in copy["reason"]


def test_a_file_that_changes_while_it_is_sent_is_named_and_nothing_is_paid(
    services: Services, tenant: Tenant, folder: Path
) -> None:
    # The first bytes are on their way when the last ones change.
    with pytest.raises(SourceChanged) as caught:
        flow.add(services, request(folder), on_event=at(Uploading, lambda: grow(folder / "second.txt")))
    assert str(folder / "second.txt") in caught.value.message
    assert tenant.chain.client_data_sets(tenant.wallet) == ()


def test_after_the_change_the_same_command_stores_what_is_there_now_and_its_path_means_that(
    services: Services, tenant: Tenant, folder: Path
) -> None:
    with pytest.raises(SourceChanged):
        flow.add(services, request(folder), on_event=at(Packed, lambda: grow(folder / "second.txt")))
    stored = flow.add(services, request(folder))
    assert stored.complete
    found = tenant.here("status", folder, "--json")
    assert found.code == 0, found.stderr
    assert [pin["root_cid"] for pin in found.json["pins"]] == [stored.root_cid]


def test_content_that_changes_back_is_stored_by_the_same_command(
    services: Services, tenant: Tenant, folder: Path
) -> None:
    whole = (folder / "second.txt").read_bytes()
    with pytest.raises(SourceChanged):
        flow.add(services, request(folder), on_event=at(Packed, lambda: grow(folder / "second.txt")))
    (folder / "second.txt").write_bytes(whole)
    stored = flow.add(services, request(folder))
    assert stored.complete
    assert len(tenant.on_chain(stored.pieces[0].piece_cid)) == 1


def test_a_copy_that_was_stored_before_the_change_stays(
    services: Services, tenant: Tenant, folder: Path
) -> None:
    tenant.world.provider(2).faults.refuse_pulls = 400  # so that it needs our bytes too

    def when_the_first_copy_is_there(event: Event) -> None:
        if isinstance(event, Uploading) and event.provider_id == 2:
            grow(folder / "second.txt")

    with pytest.raises(SourceChanged):
        flow.add(services, request(folder, copies=2), on_event=when_the_first_copy_is_there)
    [pin] = tenant.pins()
    assert pin["state"] == "degraded"
    assert [copy["state"] for copy in pin["pieces"][0]["copies"]] == ["confirmed", "failed"]
    assert len(tenant.on_chain(pin["pieces"][0]["piece_cid"])) == 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_file_that_becomes_something_else_is_not_waited_for(services: Services, folder: Path) -> None:
    def swap() -> None:
        (folder / "second.txt").unlink()
        os.mkfifo(folder / "second.txt")

    with pytest.raises(SourceError) as caught:
        flow.add(services, request(folder), on_event=at(Planned, swap))
    assert str(folder / "second.txt") in caught.value.message


def test_a_file_that_changes_while_it_is_hashed_is_named(services: Services, folder: Path) -> None:
    def change() -> None:
        for file in folder.iterdir():  # whichever is read next
            grow(file)

    with pytest.raises(SourceChanged) as caught:
        flow.add(services, request(folder), on_event=at(Hashing, change))
    assert str(folder) in caught.value.message
