"""Plans of very large trees: bounded memory for an entry and for a leaf, and no file opened for a price."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from fpin.devnet.world import World
from fpin.pack import DEFAULT_PROFILE, EntryKind, Tree, digest, file_tree, plan
from tests.conftest import Fpin
from tests.scale.memory import STATUS

needs_linux = pytest.mark.skipif(not STATUS.exists(), reason=f"needs {STATUS}")

TIB = 1 << 40
ENTRIES = 200_000
# The rooms that pack, where tracemalloc names the line that asked.
PACKING = [f"*/fpin/{room}/*" for room in ("pack", "piece", "ipld")]
ENTRY_BYTES, LEAF_BYTES = 400, 64  # what the memory may grow by


def kept(make: Callable[[], object]) -> int:
    """Return the bytes that what *make* returns keeps in memory, of those that packing asked for.

    Only those: a devnet that other tests left running in this process asks for memory all the time.
    """
    tracemalloc.start()
    try:
        made = make()
        taken = tracemalloc.take_snapshot().filter_traces(
            [tracemalloc.Filter(True, path) for path in PACKING]
        )
        del made
        return sum(trace.size for trace in taken.traces)
    finally:
        tracemalloc.stop()


def synthetic_tree(entries: int, folders: int, size: int) -> Tree:
    """Return a tree, on no disk, of *entries* entries: *folders* of files of *size* bytes, and a root."""
    tree, status = Tree("synthetic"), os.stat(__file__)
    for folder in range(folders):
        first = len(tree)
        for number in range(folder, entries - folders - 1, folders):
            tree.add_leaf(b"file-%07d.bin" % number, EntryKind.FILE, status)
            tree.sizes[-1] = size
        tree.add_directory(b"folder-%04d" % folder, first)
    tree.add_directory(b"", 0)
    return tree


# Runs in a process of its own: its peak includes all that making the tree and the plan takes for a moment.
PLANNED = """
import sys
from fpin.pack import plan
from tests.scale.memory import peak
from tests.scale.test_layout import ENTRIES, TIB, synthetic_tree
plan(synthetic_tree(1000, 1, 1))
before = peak()
layout = plan(synthetic_tree(ENTRIES, int(sys.argv[1]), TIB // ENTRIES))
assert len(layout.tree) == ENTRIES and layout.size > 0.99 * TIB and len(layout.pieces) > 1000
print(peak() - before, len(layout.shardings))
"""


@needs_linux
@pytest.mark.parametrize(("folders", "sharded"), [(1, 1), (200, 0)])
def test_a_plan_takes_few_bytes_an_entry_whether_its_directories_are_sharded_or_not(
    folders: int, sharded: int
) -> None:
    command = [sys.executable, "-c", PLANNED, str(folders)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    grown, shardings = map(int, done.stdout.split())
    assert shardings == sharded
    assert ENTRIES * 50 < grown < ENTRIES * ENTRY_BYTES  # less than a name would mean that nothing was seen


def test_a_file_of_a_tebibyte_is_planned_without_a_row_for_any_leaf() -> None:
    def planned(size: int) -> int:
        tree = Tree("one")
        tree.add_leaf(b"", EntryKind.FILE, os.stat(__file__))
        tree.sizes[0] = size
        return kept(lambda: plan(tree))

    small, pieces = planned(1 << 20), TIB // 10**9
    assert planned(TIB) - small < 500 * pieces  # of a million leaves


def test_what_is_known_after_hashing_takes_few_bytes_a_leaf(tmp_path: Path) -> None:
    leaves, chunk = 50_000, 1024
    source = tmp_path / "sparse"
    with source.open("wb") as file:
        for leaf in range(leaves):
            file.seek(leaf * chunk)
            file.write(leaf.to_bytes(8, "big"))
        file.truncate(leaves * chunk)
    profile = dataclasses.replace(DEFAULT_PROFILE, name="small leaves", chunk_size=chunk)
    layout = plan(file_tree("sparse", source), profile=profile)
    digest(layout)  # what is made once and kept for ever is made here
    assert 32 < kept(lambda: digest(layout)) / leaves < LEAF_BYTES  # a digest has 32


# Runs fpin and writes to standard error which files were opened below a folder.
AUDITED = """
import os, sys
folder, opened = os.path.realpath(sys.argv[1]), []

def hook(event, args):
    if event == "open" and isinstance(args[0], (str, bytes)):
        path = os.path.realpath(os.fsdecode(args[0]))
        if path.startswith(folder + os.sep):
            opened.append(path)

sys.addaudithook(hook)
from fpin.cli import run
code = run(sys.argv[2:])
print("opened", len(set(opened)), file=sys.stderr)
sys.exit(code)
"""


def opened_by(fpin: Fpin, folder: Path, *args: str) -> tuple[dict[str, object], int]:
    """Run a command that prints JSON; return that, and how many different files below *folder* it opened."""
    command = [sys.executable, "-c", AUDITED, str(folder), *args]
    done = subprocess.run(command, env=fpin.env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), int(done.stderr.rsplit("opened ", 1)[1])


def test_a_dry_run_opens_no_file(fpin: Fpin, world: World, tmp_path: Path) -> None:
    folder = tmp_path / "many"
    for number in range(2000):
        inside = folder / f"folder-{number % 20}"
        inside.mkdir(parents=True, exist_ok=True)
        (inside / f"{number}.txt").write_text(str(number))
    with (folder / "sparse").open("wb") as file:
        file.truncate(TIB)
    priced, opened = opened_by(fpin, folder, "cost", str(folder), "--json")
    assert (priced["files"], opened) == (2001, 0)
    assert isinstance(priced["size"], int)
    assert priced["size"] > TIB

    (folder / "sparse").unlink()
    told, opened = opened_by(fpin, folder, "add", str(folder), "--dry-run", "--json")
    assert (told["files"], told["root_cid"], opened) == (2000, None, 0)
    hashed, opened = opened_by(fpin, folder, "cid", str(folder), "--json")
    assert (hashed["files"], opened) == (2000, 2000)  # the hook does see what is opened
