"""The two threads of a running devnet: the worker, which lets everybody do what is due, and the clock.

Knows when to call, not what the calls do.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.002, 0.03  # seconds between two rounds with nothing to do
_AFTER_ERROR = 1.0

logger = logging.getLogger("fpin.devnet")


class Loop:
    """A thread that calls *turn* until it is stopped; *turn* returns the seconds to wait before the next."""

    def __init__(self, name: str, turn: Callable[[], float], *, first_after: float = 0.0) -> None:
        self._turn = turn
        self._first_after = first_after
        self._leave = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"devnet-{name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Returns when the turn under way, if any, has ended."""
        self._leave.set()
        self._thread.join()

    def _run(self) -> None:
        pause = self._first_after
        while not self._leave.wait(pause):
            try:
                pause = self._turn()
            except Exception:  # one broken turn must not stop the world; the log says what it was
                logger.exception("%s failed", self._thread.name)
                pause = _AFTER_ERROR


def worker(jobs: Sequence[Callable[[], bool]]) -> Loop:
    """Call all *jobs* round after round; the longer none of them does anything, the longer the pauses."""
    pause = _SHORTEST_PAUSE

    def turn() -> float:
        nonlocal pause
        busy = [job() for job in jobs]
        pause = _SHORTEST_PAUSE if any(busy) else min(pause * 1.5, _LONGEST_PAUSE)
        return pause

    return Loop("worker", turn)


def clock(advance: Callable[[], None], hurry: Callable[[], bool], epoch: float) -> Loop:
    """Call *advance* every *epoch* seconds, and without waiting for as long as somebody is in a *hurry*."""
    tick = min(epoch, 0.05)  # so that a hurry is noticed in the middle of a long epoch
    waited = 0.0

    def turn() -> float:
        nonlocal waited
        waited += tick
        if hurry():
            advance()
            return 0.0
        if waited >= epoch:
            waited = 0.0
            advance()
        return tick

    return Loop("clock", turn, first_after=tick)
