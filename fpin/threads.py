"""Threads that work for one caller and end with it: when one fails or the caller is interrupted, all stop.

Knows nothing of the work. A thread stops where it asks (`Crew.check`, `Crew.sleep`); one that is stuck in a
system call is left behind, as a process that is killed would leave it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")

NAME = "fpin crew"
GRACE = 2.0  # seconds that threads have to come to a place where they can stop
_LOOK = 0.1  # seconds between looks: a wait without an end cannot be interrupted on every system


class Stopped(BaseException):
    """Raised in a thread whose work nobody waits for any more; no error, and handled by a `Crew` only."""


class Crew:
    """Some threads of a caller. One made for a part of the work (*of*) stops with the whole."""

    def __init__(self, of: Crew | None = None) -> None:
        self._of = of
        self._stop = threading.Event()
        self._on_leaving: list[Callable[[], None]] = []

    @property
    def stopped(self) -> bool:
        return self._stop.is_set() or (self._of is not None and self._of.stopped)

    def stop(self) -> None:
        """Have every thread end at the next place where it can."""
        self._stop.set()

    def check(self) -> None:
        """Raise Stopped if the work is not wanted any more."""
        if self.stopped:
            raise Stopped

    def sleep(self, seconds: float) -> None:
        """Sleep, and raise Stopped as soon as the work is not wanted any more."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.check()
            self._stop.wait(min(left, _LOOK))
        self.check()

    def on_leaving(self, call: Callable[[], None]) -> None:
        """Have *call* called, from the caller's thread, should a thread have to be left behind."""
        self._on_leaving.append(call)
        if self._of is not None:
            self._of.on_leaving(call)

    def run(self, tasks: Sequence[Callable[[], T]], *, at_once: int | None = None) -> list[T]:
        """Run *tasks* in threads, at most *at_once* of them at a time, and return what they returned.

        Raises the first failure, and KeyboardInterrupt of the caller, once the other threads have stopped.
        """
        if not tasks:
            return []
        results: dict[int, T] = {}
        failures: list[BaseException] = []
        waiting = iter(enumerate(tasks))
        taking = threading.Lock()

        def work() -> None:
            try:
                for number, task in _shared(waiting, taking):
                    self.check()
                    results[number] = task()
            except BaseException as exc:  # noqa: BLE001  (handed on to the caller, whatever it is)
                failures.append(exc)
                self.stop()

        count = min(len(tasks), at_once or len(tasks))
        threads = [threading.Thread(target=work, name=NAME, daemon=True) for _ in range(count)]
        try:
            for thread in threads:
                thread.start()
            self._join(threads)
        except KeyboardInterrupt:
            self.stop()
            self._join(threads)
            raise
        finally:
            if any(thread.is_alive() for thread in threads):
                for call in self._on_leaving:
                    call()
        for failure in sorted(failures, key=lambda one: isinstance(one, Stopped)):
            raise failure
        self.check()
        return [results[number] for number in range(len(tasks))]

    def _join(self, threads: Sequence[threading.Thread]) -> None:
        """Wait until *threads* have ended; when they are to stop, no longer than `GRACE`."""
        deadline: float | None = None
        for thread in threads:
            while thread.is_alive():
                thread.join(_LOOK)
                if self.stopped:
                    deadline = deadline or time.monotonic() + GRACE
                    if time.monotonic() > deadline:
                        return


def _shared(items: Iterator[T], lock: threading.Lock) -> Iterator[T]:
    """Iterate over what several threads take from in turn."""
    while True:
        with lock:
            item = next(items, None)
        if item is None:
            return
        yield item
