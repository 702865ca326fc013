"""The way in: a piece's copy from ``planned`` to ``confirmed``, each step written down around it.

Knows what to ask the world in each state, so that a run after a crash continues and pays once: the nonce of
an add is in the store before it is signed, the contract refuses its second use, and `clientNonces` tells
anyone what became of the first.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fpin import events
from fpin.backends.base import Place
from fpin.backends.filecoin.account import Account, in_words, why_failed
from fpin.backends.source import PieceSource
from fpin.chain import typed_data
from fpin.chain.limits import in_batches
from fpin.chain.records import NonceUse
from fpin.errors import ChainError, NoKey, ProviderError, ProviderUnavailable
from fpin.events import OnEvent
from fpin.piece import PieceCid
from fpin.provider.results import AddStatus, CreationStatus
from fpin.provider.waiting import CONFIRMING, PARKING, poll
from fpin.store import ON_CHAIN, UNFINISHED, Copy, CopyState, Piece, Pin, Submission

# The reference client's own, to the letter: a data set is reused only when its metadata is exactly equal,
# and every further one costs a reserve and a flat fee each month. So both tools share them (chain §3.3).
DATA_SET_METADATA = (("source", "filecoin-pin"), ("withIPFSIndexing", ""))

RECORDING = 120.0  # seconds for a provider to take note of a data set that the chain already has


@dataclass(frozen=True, slots=True)
class _Outcome:
    """How an add ended: *use* of its nonce, or None when it failed for good."""

    use: NonceUse | None


@dataclass(kw_only=True)
class Adding:
    """Brings the pieces of one pin to places, one place at a time."""

    account: Account
    pin: Pin
    sources: Mapping[str, PieceSource]  # by piece CID
    on_event: OnEvent

    def fill(self, place: Place, *, park_only: bool) -> None:
        """Bring every piece that there is a source of to *place*.

        Raises what stopped it; the store holds how far it came. What the chain already has is neither sent
        nor paid for again.
        """
        for piece in self._wanted:
            if _copy_at(piece, place.provider_id) is None:
                self.account.store.plan_copy(
                    piece.piece, provider_id=place.provider_id, provider_url=place.provider_url
                )
        self._reload()
        self._settle(place)
        self._adopt(place)
        for piece, copy in self._unfinished(place):
            self._park(piece, copy)
        if park_only:
            return
        self._reload()
        todo = self._unfinished(place)
        data_set_id = place.data_set_id
        for batch in in_batches(todo):
            data_set_id = self._add(place.provider_id, data_set_id, batch)
        self._reload()

    def settle(self) -> None:
        """Find out what became of adds that were under way, without beginning anything new."""
        for provider_id in {copy.provider_id for copy in self.pin.copies}:
            for submission in self._submissions(provider_id):
                self._landed(submission)
        self._reload()

    # one step each

    def _settle(self, place: Place) -> None:
        """Finish the adds that were under way when an earlier run ended."""
        for submission in self._submissions(place.provider_id):
            if self._landed(submission):
                continue
            if submission.payer != self.account.payer:
                raise NoKey(
                    f"an add that {submission.payer} signed may still reach the chain",
                    hint="use the key of that wallet, or another provider (--exclude-provider)",
                )
            if submission.tx is None or not self._is_known(submission):
                self._deliver_again(submission)
                self._send(submission)
            self._confirm(submission.submission)
        self._reload()

    def _adopt(self, place: Place) -> None:
        """Take over pieces that the data set already holds, such as those of a lost store."""
        if place.data_set_id is None:
            return
        chain = self.account.chain
        known = {(copy.data_set_id, copy.piece_id) for copy in self.pin.copies}
        for piece, copy in self._unfinished(place):
            held = chain.find_piece_ids(place.data_set_id, PieceCid.parse(piece.piece_cid).to_bytes())
            staying = set(held) - chain.scheduled_removals(place.data_set_id) if held else set()
            free = [piece_id for piece_id in staying if (place.data_set_id, piece_id) not in known]
            if free:
                self.account.store.mark_on_chain(copy.copy, data_set_id=place.data_set_id, piece_id=min(free))
                self.on_event(
                    events.Confirmed(
                        provider_id=place.provider_id,
                        data_set_id=place.data_set_id,
                        piece_ids=(min(free),),
                    )
                )
        self._reload()

    def _park(self, piece: Piece, copy: Copy) -> None:
        uploaded = self._deliver(piece, copy)
        self.account.store.mark_parked(copy.copy, uploaded=uploaded)
        self.on_event(
            events.Parked(provider_id=copy.provider_id, piece_cid=piece.piece_cid, uploaded=uploaded)
        )

    def _deliver(self, piece: Piece, copy: Copy) -> bool:
        """Make sure that the provider holds the bytes; tell whether they had to be sent."""
        # Asked even when it was parked before: what is not added within two hours is collected.
        if self.account.api(copy.provider_id).find_piece(PieceCid.parse(piece.piece_cid)):
            return False
        self._upload(piece, copy)
        return True

    def _deliver_again(self, submission: Submission) -> None:
        """Have the pieces of an add that was not carried out at the provider once more."""
        for piece in self._wanted:
            for copy in piece.copies:
                if copy.copy in submission.copies:
                    self._deliver(piece, copy)

    def _upload(self, piece: Piece, copy: Copy) -> None:
        api = self.account.api(copy.provider_id)
        piece_cid = PieceCid.parse(piece.piece_cid)

        def moved(done: int) -> None:
            self.on_event(
                events.Uploading(
                    provider_id=copy.provider_id, piece_cid=piece.piece_cid, done=done, total=piece.size
                )
            )

        api.upload(piece_cid, self.sources[piece.piece_cid].open, progress=moved, clock=self.account.clock)
        found = poll(lambda: api.find_piece(piece_cid) or None, patience=PARKING, clock=self.account.clock)
        if not found:
            raise ProviderUnavailable(
                f"{api.name} took piece {piece_cid} but has not stored it after {PARKING / 60:.0f} minutes",
                hint="run it again later, or exclude this provider",
            )

    def _add(self, provider_id: int, data_set_id: int | None, todo: Sequence[tuple[Piece, Copy]]) -> int:
        """Have *todo* added in one call; return the data set they are in."""
        if data_set_id is None:
            client_data_set_id = secrets.randbits(256)
        else:
            client_data_set_id = self.account.chain.data_set(data_set_id).client_data_set_id
            self._wait_until_recorded(provider_id, data_set_id)
        submission = self.account.store.mark_signed(
            [copy.copy for _, copy in todo],
            provider_id=provider_id,
            payer=self.account.payer,
            data_set_id=data_set_id,
            client_data_set_id=client_data_set_id,
            nonce=secrets.randbits(256),
        )
        self._send(submission)
        return self._confirm(submission.submission)

    def _send(self, submission: Submission) -> None:
        """Sign and send an add. Sending one again is safe: its nonce can be used once."""
        api = self.account.api(submission.provider_id)
        piece_cids = [PieceCid.parse(self._piece_of(copy).piece_cid) for copy in submission.copies]
        add = self._signed_add(submission, piece_cids)
        try:
            if submission.data_set_id is None:
                tx = api.create_and_add(
                    piece_cids,
                    record_keeper=self.account.chain.network.contracts.fwss,
                    extra_data=typed_data.create_and_add_extra_data(self._signed_create(submission), add),
                )
            else:
                tx = api.add_pieces(submission.data_set_id, piece_cids, extra_data=add)
        except ProviderUnavailable:
            # It may have been sent all the same, so the nonce stays the one to ask for.
            if self._use(submission) is None:
                raise
            return
        except ProviderError as exc:
            if self._use(submission) is not None:
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

        def ask() -> _Outcome | None:
            # The chain first: it is the authority, and its answer does not depend on the provider.
            if (use := self._use(submission)) is not None:
                return _Outcome(use)
            status = self._status(submission)
            if status is None or status.state != "failed":
                return None
            # Asked once more: it may have been mined since, and "failed" be about another transaction.
            return _Outcome(self._use(submission))

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
        self._record(submission, outcome.use)
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

    # what the chain says

    def _use(self, submission: Submission) -> NonceUse | None:
        return self.account.chain.nonce_use(submission.payer, submission.nonce)

    def _landed(self, submission: Submission) -> bool:
        """Ask the chain what became of *submission*, and write it down if it was carried out."""
        use = self._use(submission)
        if use is not None:
            self._record(submission, use)
        return use is not None

    def _record(self, submission: Submission, use: NonceUse) -> None:
        first = use.first_piece_id(len(submission.copies))
        self.account.store.mark_confirmed(
            submission.submission, data_set_id=use.data_set_id, first_piece_id=first, epoch=use.epoch
        )
        self.on_event(
            events.Confirmed(
                provider_id=submission.provider_id,
                data_set_id=use.data_set_id,
                piece_ids=tuple(range(first, first + len(submission.copies))),
            )
        )

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

    def _unfinished(self, place: Place) -> list[tuple[Piece, Copy]]:
        pairs = [(piece, _copy_at(piece, place.provider_id)) for piece in self._wanted]
        return [(piece, copy) for piece, copy in pairs if copy is not None and copy.state in UNFINISHED]

    @property
    def _wanted(self) -> list[Piece]:
        """The pieces to bring; the same content may lie in others, cut otherwise, which are left alone."""
        return [piece for piece in self.pin.pieces if piece.piece_cid in self.sources]

    def _submissions(self, provider_id: int) -> list[Submission]:
        rows = {
            copy.submission
            for copy in self.pin.copies
            if copy.provider_id == provider_id
            and copy.state in (CopyState.SIGNED, CopyState.SUBMITTED)
            and copy.submission is not None
        }
        return [self.account.store.submission(row) for row in sorted(rows)]

    def _piece_of(self, copy: int) -> Piece:
        return next(piece for piece in self.pin.pieces if any(one.copy == copy for one in piece.copies))


def _copy_at(piece: Piece, provider_id: int) -> Copy | None:
    """Return the copy of *piece* at a provider that is there or under way; None when one is to be made."""
    usable = ON_CHAIN | UNFINISHED
    return next(
        (copy for copy in piece.copies if copy.provider_id == provider_id and copy.state in usable), None
    )
