"""The time limit of a command: when it has passed, the command is interrupted as by Ctrl-C.

So everything that holds for Ctrl-C holds here: what was done is written down, and files are cleaned up.
"""

from __future__ import annotations

import _thread
import signal
import threading
from types import FrameType

_limit: float | None = None
_passed = False
_timer: threading.Timer | None = None


def arm(seconds: float) -> None:
    """Interrupt the main thread after *seconds*."""
    global _limit, _timer
    _limit = seconds
    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, _ring)
        # An interval too: whoever swallows the first interruption gets another.
        signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.001), 5.0)
    else:  # Windows has no alarm; its sockets wake up by themselves
        _timer = threading.Timer(seconds, _ring, (0, None))
        _timer.daemon = True
        _timer.start()


def disarm() -> float | None:
    """Take the limit back; return it if it had passed."""
    global _limit, _passed, _timer
    limit = _limit if _passed else None
    if _limit is not None:
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
        elif _timer is not None:
            _timer.cancel()
    _limit, _passed, _timer = None, False, None
    return limit


def _ring(_signum: int, _frame: FrameType | None) -> None:
    global _passed
    _passed = True
    if hasattr(signal, "setitimer"):
        raise KeyboardInterrupt
    _thread.interrupt_main()
