"""Root CIDs and sizes that other implementations give to the same content."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from fpin.ipld.cid import format_cid
from fpin.pack import PROFILES, Packed, digest, plan, walk
from tests.ipld.vectors import UNIXFS, content, keystream


def pack(path: Path, profile: str, *, hidden: bool = False) -> Packed:
    return digest(plan(walk(path, hidden=hidden), profile=PROFILES[profile]))


def check(packed: Packed, case: dict[str, Any]) -> None:
    assert format_cid(packed.root_cid) == case["root"]
    if "tsize" in case:
        assert packed.layout.tsizes[-1] == case["tsize"]


@pytest.mark.parametrize("case", UNIXFS["files"], ids=lambda case: case["id"])
def test_a_file_has_the_root_of_its_profile(source: Path, case: dict[str, Any]) -> None:
    path = source / "file"
    path.write_bytes(content(case))
    check(pack(path, case["profile"]), case)


def write_tree(folder: Path, case: dict[str, Any]) -> None:
    for name in case.get("directories", []):
        (folder / name).mkdir()
    for name, text in case["files"].items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    for name, target in case.get("symlinks", {}).items():
        (folder / name).symlink_to(target)


@pytest.mark.parametrize("case", UNIXFS["trees"], ids=lambda case: case["id"])
def test_a_tree_has_the_root_of_its_profile(source: Path, case: dict[str, Any]) -> None:
    write_tree(source, case)
    packed = pack(source, case["profile"])
    check(packed, case)
    layout, tree = packed.layout, packed.layout.tree
    by_path = {tree.path(entry): entry for entry in range(len(tree))}
    for path, cid in case.get("entries", {}).items():
        block = layout.first_blocks[by_path[path] + 1] - 1
        assert format_cid(packed.pieces[0].block_cid(block)) == cid
    if "order" in case:
        assert [tree.names[child].decode() for child in tree.children(tree.root)] == case["order"]


def test_a_symbolic_link_by_itself_is_kept_as_a_link(source: Path) -> None:
    (source / "link").symlink_to("foo")
    packed = pack(source / "link", "unixfs-v0-2015")
    assert format_cid(packed.root_cid) == "QmTB8BaCJdCH5H3k7GrxJsxgDNmNYGGR71C58ERkivXoj5"


@pytest.mark.parametrize("case", UNIXFS["hamt"]["cases"], ids=lambda case: case["id"])
def test_directories_around_the_threshold(source: Path, case: dict[str, Any]) -> None:
    alphabet = UNIXFS["hamt"]["alphabet"]
    lengths = [length for count, length in case["names"] for _ in range(count)]
    stream = iter(keystream(case["seed"], sum(lengths)))
    for length in lengths:
        name = "".join(alphabet[next(stream) % len(alphabet)] for _ in range(length))
        (source / name).write_text(UNIXFS["hamt"]["content"])
    packed = pack(source, case["profile"], hidden=True)
    check(packed, case)
    assert bool(packed.layout.shardings) == case["sharded"]


@pytest.mark.slow
@pytest.mark.skipif(
    "FPIN_LARGE" not in os.environ, reason="writes and hashes 1 GiB twice: set FPIN_LARGE=1 to run it"
)
@pytest.mark.parametrize("case", UNIXFS["large_files"], ids=lambda case: case["id"])
def test_a_file_of_a_gibibyte_has_the_root_of_its_profile(source: Path, case: dict[str, Any]) -> None:
    path = source / "file"
    path.write_bytes(content(case))
    check(pack(path, case["profile"]), case)
