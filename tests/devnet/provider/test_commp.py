"""The devnet's own piece commitment against published vectors, and its proofs against its roots."""

from __future__ import annotations

import hashlib
import io
import json
import random
from pathlib import Path
from typing import Any

import pytest

from fpin.devnet.provider import commp

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "devnet_commp.json").read_text())


def payload(case: dict[str, Any]) -> bytes:
    if "count" in case:
        return bytes(range(case["count"]))
    return b"".join(bytes.fromhex(byte) * times for byte, times in case["parts"])


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: case["id"])
def test_a_commitment_equals_the_published_one(case: dict[str, Any]) -> None:
    piece = commp.commit(payload(case))
    assert (piece.v1, piece.v2, piece.payload_size) == (case["v1"], case["v2"], case["size"])


@pytest.mark.parametrize("case", VECTORS["cases"] + VECTORS["parse_only"], ids=lambda case: case["id"])
def test_a_version_2_cid_yields_its_size_and_its_version_1_cid(case: dict[str, Any]) -> None:
    piece = commp.parse_v2(case["v2"])
    assert (piece.payload_size, piece.v1, piece.v2) == (case["size"], case["v1"], case["v2"])
    assert commp.parse_any(case["v1"]) == (piece.root, None)


@pytest.mark.parametrize("case", VECTORS["parse_only"], ids=lambda case: case["id"])
def test_padding_and_height_of_large_pieces(case: dict[str, Any]) -> None:
    piece = commp.parse_v2(case["v2"])
    assert (piece.padding, piece.height) == (case["padding"], case["height"])


def test_32_gib_of_zeros_have_the_published_root() -> None:
    vector = next(case for case in VECTORS["parse_only"] if case["id"] == "32-gib-of-zeros")
    assert commp.piece_cid_v1(commp.ZERO_NODES[vector["height"]]) == vector["v1"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "baga6ea4seaqdomn3tgwgrh3g532zopskstnbrd2n3sxfqbze7rxt7vqn7veigmy",  # version 1
        "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy",  # a raw block
        "bafkzcibcp4bdomn3tgwgrh3g532zopskstnbrd2n3sxfqbze7rxt7vqn7veig",  # cut short
    ],
)
def test_what_is_no_version_2_piece_cid_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        commp.parse_v2(text)


@pytest.mark.parametrize("step", [1, 126, 127, 4096, 1_000_003])
def test_the_size_of_the_chunks_does_not_change_the_commitment(step: int) -> None:
    data = random.Random(7).randbytes(3_000 if step < 127 else 2_500_000)
    hasher = commp.CommitmentHasher()
    for start in range(0, len(data), step):
        hasher.update(data[start : start + step])
    assert hasher.finish().piece == commp.commit(data)


def test_zero_blocks_inside_a_piece_are_skipped_and_still_counted() -> None:
    data = bytes([7]) + bytes(5 * commp.BLOCK_SIZE) + bytes([9])
    leaves = commp.fr32(data.ljust(127 << (commp.tree_height(len(data)) - 2), b"\0"))
    assert commp.commit(data).root == fold(leaves)


def fold(leaves: bytes) -> bytes:
    while len(leaves) > 32:
        leaves = b"".join(
            join(leaves[i : i + 32], leaves[i + 32 : i + 64]) for i in range(0, len(leaves), 64)
        )
    return leaves


def join(left: bytes, right: bytes) -> bytes:
    digest = hashlib.sha256(left + right).digest()
    return digest[:31] + bytes([digest[31] & 0x3F])


@pytest.mark.parametrize("size", [127, 1016, 5000, commp.BLOCK_SIZE, 3 * commp.BLOCK_SIZE + 1])
def test_a_proof_leads_from_any_leaf_to_the_root(size: int) -> None:
    data = random.Random(size).randbytes(size)
    hasher = commp.CommitmentHasher()
    hasher.update(data)
    done = hasher.finish()
    last = (1 << done.piece.height) - 1
    for leaf in {0, 1, last // 2, last // 2 + 1, last}:
        node, path = commp.prove(io.BytesIO(data), done.piece, done.nodes, leaf)
        for level, sibling in enumerate(path):
            node = join(sibling, node) if leaf >> level & 1 else join(node, sibling)
        assert node == done.piece.root
        assert len(path) == done.piece.height
