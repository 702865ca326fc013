"""One large file: `fpin cid` and `fpin pack` as whole processes, against U and against others.

``python -m benchmarks.large [--size MiB] [--rounds N]`` prints Markdown.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks import peers
from benchmarks.measure import (
    FPIN,
    GIB,
    MIB,
    Run,
    content,
    interleave,
    machine,
    median,
    memory,
    ratios,
    reached,
    run,
    say,
    seconds,
    sparse,
    spread,
    table,
    unit,
    workspace,
)

TARGETS = {"fpin cid": 0.75, "fpin pack": 0.55}  # times U
MEMORY = 100  # MB


def pack(source: Path, work: Path) -> Run:
    """Write fresh CARs; removing them again is not measured."""
    out = work / "cars"
    out.mkdir()
    try:
        return run((*FPIN, "pack", source, "--quiet", "--split", "--output", out / "content.car"))
    finally:
        shutil.rmtree(out)


def copy(source: Path, work: Path) -> Run:
    """Copy the file, which is what the disk allows at best."""
    out = work / "copy"
    try:
        return run(("cp", source, out))
    finally:
        out.unlink(missing_ok=True)


def speed(work: Path, size: int, rounds: int) -> None:
    source = content(work / "content", size)
    candidates: dict[str, Callable[[], Run]] = {
        "U": partial(unit, source),
        "fpin cid": partial(run, (*FPIN, "cid", source, "--quiet")),
        "fpin pack": partial(pack, source, work),
        "cp": partial(copy, source, work),
        **peers.packers(source, work),
    }
    results = interleave(rounds, candidates)
    rows = []
    for name, runs in results.items():
        rates = [size / GIB / one.seconds for one in runs]
        times = ratios(results["U"], runs)
        target = reached(median(times), at_least=TARGETS[name]) if name in TARGETS else ""
        rows.append((name, seconds(runs), spread(rates), spread(times), memory(runs), target))
    say(f"{size // MIB} MiB of one file, warm cache, {rounds} interleaved rounds:")
    table(("", "s", "GiB/s", "× U", "peak memory", "target, × U"), rows)
    if peers.missing():
        say(f"Not installed: {', '.join(peers.missing())}.")
    source.unlink()


def sizes(work: Path) -> None:
    """Memory does not depend on the size of the file: sparse ones, every leaf different."""
    rows = []
    for size in (64 * MIB, 1000 * MIB, 8 * GIB):
        source = sparse(work / "sparse", size)
        done = run((*FPIN, "cid", source, "--quiet"))
        target = reached(done.memory / 1e6, at_most=MEMORY)
        rows.append((f"{size // MIB} MiB", f"{done.seconds:.2f}", memory([done]), target))
        source.unlink()
    say("`fpin cid` of sparse files in which every leaf is different:")
    table(("size", "s", "peak memory", "target, MB"), rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=1024, help="MiB")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    size = arguments.size * MIB
    machine()
    with workspace(2 * size) as work:
        speed(work, size, arguments.rounds)
        sizes(work)


if __name__ == "__main__":
    main()
