"""The unit U: SHA-256 of a file's bytes by hashlib, 1 MiB chunks out of memory, one core.

``python -m benchmarks.unit FILE`` prints the seconds. A process of its own, because it maps the whole file.
"""

from __future__ import annotations

import hashlib
import mmap
import sys
import time

MIB = 1 << 20


def seconds(path: str) -> float:
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as data:
        view = memoryview(data)
        sum(view[:: mmap.PAGESIZE])  # every page is in memory before the clock starts
        start = time.perf_counter()
        for offset in range(0, len(view), MIB):
            hashlib.sha256(view[offset : offset + MIB]).digest()
        taken = time.perf_counter() - start
        view.release()
    return taken


if __name__ == "__main__":
    sys.stdout.write(f"{seconds(sys.argv[1])}\n")
