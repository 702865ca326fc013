"""Waiting for something that a provider does in its own time: how often to ask, and for how long.

Knows delays, patience and which failures are worth another try. Refuses to know what is asked: that is the
caller's function. Time is injected, so that tests and the devnet need not wait.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from fpin.errors import ProviderUnavailable
from fpin.provider.answers import MaybeSent, asked_to_wait
from fpin.values import dataclass

T = TypeVar("T")

# Seconds. Parking takes two pollers of 5 s and a copy, a busy provider minutes; the reference client gives
# up after five minutes and loses uploads that were fine (spec §5.2, §5.3).
PARKING = 600.0
# A stuck transaction is replaced only after ten epochs (five minutes) on mainnet, and then mined (spec §5.2).
CONFIRMING = 1800.0
# A provider gives a pull an hour (curio tasks/pdpv0/task_pull_piece.go, PullTotalBudget) and reports on it.
PULLING = 3900.0
# No answer at all for this long, while a provider is at something, and it counts as gone.
SILENCE = 120.0
LONGEST_OBEYED_RETRY_AFTER = 300.0  # an IP ban is 300 s (spec §1.8); more than that is not believed


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """Where waiting gets its time from. ``now`` is monotonic, in seconds."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


def delays(first: float = 0.05, factor: float = 1.5, cap: float = 4.0) -> Iterator[float]:
    """Yield the seconds to wait before each further question, for ever.

    Short at first, because a devnet answers at once; never longer than *cap*, the reference client's pace.
    """
    delay = first
    while True:
        yield min(delay, cap)
        delay = min(delay * factor, cap)


def poll(
    ask: Callable[[], T | None],
    *,
    patience: float,
    clock: Clock,
    cap: float = 4.0,
    silence: float | None = None,
) -> T | None:
    """Ask until there is an answer; return None when *patience* seconds pass without one.

    A provider that cannot be reached meanwhile is asked again, at the time it asks for if it names one; its
    last failure is raised when patience ends on it, or when nothing was heard for *silence* seconds, because
    "no answer" is not "not yet". Other errors end the wait at once.
    """
    heard = clock.now()
    end = heard + patience
    for delay in delays(cap=cap):
        failure: ProviderUnavailable | None = None
        try:
            if (answer := ask()) is not None:
                return answer
            heard = clock.now()
        except MaybeSent:
            raise
        except ProviderUnavailable as exc:
            failure = exc
            if silence is not None and clock.now() - heard > silence:
                raise
            delay = max(delay, min(asked_to_wait(exc) or 0.0, LONGEST_OBEYED_RETRY_AFTER))
        if clock.now() + delay > end:
            if failure is not None:
                raise failure
            return None
        clock.sleep(delay)
    raise AssertionError("delays never end")
