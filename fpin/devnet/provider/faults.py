"""Switches that make one provider misbehave, for tests; a provider is honest and quick when none is set."""

from __future__ import annotations

import threading
from dataclasses import field

from fpin.values import dataclass


@dataclass(kw_only=True)
class Faults:
    """Route names are those of `Provider.routes`, e.g. ``add`` or ``finalize``."""

    status_for: dict[str, tuple[int, int]] = field(
        default_factory=dict
    )  # route -> (status or 0: hangs up, times)
    drop_answer_after_success: set[str] = field(default_factory=set)  # the work is done, the answer is lost
    lie_about_piece: bool = False  # finalize claims to have computed another piece CID
    refuse_pulls: int = 0  # HTTP status for every pull request; 0 accepts them
    never_advertise: bool = False  # indexes, and stops there
    never_prove: bool = False  # sends no proofs any more
    slow: float = 0.0  # seconds before every answer
    rate: float = 0.0  # bytes a second that it takes of an upload; 0: as fast as they come
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def refusal(self, route: str) -> int | None:
        """Return the status this call of *route* must fail with, and count it."""
        with self._lock:
            status, times = self.status_for.get(route, (0, 0))
            if times <= 0:
                return None
            self.status_for[route] = (status, times - 1)
            return status
