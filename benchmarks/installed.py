"""How large fpin is when it is installed, and how long it takes to begin.

``python -m benchmarks.installed [--rounds N]`` prints Markdown.
It builds a wheel and installs it where nothing else is, so it needs the package registry.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable
from pathlib import Path

from benchmarks.measure import Run, interleave, machine, run, say, seconds, spread, table

TOP = Path(__file__).parent.parent


def size(folder: Path) -> int:
    """Return the bytes of all files below *folder*, without what Python compiled on first use."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    machine()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        dist = folder / "dist"
        command = [sys.executable, "-m", "build", "--outdir", dist, TOP]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        [wheel], [sdist] = dist.glob("*.whl"), dist.glob("*.tar.gz")
        venv.create(folder / "venv", with_pip=True)
        python = folder / "venv" / "bin" / "python"
        packages = next((folder / "venv" / "lib").glob("python*/site-packages"))
        empty = size(packages)
        subprocess.run([python, "-m", "pip", "install", "-qq", wheel], check=True)
        table(
            ("", "MB"),
            [
                ("the wheel", f"{wheel.stat().st_size / 1e6:.1f}"),
                ("the sdist", f"{sdist.stat().st_size / 1e6:.1f}"),
                ("fpin, installed", f"{size(packages / 'fpin') / 1e6:.1f}"),
                ("with everything it needs", f"{(size(packages) - empty) / 1e6:.1f}"),
            ],
        )
        _start_up(python, folder, rounds)


def _start_up(python: Path, folder: Path, rounds: int) -> None:
    fpin = python.with_name("fpin")
    env = {"FPIN_HOME": str(folder / "home"), "FPIN_NETWORK": "calibration"}

    def timed(*command: str | Path) -> Callable[[], Run]:
        return lambda: run(command, env=env)

    results = interleave(
        rounds,
        {
            "`python -c pass`": timed(python, "-c", "pass"),
            "`python -c 'import fpin'`": timed(python, "-c", "import fpin"),
            "`fpin --version`": timed(fpin, "--version"),
            "`fpin --help`": timed(fpin, "--help"),
            "`fpin ls`": timed(fpin, "ls"),
            "`fpin cid` of 2 KB": timed(fpin, "cid", TOP / "fixtures" / "site", "-q"),
        },
    )
    rows = [(name, seconds(runs, 3), spread([one.cpu for one in runs], 3)) for name, runs in results.items()]
    say(f"From the start of the process to its end, {rounds} rounds:")
    table(("", "s", "own CPU, s"), rows)


if __name__ == "__main__":
    main()
