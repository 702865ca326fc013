"""Three printers of one event stream, all on stderr: bars for people, lines for logs, JSON for programs."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn, Self, TextIO

from fpin import events
from fpin.cli.output import count, short
from fpin.events import Event
from fpin.units import format_size, parse_token

if TYPE_CHECKING:
    from tqdm import tqdm

LINE_EVERY = 30.0  # seconds between lines while bytes move and nobody watches


class Printer:
    """Consumes events, from any thread; a context manager, so that bars are taken down before the result."""

    def __init__(self) -> None:
        self._lock = threading.RLock()

    def __call__(self, event: Event) -> None:
        with self._lock:
            self._show(event)

    def _show(self, event: Event) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave the terminal clean."""


class Quiet(Printer):
    def _show(self, event: Event) -> None:
        """Print nothing, except what the user has to know."""
        if isinstance(event, events.Noted):
            _line(f"note: {event.text}")


class JsonLines(Printer):
    """One JSON object a line; while bytes move one a second."""

    def __init__(self) -> None:
        super().__init__()
        self._last_move = 0.0

    def _show(self, event: Event) -> None:
        if (move := _movement(event)) is not None:
            _, done, total = move
            if done != total and time.monotonic() - self._last_move < 1.0:
                return
            self._last_move = time.monotonic()
        name = type(event).__name__
        _line(json.dumps({"event": name[0].lower() + name[1:], **dataclasses.asdict(event)}))


class Lines(Printer):
    """One plain line per stage, and one every 30 s while bytes move."""

    def __init__(self, *, verbose: bool = False) -> None:
        super().__init__()
        self._verbose = verbose
        self._uploads = _Uploads()
        self._last_move = time.monotonic()

    def _show(self, event: Event) -> None:
        if (move := _movement(self._uploads.whole(event))) is not None:
            label, done, total = move
            if time.monotonic() - self._last_move >= LINE_EVERY:
                self._last_move = time.monotonic()
                _line(f"{label}: {format_size(done)}" + (f" of {format_size(total)}" if total else ""))
            return
        if (text := sentence(event, verbose=self._verbose)) is not None:
            _line(text)


class Bars(Printer):
    """A bar with rate and time left for everything that moves; one line per stage above them."""

    def __init__(self, *, verbose: bool = False) -> None:
        super().__init__()
        self._verbose = verbose
        self._uploads = _Uploads()
        self._bars: dict[str, tqdm[NoReturn]] = {}

    def _show(self, event: Event) -> None:
        if (move := _movement(self._uploads.whole(event))) is not None:
            self._move(*move)
        elif (text := sentence(event, verbose=self._verbose)) is not None:
            if not self._bars:
                _line(text)
                return
            from tqdm import tqdm

            with tqdm.external_write_mode(file=sys.stderr):
                _line(text)

    def _move(self, label: str, done: int, total: int | None) -> None:
        bar = self._bars.get(label)
        if bar is None:
            from tqdm import tqdm

            bar = self._bars[label] = tqdm(
                total=total,
                desc=label,
                unit="iB",
                unit_scale=True,
                unit_divisor=1024,
                leave=False,
                dynamic_ncols=True,
                file=sys.stderr,
            )
            bar.dynamic_ncols = _width  # type: ignore[assignment]  # (what tqdm itself keeps there)
        bar.total = total
        bar.update(done - bar.n)
        if done == total:
            self._bars.pop(label).close()

    def close(self) -> None:
        while self._bars:
            self._bars.popitem()[1].close()


class _Uploads:
    """Several pieces go to a provider at a time; for the eye they are one movement."""

    def __init__(self) -> None:
        self._pieces: dict[int, dict[str, events.Uploading]] = {}

    def whole(self, event: Event) -> Event:
        """Return an upload with the bytes of all pieces that this provider gets; other events as they are."""
        if not isinstance(event, events.Uploading):
            return event
        pieces = self._pieces.setdefault(event.provider_id, {})
        pieces[event.piece_cid] = event
        return dataclasses.replace(
            event,
            done=sum(piece.done for piece in pieces.values()),
            total=sum(piece.total for piece in pieces.values()),
        )


def choose(*, json_output: bool, quiet: bool, verbose: bool) -> Printer:
    """Return the printer that fits the options and the terminal."""
    if json_output:
        return JsonLines()
    if quiet:
        return Quiet()
    if sys.stderr.isatty():
        return Bars(verbose=verbose)
    return Lines(verbose=verbose)


def _movement(event: Event) -> tuple[str, int, int | None] | None:
    match event:
        case events.Spooling():
            return "reading standard input", event.done, None
        case events.Hashing():
            return "hashing", event.done, event.total
        case events.Uploading():
            return f"uploading to provider {event.provider_id}", event.done, event.total
        case events.Fetching():
            return "fetching", event.done, event.total
        case _:
            return None


