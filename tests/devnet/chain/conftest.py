"""A fresh chain for every test: sponsored and funded clients, two providers, one endorsed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fpin.devnet.chain import PRICES_1_3
from tests.devnet.chain.world import World, make_genesis


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """The devnet's defaults: prices of contracts 1.4.0."""
    opened = World(tmp_path / "chain.sqlite")
    yield opened
    opened.close()


@pytest.fixture
def world_1_3(tmp_path: Path) -> Iterator[World]:
    """Prices of contracts 1.3.x, in which the specification's figures are given."""
    opened = World(tmp_path / "chain.sqlite", make_genesis(prices=PRICES_1_3))
    yield opened
    opened.close()
