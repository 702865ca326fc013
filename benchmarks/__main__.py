"""All benchmarks one after the other, each in a process of its own: ``make bench``."""

from __future__ import annotations

import subprocess
import sys

from benchmarks.measure import say

TITLES = {
    "piece": "Piece commitment",
    "large": "One large file",
    "many": "Many small files",
    "plans": "Plans and dry runs",
    "network": "Adding, and start-up",
    "installed": "Installed",
}


def main() -> int:
    failed = 0
    for name, title in TITLES.items():
        say(f"## {title}", "")
        failed |= subprocess.call((sys.executable, "-m", f"benchmarks.{name}"))
    return failed


if __name__ == "__main__":
    sys.exit(main())
