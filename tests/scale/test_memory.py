"""Adding far more than fits into the memory that the client may have; the devnet is in another process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fpin.devnet.world import World
from tests.conftest import Fpin
from tests.scale.memory import STATUS

needs_linux = pytest.mark.skipif(not STATUS.exists(), reason=f"needs {STATUS}")
LARGE = (
    pytest.mark.slow,
    pytest.mark.skipif("FPIN_LARGE" not in os.environ, reason="sends 3 GiB: set FPIN_LARGE=1 to run it"),
)

MIB, GIB = 1 << 20, 1 << 30
PEAK = 120_000_000  # bytes; under 100 with the Python of docs/benchmarks.md, others' imports differ

# fpin in a process that is refused more memory than a sixteenth of 3 GiB, and tells its peak at the end.
LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_DATA, (192 << 20, 192 << 20))
from fpin.cli import run
from tests.scale.memory import peak
code = run(sys.argv[1:])
print("peak", peak(), file=sys.stderr)
sys.exit(code)
"""


def add_limited(fpin: Fpin, source: Path) -> tuple[Any, int]:
    """Add *source* under the limit; return the result and the peak."""
    command = [sys.executable, "-c", LIMITED, "add", str(source), "--copies", "1", "--json"]
    done = subprocess.run(command, env=fpin.env, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), int(done.stderr.rsplit("peak ", 1)[1])


def sparse(path: Path, size: int) -> Path:
    """Write a file that takes little disk and of which every leaf is different."""
    with path.open("wb") as file:
        for start in range(0, size, MIB):
            file.seek(start)
            file.write(start.to_bytes(8, "big"))
        file.truncate(size)
    return path


@needs_linux
def test_three_gibibytes_of_zeros_are_added_with_little_memory(
    fpin: Fpin, world: World, tmp_path: Path
) -> None:
    source = tmp_path / "zeros"
    source.touch()
    os.truncate(source, 3 * GIB)
    result, peak = add_limited(fpin, source)
    assert peak < PEAK
    # Planned as four pieces; of the two in the middle, which are equal, one is stored.
    assert [piece["size"] < 2 * MIB for piece in result["pieces"]] == [True] * 3
    assert (result["size"], result["complete"]) == (3 * GIB, True)


@needs_linux
@pytest.mark.parametrize(
    ("size", "pieces"),
    [(160 * MIB, 1), pytest.param(3 * GIB, 4, marks=LARGE)],
    ids=["160 MiB", "3 GiB"],
)
def test_a_sparse_file_without_equal_leaves_is_added_with_little_memory(
    fpin: Fpin, world: World, tmp_path: Path, size: int, pieces: int
) -> None:
    result, peak = add_limited(fpin, sparse(tmp_path / "leaves", size))
    assert peak < PEAK
    assert (len(result["pieces"]), result["complete"]) == (pieces, True)
    assert sum(piece["size"] for piece in result["pieces"]) > size
