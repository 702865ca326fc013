"""Processes measured from start to end in interleaved rounds, and the tables that come of it.

Every round runs every candidate once, so that a slow moment of the machine meets all of them; a ratio is the
median of the rounds' own ratios. This process stays small on purpose: what the kernel calls the largest size
of a child includes that of the process it was started from.
"""

from __future__ import annotations

import datetime
import os
import platform
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

from fpin.piece import implementation

MIB = 1 << 20
GIB = 1 << 30
# As a user has it installed; the editable installation, which runs this, takes 13 ms longer to start.
FPIN = (os.environ.get("FPIN_BENCH_COMMAND") or str(Path(sys.executable).with_name("fpin")),)

_ROOT = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One process from its start to its end."""

    seconds: float
    cpu: float  # seconds, of user and system, all threads
    memory: int  # bytes it had in memory at the most
    stdout: str


def run(command: Sequence[str | Path], *, env: Mapping[str, str] | None = None) -> Run:
    """Run *command* to its end; RuntimeError, with what it said, when it fails."""
    # As it is installed: with compiled modules, whatever the caller's environment says of them.
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        start = time.perf_counter()
        process = subprocess.Popen(
            list(map(str, command)), stdout=out, stderr=errors, cwd=_ROOT, env={**inherited, **(env or {})}
        )
        _, status, usage = os.wait4(process.pid, 0)
        taken = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            raise RuntimeError(f"{' '.join(process.args)}: {errors.read().decode()}")  # type: ignore[arg-type]
        out.seek(0)
        return Run(
            seconds=taken,
            cpu=usage.ru_utime + usage.ru_stime,
            memory=usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
            stdout=out.read().decode(),
        )


def unit(path: Path) -> Run:
    """Measure U over *path*; its seconds are those of the hashing alone."""
    done = run((sys.executable, "-m", "benchmarks.unit", path))
    seconds = float(done.stdout)
    return Run(seconds=seconds, cpu=seconds, memory=done.memory, stdout="")


def interleave(rounds: int, candidates: Mapping[str, Callable[[], Run]]) -> dict[str, list[Run]]:
    """Run all *candidates* in turn, *rounds* times, after one turn that is not counted."""
    for candidate in candidates.values():
        candidate()
    results: dict[str, list[Run]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, candidate in candidates.items():
            os.sync()  # no one waits for what another left to be written
            results[name].append(candidate())
    return results


def ratios(over: Sequence[Run], under: Sequence[Run]) -> list[float]:
    """Return how many times as long *over* takes as *under*, round by round."""
    return [one.seconds / other.seconds for one, other in zip(over, under, strict=True)]


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Return ``median [lowest–highest]``."""
    low, middle, high = min(values), statistics.median(values), max(values)
    if len(values) == 1:
        return f"{middle:.{digits}f}"
    return f"{middle:.{digits}f} [{low:.{digits}f}–{high:.{digits}f}]"


def seconds(runs: Sequence[Run], digits: int = 2) -> str:
    return spread([run.seconds for run in runs], digits)


def memory(runs: Sequence[Run]) -> str:
    """Return the largest peak among *runs*, in MB."""
    return f"{max(run.memory for run in runs) / 1e6:.0f} MB"


def reached(value: float, *, at_least: float | None = None, at_most: float | None = None) -> str:
    """Return the target and whether *value* reaches it."""
    if at_least is not None:
        return f"≥ {at_least:g}, {'reached' if value >= at_least else '**missed**'}"
    assert at_most is not None
    return f"≤ {at_most:g}, {'reached' if value <= at_most else '**missed**'}"


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def say(*lines: str) -> None:
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a Markdown table."""
    say("", "| " + " | ".join(header) + " |", "| " + " | ".join("---" for _ in header) + " |")
    say(*("| " + " | ".join(row) + " |" for row in rows), "")


def machine() -> None:
    """Print what the figures depend on."""
    say(
        f"- {_processor()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}, "
        f"load {os.getloadavg()[0]:.1f} before the run",
        f"- Python {platform.python_version()}, {ssl.OPENSSL_VERSION}; commitment kernel: {implementation()}",
        f"- fpin {_commit()}, {datetime.date.today()}",
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    models = (line.split(": ", 1)[1] for line in lines if line.startswith("model name"))
    return next(models, platform.machine())


def _commit() -> str:
    git = ("git", "-C", str(_ROOT), "describe", "--always", "--dirty")
    try:
        return subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "outside a repository"


@contextmanager
def workspace(needed: int) -> Iterator[Path]:
    """A folder that is gone afterwards, on a disk with room for *needed* bytes."""
    with tempfile.TemporaryDirectory(prefix="fpin-bench-") as folder:
        status = os.statvfs(folder)
        free = status.f_bavail * status.f_frsize
        if free < needed + GIB:
            raise SystemExit(f"{folder} has {free // MIB} MiB free and {needed // MIB + 1024} are needed")
        yield Path(folder)


def content(path: Path, size: int, *, seed: int = 1) -> Path:
    """Write *size* bytes that look random and are the same in every run."""
    random = Random(seed)
    with path.open("wb") as file:
        for start in range(0, size, MIB):
            file.write(random.randbytes(min(MIB, size - start)))
    return path


def sparse(path: Path, size: int) -> Path:
    """Write a file of *size* bytes that takes next to no disk, every MiB of it different."""
    with path.open("wb") as file:
        file.truncate(size)
        for start in range(0, size, MIB):
            file.seek(start)
            file.write(start.to_bytes(8, "big")[: size - start])
    return path
