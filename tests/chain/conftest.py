from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fpin.chain.rpc import JsonRpc
from fpin.http import Http
from tests.chain.nodes import ScriptedNode, Waits, make_rpc, serve_scripted
from tests.chain.world import World, make_world


@pytest.fixture
def http() -> Iterator[Http]:
    with Http() as client:
        yield client


@pytest.fixture
def waits() -> Waits:
    return Waits()


@pytest.fixture
def scripted() -> Iterator[ScriptedNode]:
    with serve_scripted() as node:
        yield node


@pytest.fixture
def rpc(scripted: ScriptedNode, http: Http, waits: Waits) -> JsonRpc:
    return make_rpc(scripted.url, http, waits)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with make_world(tmp_path) as made:
        yield made
