import json
import pickle
import random
from concurrent.futures import Executor, ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fpin.piece import BLOCK_SIZE, HeldPiece, PieceCid, PieceHasher, PieceTree, piece_height, twin

VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "piece.json").read_text("utf-8"))["cases"]
WITH_PAYLOAD = [case for case in VECTORS if case["payload"] is not None and case["payload_size"] < 1 << 20]

DATA = random.Random(2).randbytes(18 * BLOCK_SIZE + 1)
HEADER_SIZE = 59  # of a CAR with one root

borders = st.builds(
    lambda exponent, beside: max(0, min(127 * 2**exponent + beside, len(DATA))),
    st.integers(0, 14),
    st.integers(-3, 3),
)
sizes = borders | st.integers(0, len(DATA))


def payload_of(case: dict[str, Any]) -> bytes:
    return b"".join(bytes.fromhex(part["hex"]) * part["times"] for part in case["payload"])


def whole(data: bytes) -> PieceCid:
    """The piece CID as the definition gives it: one tree over all of the data."""
    height = piece_height(len(data))
    return PieceCid(twin.block_roots(data, height) or twin.zero_root(height), len(data))


def hashed(data: bytes, cuts: list[int], pool: Executor | None = None) -> PieceHasher:
    hasher = PieceHasher(pool)
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    for start, end in pairwise(edges):
        hasher.update(memoryview(data)[start:end])
    return hasher


@pytest.mark.parametrize("case", WITH_PAYLOAD, ids=[case["id"] for case in WITH_PAYLOAD])
def test_a_payload_has_the_published_piece_cid(case: dict[str, Any]) -> None:
    hasher = PieceHasher()
    hasher.update(payload_of(case))
    assert str(hasher.finish()) == case["v2"]


def test_a_sector_of_zeros_has_the_published_piece_cid() -> None:
    (case,) = (case for case in VECTORS if case["payload_size"] == 34_091_302_912)
    assert str(PieceCid(twin.zero_root(30), case["payload_size"])) == case["v2"]


@settings(max_examples=60, deadline=None)
@given(sizes, st.lists(st.integers(0, len(DATA)), max_size=8))
def test_a_stream_cut_anywhere_has_the_piece_cid_of_the_whole(size: int, cuts: list[int]) -> None:
    assert hashed(DATA[:size], cuts).finish() == whole(DATA[:size])


