"""The most memory that a process ever had, as Linux knows it: without its parent's, unlike `getrusage`.

Imported by the processes that are measured, so it imports next to nothing.
"""

import re
from pathlib import Path

STATUS = Path("/proc/self/status")


def peak() -> int:
    """Return the bytes that this process had in memory at the most."""
    found = re.search(r"VmHWM:\s+(\d+) kB", STATUS.read_text())
    assert found
    return int(found[1]) * 1024
