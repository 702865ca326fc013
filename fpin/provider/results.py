"""What a provider says, as typed values: states of pieces, data sets and transactions.

Parses JSON objects that were already fetched; knows field names, refuses to know routes. A field that is
missing or of the wrong type where the protocol promises one is a `ProviderError`; unknown ones are ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from fpin.errors import ProviderError
from fpin.ipld.cid import parse_cid
from fpin.piece import PieceCid
from fpin.values import dataclass

Json = Mapping[str, object]

TxState = Literal["pending", "confirmed", "done", "failed"]
"""``pending``: not mined. ``confirmed``: mined, the provider has yet to record it. ``done``: recorded.
``failed``: reverted or lost, and that never changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PieceStatus:
    """How far indexing and advertising of a piece have come, in the provider's own words (spec §3.5).

    Evidence about the provider only: ``retrieved`` means that somebody fetched the advertisement, and after
    a deletion and a new upload all of it may describe the older advertisement (trap 12).
    """

    status: str
    indexed: bool
    ad_created: bool
    advertised: bool
    retrieved: bool
    synced: bool | None = None  # an indexer confirmed the advertisement; None: this server cannot tell
    ad_cid: bytes | None = None  # newer servers only
    advertised_at: str | None = None  # RFC 3339, the provider's estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class CreationStatus:
    """What became of a transaction that creates a data set."""

    tx_hash: str
    state: TxState
    data_set_id: int | None  # None until the state is "done"
    confirmed_tx_hash: str | None = None  # differs from tx_hash when the provider raised the fee


@dataclass(frozen=True, slots=True, kw_only=True)
class AddStatus:
    """What became of a transaction that adds pieces."""

    tx_hash: str
    state: TxState
    data_set_id: int
    piece_ids: tuple[int, ...]  # in the order of the request; empty until the state is "done"
    confirmed_tx_hash: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSetPiece:
    piece_id: int
    piece_cid: PieceCid


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSetView:
    """A data set as the provider's database knows it; the chain is the authority."""

    data_set_id: int
    pieces: tuple[DataSetPiece, ...]
    next_challenge_epoch: int  # 0: proving is not set up yet


@dataclass(frozen=True, slots=True, kw_only=True)
class PulledPiece:
    piece_cid: PieceCid
    status: str  # pending, inProgress, retrying, complete, failed


@dataclass(frozen=True, slots=True, kw_only=True)
class PullStatus:
    """A provider's copying of pieces from others.

    The overall status says "complete" when at least one piece is and none is under way (trap 15), so look at
    `arrived`.
    """

    status: str
    pieces: tuple[PulledPiece, ...]

    @property
    def ended(self) -> bool:
        return self.status in ("complete", "failed")

    def arrived(self, piece_cid: PieceCid) -> bool:
        return any(piece.status == "complete" for piece in self.pieces if piece.piece_cid == piece_cid)


def piece_status(name: str, data: Json) -> PieceStatus:
    """Return the answer of ``/pdp/piece/{cid}/status``."""
    synced = data.get("synced")
    return PieceStatus(
        status=_text(name, data, "status"),
        indexed=data.get("indexed") is True,
        ad_created=data.get("adCreated") is True,
        advertised=data.get("advertised") is True,
        retrieved=data.get("retrieved") is True,
        synced=synced if isinstance(synced, bool) else None,
        ad_cid=_cid_or_none(data.get("adCid")),
        advertised_at=_optional_text(data, "advertisedAt"),
    )


def creation_status(name: str, data: Json) -> CreationStatus:
    """Return the answer of ``/pdp/data-sets/created/{tx}``."""
    state = _tx_state(data, ok="ok", recorded="dataSetCreated")
    return CreationStatus(
        tx_hash=_text(name, data, "createMessageHash").lower(),
        state=state,
        data_set_id=_number(name, data, "dataSetId") if state == "done" else None,
        confirmed_tx_hash=_optional_text(data, "confirmedTxHash"),
    )


