"""How fast pieces are hashed here, against U: SHA-256 by hashlib, 1 MiB chunks, one core.

``python benchmarks/piece.py [--rounds N] [--size MiB]`` prints Markdown. Every round measures every candidate
once, so that a slow moment of the machine meets all of them; a ratio is the median of the rounds' ratios.
", 1" and ", 2" count the threads, which for the Python twin have a process each. Two need two free cores.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import os
import platform
import ssl
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from fpin.piece import BLOCK_SIZE, PieceHasher, PieceTree, core, hashing_threads, sha256_many

MIB = 1 << 20
SLICE = 8 * BLOCK_SIZE
SLOW = {"vector": 4, "portable": 8, core.PYTHON: 16}  # hash only this part of the data

Candidate = tuple[str, int, Callable[[], object]]  # name, bytes, work


def chunks(data: memoryview) -> Iterator[memoryview]:
    return (data[start : start + MIB] for start in range(0, len(data), MIB))


def unit(data: memoryview) -> None:
    for chunk in chunks(data):
        hashlib.sha256(chunk).digest()


def side_by_side(data: memoryview) -> None:
    whole = list(chunks(data))
    for start in range(0, len(whole), 16):
        sha256_many(whole[start : start + 16])


def choose(name: str) -> None:
    os.environ["FPIN_PIECE_KERNEL"] = name
    core.implementation.cache_clear()


def by_blocks(name: str, pool: Executor | None, data: memoryview) -> None:
    """As the digest does it: slices of whole blocks, hashed in any order."""
    choose(name)
    tree = PieceTree()
    slices = [(start // BLOCK_SIZE, data[start : start + SLICE]) for start in range(0, len(data), SLICE)]
    if pool is None:
        for block, part in slices:
            tree.fill(block, part)
    else:
        for done in [pool.submit(tree.fill, block, part) for block, part in slices]:
            done.result()
    tree.finish()


def by_stream(name: str, pool: Executor | None, data: memoryview) -> None:
    choose(name)
    hasher = PieceHasher(pool)
    for chunk in chunks(data):
        hasher.update(chunk)
    hasher.finish()


def candidates(data: memoryview, stack: ExitStack) -> Iterator[Candidate]:
    yield "U", len(data), partial(unit, data)
    yield "sha256_many, 1 MiB chunks", len(data), partial(side_by_side, data)
    best = core.implementation()
    threads = stack.enter_context(hashing_threads(2, "bench"))
    choose(core.PYTHON)
    with_processes = stack.enter_context(hashing_threads(2, "bench-python"))
    choose(best)
    for name in core.implementations():
        part = data[: len(data) // SLOW.get(name, 1)]
        pool = with_processes if name == core.PYTHON else threads
        yield f"{name}, 1", len(part), partial(by_blocks, name, None, part)
        yield f"{name}, 2", len(part), partial(by_blocks, name, pool, part)
    yield f"{best}, stream of 1 MiB chunks, 1", len(data), partial(by_stream, best, None, data)
    yield f"{best}, stream of 1 MiB chunks, 2", len(data), partial(by_stream, best, threads, data)


def measure(data: memoryview, rounds: int) -> dict[str, list[float]]:
    """Return every candidate's rates, bytes a second, in the order of the rounds."""
    rates: dict[str, list[float]] = {}
    with ExitStack() as stack:
        work = list(candidates(data, stack))
        for name, _, run in work:
            run()  # warm up: pools, caches, page tables
            rates[name] = []
        for _ in range(rounds):
            for name, size, run in work:
                start = time.perf_counter()
                run()
                rates[name].append(size / (time.perf_counter() - start))
    return rates


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next(
        (line.split(": ", 1)[1] for line in lines if line.startswith("model name")), platform.machine()
    )


def report(rates: dict[str, list[float]], *, size: int, rounds: int) -> Iterator[str]:
    load = os.getloadavg()[0]
    system = f"{platform.system()} {platform.release()}"
    yield f"- {processor()}, {os.cpu_count()} cores, {system}, load {load:.1f}"
    yield f"- Python {platform.python_version()}, {ssl.OPENSSL_VERSION}, {platform.python_compiler()}"
    yield f"- {datetime.date.today()}, {size // MIB} MiB, medians of {rounds} interleaved rounds"
    yield ""
    yield "| candidate | GiB/s median [min–max] | x U median [min–max] |"
    yield "| --- | --- | --- |"
    for name, values in rates.items():
        speeds = [value / (1 << 30) for value in values]
        ratios = [value / one for value, one in zip(values, rates["U"], strict=True)]
        yield f"| {name} | {spread(speeds)} | {spread(ratios)} |"
    yield ""
    for name in (name.removesuffix(", 2") for name in rates if name.endswith(", 2")):
        gain = [two / one for two, one in zip(rates[f"{name}, 2"], rates[f"{name}, 1"], strict=True)]
        yield f"- {name}, 2 / 1: {spread(gain)}"


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.3f} [{min(values):.3f}–{max(values):.3f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", type=int, default=256, help="MiB")
    arguments = parser.parse_args()
    size = arguments.size * MIB
    data = memoryview(os.urandom(MIB) * arguments.size)
    for line in report(measure(data, arguments.rounds), size=size, rounds=arguments.rounds):
        print(line)  # noqa: T201


if __name__ == "__main__":
    main()
