"""Ctrl-C while files are written: nothing half-done is left under its final name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fpin.backends.base import Wish
from fpin.events import Event, Fetching, Hashing
from fpin.flows import add, get, packing
from fpin.flows.packing import Content
from fpin.flows.services import Services


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
