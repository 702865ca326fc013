"""Routes that take pieces in: streaming upload, classic upload, find.

Source: curio pdp/handlers_upload.go (commit e0294b0f); spec storage-provider, sections 3.2 to 3.4.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import Response

from fpin.devnet.provider import commp
from fpin.devnet.provider.commp import BLOCK_SIZE, MAX_PIECE_SIZE, MIN_PIECE_SIZE, Piece
from fpin.devnet.provider.faults import Faults
from fpin.devnet.provider.pieces import Intake, PieceStore, TooLarge, TooSmall
from fpin.devnet.provider.web import Call, Desk, Rule, Stream, fail, not_found, to_answer

_FINALIZE = "Invalid request body: "


class UploadRoutes:
    """Bytes from clients, under /pdp/piece."""

    def __init__(self, pieces: PieceStore, desk: Desk, faults: Faults) -> None:
        self._pieces = pieces
        self._desk = desk
        self._faults = faults

    def rules(self) -> list[Rule]:
        one = "/pdp/piece/uploads/{uuid}"
        return [
            Rule(path="/pdp/piece/uploads", handlers={"POST": ("open", self._open)}),
            Rule(
                path=one,
                handlers={"PUT": ("upload", Stream(self._upload)), "POST": ("finalize", self._finalize)},
            ),
            Rule(
                path="/pdp/piece",
                handlers={"POST": ("announce", self._announce), "GET": ("find", self._find)},
            ),
            Rule(
                path="/pdp/piece/upload/{uuid}",
                handlers={"PUT": ("classic-upload", Stream(self._classic_upload))},
            ),
        ]

    # Streaming

    def _open(self, _: Call) -> Response:
        return _created(f"/pdp/piece/uploads/{self._pieces.open_session()}")

    async def _upload(self, request: Request) -> Response:
        session = _uuid(request.path_params["uuid"])
        if not self._pieces.session_known(session):
            raise not_found()
        with self._pieces.intake() as intake:
            try:
                await self._receive(request, intake)
                await self._desk.in_thread(self._pieces.fill_session, session, intake)
            except TooLarge as exc:
                raise fail(413, str(exc)) from exc
            except TooSmall as exc:
                raise fail(400, str(exc)) from exc
        return Response(status_code=204)

    def _finalize(self, call: Call) -> Response:
        session = _uuid(call.path["uuid"])
        if not self._pieces.session_known(session):
            raise not_found()
        body = call.json(_FINALIZE.rstrip(": "))
        try:
            piece = commp.parse_v2(body.text("pieceCid"))
        except ValueError as exc:
            raise fail(400, f"{_FINALIZE}invalid pieceCid: {exc}") from exc
        content = self._pieces.session_content(session)
        if content is None:
            raise fail(500, "Database error")
        if content.payload_size != piece.payload_size:
            raise fail(400, f"{_FINALIZE}pieceCid size does not match uploaded piece size")
        if content != piece or self._faults.lie_about_piece:
            raise fail(
                400, f"{_FINALIZE}pieceCid does not match the calculated pieceCid for the uploaded piece"
            )
        if not self._pieces.finalize_session(session, body.text("notify")):
            raise fail(500, "Failed to process piece upload")
        return Response(status_code=200)

    # Classic

    def _announce(self, call: Call) -> Response:
        body = call.json("Invalid request body")
        try:
            piece = commp.parse_v2(body.text("pieceCid"))
        except ValueError as exc:
            raise fail(400, f"Invalid request body: invalid pieceCid: {exc}") from exc
        if piece.payload_size < MIN_PIECE_SIZE:
            raise fail(400, str(TooSmall()))
        if piece.payload_size > MAX_PIECE_SIZE:
            raise fail(413, str(TooLarge()))
        upload = self._pieces.announce(piece, body.text("notify"))
        if upload.ready:
            return to_answer({"pieceCid": piece.v2})
        return _created(f"/pdp/piece/upload/{upload.uuid}")

    async def _classic_upload(self, request: Request) -> Response:
        upload = self._pieces.upload(_uuid(request.path_params["uuid"]))
        if upload is None:
            raise fail(404, "Upload UUID not found")
        if upload.ready:
            raise fail(409, "Data has already been uploaded")
        declared = upload.piece.payload_size
        with self._pieces.intake(limit=declared) as intake:
            try:
                await self._receive(request, intake)
            except TooLarge as exc:
                message = f"piece data exceeds the size declared in pieceCid ({declared} bytes)"
                raise fail(400, message) from exc
            if intake.size < declared:
                raise fail(400, "Piece size does not match the expected size")
            if await self._desk.in_thread(self._pieces.fill_upload, upload, intake) != upload.piece:
                raise fail(400, "Computed hash does not match expected hash")
        return Response(status_code=204)

    # Find

    def _find(self, call: Call) -> Response:
        text = call.query.get("pieceCid", "")
        try:
            piece: Piece = commp.parse_v2(text)
        except ValueError as exc:
            raise fail(400, f"Failed to parse CID: {exc}") from exc
        if self._pieces.oldest_ref(piece.root) is None:
            raise not_found()
        return to_answer({"pieceCid": text})

    # The event loop only moves bytes; hashing and disk are left to threads.

    async def _receive(self, request: Request, intake: Intake) -> None:
        async for block in _blocks(request):
            await self._desk.in_thread(intake.write, block)
            if self._faults.rate:
                await asyncio.sleep(len(block) / self._faults.rate)


async def _blocks(request: Request) -> AsyncIterator[bytes]:
    """The body in pieces of one hashing block, so that a run of zeros shows as a block of zeros."""
    pending = bytearray()
    async for chunk in request.stream():
        pending += chunk
        while len(pending) >= BLOCK_SIZE:
            yield bytes(pending[:BLOCK_SIZE])
            del pending[:BLOCK_SIZE]
    if pending:
        yield bytes(pending)


def _created(location: str) -> Response:
    return Response(status_code=201, headers={"Location": location})


def _uuid(text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError as exc:
        raise fail(400, "Invalid upload UUID") from exc
