"""`fpin add` on a devnet that runs in a process of its own: fpin's share of the work; and start-up.

``python -m benchmarks.network [--size MiB] [--rounds N]`` prints Markdown.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path

from benchmarks.measure import (
    FPIN,
    MIB,
    Run,
    content,
    interleave,
    machine,
    median,
    memory,
    reached,
    run,
    say,
    seconds,
    spread,
    table,
    unit,
    workspace,
)

CPU = 4  # times U
MEMORY = 100  # MB


@contextmanager
def devnet(home: Path) -> Iterator[dict[str, str]]:
    """A devnet in another process for as long as the block lasts; the environment of those who use it."""
    env = {"FPIN_HOME": str(home), "FPIN_NETWORK": "devnet"}
    process = subprocess.Popen((*FPIN, "devnet", "up"), stdout=subprocess.PIPE, env={**os.environ, **env})
    try:
        assert process.stdout
        for line in process.stdout:
            if line.startswith(b"stop it"):
                break
        yield env
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate()


def adder(work: Path, env: dict[str, str], size: int, *options: str) -> Callable[[], Run]:
    """Return what adds *size* bytes that were never there before, each time it is called."""

    def add() -> Run:
        source = content(work / "content", size, seed=next(_SEEDS))
        return run((*FPIN, "add", source, "--quiet", *options), env=env)

    return add


_SEEDS = count(1)


def upload(work: Path, env: dict[str, str], size: int, rounds: int) -> None:
    source = content(work / "unit", size)
    results = interleave(
        rounds,
        {
            "U": partial(unit, source),
            "1 MiB, 1 copy": adder(work, env, MIB, "--copies", "1"),
            "1 copy": adder(work, env, size, "--copies", "1"),
            "2 copies": adder(work, env, size),
        },
    )
    units = [one.cpu for one in results["U"]]
    fixed = [one.cpu for one in results["1 MiB, 1 copy"]]
    rows = []
    for name in ("1 copy", "2 copies"):
        runs = results[name]
        times = [one.cpu / unit for one, unit in zip(runs, units, strict=True)]
        growth = [(one.cpu - start) / unit for one, start, unit in zip(runs, fixed, units, strict=True)]
        peak = max(one.memory for one in runs) / 1e6
        target = reached(median(times), at_most=CPU) if name == "1 copy" else ""
        cpu = spread([one.cpu for one in runs])
        peaks = (memory(runs), reached(peak, at_most=MEMORY))
        rows.append((name, seconds(runs), cpu, spread(times, 1), target, spread(growth, 1), *peaks))
    say(
        f"`fpin add` of {size // MIB} MiB until it is findable; U takes {spread(units)} s of one core, "
        f"`fpin add` of 1 MiB {spread(fixed)} s:"
    )
    header = ("", "s", "own CPU, s", "× U", "target, × U", "less that of 1 MiB, × U", "peak memory")
    table((*header, "target, MB"), rows)


def start(work: Path, env: dict[str, str], rounds: int) -> None:
    results = interleave(
        rounds,
        {
            "python -c pass": partial(run, (sys.executable, "-c", "pass")),
            "fpin --help": partial(run, (*FPIN, "--help")),
            "fpin --version": partial(run, (*FPIN, "--version")),
            "fpin add of 1 MiB, 2 copies": adder(work, env, MIB),
        },
    )
    rows = [(name, seconds(runs, 3), spread([one.cpu for one in runs], 3)) for name, runs in results.items()]
    say("From the start of the process to its end:")
    table(("", "s", "own CPU, s"), rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=512, help="MiB")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    size = arguments.size * MIB
    machine()
    with workspace((3 * arguments.rounds + 5) * size) as work, devnet(work / "home") as env:
        start(work, env, 3 * arguments.rounds)
        upload(work, env, size, arguments.rounds)


if __name__ == "__main__":
    main()
