"""How bytes come to one provider: they are there already, it fetches them from another one, or we send them.

Knows which way is tried when, and what is proof of arrival. Refuses to know the store and what is signed.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence

from fpin import events
from fpin.backends.filecoin.account import Account
from fpin.backends.source import PieceSource
from fpin.errors import ProviderError, ProviderUnavailable, SourceError, Unavailable
from fpin.events import OnEvent
from fpin.piece import PieceCid
from fpin.provider.answers import asked_to_wait
from fpin.provider.results import PullStatus
from fpin.provider.waiting import PARKING, PULLING, SILENCE, poll
from fpin.store import Piece
from fpin.threads import Crew
from fpin.values import dataclass

AskPull = Callable[[Sequence[tuple[PieceCid, str]]], PullStatus]
"""Asks a provider to fetch pieces from URLs; asked again, tells how that goes."""

_QUESTIONS = 8  # to a provider at once
_BACKLOG = 2  # pieces on their way for each that is being sent: a provider takes its time to store one
_PULL_ATTEMPTS = 3
_BUSY = 600.0  # seconds that a provider which has too much to fetch is waited for
_LOOK = 0.1  # seconds between looks at whether the work is still wanted


class Lanes:
    """Places for the pieces that are sent at a time, to all providers together: each takes memory.

    *broken* is set once a source is not what was hashed: then nothing more is sent to anybody.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self.broken: SourceError | None = None
        self._free = threading.Semaphore(count)

    @contextlib.contextmanager
    def one(self, crew: Crew) -> Iterator[None]:
        """Have a lane, once one is free."""
        while not self._free.acquire(timeout=_LOOK):
            crew.check()
        try:
            yield
        finally:
            self._free.release()


