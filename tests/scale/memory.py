"""The most memory that a process ever had, as Linux knows it: without its parent's, unlike `getrusage`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

_STATUS = Path("/proc/self/status")
needs_linux = pytest.mark.skipif(not _STATUS.exists(), reason="needs /proc/self/status of Linux")


def peak() -> int:
    """Return the bytes that this process had in memory at the most."""
    found = re.search(r"VmHWM:\s+(\d+) kB", _STATUS.read_text())
    assert found
    return int(found[1]) * 1024
