"""CAR files as pieces: the bytes as they are, cut where they have to be, and never other than was hashed."""

from __future__ import annotations

import hashlib
import itertools
import os
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import dag_cbor
import pytest
from hypothesis import given
from hypothesis import strategies as st
from multiformats import CID

from fpin.devnet.provider.commp import commit
from fpin.errors import SourceChanged, SourceError, UsageError, VerificationFailed
from fpin.ipld import car, dagpb, varint
from fpin.ipld import cid as cids
from fpin.ipld.car import Block
from fpin.pack import Packed, plan, walk, write_cars
from fpin.pack.imported import Imported, ImportedPiece, digest_car, plan_car
from tests.ipld.vectors import CAR, keystream
from tests.pack import reference

EMPTY_BLOCK = Block(cids.cid_of(cids.RAW, b""), b"")
EMPTY_FOLDER = Block(cids.cid_of(cids.DAG_PB, reference.EMPTY), reference.EMPTY)


def raw(data: bytes) -> Block:
    return Block(cids.cid_of(cids.RAW, data), data)


def leaves(count: int, size: int, seed: str = "leaves") -> list[Block]:
    data = keystream(seed, count * size)
    return [raw(data[start : start + size]) for start in range(0, len(data), size)]


def parent(blocks: Sequence[Block]) -> Block:
    """A DAG-CBOR block that links to *blocks*."""
    data = dag_cbor.encode([CID.decode(block.cid) for block in blocks])
    return Block(cids.cid_of(cids.DAG_CBOR, data), data)


def sections(blocks: Sequence[Block]) -> bytes:
    return b"".join(car.section_prefix(cid, len(data)) + data for cid, data in blocks)


def make_car(blocks: Sequence[Block], *roots: bytes) -> bytes:
    return car.header(roots or [blocks[0].cid]) + sections(blocks)


def make_v2(payload: bytes, *, padding: int = 0, index: bool = True) -> bytes:
    """A version 2 file around *payload*, laid out by hand as spec routing-and-retrieval §7.2 says."""
    offset = 11 + 40 + padding
    index_offset = offset + len(payload) if index else 0
    numbers = b"".join(number.to_bytes(8, "little") for number in (offset, len(payload), index_offset))
    return (
        bytes.fromhex(CAR["pragma_v2"])
        + bytes(16)
        + numbers
        + b"\xaa" * padding
        + payload
        + (sorted_index(payload) if index else b"")
    )