def sentence(event: Event, *, verbose: bool = False) -> str | None:
    """Return what *event* means to a person; None for what only the curious want to see."""
    match event:
        case events.Walked():
            return f"{count(event.files, 'file')}, {format_size(event.size)}"
        case events.Planned():
            return (
                f"{count(event.pieces, 'piece')}, at most {format_size(event.car_size)}" if verbose else None
            )
        case events.Quoted():
            return _quoted(event)
        case events.Packed():
            return f"root CID {event.root_cid}"
        case events.PassedOver():
            return f"provider {event.provider_id}: not used: it {event.reason}" if verbose else None
        case events.ProviderChosen():
            return f"provider {event.provider_id}: {event.provider_url}" + (
                f" ({event.reason})" if verbose else ""
            )
        case events.Pulling():
            sources = " and ".join(map(str, event.source_ids))
            pieces = count(event.pieces, "piece")
            return f"provider {event.provider_id}: fetching {pieces} from provider {sources}"
        case events.Parked():
            how = "uploaded" if event.uploaded else "already there, nothing uploaded"
            if event.pulled_from is not None:
                how = f"fetched from provider {event.pulled_from}"
            return f"provider {event.provider_id}: {how}: {event.piece_cid}"
        case events.Submitted():
            where = "a new data set" if event.data_set_id is None else f"data set {event.data_set_id}"
            return f"provider {event.provider_id}: adding to {where}, transaction {event.tx}"
        case events.Confirmed():
            ids = ", ".join(map(str, event.piece_ids))
            return f"provider {event.provider_id}: on chain, data set {event.data_set_id}, piece {ids}"
        case events.CopyFailed():
            return f"provider {event.provider_id}: failed: {event.reason}"
        case events.Replaced():
            return f"provider {event.provider_id} takes the place of provider {event.failed_id}"
        case events.RoutingAsked():
            return (
                f"asking the indexer, attempt {event.attempt}: {event.found} of {event.expected}"
                if verbose
                else None
            )
        case events.RoutingEnded():
            return _routing(event)
        case events.RemovalScheduled():
            return (
                f"provider {event.provider_id}: removal of piece {event.piece_id} from data set "
                f"{event.data_set_id} is scheduled"
            )
        case events.RemovalSeen():
            return _removal(event)
        case events.PaymentSent():
            return _payment(event)
        case events.PaymentEnded():
            return f"confirmed: transaction {event.tx}" if verbose else None
        case events.Waiting():
            return f"waiting for {event.what}"
        case events.Confirming():
            ago = f"{count(event.waited, 'epoch')} after it was sent"
            return f"waiting for {event.what} to be executed: epoch {event.epoch}, {ago}"
        case events.Noted():
            return f"note: {event.text}"
        case _:
            return None


def _quoted(event: events.Quoted) -> str:
    text = (
        f"{count(event.copies, 'copy', 'copies')}: {short(event.per_month)} {event.token} a month, "
        f"{short(event.fees)} in fees now, {short(event.locked)} locked while stored"
    )
    if parse_token(event.earlier_fees):
        text += f", {short(event.earlier_fees)} of earlier removals becomes due"
    more = [count(event.new_data_sets, "new data set")] if event.new_data_sets else []
    if parse_token(event.flat_per_month):
        more.append(f"{short(event.flat_per_month)} a month of it flat")
    return f"{text} ({', '.join(more)})" if more else text


def _routing(event: events.RoutingEnded) -> str:
    words = f"routing: {event.state}"
    if event.evidence == "synced":
        return f"{words} by the word of providers that an indexer has processed it; none was seen to list it"
    if event.evidence == "processed":
        return f"{words}: {event.indexer} has processed the advertisement; no record was seen"
    return words + (f" at {event.indexer}" if event.indexer else "")


def _payment(event: events.PaymentSent) -> str:
    what = {
        "setup": f"depositing {event.amount} {event.token} from {event.wallet}, "
        "and approving the storage service",
        "deposit": f"depositing {event.amount} {event.token} from {event.wallet}",
        "approve": f"approving the storage service for the account of {event.wallet}",
        "withdraw": f"withdrawing {event.amount} {event.token} to {event.wallet}",
        "authorize": f"allowing session key {event.subject} to sign for {event.wallet}",
        "revoke": f"ending session key {event.subject} of {event.wallet}",
        "terminate": f"terminating data set {event.subject}",
    }[event.doing]
    return f"{what}: transaction {event.tx}"


def _removal(event: events.RemovalSeen) -> str:
    what = {
        "removed": "no longer live on chain",
        "unadvertised": f"removal advertised in {event.removal_ad_cid}",
        "gone": "the indexer has forgotten it",
    }[event.state]
    return f"provider {event.provider_id}: piece {event.piece_id}: {what}"


def _width(stream: TextIO) -> tuple[int, None]:
    """Return how wide a bar may be: there stays room for the ^C of a terminal, which would break the line."""
    return max(os.get_terminal_size(stream.fileno()).columns - 3, 10), None


def _line(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
