"""Routes that change data sets: create, add, remove, terminate.

Source: curio pdp/handlers*.go (commit e0294b0f); spec storage-provider, sections 3.6, 3.7, 3.10, 3.13, 3.14.
Throttling by IP address is left out.
"""

from __future__ import annotations

from collections.abc import Sequence

from starlette.responses import Response

from fpin.devnet.provider import commp
from fpin.devnet.provider.commp import Piece
from fpin.devnet.provider.datasets import AddedPiece, DataSets
from fpin.devnet.provider.node import NodeError
from fpin.devnet.provider.onchain import Onchain, wants_indexing
from fpin.devnet.provider.pieces import PieceStore
from fpin.devnet.provider.proving import Proving
from fpin.devnet.provider.state import State
from fpin.devnet.provider.web import Call, JsonObject, Refusal, Rule, fail, from_hex, to_answer

MAX_PIECES_PER_CALL = 40
MAX_REMOVALS_PER_CALL = 35
MAX_QUEUED_REMOVALS = 35
MAX_CREATE_EXTRA_DATA = 4096
MAX_REMOVE_EXTRA_DATA = 1024
MAX_HEIGHT = 50


class SetRoutes:
    """What clients ask to be done, under /pdp/data-sets."""

    def __init__(
        self, state: State, data_sets: DataSets, pieces: PieceStore, chain: Onchain, proving: Proving
    ) -> None:
        self._state = state
        self._data_sets = data_sets
        self._pieces = pieces
        self._chain = chain
        self._proving = proving

    def rules(self) -> list[Rule]:
        sets = "/pdp/data-sets"
        one = sets + "/{dataSetId}"
        return [
            Rule(path=sets, slash=True, handlers={"POST": ("create", self._create)}),
            Rule(path=f"{sets}/create-and-add", handlers={"POST": ("create-and-add", self._create_and_add)}),
            Rule(
                path=one + "/terminate",
                handlers={"POST": ("terminate", self._terminate), "GET": ("terminated", self._terminated)},
            ),
            Rule(path=one + "/pieces", slash=True, handlers={"POST": ("add", self._add)}),
        ]

    # Create and add

    def _create(self, call: Call) -> Response:
        body = call.json("Invalid JSON in request body", whole=True)
        self._check_record_keeper(body)
        extra_data = _extra_data(body)
        if len(extra_data) > MAX_CREATE_EXTRA_DATA:
            raise fail(400, _too_long(extra_data, "CreateDataSet", MAX_CREATE_EXTRA_DATA))
        tx = self._chain.create(extra_data, indexing=wants_indexing(extra_data, combined=False))
        return _sent(f"/pdp/data-sets/created/{tx}")

    def _create_and_add(self, call: Call) -> Response:
        body = call.json("Invalid JSON in request body")
        self._check_record_keeper(body)
        requests = body.objects("pieces")
        _check_count(requests, "CreateDataSetAndAddPieces")
        extra_data = _extra_data(body)
        added = self._resolve(requests)
        indexing = wants_indexing(extra_data, combined=True)
        tx = self._chain.create_and_add(extra_data, added, indexing=indexing)
        return _sent(f"/pdp/data-sets/created/{tx}")

    def _add(self, call: Call) -> Response:
        data_set = call.number("dataSetId", "data set ID")
        body = call.json("Invalid request body")
        requests = body.objects("pieces")
        _check_count(requests, "AddPieces")
        roots = [_sub_root(sub) for each in requests for sub in each.objects("subPieces")]
        self._check_usable(data_set, roots)
        extra_data = _extra_data(body)
        added = self._resolve(requests)
        tx = self._chain.add(data_set, extra_data, added, indexing=self._indexing(data_set))
        return _sent(f"/pdp/data-sets/{data_set}/pieces/added/{tx}")

    def _check_record_keeper(self, body: JsonObject) -> None:
        check_record_keeper(body.text("recordKeeper"), self._chain)

    def _check_usable(self, data_set: int, roots: list[bytes]) -> None:
        """A provider that does not know the set throws away what was uploaded for it."""
        known = self._data_sets.known(data_set)
        if known is None:
            self._pieces.discard_unused(roots)
            raise fail(404, "Data set not found")
        if known["proving_failed"]:
            self._pieces.discard_unused(roots)
            raise Refusal(409, "data set has been terminated due to unrecoverable proving failure")

    def _indexing(self, data_set: int) -> bool:
        known = self._data_sets.known(data_set)
        if known is not None and known["indexing"] is not None:
            return bool(known["indexing"])
        try:
            indexing = self._chain.has_indexing(data_set)
        except NodeError as exc:
            raise fail(500, "Internal server error") from exc
        self._data_sets.learn_indexing(data_set, indexing)
        return indexing

    def _resolve(self, requests: Sequence[JsonObject]) -> list[AddedPiece]:
        """Check the pieces of an add against what is parked here; the oldest ref of each is used."""
        try:
            seen: set[bytes] = set()
            for each in requests:
                _check_shape(each, seen)
            return [self._resolve_one(each) for each in requests]
        except ValueError as exc:
            raise fail(400, f"Failed to process request: {exc}") from exc

    def _resolve_one(self, request: JsonObject) -> AddedPiece:
        # One sub-piece equal to the piece. A real provider checks aggregates too, sends them, and then
        # cannot record them; here they are refused before anything is sent.
        parked = [self._parked(_sub_root(sub)) for sub in request.objects("subPieces")]
        ref, whole = parked[0]
        wanted, _ = commp.parse_any(request.text("pieceCid"))
        if len(parked) > 1 or wanted != whole.root:
            raise ValueError(
                "failed to validate subPieces: provided PieceCid does not match generated PieceCid: "
                f"{commp.piece_cid_v1(wanted)} != {whole.v1}"
            )
        piece = commp.parse_v2(request.text("pieceCid"))
        if piece.height > MAX_HEIGHT:
            raise ValueError("invalid height")
        if piece.payload_size != whole.payload_size:
            raise ValueError(f"raw size mismatch: expected {whole.payload_size}, got {piece.payload_size}")
        return AddedPiece(piece=piece, ref=ref)

    def _parked(self, root: bytes) -> tuple[int, Piece]:
        ref, piece = self._pieces.oldest_ref(root), self._pieces.parked(root)
        if ref is None or piece is None:
            raise ValueError(
                f"failed to validate subPieces: subPiece CID {commp.piece_cid_v1(root)} not found or "
                "does not belong to service public"
            )
        return ref, piece

    # Remove

    def remove(self, call: Call) -> Response:
        data_set = call.number("dataSetId", "data set ID")
        piece_id = call.number("pieceId", "piece ID")
        self._require(data_set)
        body = call.json("Invalid request body", may_be_empty=True)
        try:
            extra_data = from_hex(body.text("extraData"))
        except ValueError as exc:
            raise Refusal(400, "Invalid extraData format (must be hex encoded)") from exc
        if len(extra_data) > MAX_REMOVE_EXTRA_DATA:
            raise Refusal(400, _too_long(extra_data, "DeletePiece", MAX_REMOVE_EXTRA_DATA))
        piece_ids = _distinct_ids(body.numbers("pieceIds") or [piece_id])
        if not self._data_sets.has_pieces(data_set, piece_ids):
            raise Refusal(404, "One or more piece not found")
        queued = len(self._chain.scheduled_removals(data_set))
        if queued >= MAX_QUEUED_REMOVALS:
            raise Refusal(
                429,
                f"data set {data_set} already has {queued} scheduled removals queued "
                f"(limit {MAX_QUEUED_REMOVALS}); retry after the next proving period flushes the queue",
            )
        self._proving.begin(data_set)
        return to_answer({"txHash": self._chain.schedule_removal(data_set, piece_ids, extra_data)})

    # Terminate

    def _terminate(self, call: Call) -> Response:
        data_set = call.number("dataSetId", "data set ID")
        body = call.json("Invalid request body", may_be_empty=True)
        try:
            extra_data = from_hex(body.text("extraData"))
        except ValueError as exc:
            raise Refusal(400, "Invalid extraData format (must be hex encoded)") from exc
        if not extra_data:
            raise Refusal(400, "extraData is required for client-requested termination")
        self._require(data_set)
        _, end_epoch = self._chain.payer_and_end(data_set)
        if end_epoch:
            return _conflict(0, "already terminated", end_epoch)
        if not self._chain.supports_termination():
            raise Refusal(503, "FWSS contract does not support client-requested termination")
        with self._state.write() as db:
            fresh = db.execute(
                "INSERT OR IGNORE INTO terminations (data_set, extra_data) VALUES (?, ?)",
                (data_set, extra_data),
            ).rowcount
        return Response(status_code=202) if fresh else _conflict(1, "termination queued", None)

    def _terminated(self, call: Call) -> Response:
        data_set = call.number("dataSetId", "data set ID")
        row = None
        if self._data_sets.known(data_set) is not None:
            row = self._state.row("SELECT * FROM terminations WHERE data_set = ?", data_set)
        if row is None:
            raise Refusal(404, "Termination not found")
        answer = {
            "terminationTxHash": row["tx"] or "",
            "fwssTerminated": True if row["epoch"] is not None else None,
            "serviceTerminationEpoch": row["epoch"],
        }
        if row["tx"] and row["epoch"] is not None:
            answer["confirmedTxHash"] = row["tx"]
        return to_answer(answer)

    def _require(self, data_set: int) -> None:
        if self._data_sets.known(data_set) is None:
            raise Refusal(404, "Data set not found")


