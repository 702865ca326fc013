"""The way in: a piece's copy from ``planned`` to ``confirmed``, each step written down around it.

Knows what to ask the world in each state, so that a run after a crash continues and pays once: the nonce of
an add is in the store before it is signed, the contract refuses its second use, and `clientNonces` tells
anyone what became of the first.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field, replace

from fpin import events
from fpin.backends.base import Place
from fpin.backends.filecoin import submissions
from fpin.backends.filecoin.account import Account, in_words, why_failed
from fpin.backends.filecoin.bringing import Bringing
from fpin.backends.filecoin.confirming import Confirming
from fpin.backends.filecoin.relay import Relay
from fpin.chain import typed_data
from fpin.chain.limits import in_batches
from fpin.chain.records import NonceUse, PriceList
from fpin.chain.selection import find_reusable_data_set
from fpin.errors import ChainError, NoKey, ProviderError, ProviderUnavailable, QuoteExpired
from fpin.events import OnEvent
from fpin.piece import PieceCid
from fpin.provider.results import AddStatus, CreationStatus, PullStatus
from fpin.provider.waiting import CONFIRMING, poll
from fpin.store import ON_CHAIN, UNFINISHED, WAITING, Copy, NewAdd, Piece, Pin, Submission
from fpin.values import dataclass

# The reference client's own, to the letter: a data set is reused only when its metadata is exactly equal,
# and every further one costs a reserve and a flat fee each month. So both tools share them (chain §3.3).
INDEXING = "withIPFSIndexing"  # providers advertise the pieces of data sets that have it, whatever its value
DATA_SET_METADATA = (("source", "filecoin-pin"), (INDEXING, ""))

RECORDING = 120.0  # seconds for a provider to take note of a data set that the chain already has


@dataclass(frozen=True, slots=True)
class _Outcome:
    """How an add ended: *use* of its nonce, or None when it failed for good."""

    use: NonceUse | None


@dataclass(kw_only=True)
class _Batch:
    """Copies that are added in one call. *submission*: the add that a provider was shown, to fetch pieces."""

    pairs: Sequence[tuple[Piece, Copy]]
    submission: Submission | None = None

    @property
    def pieces(self) -> list[Piece]:
        return [piece for piece, _ in self.pairs]


@dataclass(kw_only=True)
class Adding:
    """Brings the pieces of one pin to one place, in a thread of its own."""

    account: Account
    pin: Pin
    place: Place
    prices: PriceList | None  # that were quoted
    bringing: Bringing
    relay: Relay
    on_event: OnEvent
    _data_set_id: int | None = field(init=False)
    _making: contextlib.ExitStack = field(default_factory=contextlib.ExitStack, init=False)
    _alone: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self._data_set_id = self.place.data_set_id

    def fill(self, *, park_only: bool) -> None:
        """Bring every piece that is wanted to the place.

        Raises what stopped it; the store holds how far it came. What the chain already has is neither sent
        nor paid for again.
        """
        with self._making:
            self._finish_earlier()
            self._adopt()
            for batch in self._batches():
                self._park(batch)
                if not park_only:
                    self._add(batch)
        self._reload()

    # one step each

    def _finish_earlier(self) -> None:
        """Finish the adds that were under way when an earlier run ended."""
        for submission in self._under_way():
            if submissions.landed(self.account, submission, self.on_event):
                continue
            if submission.payer != self.account.payer:
                raise NoKey(
                    f"an add that {submission.payer} signed may still reach the chain",
                    hint="use the key of that wallet, or another provider (--exclude-provider)",
                )
            if submission.tx is None or not self._is_known(submission):
                self._park(_Batch(pairs=self._pairs(submission), submission=submission))
                self._send(submission)
            self._confirm(submission.submission)
        self._reload()

    def _adopt(self) -> None:
        """Take over pieces that the data set already holds, such as those of a lost store."""
        data_set_id = self.place.data_set_id
        if data_set_id is None:
            return
        chain, unfinished = self.account.chain, self._unfinished()
        known = {(copy.data_set_id, copy.piece_id) for copy in self.pin.copies}
        cids = [PieceCid.parse(piece.piece_cid).to_bytes() for piece, _ in unfinished]
        found = chain.find_pieces(data_set_id, cids)
        leaving = chain.scheduled_removals(data_set_id) if any(found) else frozenset()
        for (piece, copy), held in zip(unfinished, found, strict=True):
            free = [one for one in held if one not in leaving and (data_set_id, one) not in known]
            if free:
                self.account.store.mark_on_chain(copy.copy, data_set_id=data_set_id, piece_id=min(free))
                self.relay.hold(piece.piece_cid, copy.provider_id)
                self.on_event(
                    events.Confirmed(
                        provider_id=copy.provider_id, data_set_id=data_set_id, piece_ids=(min(free),)
                    )
                )
        self._reload()

    def _batches(self) -> Iterator[_Batch]:
        """Yield what is to be added, first what the provider was to fetch in an earlier run."""
        for submission in submissions.of_pin(self.account, self._here(), WAITING):
            pairs = self._pairs(submission)
            if len(pairs) == len(submission.copies) and self._fits(submission):
                yield _Batch(pairs=pairs, submission=submission)
            else:
                self.account.store.mark_unsigned(submission.submission, reason="it is added otherwise")
        self._reload()
        for run in in_batches(self._unfinished()):
            yield _Batch(pairs=run)

    def _fits(self, submission: Submission) -> bool:
        """Tell whether what an earlier run signed is what this one would sign."""
        same_payer = submission.payer == self.account.payer
        return same_payer and submission.data_set_id == self._data_set()

    def _park(self, batch: _Batch) -> None:
        """See to it that the provider holds every piece of *batch*."""
        # Asked even where it was parked before: what is not added within two hours is collected.
        missing = {piece.piece_cid for piece in self.bringing.missing(batch.pieces)}
        for piece, copy in batch.pairs:
            if piece.piece_cid not in missing:
                self._parked(self.account, piece, copy, uploaded=False)
        turns = {cid: self.relay.holders(cid, self.place.provider_id) for cid in missing}
        self._upload([pair for pair in batch.pairs if turns.get(pair[0].piece_cid) == ()])
        held = {cid: holders for cid, holders in turns.items() if holders}
        if held:
            self._upload(self._pull(batch, held))

    def _upload(self, pairs: Sequence[tuple[Piece, Copy]]) -> None:
        copies = {piece.piece_cid: copy for piece, copy in pairs}

        def arrived(account: Account, piece: Piece) -> None:
            self._parked(account, piece, copies[piece.piece_cid], uploaded=True)

        self.bringing.upload([piece for piece, _ in pairs], arrived)

    def _pull(self, batch: _Batch, holders: Mapping[str, Sequence[int]]) -> Sequence[tuple[Piece, Copy]]:
        """Have the provider fetch what others hold; return what it did not get that way."""
        wanted = [(piece, copy) for piece, copy in batch.pairs if piece.piece_cid in holders]
        sources: Mapping[str, int] = {}
        try:
            sources = self._have_fetched(batch, holders)
            lacking = {piece.piece_cid for piece in self.bringing.missing([piece for piece, _ in wanted])}
            reason = "it did not arrive"
        except ProviderError as exc:
            self._see_refusal(batch, exc)
            lacking, reason = set(holders), exc.message
        for piece, copy in wanted:
            if piece.piece_cid not in lacking:
                source = sources[piece.piece_cid]
                self._parked(self.account, piece, copy, uploaded=False, pulled_from=source)
        if lacking:
            self.on_event(
                events.Noted(
                    text=f"provider {self.place.provider_id} did not fetch {len(lacking)} of {len(holders)} "
                    f"pieces from other providers ({reason}): they are sent from here"
                )
            )
        return [(piece, copy) for piece, copy in wanted if piece.piece_cid in lacking]

    def _have_fetched(self, batch: _Batch, holders: Mapping[str, Sequence[int]]) -> Mapping[str, int]:
        if batch.submission is None:
            data_set_id = self._data_set()
            batch.submission = self.account.store.mark_pulling(
                [copy.copy for _, copy in batch.pairs], **self._terms(data_set_id)
            )
        submission = batch.submission
        api = self.account.api(submission.provider_id)
        # The very bytes that the add will be sent with, in every request: they tell one job from another.
        shown = self._extra_data(submission, [PieceCid.parse(piece.piece_cid) for piece in batch.pieces])

        def ask(sources: Sequence[tuple[PieceCid, str]]) -> PullStatus:
            return api.pull(
                sources,
                record_keeper=self.account.chain.network.contracts.fwss,
                extra_data=shown,
                data_set_id=submission.data_set_id,
            )

        return self.bringing.pull(batch.pieces, holders, ask)

    def _see_refusal(self, batch: _Batch, exc: ProviderError) -> None:
        """Raise what a contract has against the add: it would say so again once the bytes were there."""
        error = in_words(exc, f"adding to provider {self.place.provider_id}")
        if error is exc or batch.submission is None:
            return
        self.account.store.mark_unsigned(batch.submission.submission, reason=error.message)
        raise error from exc

    def _parked(
        self, account: Account, piece: Piece, copy: Copy, *, uploaded: bool, pulled_from: int | None = None
    ) -> None:
        """Write down and tell that the provider holds a piece. *account* is that of the thread."""
        if copy.state in WAITING:
            account.store.mark_parked(copy.copy, uploaded=uploaded, pulled_from=pulled_from)
            self.on_event(
                events.Parked(
                    provider_id=copy.provider_id,
                    piece_cid=piece.piece_cid,
                    uploaded=uploaded,
                    pulled_from=pulled_from,
                )
            )
        self.relay.hold(piece.piece_cid, copy.provider_id)

    def _add(self, batch: _Batch) -> None:
        """Have *batch* added in one call."""
        self._check_prices()
        data_set_id = self._data_set()
        self.account.check_rights(
            ["add"] if data_set_id is not None else ["create-data-set", "add"], anew=True
        )
        if data_set_id is not None:
            self._wait_until_recorded(self.place.provider_id, data_set_id)
        if batch.submission is None:
            submission = self.account.store.mark_signed(
                [copy.copy for _, copy in batch.pairs], **self._terms(data_set_id)
            )
        else:
            submission = self.account.store.mark_sending(batch.submission.submission)
        self._send(submission)
        self._data_set_id = self._confirm(submission.submission)
        self._making.close()

    def _check_prices(self) -> None:
        """Raise QuoteExpired if an add would cost something else than was told; bringing bytes takes long."""
        if self.prices is not None and self.account.chain.price_list() != self.prices:
            raise QuoteExpired(
                "the storage service changed its prices since they were told: nothing was added",
                hint="run it again: it tells the new price first, and what was uploaded is there",
            )

    def _data_set(self) -> int | None:
        """Return the data set to add to; None to make one, which nobody else does until that is done."""
        if self._data_set_id is None and not self._alone:
            self._alone = True
            self._making.enter_context(self._alone_at_provider())
            found = find_reusable_data_set(
                self.account.chain.client_data_sets(self.account.payer),
                self.place.provider_id,
                dict(DATA_SET_METADATA),
            )
            if found is not None:
                self._data_set_id = found.data_set_id
                self._making.close()
        return self._data_set_id

    def _alone_at_provider(self) -> contextlib.AbstractContextManager[None]:
        provider_id = self.place.provider_id

        def waiting(holder: str) -> None:
            self.on_event(events.Waiting(what=f"{holder}, which makes a data set at provider {provider_id}"))

        return self.account.store.making_data_set(
            self.account.chain.network.chain_id,
            self.account.payer,
            provider_id,
            on_wait=waiting,
            sleep=self.account.clock.sleep,
        )

    def _terms(self, data_set_id: int | None) -> NewAdd:
        """Return what an add is signed for, with a nonce that was never used."""
        return {
            "provider_id": self.place.provider_id,
            "payer": self.account.payer,
            "data_set_id": data_set_id,
            "client_data_set_id": (
                secrets.randbits(256)
                if data_set_id is None
                else self.account.chain.data_set(data_set_id).client_data_set_id
            ),
            "nonce": secrets.randbits(256),
        }

    def _send(self, submission: Submission) -> None:
        """Sign and send an add. Sending one again is safe: its nonce can be used once."""
        api = self.account.api(submission.provider_id)
        piece_cids = [PieceCid.parse(self._piece_of(copy).piece_cid) for copy in submission.copies]
        extra_data = self._extra_data(submission, piece_cids)
        try:
            if submission.data_set_id is None:
                tx = api.create_and_add(
                    piece_cids,
                    record_keeper=self.account.chain.network.contracts.fwss,
                    extra_data=extra_data,
                )
            else:
                tx = api.add_pieces(submission.data_set_id, piece_cids, extra_data=extra_data)
        except ProviderUnavailable:
            # It may have been sent all the same, so the nonce stays the one to ask for.
            if submissions.use(self.account, submission) is None:
                raise
            return
        except ProviderError as exc:
            if submissions.use(self.account, submission) is not None:
                return  # an earlier request of ours got through and its answer was lost
            error = in_words(exc, f"adding to provider {submission.provider_id}")
            self.account.store.mark_unsigned(submission.submission, reason=error.message)
            raise error from exc
        self.account.store.mark_submitted(submission.submission, tx=tx)
        self.on_event(
            events.Submitted(provider_id=submission.provider_id, data_set_id=submission.data_set_id, tx=tx)
        )

    def _confirm(self, row: int) -> int:
        """Wait until the chain holds the add in store row *row*; return the data set."""
        submission = self.account.store.submission(row)
        api = self.account.api(submission.provider_id)
        confirming = Confirming(f"the add at provider {submission.provider_id}", submission.tx, self.on_event)

        def ask() -> _Outcome | None:
            # The chain first: it is the authority, and its answer does not depend on the provider.
            epoch, use = submissions.use_by(self.account, submission)
            if use is not None:
                return _Outcome(use)
            confirming.not_yet(epoch)
            status = self._status(submission)
            if status is None or status.state != "failed":
                return None
            # Asked once more: it may have been mined since, and "failed" be about another transaction.
            return _Outcome(submissions.use(self.account, submission))

        outcome = poll(ask, patience=CONFIRMING, clock=self.account.clock)
        if outcome is None:
            self.account.store.mark_unanswered(submission.submission)
            raise ProviderUnavailable(
                f"{api.name}: the add is not confirmed after {CONFIRMING / 60:.0f} minutes",
                hint="run it again: it asks the chain before it does anything",
                tx=submission.tx,
            )
        if outcome.use is None:
            reason = why_failed(self.account.chain, submission.tx or "")
            self.account.store.mark_unsigned(submission.submission, reason=reason)
            raise ChainError(
                f"{api.name}: transaction {submission.tx} failed: {reason}",
                hint="nothing was stored by it and nothing charged; run it again",
                tx=submission.tx,
            )
        submissions.record(self.account, submission, outcome.use, self.on_event)
        if submission.data_set_id is None:
            self._wait_until_recorded(submission.provider_id, outcome.use.data_set_id)
        return outcome.use.data_set_id

    def _status(self, submission: Submission) -> CreationStatus | AddStatus | None:
        """Return what the provider says of an add; None when it has not heard of it."""
        if submission.tx is None:
            return None
        api = self.account.api(submission.provider_id)
        if submission.data_set_id is None:
            return api.creation_status(submission.tx)
        return api.add_status(submission.data_set_id, submission.tx)

    def _is_known(self, submission: Submission) -> bool:
        return self._status(submission) is not None

    def _wait_until_recorded(self, provider_id: int, data_set_id: int) -> None:
        """Wait until the provider knows the data set.

        An add to one that it does not know yet makes it throw the uploaded pieces away, and five of them
        lock the sender out (spec storage-provider §3.10, trap 6).
        """
        api = self.account.api(provider_id)
        known = poll(
            lambda: True if api.data_set(data_set_id) is not None else None,
            patience=RECORDING,
            clock=self.account.clock,
        )
        if not known:
            raise ProviderError(
                f"{api.name} does not know data set {data_set_id}, which the chain says is its own",
                hint="use another provider, or --data-set with another one",
            )

    # signatures

    def _extra_data(self, submission: Submission, piece_cids: Sequence[PieceCid]) -> bytes:
        """Return what the contract checks of an add, the same each time: nothing in it is left to chance."""
        add = self._signed_add(submission, piece_cids)
        if submission.data_set_id is not None:
            return add
        return typed_data.create_and_add_extra_data(self._signed_create(submission), add)

    def _signed_add(self, submission: Submission, piece_cids: Sequence[PieceCid]) -> bytes:
        metadata = [self.pin.metadata] * len(piece_cids)
        message = typed_data.add_pieces(
            submission.client_data_set_id,
            submission.nonce,
            [piece_cid.to_bytes() for piece_cid in piece_cids],
            metadata,
        )
        signature = self.account.key.sign_digest(message.digest(self.account.chain.domain))
        return typed_data.add_extra_data(submission.nonce, metadata, signature)

    def _signed_create(self, submission: Submission) -> bytes:
        # The payee, not the address that sends: the contract rebuilds the message with it (spec chain §2.5).
        payee = self.account.provider(submission.provider_id).payee
        message = typed_data.create_data_set(submission.client_data_set_id, payee, DATA_SET_METADATA)
        signature = self.account.key.sign_digest(message.digest(self.account.chain.domain))
        return typed_data.create_extra_data(
            self.account.payer, submission.client_data_set_id, DATA_SET_METADATA, signature
        )

    # the store

    def _reload(self) -> None:
        self.pin = self.account.store.pin(self.pin.pin)

    def _here(self) -> Pin:
        """Return the pin as it is now, with no other copies than those at the place."""
        self._reload()
        pieces = [
            replace(
                piece, copies=tuple(one for one in piece.copies if one.provider_id == self.place.provider_id)
            )
            for piece in self.pin.pieces
        ]
        return replace(self.pin, pieces=tuple(pieces))

    def _unfinished(self) -> list[tuple[Piece, Copy]]:
        pairs = [(piece, copy_at(piece, self.place.provider_id)) for piece in self._wanted]
        return [(piece, copy) for piece, copy in pairs if copy is not None and copy.state in UNFINISHED]

    @property
    def _wanted(self) -> list[Piece]:
        """The pieces to bring; the same content may lie in others, cut otherwise, which are left alone."""
        return [piece for piece in self.pin.pieces if piece.piece_cid in self.bringing.sources]

    def _under_way(self) -> list[Submission]:
        return submissions.of_pin(self.account, self._here())

    def _pairs(self, submission: Submission) -> list[tuple[Piece, Copy]]:
        """Return the wanted pieces that *submission* adds, in its order."""
        pairs = {copy.copy: (piece, copy) for piece in self._wanted for copy in piece.copies}
        return [pairs[copy] for copy in submission.copies if copy in pairs]

    def _piece_of(self, copy: int) -> Piece:
        return next(piece for piece in self.pin.pieces if any(one.copy == copy for one in piece.copies))


def copy_at(piece: Piece, provider_id: int) -> Copy | None:
    """Return the copy of *piece* at a provider that is there or under way; None when one is to be made."""
    usable = ON_CHAIN | UNFINISHED
    return next(
        (copy for copy in piece.copies if copy.provider_id == provider_id and copy.state in usable), None
    )