@pytest.mark.parametrize("exponent", range(15))
@pytest.mark.parametrize("beside", [-1, 0, 1])
def test_a_stream_beside_every_border_has_the_piece_cid_of_the_whole(exponent: int, beside: int) -> None:
    data = DATA[: 127 * 2**exponent + beside]
    assert hashed(data, [len(data) // 3]).finish() == whole(data)


@settings(max_examples=40, deadline=None)
@given(sizes, st.data())
def test_a_late_head_gives_the_piece_cid_of_a_stream_that_began_with_it(
    size: int, data: st.DataObject
) -> None:
    head_size = data.draw(st.integers(0, min(size, HEADER_SIZE)) | st.integers(0, min(size, BLOCK_SIZE)))
    head = bytes(head_size - 1) + b"!" if head_size else b""
    hasher = hashed(DATA[:size], [])
    assert hasher.finish(head) == whole(head + DATA[head_size:size])


def test_one_held_piece_takes_many_heads() -> None:
    held = hashed(DATA, []).hold(HEADER_SIZE)
    for head in (b"", b"a", b"a" * HEADER_SIZE, DATA[:HEADER_SIZE]):
        assert held.piece_cid(head) == whole(head + DATA[len(head) :])


def test_a_held_piece_is_small_whatever_its_size_and_survives_pickling() -> None:
    held = hashed(DATA, []).hold(HEADER_SIZE)
    packed = pickle.dumps(held)
    assert len(packed) < 1500
    restored = pickle.loads(packed)
    assert isinstance(restored, HeldPiece)
    assert restored.piece_cid(b"head") == held.piece_cid(b"head")


def test_a_head_longer_than_what_was_held_back_is_refused() -> None:
    held = hashed(DATA, []).hold(HEADER_SIZE)
    with pytest.raises(ValueError, match="128 bytes"):
        held.piece_cid(bytes(128))


@pytest.mark.parametrize(("size", "head_size"), [(0, 1), (58, 59), (3 * BLOCK_SIZE, BLOCK_SIZE + 1)])
def test_a_head_that_the_piece_or_its_first_block_cannot_hold_is_refused(size: int, head_size: int) -> None:
    with pytest.raises(ValueError, match=f"no head of {head_size} bytes"):
        hashed(DATA[:size], []).hold(head_size)


def test_finishing_twice_gives_the_same_piece_cid() -> None:
    hasher = hashed(DATA, [])
    assert hasher.finish() == hasher.finish() == whole(DATA)


def test_a_reused_buffer_does_not_change_what_was_hashed() -> None:
    with ThreadPoolExecutor(2) as pool:
        hasher, buffer = PieceHasher(pool), bytearray(50_000)
        for start in range(0, len(DATA), len(buffer)):
            part = DATA[start : start + len(buffer)]
            buffer[: len(part)] = part
            hasher.update(memoryview(buffer)[: len(part)])
        buffer[:] = bytes(len(buffer))
        assert hasher.finish() == whole(DATA)


@settings(max_examples=20, deadline=None)
@given(sizes, st.lists(st.integers(0, len(DATA)), max_size=8))
def test_a_pool_of_threads_gives_the_same_piece_cid(size: int, cuts: list[int]) -> None:
    with ThreadPoolExecutor(2) as pool:
        assert hashed(DATA[:size], cuts, pool).finish() == whole(DATA[:size])


def test_more_batches_than_may_wait_for_the_pool_are_all_hashed() -> None:
    data = DATA * 10  # 22 batches
    with ThreadPoolExecutor(1) as pool:
        assert hashed(data, [], pool).finish() == hashed(data, []).finish()


def test_an_error_in_the_pool_reaches_the_caller() -> None:
    pool = ThreadPoolExecutor(1)
    hasher = hashed(DATA, [], pool)
    pool.shutdown()
    with pytest.raises(RuntimeError, match="shutdown"):
        hasher.update(DATA)


@settings(max_examples=30, deadline=None)
@given(sizes, st.lists(st.integers(1, 18), max_size=6), st.randoms(use_true_random=False))
def test_blocks_in_any_order_give_the_same_piece_cid(
    size: int, cuts: list[int], shuffled: random.Random
) -> None:
    edges = sorted({0, *(cut * BLOCK_SIZE for cut in cuts if cut * BLOCK_SIZE < size), size})
    runs = list(pairwise(edges))
    shuffled.shuffle(runs)
    tree = PieceTree()
    for start, end in runs:
        tree.fill(start // BLOCK_SIZE, memoryview(DATA)[start:end])
    assert tree.finish() == whole(DATA[:size])


def test_threads_fill_one_tree() -> None:
    tree = PieceTree()
    with ThreadPoolExecutor(4) as pool:
        for block in range(19):
            data = DATA[block * BLOCK_SIZE : (block + 1) * BLOCK_SIZE]
            pool.submit(tree.fill, block, data)
    assert tree.finish(b"head") == whole(b"head" + DATA[4:])


@pytest.mark.parametrize(
    "blocks",
    [{1: 1}, {0: 1, 2: 1}, {0: 2, 1: 1}, {0: 0.5, 1: 1}],
    ids=["no first", "one missing", "overlap", "short in the middle"],
)
def test_a_tree_with_a_gap_or_an_overlap_is_not_finished(blocks: dict[int, float]) -> None:
    tree = PieceTree()
    for block, count in blocks.items():
        tree.fill(block, DATA[: int(count * BLOCK_SIZE)])
    with pytest.raises(ValueError, match="gap or an overlap"):
        tree.finish()