def add_status(name: str, data: Json) -> AddStatus:
    """Return the answer of ``/pdp/data-sets/{id}/pieces/added/{tx}``."""
    state = _tx_state(data, ok="addMessageOk", recorded="piecesAdded")
    ids: tuple[int, ...] = ()
    if state == "done":
        ids = tuple(
            _integer(name, "confirmedPieceIds", item) for item in _list(name, data, "confirmedPieceIds")
        )
    return AddStatus(
        tx_hash=_text(name, data, "txHash").lower(),
        state=state,
        data_set_id=_number(name, data, "dataSetId"),
        piece_ids=ids,
        confirmed_tx_hash=_optional_text(data, "confirmedTxHash"),
    )


def data_set_view(name: str, data: Json) -> DataSetView:
    """Return the answer of ``/pdp/data-sets/{id}``: one entry a piece, sub-pieces folded together."""
    pieces: dict[int, DataSetPiece] = {}
    for item in _objects(name, data, "pieces"):
        piece_id = _number(name, item, "pieceId")
        cid = _piece_cid(name, item)
        pieces.setdefault(piece_id, DataSetPiece(piece_id=piece_id, piece_cid=cid))
    return DataSetView(
        data_set_id=_number(name, data, "id"),
        pieces=tuple(pieces.values()),
        next_challenge_epoch=_number(name, data, "nextChallengeEpoch"),
    )


def pull_status(name: str, data: Json) -> PullStatus:
    """Return the answer of ``/pdp/piece/pull``."""
    return PullStatus(
        status=_text(name, data, "status"),
        pieces=tuple(
            PulledPiece(piece_cid=_piece_cid(name, item), status=_text(name, item, "status"))
            for item in _objects(name, data, "pieces")
        ),
    )


def _tx_state(data: Json, *, ok: str, recorded: str) -> TxState:
    # A reverted transaction is "confirmed" with ok == false, and stays so: trap 2. The status "rejected" that
    # the reference client looks for is never sent by Curio; it costs nothing to read it as what it says.
    if data.get(ok) is False or data.get("txStatus") in ("failed", "rejected"):
        return "failed"
    if data.get(recorded) is True:
        return "done"
    return "confirmed" if data.get("txStatus") == "confirmed" else "pending"


def _odd(name: str, key: str, value: object) -> ProviderError:
    return ProviderError(f"{name}: field {key!r} of its answer makes no sense: {str(value)[:80]!r}")


def _text(name: str, data: Json, key: str) -> str:
    value = data.get(key)
    if not isinstance(value, str):
        raise _odd(name, key, value)
    return value


def _optional_text(data: Json, key: str) -> str | None:
    value = data.get(key)
    return value if isinstance(value, str) and value else None


def _integer(name: str, key: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**256:
        raise _odd(name, key, value)
    return value


def _number(name: str, data: Json, key: str) -> int:
    return _integer(name, key, data.get(key))


def _list(name: str, data: Json, key: str) -> list[object]:
    value = data.get(key)
    if not isinstance(value, list):
        raise _odd(name, key, value)
    return value


def _objects(name: str, data: Json, key: str) -> list[dict[str, object]]:
    items = _list(name, data, key)
    found = [item for item in items if isinstance(item, dict)]
    if len(found) != len(items):
        raise _odd(name, key, items)
    return found


def _piece_cid(name: str, data: Json) -> PieceCid:
    text = _text(name, data, "pieceCid")
    try:
        return PieceCid.parse(text)
    except ValueError as exc:
        raise _odd(name, "pieceCid", text) from exc


def _cid_or_none(value: object) -> bytes | None:
    # Reported by newer servers, documented nowhere: a hint that the provider's chain can replace, so an odd
    # value is no reason to distrust the rest of the answer.
    if not isinstance(value, str):
        return None
    try:
        return parse_cid(value)
    except ValueError:
        return None
