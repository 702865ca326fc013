"""Switches that make the chain misbehave, for tests; it is honest and quick when none is set."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import field

from fpin.values import dataclass


@dataclass(kw_only=True)
class ChainFaults:
    """What is asked at ``/rpc/v1``, where clients ask, can fail; the devnet's own providers ask at ``/``.

    Faults of transactions concern those whose data begins with *selector*.
    """

    status_for: dict[str, tuple[int, int]] = field(
        default_factory=dict
    )  # method -> (status or 0: hangs up, times)
    flaps: int = 0  # every so many-th request fails with 503
    selector: bytes = b""
    drop: int = 0  # so many transactions are taken and forgotten
    starve: int = 0  # so many run out of gas
    finality: int = 0  # epochs that the block called ``finalized`` is behind the head
    null_rounds: int = 0  # epochs without a block before that of each transaction
    before: Callable[[], object] | None = None  # called once, when a transaction is about to be run
    _requests: int = field(default=0, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def refusal(self, methods: Iterable[str]) -> int | None:
        """Return the status that a request of *methods* must fail with, and count it."""
        with self._lock:
            self._requests += 1
            if self.flaps and self._requests % self.flaps == 0:
                return 503
            for method in methods:
                status, times = self.status_for.get(method, (0, 0))
                if times > 0:
                    self.status_for[method] = (status, times - 1)
                    return status
        return None

    def drops(self, data: bytes) -> bool:
        with self._lock:
            dropped = self.drop > 0 and data.startswith(self.selector)
            self.drop -= dropped
            return dropped

    def starves(self, data: bytes) -> bool:
        with self._lock:
            starved = self.starve > 0 and data.startswith(self.selector)
            self.starve -= starved
            return starved

    def begins(self, data: bytes) -> None:
        """A transaction is about to be run."""
        with self._lock:
            act = self.before if data.startswith(self.selector) else None
            if act is not None:
                self.before = None
        if act is not None:
            act()
