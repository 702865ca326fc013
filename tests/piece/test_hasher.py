import json
from pathlib import Path
from typing import Any

import pytest

from fpin.piece import PieceCid, PieceHasher, twin

VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "piece.json").read_text("utf-8"))["cases"]
WITH_PAYLOAD = [case for case in VECTORS if case["payload"] is not None and case["payload_size"] < 1 << 20]


def payload_of(case: dict[str, Any]) -> bytes:
    return b"".join(bytes.fromhex(part["hex"]) * part["times"] for part in case["payload"])


@pytest.mark.parametrize("case", WITH_PAYLOAD, ids=[case["id"] for case in WITH_PAYLOAD])
def test_a_payload_has_the_published_piece_cid(case: dict[str, Any]) -> None:
    hasher = PieceHasher()
    hasher.update(payload_of(case))
    assert str(hasher.finish()) == case["v2"]


def test_a_sector_of_zeros_has_the_published_piece_cid() -> None:
    (case,) = (case for case in VECTORS if case["payload_size"] == 34_091_302_912)
    assert str(PieceCid(twin.zero_root(30), case["payload_size"])) == case["v2"]