def check_record_keeper(text: str, chain: Onchain) -> None:
    """The address must be the one service this provider works for; damaged hex counts as zero bytes."""
    if not text:
        raise fail(400, "recordKeeper address is required")
    try:
        address = from_hex(text)[-20:].rjust(20, b"\0")
    except ValueError:
        address = bytes(20)
    if address == bytes(20):
        raise fail(400, "Invalid recordKeeper address")
    if not chain.is_record_keeper("0x" + address.hex()):
        raise fail(403, "recordKeeper address not allowed for public service")


def _check_count(pieces: Sequence[JsonObject], call: str) -> None:
    if not pieces:
        raise fail(400, "At least one piece must be provided")
    if len(pieces) > MAX_PIECES_PER_CALL:
        raise fail(
            400,
            f"piece count ({len(pieces)}) exceeds the maximum allowed per {call} call "
            f"({MAX_PIECES_PER_CALL})",
        )


def _check_shape(request: JsonObject, seen: set[bytes]) -> None:
    if not request.text("pieceCid"):
        raise ValueError("PieceCID is required for each piece")
    if not request.objects("subPieces"):
        raise ValueError("at least one subPiece is required per piece")
    for sub in request.objects("subPieces"):
        if not sub.text("subPieceCid"):
            raise ValueError("subPieceCid is required for each subPiece")
        root, _ = commp.parse_any(sub.text("subPieceCid"))
        if root in seen:
            raise ValueError("duplicate subPieceCid in request")
        seen.add(root)


