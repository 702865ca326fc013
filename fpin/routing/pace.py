"""How often and for how long routing is asked: numbers only (spec routing-and-retrieval §4.6, §4.7).

`PUBLIC` is for networks that others share, `LOCAL` for a devnet, whose indexer takes milliseconds.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator

from fpin.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """Where waiting gets time and chance from. ``now`` is monotonic, in seconds; ``chance`` is in [0, 1)."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = random.random


@dataclass(frozen=True, slots=True, kw_only=True)
class AddPace:
    """Seconds, for a record to appear. The last of *delays* is repeated."""

    first: float
    delays: tuple[float, ...]
    deadline: float  # for the root, all providers together
    children: float  # shared by the sampled blocks, after the root
    extension: float  # once, when a provider says that it has not advertised yet
    ceiling: float  # for everything
    grace: float  # for an indexer to show a record, once there is other evidence
    longest_retry_after: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovalPace:
    """Seconds, for a record to disappear."""

    chain: float  # between looks at the chain
    first: float  # between questions to the indexer, doubling …
    cap: float  # … up to this
    spacing: float  # between the empty answers that it takes
    deadline: float
    answers: int = 2  # empty ones in a row: caches and merged backends flap (spec §4.7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    add: AddPace
    removal: RemovalPace


PUBLIC = Pace(
    add=AddPace(
        first=2.0,
        delays=(2, 3, 5, 5, 5, 10, 10, 15),
        deadline=180.0,
        children=60.0,
        extension=60.0,
        ceiling=300.0,
        grace=15.0,
    ),
    # A day for the proving period, two hours for the provider's collection, and the indexer's own time.
    removal=RemovalPace(chain=60.0, first=60.0, cap=900.0, spacing=30.0, deadline=27 * 3600.0),
)
LOCAL = Pace(
    add=AddPace(
        first=0.0,
        delays=(0.05, 0.05, 0.1, 0.1, 0.2, 0.3, 0.5),
        deadline=60.0,
        children=20.0,
        extension=20.0,
        ceiling=90.0,
        grace=2.0,
    ),
    removal=RemovalPace(chain=0.1, first=0.05, cap=0.5, spacing=0.05, deadline=120.0),
)
# One look, no waiting: how things stand.
LOOK_ONCE = RemovalPace(chain=0, first=0, cap=0, spacing=0, deadline=0, answers=1)
ASK_ONCE = AddPace(first=0, delays=(0,), deadline=0, children=0, extension=0, ceiling=0, grace=0)


def jittered(delay: float, chance: Callable[[], float]) -> float:
    """Return *delay* within 15 % either way, so that many clients do not ask in step."""
    return delay * (0.85 + 0.3 * chance())


def add_delays(pace: AddPace) -> Iterator[float]:
    """Yield the pause before each question."""
    yield pace.first
    yield from pace.delays
    while True:
        yield pace.delays[-1]


def removal_delays(pace: RemovalPace) -> Iterator[float]:
    """Yield the pause after each question that still saw the record."""
    delay = pace.first
    while True:
        yield delay
        delay = min(delay * 2, pace.cap)