def sorted_index(payload: bytes) -> bytes:
    """A MultihashIndexSorted of the SHA-256 blocks in *payload*."""
    reader = car.read_car([payload])
    entries, start = [], reader.offset
    for block in reader:
        entries.append(block.cid[-32:] + start.to_bytes(8, "little"))
        start = reader.offset
    bucket = b"".join(sorted(entries))
    return (
        b"\x81\x08"
        + (1).to_bytes(4, "little")
        + (0x12).to_bytes(8, "little")
        + (1).to_bytes(4, "little")
        + (40).to_bytes(4, "little")
        + len(bucket).to_bytes(8, "little")
        + bucket
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "content.car"


def load(
    file: Path, data: bytes, *, limit: int = 10**9, root: bytes | None = None, jobs: int = 2
) -> Imported:
    file.write_bytes(data)
    plan = plan_car(file, piece_limit=limit)
    return digest_car(plan, root or plan.roots[0], jobs=jobs)


def bytes_of(piece: ImportedPiece) -> bytes:
    return b"".join(piece.open())


def check_piece(piece: ImportedPiece, data: bytes) -> None:
    """The piece is *data*, and its CID is what a provider computes from that in another way."""
    assert bytes_of(piece) == data
    assert piece.size == len(data)
    assert piece.piece_cid.root == commit(data).root


def packed_car(tree: reference.Node, folder: Path, file: Path) -> Packed:
    reference.write(tree, folder)
    return write_cars(plan(walk(folder, hidden=True)), [file])


TREE: reference.Node = {
    b"big": keystream("big", 3 * 2**20 + 17),
    b"folder": {b"one": b"one", b"same": b"one", b"empty": b"", b"none": {}},
    b"link": "folder/one",
}


def test_a_car_that_was_packed_is_the_same_piece_again(source: Path, file: Path) -> None:
    packed = packed_car(TREE, source, file)
    imported = digest_car(plan_car(file), packed.root_cid)
    [piece], [ours] = imported.pieces, packed.pieces
    assert imported.plan.roots == (packed.root_cid,)
    assert piece.piece_cid == ours.piece_cid
    assert bytes_of(piece) == file.read_bytes() == b"".join(ours.open())
    assert (imported.size, imported.files) == (packed.layout.size, packed.layout.files)
    assert (imported.missing, imported.has_root) == ((), True)


def test_a_folder_in_shards_is_measured_like_any_other(source: Path, file: Path) -> None:
    packed = packed_car({f"file-{n:05}".encode(): b"x" * (n % 7) for n in range(6000)}, source, file)
    assert packed.layout.shardings
    imported = digest_car(plan_car(file), packed.root_cid)
    assert (imported.size, imported.files) == (packed.layout.size, 6000)
    assert imported.missing == ()


@pytest.mark.parametrize("padding", [0, 1, 4096])
@pytest.mark.parametrize("index", [True, False])
def test_of_version_2_the_car_inside_is_the_piece(file: Path, padding: int, index: bool) -> None:
    payload = make_car(leaves(20, 30_000))
    imported = load(file, make_v2(payload, padding=padding, index=index))
    assert (imported.plan.version, imported.plan.size) == (2, len(payload))
    check_piece(imported.pieces[0], payload)


def test_a_header_that_others_wrote_otherwise_is_kept_as_it_is(file: Path) -> None:
    block = raw(b"x" * 200)
    body = dag_cbor.encode({"roots": [CID.decode(block.cid)], "version": 1})
    keys = b"\x67version\x01" + b"\x65roots\x81" + body[body.index(b"\xd8\x2a") : body.index(b"\x67version")]
    data = varint.encode(len(keys) + 1) + b"\xa2" + keys + sections([block])
    assert not data.startswith(car.header([block.cid]))
    imported = load(file, data)
    assert imported.root_cid == block.cid
    check_piece(imported.pieces[0], data)


def test_a_piece_can_be_opened_at_any_offset(file: Path) -> None:
    data = make_car(leaves(9, 400_000))
    [piece] = load(file, data).pieces
    borders = [0, 59, 130_048, 8 * 130_048, 16 * 130_048, len(data)]
    near = {border + step for border in borders for step in (-1, 0, 1)}
    for offset in sorted(near & set(range(len(data) + 1))) + random.Random(1).sample(range(len(data)), 20):
        chunks = list(piece.open(offset))
        assert b"".join(chunks) == data[offset:]
        assert all(0 < len(chunk) <= 8 * 130_048 for chunk in chunks)


@pytest.mark.parametrize("jobs", [1, 2, 5])
def test_the_number_of_threads_changes_nothing(file: Path, jobs: int) -> None:
    sizes = random.Random(7)
    blocks = [raw(keystream(f"{n}", sizes.choice([0, 1, 100, 40_000, 900_000]))) for n in range(60)]
    data = make_car(blocks)
    assert len(data) > 3 * 2**20  # several windows, which end inside sections
    check_piece(load(file, data, jobs=jobs).pieces[0], data)


# Cutting


@pytest.mark.parametrize("limit", [1000, 4321, 19_999])
@pytest.mark.parametrize("version", [1, 2])
def test_a_car_over_the_limit_is_cut_into_cars_that_together_are_it(
    file: Path, limit: int, version: int
) -> None:
    below = leaves(50, 500) + leaves(30, 37, "small")
    root = parent(below)
    payload = make_car([root, *below], root.cid, below[3].cid)
    limit += len(sections([root]))
    imported = load(file, make_v2(payload) if version == 2 else payload, limit=limit, root=root.cid)
    assert len(imported.pieces) > 1
    assert imported.missing == ()
    spans = imported.plan.spans
    parts = sorted(imported.pieces, key=lambda piece: piece.start)
    bodies = b""
    for piece, span in zip(parts, spans, strict=True):
        data = bytes_of(piece)
        check_piece(piece, data)
        assert len(data) == span.max_size <= limit
        reader = car.read_car([data])
        assert reader.roots == (root.cid, below[3].cid)
        bodies += data[reader.offset :]
        assert len(list(reader)) > 0
    assert bodies == payload[len(car.header([root.cid, below[3].cid])) :]
    for piece, after in itertools.pairwise(parts):  # not one more section would have fitted
        assert piece.size + len(sections([first_block(after)])) > limit
    again = load(file, file.read_bytes(), limit=limit, root=root.cid, jobs=1)
    assert [piece.piece_cid for piece in again.pieces] == [piece.piece_cid for piece in imported.pieces]


def first_block(piece: ImportedPiece) -> Block:
    return next(iter(car.read_car(piece.open())))


@pytest.mark.parametrize("place", [0, 20, 39])
def test_the_piece_with_the_root_comes_last(file: Path, place: int) -> None:
    blocks = leaves(40, 500)
    imported = load(file, make_car(blocks, blocks[place].cid), limit=2000)
    holders = [blocks[place] in car.read_car(piece.open()) for piece in imported.pieces]
    assert holders == [False] * (len(holders) - 1) + [True]


def test_a_block_that_no_piece_can_hold_is_refused(file: Path) -> None:
    file.write_bytes(make_car([*leaves(3, 200), raw(b"x" * 5000), *leaves(3, 300)]))
    with pytest.raises(UsageError, match="a piece of 4000 bytes has no room for a block of 5000 bytes"):
        plan_car(file, piece_limit=4000)


# Small files


def one_block(block: Block) -> bytes:
    return make_car([block])


@pytest.mark.parametrize("content", [b"", b"x", b"x" * 30, b"x" * 31, b"x" * 32])
def test_a_small_car_is_filled_up_like_a_small_file(source: Path, file: Path, content: bytes) -> None:
    (source / "file").write_bytes(content)
    packed = write_cars(plan(walk(source / "file")), [file])
    imported = load(file, one_block(raw(content)))
    assert imported.plan.spans[0].max_size >= imported.pieces[0].size >= 127
    assert imported.pieces[0].piece_cid == packed.pieces[0].piece_cid
    check_piece(imported.pieces[0], b"".join(packed.pieces[0].open()))


@pytest.mark.parametrize("blocks", [[EMPTY_FOLDER], [EMPTY_BLOCK], [EMPTY_BLOCK, EMPTY_FOLDER]])
@pytest.mark.parametrize("root_size", [2, 4, 40])
def test_whatever_a_small_car_holds_the_piece_is_a_car_with_its_blocks_first(
    file: Path, blocks: list[Block], root_size: int
) -> None:
    tiny = Block(cids.cid_v1(cids.RAW, bytes((0, root_size)) + b"i" * root_size), b"i" * root_size)
    data = make_car([tiny, *blocks])
    [piece] = load(file, data).pieces
    check_piece(piece, bytes_of(piece))
    assert piece.size >= 127
    assert bytes_of(piece).startswith(data)
    held = list(car.read_car(piece.open()))
    assert held[: len(blocks) + 1] == [tiny, *blocks]
    assert set(held[len(blocks) + 1 :]) <= {EMPTY_BLOCK, EMPTY_FOLDER}


# What follows the blocks


@pytest.mark.parametrize("limit", [10**9, 3000])
def test_zeros_after_the_blocks_are_padding_and_not_sent(file: Path, limit: int) -> None:
    data = make_car(leaves(10, 500))
    plain = load(file, data, limit=limit)
    padded = load(file, data + bytes(2**20 + 5), limit=limit)
    assert [piece.piece_cid for piece in padded.pieces] == [piece.piece_cid for piece in plain.pieces]
    assert [bytes_of(piece) for piece in padded.pieces] == [bytes_of(piece) for piece in plain.pieces]


@pytest.mark.parametrize("limit", [10**9, 3000])
def test_anything_else_after_a_length_of_zero_is_damage(file: Path, limit: int) -> None:
    data = make_car(leaves(10, 500)) + bytes(2**20) + b"x"
    with pytest.raises(VerificationFailed, match=r"content\.car.*bytes other than zero follow the end"):
        load(file, data, limit=limit)


# Damage


@given(st.data())
def test_a_changed_byte_of_a_block_or_its_digest_is_found_and_its_section_named(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    blocks = leaves(8, 90)
    whole = bytearray(make_car(blocks))
    number = data.draw(st.integers(0, 7))
    start = len(whole) - (8 - number) * len(sections(blocks[:1]))
    whole[start + 5 + data.draw(st.integers(1, 121))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(VerificationFailed) as caught:
        load(tmp_path_factory.getbasetemp() / "changed.car", bytes(whole))
    assert f" at byte {start} " in caught.value.message
    assert "changed.car" in caught.value.message


@pytest.mark.parametrize("jobs", [1, 4])
def test_the_first_damage_is_told_even_if_the_file_is_cut_short_too(file: Path, jobs: int) -> None:
    blocks = leaves(60, 600_000)
    data = bytearray(make_car(blocks))
    second = len(car.header([blocks[0].cid]) + sections(blocks[:1]))
    data[second + 100] ^= 1
    with pytest.raises(VerificationFailed, match=f" at byte {second} "):
        load(file, bytes(data[:-1]), jobs=jobs)


@pytest.mark.parametrize("limit", [10**9, 700])
def test_a_file_cut_short_anywhere_is_refused(file: Path, limit: int) -> None:
    data = make_car(leaves(4, 200))
    ends = {len(data) - n * len(sections(leaves(1, 200))) for n in range(5)}
    for length in range(len(data)):
        if length in ends:
            continue  # a CAR of fewer blocks
        with pytest.raises(VerificationFailed, match=r"unexpected end|not a CAR|cut short"):
            load(file, data[:length], limit=limit)


def test_a_version_2_file_that_says_more_than_it_has_is_refused(file: Path) -> None:
    data = make_v2(make_car(leaves(4, 200)), index=False)
    for length in (11, 50, 60, len(data) - 1):
        with pytest.raises(VerificationFailed, match="unexpected end"):
            load(file, data[:length])


def test_the_largest_block_that_readers_take_is_taken_and_a_larger_one_is_not(file: Path) -> None:
    blocks = [raw(b"start"), raw(bytes(car.MAX_SECTION - 36)), raw(b"end")]
    data = make_car(blocks)
    check_piece(load(file, data).pieces[0], data)
    with pytest.raises(VerificationFailed, match="says it holds 8388609 bytes, over 8388608"):
        load(file, make_car([raw(bytes(car.MAX_SECTION - 35))]))


@pytest.mark.parametrize(
    ("name", "multihash", "good"),
    [
        ("sha2-512", lambda data: b"\x13\x40" + hashlib.sha512(data).digest(), True),
        (
            "blake2b-256",
            lambda data: b"\xa0\xe4\x02\x20" + hashlib.blake2b(data, digest_size=32).digest(),
            True,
        ),
        ("identity", lambda data: b"\x00" + bytes((len(data),)) + data, True),
        ("sha3-512", lambda data: b"\x14\x40" + hashlib.sha3_512(data).digest(), False),
    ],
)
def test_blocks_of_other_hash_functions_are_checked_or_refused(
    file: Path, name: str, multihash: Callable[[bytes], bytes], good: bool
) -> None:
    content = b"some content"
    block = Block(cids.cid_v1(cids.RAW, multihash(content)), content)
    below = leaves(3, 50)
    root = parent([block, *below])
    if good:
        data = make_car([root, below[0], block, *below[1:]])
        check_piece(load(file, data).pieces[0], data)
        content = b"other content"[: len(content)]
    with pytest.raises(VerificationFailed, match=r"does not have the content|cannot check"):
        load(file, make_car([root, *below, Block(block.cid, content)]))


# Gaps


def test_missing_blocks_are_listed_and_others_are_not(file: Path) -> None:
    below = leaves(6, 100)
    middle = parent(below[2:])
    root = parent([below[0], middle, below[1], middle])
    kept = [root, below[0], middle, *below[4:]]
    unrelated = parent(leaves(2, 10, "elsewhere"))
    imported = load(file, make_car([*kept, unrelated], root.cid))
    assert set(imported.missing) == {below[1].cid, below[2].cid, below[3].cid}
    assert len(imported.missing) == 3
    assert load(file, make_car([*kept, *below[1:4]], root.cid)).missing == ()


def test_only_the_chosen_root_has_to_be_whole(file: Path) -> None:
    [one, two, lost] = leaves(3, 100)
    whole, broken = parent([one, two]), parent([one, lost])
    data = make_car([whole, broken, one, two], whole.cid, broken.cid)
    assert load(file, data, root=whole.cid).missing == ()
    assert load(file, data, root=broken.cid).missing == (lost.cid,)


def test_a_block_is_there_under_any_version_of_its_cid(file: Path) -> None:
    folder = Block(b"\x12\x20" + hashlib.sha256(reference.EMPTY).digest(), reference.EMPTY)
    link = dagpb.Link(cids.to_v1(folder.cid), "folder", 4)
    data = dagpb.encode(dagpb.Node((link,), bytes.fromhex("0801")))
    root = Block(b"\x12\x20" + hashlib.sha256(data).digest(), data)
    imported = load(file, make_car([folder, root], cids.to_v1(root.cid)))
    assert (imported.missing, imported.has_root) == ((), True)


def test_a_car_without_the_block_of_its_root_says_so(file: Path) -> None:
    [root, other] = leaves(2, 200)
    imported = load(file, make_car([other], root.cid))
    assert (imported.has_root, imported.missing) == (False, (root.cid,))


def test_what_is_not_unixfs_counts_its_blocks(file: Path) -> None:
    below = leaves(4, 100)
    root = parent(below)
    imported = load(file, make_car([root, *below]))
    assert (imported.files, imported.size) == (0, 400 + len(root.data))
    node = dagpb.encode(dagpb.Node((dagpb.Link(below[0].cid, "", 100),), b"\xff\xff"))
    block = Block(cids.cid_of(cids.DAG_PB, node), node)
    imported = load(file, make_car([block, below[0]]))
    assert (imported.files, imported.size, imported.missing) == (0, 100 + len(node), ())


def test_folders_inside_each_other_many_times_over_are_measured_at_once(file: Path) -> None:
    blocks = [raw(b"leaf")]
    for _ in range(100):  # 2**100 files
        links = tuple(dagpb.Link(blocks[-1].cid, name, 0) for name in "ab")
        data = dagpb.encode(dagpb.Node(links, b"\x08\x01"))
        blocks.append(Block(cids.cid_of(cids.DAG_PB, data), data))
    imported = load(file, make_car(blocks, blocks[-1].cid))
    assert (imported.files, imported.size) == (2**100, 4 * 2**100)


# Roots and files that are none


def test_a_car_without_a_root_is_refused(file: Path) -> None:
    file.write_bytes(car.header([]) + sections(leaves(3, 100)))
    with pytest.raises(SourceError, match=r"content\.car' names no root"):
        plan_car(file)


def test_several_roots_are_told_each_once_in_their_order(file: Path) -> None:
    blocks = leaves(3, 100)
    file.write_bytes(make_car(blocks, blocks[1].cid, blocks[0].cid, blocks[1].cid))
    assert plan_car(file).roots == (blocks[1].cid, blocks[0].cid)


@pytest.mark.parametrize("content", [b"", b"hello", bytes(1000), b"\x0a\xa1gversion\x03" * 9])
def test_what_is_no_car_is_refused(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(VerificationFailed, match=r"content\.car"):
        plan_car(file)


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo], ids=["folder", "pipe"])
def test_what_is_no_file_is_refused_without_waiting(file: Path, make: Callable[[Path], Any]) -> None:
    make(file)
    with pytest.raises(SourceError, match=r"content\.car' (cannot be read|is no ordinary file)"):
        plan_car(file)


# Samples


def test_a_sample_names_blocks_of_the_piece_and_is_the_same_each_time(file: Path) -> None:
    blocks = leaves(40, 500)
    imported = load(file, make_car(blocks), limit=5000)
    for piece in imported.pieces:
        held = {block.cid for block in car.read_car(piece.open())}
        sample = piece.sample(3, 7)
        assert len(sample) == 3
        assert set(sample) < held
        assert sample == piece.sample(3, 7)
        assert set(piece.sample(1000, 1)) == held


def test_a_sample_names_a_block_once_and_none_that_its_cid_holds_itself(file: Path) -> None:
    inline = Block(cids.cid_v1(cids.RAW, b"\x00\x02ab"), b"ab")
    [one] = leaves(1, 500)
    [piece] = load(file, make_car([one, inline, one])).pieces
    assert piece.sample(3, 1) == [one.cid]


# Changes


def rewrite(file: Path) -> None:
    file.write_bytes(file.read_bytes() + sections(leaves(1, 10, "more")))


def damage(file: Path) -> None:
    """Change one byte and nothing that `stat` shows."""
    before = file.stat()
    with file.open("r+b") as stream:
        stream.seek(-10, os.SEEK_END)
        stream.write(b"!")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def shorten(file: Path) -> None:
    os.truncate(file, file.stat().st_size - 1)


@pytest.mark.parametrize("change", [rewrite, shorten])
def test_a_file_that_changed_since_its_header_was_read_is_named(
    file: Path, change: Callable[[Path], None]
) -> None:
    file.write_bytes(make_car(leaves(4, 100)))
    planned = plan_car(file)
    change(file)
    with pytest.raises(SourceChanged, match=r"content\.car' changed"):
        digest_car(planned, planned.roots[0])


@pytest.mark.parametrize("change", [damage, shorten, Path.unlink])
def test_a_file_that_changed_since_it_was_hashed_is_not_sent(
    file: Path, change: Callable[[Path], None]
) -> None:
    data = make_car(leaves(12, 200_000))
    [piece] = load(file, data).pieces
    change(file)
    sent: list[bytes] = []
    with pytest.raises(SourceChanged, match=r"content\.car' (changed|is gone)"):
        sent.extend(piece.open())
    assert data.startswith(b"".join(sent))
    with pytest.raises(SourceChanged, match=r"content\.car"):
        list(piece.open(len(data) - 5))


def test_bytes_added_behind_the_piece_do_not_matter(file: Path) -> None:
    data = make_car(leaves(4, 100))
    [piece] = load(file, data).pieces
    rewrite(file)
    assert bytes_of(piece) == data


def test_a_sample_of_a_changed_file_is_refused(file: Path) -> None:
    [piece] = load(file, make_car(leaves(4, 100))).pieces
    damage(file)
    with pytest.raises(SourceChanged, match=r"content\.car' changed"):
        piece.sample(4, 1)


def test_progress_ends_at_the_size_of_the_car(file: Path) -> None:
    data = make_car(leaves(60, 600_000))
    file.write_bytes(data)
    told: list[int] = []
    digest_car(plan_car(file), leaves(1, 600_000)[0].cid, progress=told.append)
    assert told == sorted(told)
    assert told[-1] == len(data)
    assert len(told) > 1