def _sub_root(sub: JsonObject) -> bytes:
    try:
        return commp.parse_any(sub.text("subPieceCid"))[0]
    except ValueError as exc:
        raise fail(400, f"Invalid subPieceCid: {exc}") from exc


def _distinct_ids(ids: Sequence[int]) -> list[int]:
    """First-seen order, which is the order the client signed."""
    if len(ids) > MAX_REMOVALS_PER_CALL:
        raise Refusal(
            400,
            f"piece count ({len(ids)}) exceeds the maximum allowed per DeletePiece call "
            f"({MAX_REMOVALS_PER_CALL})",
        )
    for each in ids:
        if each >= 2**63:
            raise Refusal(400, f"piece ID {each} is out of range")
    return list(dict.fromkeys(ids))


def _extra_data(body: JsonObject) -> bytes:
    try:
        return from_hex(body.text("extraData"))
    except ValueError as exc:
        raise fail(400, f"Invalid extraData format (must be hex encoded): {exc}") from exc


def _too_long(extra_data: bytes, call: str, limit: int) -> str:
    return (
        f"extraData size ({len(extra_data)} bytes) exceeds the maximum allowed limit for {call} "
        f"({limit} bytes)"
    )


def _sent(location: str) -> Response:
    return Response(status_code=201, headers={"Location": location})


def _conflict(code: int, message: str, epoch: int | None) -> Response:
    return to_answer({"code": code, "message": message, "serviceTerminationEpoch": epoch}, 409)
