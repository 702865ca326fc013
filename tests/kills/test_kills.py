"""An add of three pieces to two providers, killed and run again: nothing is lost, nothing paid twice.

A selection; `make faults` kills at every transition of the store and at hundreds of random moments.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.kills.arena import Arena
from tests.kills.cases import Reference, kill_at, kill_at_random
from tests.kills.victim import Order

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")

WALLETS = 40  # more than there are tests
SEEDS = range(1000, 1006)  # not those of `make faults`


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    with Arena.open(tmp_path_factory.mktemp("arena"), WALLETS) as arena:
        yield arena


@pytest.fixture(scope="module")
def reference(arena: Arena) -> Reference:
    return Reference(arena)


# "before" a commit is where "after" the one above it left everything, unless a peer was asked between them.
@pytest.mark.parametrize(
    ("transition", "time", "before"),
    [
        ("record_pin after", 1, False),
        ("plan_copy before", 2, False),
        ("mark_pulling before", 1, False),
        ("mark_pulling after", 1, True),
        ("mark_parked before", 6, False),
        ("mark_parked after", 3, False),
        ("mark_signed after", 1, False),
        ("mark_sending after", 1, False),
        ("mark_submitted before", 1, False),
        ("mark_submitted before", 2, True),
        ("mark_submitted after", 2, False),
        ("mark_confirmed before", 1, True),
        ("mark_confirmed after", 1, False),
        ("mark_advertised before", 1, False),
        ("mark_advertised after", 4, False),
    ],
)
def test_an_add_that_is_killed_at_a_transition_is_finished_by_the_same_command(
    arena: Arena, reference: Reference, transition: str, time: int, before: bool
) -> None:
    point = f"{transition} its commit"
    killed = kill_at(arena, reference, Order(point=point, time=time), before=before)
    assert [death.moment for death in killed.deaths] == [point]


@pytest.mark.parametrize("seed", SEEDS)
def test_an_add_that_is_killed_at_random_moments_is_finished_by_the_same_command(
    arena: Arena, reference: Reference, seed: int
) -> None:
    kill_at_random(arena, reference, seed)
