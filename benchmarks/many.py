"""Many small files: `fpin cid` of 100,000 files of 1 KiB in 1,000 folders, warm cache, against others.

``python -m benchmarks.many [--folders N] [--rounds N]`` prints Markdown. The others take most of a minute
for it, so they run once, without a turn that is not counted.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from random import Random

from benchmarks import peers
from benchmarks.measure import (
    FPIN,
    GIB,
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
    workspace,
)

FILES = 100  # of a folder
SIZE = 1024  # bytes of a file
SECONDS = 2.0
REFERENCE = "filecoin-pin"  # the builder to be ten times as fast as


def tree(folder: Path, folders: int) -> Path:
    """Make *folders* folders of small files, every file different."""
    random = Random(1)
    for number in range(folders):
        inside = folder / f"folder-{number:04}"
        inside.mkdir(parents=True)
        for file in range(FILES):
            (inside / f"file-{file:02}.bin").write_bytes(random.randbytes(SIZE))
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folders", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    machine()
    with workspace(GIB) as work:
        source = tree(work / "many", arguments.folders)
        own = {"fpin cid": partial(run, (*FPIN, "cid", source, "--quiet"))}
        results = interleave(arguments.rounds, own)
        results |= {name: [call()] for name, call in peers.packers(source, work).items()}
    files = arguments.folders * FILES
    ours = median([one.seconds for one in results["fpin cid"]])
    rows = []
    for name, runs in results.items():
        times = [one.seconds / ours for one in runs]
        target = ""
        if name == "fpin cid":
            target = f"{reached(ours, at_most=SECONDS * files / 100_000)} s"
        elif name.startswith(REFERENCE):
            target = f"{reached(median(times), at_least=10)} times"
        each = [one.seconds / files * 1e6 for one in runs]
        rows.append((name, seconds(runs), spread(each, 1), spread(times, 1), memory(runs), target))
    say(f"{files:,} files of {SIZE} bytes in {arguments.folders} folders, warm cache:")
    table(("", "s", "µs a file", "× fpin's time", "peak memory", "target"), rows)
    if peers.missing():
        say(f"Not installed: {', '.join(peers.missing())}.")


if __name__ == "__main__":
    main()
