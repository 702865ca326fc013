"""The devnet's indexer: takes announcements, reads chains when it is driven, answers who has what.

Knows when to read a chain and what to do when that fails; `ingest` knows how, `find` how to answer.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from fpin.devnet.ipni.find import make_app
from fpin.devnet.ipni.index import Index, Pending
from fpin.devnet.ipni.ingest import ChainReader, Refused, SyncStatus, Transient
from fpin.values import dataclass

_HOUR = 3600.0
_POLL_INTERVAL, _POLL_RETRY = 24 * _HOUR, 5 * _HOUR
_DEACTIVATE_AFTER, _FORGET_AFTER = 168 * _HOUR, 336 * _HOUR
# storetheindex would wait for the next announcement or poll; here a chain that blocks is tried again soon,
# so that a test that repairs it need not wait for hours. Seconds.
_RETRY, _MAX_RETRY = 0.25, 30.0


@dataclass(slots=True)
class IndexerFaults:
    """What a test can break. All switches are off at first and are not stored."""

    stopped: bool = False  # every request is answered with 503, nothing is read
    failing: int = 0  # the next so many lookups are answered with `status`
    status: int = 500
    retry_after: int | None = None  # seconds, sent with `status`
    nonsense: bool = False  # lookups are answered 200 with a web page
    encrypted_only: bool = False  # finds content by its second hash alone, as double-hashed stores do
    drop_announcements: bool = False  # announcements are accepted and forgotten
    hold_ingest: bool = False  # announcements wait, nothing is read
    ingest_delay: float = 0.0  # seconds that announcements made from now on wait before their chain is read
    visible_chunks: int | None = None  # of an advertisement's entries so many are taken in, and then none


class Indexer:
    """One indexer whose state is the SQLite file *path*; *clock* gives Unix seconds.

    `app` is its whole HTTP side, find and ingest routes together, as public instances merge them.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        self.index = Index(path)
        self.faults = IndexerFaults()
        self.statuses: dict[str, SyncStatus] = {}  # by publisher, of this process
        self._clock = clock
        self._working = threading.Lock()
        self.app = make_app(self)

    def announced(self, publisher: str, head: str, address: str) -> None:
        """An announcement came in; nothing is fetched before `work`."""
        status = self.statuses.get(publisher)
        known = self.index.is_processed(head) and (status is None or status.error is None)
        if not known and not self.faults.drop_announcements:
            self.index.add_pending(
                publisher, head, address, not_before=self._clock() + self.faults.ingest_delay
            )

    def work(self) -> bool:
        """Read every chain that is due, once; True when one was tried."""
        if self.faults.stopped or self.faults.hold_ingest:
            return False
        with self._working:
            self._poll()
            due = self.index.due(self._clock())
            for pending in due:
                self._read(pending)
            return bool(due)

    def close(self) -> None:
        self.index.close()

    def _read(self, pending: Pending) -> None:
        status = SyncStatus(head=pending.head, started=self._clock())
        self.statuses[pending.publisher] = status
        try:
            limit = self.faults.visible_chunks
            ChainReader(self.index, pending, status, self._clock, visible_chunks=limit).read()
            self.index.drop_pending(pending)
        except Refused as exc:
            self._failed(pending, status, str(exc))
            self.index.drop_pending(pending)
        except Transient as exc:
            self._failed(pending, status, str(exc))
            self.index.postpone(pending, self._clock() + self._pause(pending))
        finally:
            status.ended = self._clock()

    def _failed(self, pending: Pending, status: SyncStatus, error: str) -> None:
        status.error = error
        self.index.set_error(pending.publisher, error, self._clock())

    def _pause(self, pending: Pending) -> float:
        if pending.head is None:
            return _POLL_RETRY
        return min(_RETRY * 2.0 ** min(pending.attempts, 16), _MAX_RETRY)

    def _poll(self) -> None:
        """Ask publishers that have been silent for a day; hide, then forget those that do not answer."""
        now = self._clock()
        for publisher, address, last_contact in self.index.silent_publishers(now - _POLL_INTERVAL):
            polled = now - last_contact - _POLL_INTERVAL
            if polled > _FORGET_AFTER:
                self.index.forget(publisher)
                continue
            if polled > _DEACTIVATE_AFTER:
                self.index.deactivate(publisher)
            if not self.index.is_pending(publisher):
                self.index.add_pending(publisher, None, address)
