"""Routes that give pieces out, and the small ones that say who answers.

Source: curio market/retrieval/piecehandler.go, cuhttp/server.go (commit e0294b0f); spec storage-provider,
sections 3.1 and 3.16. Left out: the denylist, the limit of concurrent requests and the caches.
"""

from __future__ import annotations

import time
from pathlib import Path

from starlette.responses import FileResponse, PlainTextResponse, Response

from fpin.devnet.provider import commp
from fpin.devnet.provider.datasets import DataSets
from fpin.devnet.provider.pieces import PieceStore
from fpin.devnet.provider.state import State
from fpin.devnet.provider.web import Call, Handler, Refusal, Rule, to_answer

VERSION = "1.28.4"
_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png", ".png"),
    (b"\xff\xd8\xff", "image/jpeg", ".jpg"),
    (b"GIF8", "image/gif", ".gif"),
    (b"%PDF-", "application/pdf", ".pdf"),
    (b"PK\x03\x04", "application/zip", ".zip"),
    (b"\x1f\x8b\x08", "application/x-gzip", ".gz"),
)


class _PieceFile(FileResponse):
    chunk_size = 1 << 20


class RetrievalRoutes:
    """/piece, /explore, /pdp/ping, /version, /info, /health and the front page."""

    def __init__(self, pieces: PieceStore, data_sets: DataSets, state: State) -> None:
        self._pieces = pieces
        self._data_sets = data_sets
        self._state = state

    def rules(self) -> list[Rule]:
        return [
            Rule(
                path="/piece/{cid}",
                handlers={"GET": ("retrieve", self._piece), "HEAD": ("retrieve", self._piece)},
            ),
            Rule(path="/explore/data-sets/{dataSetId}/pieces", handlers={"GET": ("explore", self._explore)}),
            Rule(path="/pdp/ping", handlers={"GET": ("ping", _text("curio-pdp"))}),
            Rule(path="/health", handlers={"GET": ("health", _text("Service is up and running"))}),
            Rule(path="/version", handlers={"GET": ("version", _text(f"{VERSION}+devnet+fpin"))}),
            Rule(
                path="/info",
                handlers={"GET": ("info", _text(f'{{"Version":"0.4.0", "Server": "Curio/{VERSION}"}}'))},
            ),
            Rule(path="/", handlers={"GET": ("front", _text("Hello, World!\n -Curio\n"))}),
        ]

    def _piece(self, call: Call) -> Response:
        text = call.path["cid"]
        try:
            root, piece = commp.parse_any(text)
        except ValueError:
            return Response(status_code=400)
        path = self._pieces.file_of(root)
        if path is None:
            # Without a size a real server cannot look on, and says so with 500.
            return Response(status_code=404 if piece is not None else 500)
        etag = f'"{text}"'
        headers = {
            "Cache-Control": "public, max-age=29030400, immutable",
            "ETag": etag,
            "Last-Modified": "Thu, 01 Jan 1970 00:00:00 GMT",
        }
        if call.headers.get("if-none-match") in (etag, "*"):
            return Response(status_code=304, headers=headers)
        return self._file(path, text, headers)

    def _file(self, path: Path, cid: str, headers: dict[str, str]) -> Response:
        try:
            with path.open("rb") as file:
                media_type, suffix = _sniff(file.read(512))
        except FileNotFoundError:  # collected in this moment
            return Response(status_code=404)
        if suffix:
            headers["Content-Disposition"] = f'inline; filename="{cid}{suffix}"'
        return _PieceFile(path, headers=headers, media_type=media_type, stat_result=path.stat())

    def _explore(self, call: Call) -> Response:
        data_set = call.number("dataSetId", "data set ID")
        limit, offset = _page(call, "limit", 50), _page(call, "offset", 0)
        if self._data_sets.known(data_set) is None:
            raise Refusal(404, "Data set not found")
        pieces = [each for each in self._data_sets.pieces(data_set) if not each.removed]
        newest = pieces[::-1][offset : offset + min(limit, 100)]
        return to_answer(
            {
                "dataSetId": data_set,
                "total": len(pieces),
                "pieces": [
                    {
                        "pieceId": each.piece_id,
                        "pieceCid": each.piece.v2,
                        "size": each.piece.payload_size,
                        "uploadedAt": self._uploaded_at(each.piece.root),
                    }
                    for each in newest
                ],
            }
        )

    def _uploaded_at(self, root: bytes) -> str:
        row = self._state.row("SELECT created_at FROM pieces WHERE root = ?", root)
        return rfc3339(row["created_at"]) if row is not None else ""


def rfc3339(moment: float) -> str:
    seconds, fraction = divmod(moment, 1)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(fraction * 1000):03d}Z"


def _page(call: Call, name: str, default: int) -> int:
    text = call.query.get(name, str(default))
    if not (text.isascii() and text.isdigit()) or (name == "limit" and int(text) < 1):
        raise Refusal(400, f"Invalid {name}")
    return int(text)


def _text(text: str) -> Handler:
    return lambda _: PlainTextResponse(text)


def _sniff(head: bytes) -> tuple[str, str]:
    """(Content-Type, file name ending) of a piece by its first bytes; a CAR is an octet-stream."""
    for signature, media_type, suffix in _SIGNATURES:
        if head.startswith(signature):
            return media_type, suffix
    # Go's rule for text: no control characters but the usual white space.
    if head and not any(byte < 9 or 14 <= byte < 27 or 28 <= byte < 32 or byte == 11 for byte in head):
        return "text/plain; charset=utf-8", ".txt"
    return "application/octet-stream", ""
