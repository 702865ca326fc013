"""Ctrl-C while files are written: nothing half-done is left under its final name."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from fpin import threads
from fpin.backends.base import Wish
from fpin.events import Confirmed, Event, Fetching, Hashing, Parked, Pulling, Uploading
from fpin.flows import add, get, packing
from fpin.flows.packing import Content
from fpin.flows.services import Services
from tests.cli.conftest import Tenant


@pytest.fixture
def big(tmp_path: Path) -> Path:
    path = tmp_path / "big.bin"
    path.write_bytes(os.urandom(9 * 2**20))
    return path


def interrupt(event: Event) -> None:
    if isinstance(event, Hashing | Fetching) and event.done > 0:
        raise KeyboardInterrupt


def test_packing_that_is_interrupted_leaves_nothing(big: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(KeyboardInterrupt):
        packing.pack(Content(paths=(big,)), out / "big.car", on_event=interrupt)
    assert list(out.iterdir()) == []


def test_fetching_that_is_interrupted_leaves_what_the_next_attempt_needs(
    services: Services, big: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    stored = add.add(services, add.AddRequest(content=Content(paths=(big,)), wish=Wish(copies=1)))
    assert stored.root_cid
    with pytest.raises(KeyboardInterrupt):
        get.get(services, stored.root_cid, out / "big.bin", on_event=interrupt)
    [left] = out.iterdir()
    assert left.name.startswith(".big.bin.fpin-")
    result = get.get(services, stored.root_cid, out / "big.bin")
    assert result.kept >= 2**20
    assert [path.name for path in out.iterdir()] == ["big.bin"]
    assert (out / "big.bin").read_bytes() == big.read_bytes()


@pytest.mark.parametrize("kind", [Uploading, Parked, Pulling, Confirmed])
def test_an_add_with_many_threads_that_is_interrupted_goes_on_with_the_same_command(
    services: Services, tenant: Tenant, tmp_path: Path, kind: type[Event]
) -> None:
    for number in range(5):
        (tmp_path / f"{number}.bin").write_bytes(os.urandom(15_000))
    paths = tuple(sorted(tmp_path.glob("*.bin")))
    request = add.AddRequest(content=Content(paths=paths, piece_limit=20_000))

    def at_the_first(event: Event) -> None:
        if isinstance(event, kind):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        add.add(services, request, on_event=at_the_first)
    assert [thread for thread in threading.enumerate() if thread.name == threads.NAME] == []
    stored = add.add(services, request)
    assert stored.complete
    assert len(stored.pieces) == 5
    for piece in stored.pieces:
        assert sorted(row[0] for row in tenant.on_chain(piece.piece_cid)) == [1, 2]


_TWICE = """
import os, signal, sys
from fpin import cli

def interrupted(_args):
    try:
        os.kill(os.getpid(), signal.SIGINT)
    except KeyboardInterrupt:
        print("cleaning up", flush=True)
        os.kill(os.getpid(), signal.SIGINT)
    print("still here", flush=True)
    return 0

cli.run = interrupted
cli.main()
"""


@pytest.mark.skipif(os.name != "posix", reason="needs SIGINT")
def test_a_second_interrupt_ends_fpin_at_once() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _TWICE], capture_output=True, text=True, check=False, timeout=60
    )
    assert (ended.returncode, ended.stdout) == (130, "cleaning up\n"), ended.stderr
    assert ended.stderr == ""