@dataclass(kw_only=True)
class Bringing:
    """Brings pieces to the provider *provider_id*.

    *sources* are by piece CID; None where the bytes are not here.
    """

    account: Account
    provider_id: int
    sources: Mapping[str, PieceSource | None]
    crew: Crew
    lanes: Lanes
    on_event: OnEvent

    def missing(self, pieces: Sequence[Piece]) -> list[Piece]:
        """Return those of *pieces* that the provider does not hold."""
        api = self.account.api(self.provider_id)
        cids = [PieceCid.parse(piece.piece_cid) for piece in pieces]
        questions = [lambda cid=cid: api.find_piece(cid) for cid in cids]
        found = Crew(self.crew).run(questions, at_once=_QUESTIONS)
        return [piece for piece, there in zip(pieces, found, strict=True) if not there]

    # sent by us

    def upload(self, pieces: Sequence[Piece], arrived: Callable[[Account, Piece], None]) -> None:
        """Send *pieces*, several at a time; *arrived* is called for each as soon as the provider holds it.

        That is in the thread that sent it, with that thread's own account.
        """
        if lacking := [piece for piece in pieces if self.sources[piece.piece_cid] is None]:
            raise ProviderError(
                f"nobody gives piece {lacking[0].piece_cid} to provider {self.provider_id}, "
                "and its bytes are not here",
                hint="add the path that it was made from again",
                piece_cid=lacking[0].piece_cid,
            )
        crew = Crew(self.crew)

        def bring(piece: Piece) -> None:
            with self.account.for_thread(crew) as account:
                self._send(account, crew, piece)
                arrived(account, piece)

        tasks = [lambda piece=piece: bring(piece) for piece in pieces]
        crew.run(tasks, at_once=self.lanes.count * _BACKLOG)

    def _send(self, account: Account, crew: Crew, piece: Piece) -> None:
        api, piece_cid = account.api(self.provider_id), PieceCid.parse(piece.piece_cid)
        source = self.sources[piece.piece_cid]
        assert source is not None

        def moved(done: int) -> None:
            crew.check()
            self.on_event(
                events.Uploading(
                    provider_id=self.provider_id, piece_cid=piece.piece_cid, done=done, total=piece.size
                )
            )

        with self.lanes.one(crew):
            if self.lanes.broken is not None:
                raise self.lanes.broken
            try:
                api.upload(piece_cid, source.open, progress=moved, clock=account.clock)
            except SourceError as exc:
                self.lanes.broken = exc
                raise
        self._await_parked(account, piece_cid)

    def _await_parked(self, account: Account, piece_cid: PieceCid) -> None:
        api = account.api(self.provider_id)
        found = poll(
            lambda: api.find_piece(piece_cid) or None,
            patience=PARKING,
            silence=SILENCE,
            clock=account.clock,
        )
        if not found:
            raise ProviderUnavailable(
                f"{api.name} took piece {piece_cid} but has not stored it after {PARKING / 60:.0f} minutes",
                hint="run it again later, or exclude this provider",
            )

    # fetched from others

    def pull(
        self, pieces: Sequence[Piece], holders: Mapping[str, Sequence[int]], ask: AskPull
    ) -> dict[str, int]:
        """Have the provider fetch those of *pieces* that *holders*, by piece CID, are known of.

        The others it holds already; they belong to the same add, and so to the request. Returns who was to
        give each piece when the provider is done with it: `missing` tells what did not come. Raises
        ProviderError when it will not.
        """
        wanted: list[tuple[PieceCid, str]] = []
        used: dict[str, int] = {}
        for piece in pieces:
            # What a provider holds it does not fetch, wherever from. One source for each piece: the add that
            # is checked beforehand is made of all entries, and has each piece once (curio handlers_pull.go).
            source = self._source(piece, holders.get(piece.piece_cid) or [self.provider_id])
            url = f"{self.account.api(source).service_url}/piece/{piece.piece_cid}"
            wanted.append((PieceCid.parse(piece.piece_cid), url))
            if piece.piece_cid in holders:
                used[piece.piece_cid] = source
        self.on_event(
            events.Pulling(
                provider_id=self.provider_id,
                source_ids=tuple(dict.fromkeys(used.values())),
                pieces=len(used),
            )
        )
        status: PullStatus | None = self._asked(ask, wanted)
        if status is not None and not status.ended:
            status = poll(
                lambda: found if (found := ask(wanted)).ended else None,
                patience=PULLING,
                silence=SILENCE,
                clock=self.account.clock,
            )
        for piece_cid in {cid for cid, _ in wanted}:
            # What has come may still have to be moved to where it is found (curio tasks/pdpv0, StorePiece).
            if status is not None and status.arrived(piece_cid):
                self._await_parked(self.account, piece_cid)
        return used

    def _asked(self, ask: AskPull, wanted: Sequence[tuple[PieceCid, str]]) -> PullStatus:
        """Ask for the first time; a provider that has too much to fetch is asked again when it says."""
        clock = self.account.clock
        end = clock.now() + _BUSY
        for attempt in range(1, _PULL_ATTEMPTS + 1):
            try:
                return ask(wanted)
            except ProviderUnavailable as exc:
                pause = asked_to_wait(exc) or 0.25 * 2**attempt
                if attempt == _PULL_ATTEMPTS or clock.now() + pause > end:
                    raise
                clock.sleep(pause)
        raise AssertionError("the last attempt ends it")

    def _source(self, piece: Piece, holders: Sequence[int]) -> int:
        """Return the first of *holders* that gives the piece."""
        piece_cid = PieceCid.parse(piece.piece_cid)
        silent = []
        for provider_id in holders:
            if provider_id == self.provider_id:
                return provider_id
            try:
                if self.account.api(provider_id).head_piece(piece_cid) == piece.size:
                    return provider_id
            except Unavailable:
                silent.append(provider_id)
            except ProviderError:
                continue
        if silent and self.sources[piece.piece_cid] is None:
            return silent[0]  # there is no better way
        names = " and ".join(f"provider {provider_id}" for provider_id in holders)
        raise ProviderError(f"{names} did not give piece {piece_cid}")
