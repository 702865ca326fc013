"""Plans of very large trees: memory of an entry and of a leaf, the price of a tebibyte without reading it.

``python -m benchmarks.plans [--entries N]`` prints Markdown.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from benchmarks.measure import (
    FPIN,
    GIB,
    MIB,
    Run,
    machine,
    memory,
    reached,
    run,
    say,
    sparse,
    table,
    workspace,
)
from benchmarks.network import devnet
from fpin.pack import DEFAULT_PROFILE, Layout, Packed, Tree, digest, plan, walk

T = TypeVar("T")

TIB = 1 << 40
SECONDS, MEMORY = 60, 600  # of a dry run of a million entries that hold a tebibyte
ENTRY, LEAF = 400, 64  # bytes

_SMALL_LEAVES = dataclasses.replace(DEFAULT_PROFILE, name="small leaves", chunk_size=4096)


def tree(folder: Path, entries: int, size: int) -> Path:
    """Make a thousandth of *entries* folders that are full of sparse files, *size* bytes all together."""
    folders = max(1, entries // 1000)
    each = size // (entries - folders)
    for number in range(entries - folders):
        inside = folder / f"folder-{number % folders:04}"
        if number < folders:
            inside.mkdir(parents=True)
        descriptor = os.open(inside / f"file-{number // folders:04}.bin", os.O_WRONLY | os.O_CREAT)
        os.truncate(descriptor, each)
        os.close(descriptor)
    return folder


def flat(entries: int) -> Tree:
    """Return one directory of *entries* files that are on no disk."""
    made = Tree("flat")
    status = os.stat(__file__)
    for number in range(entries):
        made.add_leaf(b"file-%07d.bin" % number, 0, status)
        made.sizes[-1] = number
    made.add_directory(b"", 0)
    return made


def kept(make: Callable[[], T]) -> tuple[T, int]:
    """Return what *make* returns, and the bytes that it keeps in memory."""
    tracemalloc.start()
    try:
        made = make()
        return made, tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


def bounds(work: Path, source: Path, entries: int) -> None:
    """Print what plan and layout keep, on the Python heap."""

    def folders() -> Layout:
        return plan(walk(source))

    def one_folder() -> Layout:
        return plan(flat(entries))

    def leaves() -> Packed:
        return digest(plan(walk(file), profile=_SMALL_LEAVES), sealed=True)

    file = sparse(work / "leaves", 256 * MIB)
    rows = []
    for name, make in (("in folders of 1,000", folders), ("in one folder, a HAMT", one_folder)):
        layout, size = kept(make)
        each = size / len(layout.tree)
        rows.append((f"an entry, {name}", f"{each:.0f} bytes", reached(each, at_most=ENTRY)))
    digest(plan(walk(sparse(work / "before", MIB))), sealed=True)  # what is imported for it is no plan's
    packed, size = kept(leaves)
    each = size / packed.layout.block_count
    rows.append(
        ("a leaf of a large file, with CIDs and seals", f"{each:.1f} bytes", reached(each, at_most=LEAF))
    )
    say(f"What a plan of {entries:,} entries, or of one file, keeps in memory:")
    table(("", "memory", "target"), rows)


def dry_run(work: Path, source: Path, entries: int) -> None:
    with devnet(work / "home") as env:
        one = work / "one"
        one.write_bytes(b"x")
        runs: dict[str, Run] = {
            "one byte": run((*FPIN, "cost", one, "--json"), env=env),
            f"{entries:,} entries, 1 TiB": run((*FPIN, "cost", source, "--json"), env=env),
        }
        one.unlink()
        with one.open("wb") as file:
            file.truncate(TIB)
        runs["one file, 1 TiB"] = run((*FPIN, "cost", one, "--json"), env=env)
    rows = []
    for name, done in runs.items():
        told = json.loads(done.stdout)
        goal = ""
        if "entries" in name:
            goal = f"{reached(done.seconds, at_most=SECONDS)}; {reached(done.memory / 1e6, at_most=MEMORY)}"
        pieces = f"{told['pieces']:,}"
        rows.append((name, f"{done.seconds:.2f}", f"{done.cpu:.2f}", memory([done]), pieces, goal))
    say("`fpin cost`, which is `fpin add --dry-run` without asking for means; no file is opened:")
    table(("", "s", "own CPU, s", "peak memory", "pieces", "target, s; MB"), rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=1_000_000)
    arguments = parser.parse_args()
    machine()
    with workspace(GIB + arguments.entries * 512) as work:
        source = tree(work / "many", arguments.entries, TIB)
        dry_run(work, source, arguments.entries)
        bounds(work, source, arguments.entries)


if __name__ == "__main__":
    main()
