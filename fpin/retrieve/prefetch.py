"""Blocks fetched before they are needed, from several sources at once.

Each source has a few threads of its own that take the next block which nobody is fetching; what one does not
have is left to the others. Refuses to know what blocks mean and who is to blame: a block that did not come is
asked for again by whoever needs it, and that tells.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import field

from fpin.errors import FpinError
from fpin.retrieve.gateway import NotServed
from fpin.values import dataclass

THREADS_PER_SOURCE = 4
MAX_SOURCES = 4
_ENDING = 1.0  # seconds that `close` gives to requests under way; the threads hold nothing open after it

Ask = Callable[[int, bytes], bytes]
"""Returns the verified block of a CID from the source of that number, or raises FpinError."""


@dataclass(slots=True)
class _Wanted:
    """A block on its way. *source* is the number of the one that gave it."""

    cid: bytes
    refused: set[int] = field(default_factory=set)  # sources that do not have it
    busy: bool = False
    data: bytes | None = None
    source: int = -1


class Prefetch:
    """Blocks named by `want`, on their way from *sources*; close it, or use it in a ``with``.

    Memory is what `want` names at a time: a name that is left out of a later call is forgotten.
    """

    def __init__(self, sources: Sequence[int], ask: Ask) -> None:
        self._ask = ask
        self._sources = set(sources[:MAX_SOURCES])  # those that are of use
        self._wanted: dict[bytes, _Wanted] = {}
        self._changed = threading.Condition()
        self._closed = False
        self._bug: Exception | None = None
        self._threads = [
            threading.Thread(target=self._work, args=(source,), name=f"fpin-fetch-{source}", daemon=True)
            for source in sources[:MAX_SOURCES]
            for _ in range(THREADS_PER_SOURCE)
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """End; what is on its way is dropped when it comes."""
        with self._changed:
            self._closed = True
            self._wanted.clear()
            self._changed.notify_all()
        end = time.monotonic() + _ENDING
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))

    def want(self, cids: Sequence[bytes]) -> None:
        """Have *cids* fetched, in this order, and nothing else."""
        with self._changed:
            self._wanted = {cid: self._wanted.get(cid) or _Wanted(cid) for cid in cids}
            self._changed.notify_all()

    def take(self, cid: bytes) -> tuple[bytes, int] | None:
        """Wait for the block of *cid*; return it and the source it came from.

        None: it was not named, or no source gave it.
        """
        with self._changed:
            wanted = self._wanted.get(cid)
            if wanted is None:
                return None
            self._changed.wait_for(lambda: wanted.data is not None or self._hopeless(wanted))
            self._wanted.pop(cid, None)
            if self._bug is not None:
                raise self._bug
            return None if wanted.data is None else (wanted.data, wanted.source)

    def _hopeless(self, wanted: _Wanted) -> bool:
        return not wanted.busy and self._sources <= wanted.refused

    def _work(self, source: int) -> None:
        while (wanted := self._next(source)) is not None:
            try:
                data, failure = self._ask(source, wanted.cid), None
            except Exception as exc:  # noqa: BLE001  (whoever waits for the block has to hear of it)
                data, failure = None, exc
            with self._changed:
                if failure is not None and not isinstance(failure, FpinError):
                    self._bug = failure  # when this is closed: the connections were closed under it
                wanted.busy = False
                if data is not None:
                    wanted.data, wanted.source = data, source
                else:
                    wanted.refused.add(source)
                    if not isinstance(failure, NotServed):
                        self._sources.discard(source)
                self._changed.notify_all()

    def _next(self, source: int) -> _Wanted | None:
        """Wait for a block that *source* may be asked for; None when it is of no use any more."""
        with self._changed:
            while not self._closed and source in self._sources:
                for wanted in self._wanted.values():
                    if wanted.data is None and not wanted.busy and source not in wanted.refused:
                        wanted.busy = True
                        return wanted
                self._changed.wait()
        return None
