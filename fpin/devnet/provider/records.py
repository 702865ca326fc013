"""Routes that tell what this provider has recorded: transactions, data sets, pieces in them.

Source: curio pdp/handlers.go (commit e0294b0f); spec storage-provider, sections 3.8, 3.9, 3.11, 3.12.
"""

from __future__ import annotations

import sqlite3

from starlette.responses import Response

from fpin.devnet.provider.datasets import DataSets
from fpin.devnet.provider.web import Call, Handler, Refusal, Rule, to_answer


class RecordRoutes:
    """Records of data sets, under /pdp/data-sets; *remove* answers DELETE on the path of one piece."""

    def __init__(self, data_sets: DataSets, *, remove: Handler) -> None:
        self._data_sets = data_sets
        self._remove = remove

    def rules(self) -> list[Rule]:
        sets = "/pdp/data-sets"
        one = sets + "/{dataSetId}"
        return [
            Rule(path=sets + "/created/{txHash}", handlers={"GET": ("created", self._created)}),
            Rule(path=one, slash=True, handlers={"GET": ("data-set", self._data_set)}),
            Rule(path=one + "/pieces/added/{txHash}", handlers={"GET": ("added", self._added)}),
            Rule(
                path=one + "/pieces/{pieceId}",
                slash=True,
                handlers={"GET": ("piece", self._piece), "DELETE": ("remove", self._remove)},
            ),
        ]

    def _created(self, call: Call) -> Response:
        tx = call.tx_hash()
        row = self._data_sets.creation(tx)
        if row is None:
            raise Refusal(404, "Data set creation not found for given txHash")
        answer = {
            "createMessageHash": tx,
            "dataSetCreated": row["data_set"] is not None,
            "service": "public",
            "txStatus": row["status"],
            "ok": None if row["ok"] is None else bool(row["ok"]),
        }
        if row["data_set"] is not None:
            answer["dataSetId"] = row["data_set"]
        return to_answer(_with_mined_hash(answer, tx, row["status"]))

    def _added(self, call: Call) -> Response:
        data_set = call.number("dataSetId", "data set ID")
        tx = call.tx_hash()
        self._require(data_set)
        adds = self._data_sets.addition(data_set, tx)
        if not adds:
            raise Refusal(404, "Piece addition not found for given transaction")
        ok, status = adds[0]["ok"], adds[0]["status"]
        answer = {
            "txHash": tx,
            "txStatus": status,
            "dataSetId": data_set,
            "pieceCount": len({add["root"] for add in adds}),
            "addMessageOk": None if ok is None else bool(ok),
            "piecesAdded": bool(adds[0]["recorded"]),
        }
        if adds[0]["recorded"]:
            answer["confirmedPieceIds"] = self._data_sets.ids_added_by(data_set, tx)
        return to_answer(_with_mined_hash(answer, tx, status))

    def _data_set(self, call: Call) -> Response:
        data_set = call.number("dataSetId", "data set ID")
        row = self._require(data_set)
        pieces = [
            {
                "pieceId": each.piece_id,
                "pieceCid": each.piece.v2,
                "subPieceCid": each.piece.v2,
                "subPieceOffset": 0,
            }
            for each in self._data_sets.pieces(data_set)
            if not each.removed
        ]
        return to_answer({"id": data_set, "pieces": pieces, "nextChallengeEpoch": row["prove_at"] or 0})

    def _piece(self, call: Call) -> Response:
        data_set = call.number("dataSetId", "data set ID")
        piece_id = call.number("pieceId", "piece ID")
        found = [each for each in self._data_sets.pieces(data_set) if each.piece_id == piece_id]
        if not found:
            raise Refusal(404, "Piece not found")
        cid = found[0].piece.v1  # version 1 here, unlike everywhere else
        return to_answer(
            {
                "pieceId": piece_id,
                "pieceCid": cid,
                "subPieces": [{"subPieceCid": cid, "subPieceOffset": 0}],
            }
        )

    def _require(self, data_set: int) -> sqlite3.Row:
        row = self._data_sets.known(data_set)
        if row is None:
            raise Refusal(404, "Data set not found")
        return row


def _with_mined_hash(answer: dict[str, object], tx: str, status: str) -> dict[str, object]:
    if status == "confirmed":
        answer["confirmedTxHash"] = tx  # this provider never replaces a transaction by another
    return answer
