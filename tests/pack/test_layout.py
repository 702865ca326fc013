from __future__ import annotations

import os
from bisect import bisect_right
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fpin.errors import UsageError
from fpin.ipld import car
from fpin.pack import DEFAULT_PROFILE, PROFILES, Profile, Tree, find_profile, plan, walk
from fpin.pack.shape import FileShape
from fpin.pack.tree import DIRECTORY, FILE
from tests.pack.reference import Importer

TINY = [
    Profile(
        name=f"tiny-{version}",
        cid_version=version,
        chunk_size=5,
        width=3,
        raw_leaves=version == 1,
        hamt_threshold=400,
        hamt_estimate="block-bytes" if version else "links-bytes",
    )
    for version in (1, 0)
]
PROFILE_IDS = {"argvalues": TINY, "ids": ["v1", "v0"]}


@given(st.integers(0, 400), st.sampled_from(TINY))
def test_the_arithmetic_of_a_file_agrees_with_building_its_tree(size: int, profile: Profile) -> None:
    importer = Importer(profile)
    root = importer.file(bytes(size))
    shape = FileShape(size, profile)
    sections = [car.section_size(len(cid), len(data)) for cid, data in importer.blocks]
    assert shape.block_count == len(sections)
    assert [shape.offset(n) for n in range(len(sections) + 1)] == [
        sum(sections[:n]) for n in range(len(sections) + 1)
    ]
    assert (shape.tsize, shape.sections_size) == (root.tsize, sum(sections))
    places = [shape.locate(n) for n in range(shape.block_count)]
    assert [shape.number(*place) for place in places] == list(range(shape.block_count))
    leaves = [n for n, (level, _) in enumerate(places) if level == 0]
    assert [shape.leaf_at_or_after(n) for n in range(shape.block_count + 1)] == [
        bisect_right(leaves, n - 1) for n in range(shape.block_count + 1)
    ]
    for start in range(0, shape.block_count, 7):
        assert list(shape.nodes(start, shape.block_count)) == [
            n for n in range(start, shape.block_count) if places[n][0]
        ]


def sized_tree(sizes: list[int]) -> Tree:
    """A folder of files of those sizes that are on no disk."""
    tree = Tree("sized")
    for number, size in enumerate(sizes):
        status = SimpleNamespace(st_size=size, st_mtime_ns=0, st_ino=number)
        tree.add_leaf(f"{number:08}".encode(), FILE, cast(os.stat_result, status))
    tree.add_directory(b"", 0)
    return tree


def test_a_tebibyte_is_planned_without_reading_or_enumerating_it() -> None:
    layout = plan(sized_tree([2**40]))
    assert layout.size == 2**40
    assert layout.block_count == 2**20 + 2**10 + 1 + 1  # leaves, their parents, the file's root, the folder
    assert len(layout.pieces) == 1034
    assert all(piece.max_size <= 1_065_353_216 for piece in layout.pieces)
    assert sum(piece.max_size for piece in layout.pieces) == layout.car_size
    assert layout.car_size == layout.offset(layout.block_count) + layout.header_size * len(layout.pieces)


@pytest.mark.parametrize("limit", [1_065_353_216, 2_000_000])
def test_pieces_are_full_up_to_the_next_block(limit: int) -> None:
    layout = plan(sized_tree([3 * 2**20, 500_000, 10, 2**31]), piece_limit=limit)
    for piece, following in zip(layout.pieces, layout.pieces[1:], strict=False):
        assert piece.end_block == following.first_block
        next_block = layout.offset(piece.end_block + 1) - layout.offset(piece.end_block)
        assert piece.max_size <= limit < piece.max_size + next_block
    assert layout.pieces[-1].end_block == layout.block_count


def test_a_limit_too_small_for_a_block_is_refused() -> None:
    with pytest.raises(UsageError, match="piece of 1000000 bytes has no room for a block of 1048615 bytes"):
        plan(sized_tree([2**21]), piece_limit=1_000_000)


def test_offsets_and_blocks_are_inverse() -> None:
    layout = plan(sized_tree([12, 0, 23, 5, 46, 1]), profile=TINY[0], piece_limit=2**20)
    offsets = [layout.offset(block) for block in range(layout.block_count + 1)]
    assert offsets == sorted(offsets)
    for offset in range(offsets[-1] + 1):
        assert layout.block_before(offset) == bisect_right(offsets, offset) - 1


def test_a_plan_reads_nothing_from_disk(source: Path) -> None:
    (source / "file").write_bytes(bytes(3_000_000))
    tree = walk(source)
    (source / "file").unlink()
    source.rmdir()
    assert plan(tree).size == 3_000_000


def test_a_plan_costs_a_few_bytes_an_entry() -> None:
    import tracemalloc

    tracemalloc.start()
    try:
        layout = plan(sized_tree([100] * 20_000))
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert layout.shardings
    assert used / 20_000 < 400


def test_a_large_directory_costs_as_many_shards_as_it_has() -> None:
    layout = plan(sized_tree([1] * 5100))
    [sharding] = layout.shardings.values()
    assert layout.block_count == 5100 + len(sharding)
    assert sorted(sharding.order) == list(range(5100))


def test_the_profiles_are_those_of_ipip_499() -> None:
    assert list(PROFILES) == ["unixfs-v1-2025", "unixfs-v0-2015"]
    assert DEFAULT_PROFILE.name == "unixfs-v1-2025"
    assert find_profile("unixfs-v0-2015").width == 174
    with pytest.raises(UsageError, match="no profile 'v2'"):
        find_profile("v2")


def test_columns_agree_in_length(source: Path) -> None:
    (source / "sub").mkdir()
    (source / "sub/file").write_text("x")
    tree = walk(source)
    layout = plan(tree)
    assert len(layout.tsizes) + 1 == len(layout.offsets) == len(layout.first_blocks) == len(tree) + 1
    assert tree.kinds[tree.root] == DIRECTORY
