"""What flows return about pins: plain values, the same for people, JSON and Python."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fpin.backends.base import Proof
from fpin.ipld.cid import format_cid
from fpin.piece import PieceCid
from fpin.store import ON_CHAIN, Copy, CopyState, Pin, PinState
from fpin.values import dataclass

WAITS_FOR = {
    CopyState.REMOVING: "the chain, to have the removal in its queue; fpin rm asks for it again",
    CopyState.SCHEDULED: "the end of the provider's proving period, when the piece leaves the chain",
    CopyState.REMOVED: "the provider, to clean up and to advertise the removal",
    CopyState.UNADVERTISED: "the indexer, to process the removal advertisement",
}
END_OF_SET = "the end of its data set, which was terminated"


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyReport:
    provider_id: int
    provider_url: str
    data_set_id: int | None
    piece_id: int | None
    tx: str | None
    state: CopyState
    uploaded: bool  # False: the provider already had the piece
    reason: str | None  # why it failed, or leaves unasked
    ad_cid: str | None
    removal_tx: str | None
    removal_ad_cid: str | None
    last_proven: int | None  # epoch
    next_proof_due: int | None  # epoch
    changed: int  # unix seconds
    waits_for: str | None  # on its way out: what has to happen next


@dataclass(frozen=True, slots=True, kw_only=True)
class PieceReport:
    piece_cid: str
    size: int  # bytes of CAR
    padded_size: int
    copies: tuple[CopyReport, ...]

    @property
    def held(self) -> int:
        """How many copies the chain holds that nobody asked to remove."""
        return sum(copy.state in ON_CHAIN for copy in self.copies)


@dataclass(frozen=True, slots=True, kw_only=True)
class PinReport:
    root_cid: str
    wallet: str | None  # who pays; None where nothing says yet
    name: str | None
    path: str | None
    profile: str
    state: PinState
    size: int  # bytes of content
    files: int
    car_size: int
    copies_wanted: int
    created: int  # unix seconds
    pieces: tuple[PieceReport, ...]


def report_pin(pin: Pin, proofs: Mapping[int, Proof] | None = None) -> PinReport:
    """Return *pin* as it is reported."""
    return PinReport(
        root_cid=format_cid(pin.root_cid),
        wallet=pin.wallet or None,
        name=pin.name,
        path=pin.path,
        profile=pin.profile,
        state=pin.state,
        size=pin.size,
        files=pin.files,
        car_size=pin.car_size,
        copies_wanted=pin.copies_wanted,
        created=pin.created,
        pieces=report_pieces(pin, proofs),
    )


def report_pieces(
    pin: Pin,
    proofs: Mapping[int, Proof] | None = None,
    *,
    uploaded: Callable[[Copy], bool] = lambda copy: copy.uploaded,
) -> tuple[PieceReport, ...]:
    """Return the pieces of *pin*; *uploaded* decides what counts as sent by us."""
    return tuple(
        PieceReport(
            piece_cid=piece.piece_cid,
            size=piece.size,
            padded_size=PieceCid.parse(piece.piece_cid).padded_size,
            copies=tuple(
                _report_copy(copy, (proofs or {}).get(copy.copy), uploaded=uploaded(copy))
                for copy in piece.copies
            ),
        )
        for piece in pin.pieces
    )


def _report_copy(copy: Copy, proof: Proof | None, *, uploaded: bool) -> CopyReport:
    return CopyReport(
        provider_id=copy.provider_id,
        provider_url=copy.provider_url,
        data_set_id=copy.data_set_id,
        piece_id=copy.piece_id,
        tx=copy.tx,
        state=copy.state,
        uploaded=uploaded,
        reason=copy.reason,
        ad_cid=copy.ad_cid,
        removal_tx=copy.removal_tx,
        removal_ad_cid=copy.removal_ad_cid,
        last_proven=proof.last_proven if proof else None,
        next_proof_due=proof.next_proof_due if proof else None,
        changed=copy.changed,
        waits_for=END_OF_SET
        if copy.state is CopyState.SCHEDULED and copy.reason
        else WAITS_FOR.get(copy.state),
    )
