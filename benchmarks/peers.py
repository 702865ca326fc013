"""What others use for the same work, where it is installed: `ipfs-car`, and filecoin-pin's CAR builder.

``FPIN_BENCH_PEERS`` names a folder with their ``node_modules``; docs/benchmarks.md says how it is made. Only
the packing of files is called, in a temporary folder: nothing is sent anywhere.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.measure import Run, run

_SILENT = {"DO_NOT_TRACK": "1", "FILECOIN_PIN_TELEMETRY_DISABLED": "1"}
_BUILDER = "filecoin-pin/dist/core/unixfs/car-builder.js"
_BUILD = """
const { createCarFromPath } = await import(process.argv[1])
const { rootCid } = await createCarFromPath(process.argv[2], {})
console.log(rootCid.toString())
"""


def packers(source: Path, work: Path) -> dict[str, Callable[[], Run]]:
    """Return the peers that can write *source* as a CAR below *work*, by name and version."""
    return {
        name: call
        for name, call in {
            _called("ipfs-car"): partial(_ipfs_car, source, work),
            _called("filecoin-pin"): partial(_filecoin_pin, source, work),
        }.items()
        if name
    }


def missing() -> list[str]:
    """Return the names of the peers that are not installed."""
    return [name for name in ("ipfs-car", "filecoin-pin") if not _called(name)]


def _modules() -> Path | None:
    folder = os.environ.get("FPIN_BENCH_PEERS")
    return Path(folder, "node_modules").resolve() if folder and shutil.which("node") else None


def _called(package: str) -> str:
    """Return name and version of an installed package, or nothing."""
    modules = _modules()
    try:
        return (
            f"{package} {json.loads((modules / package / 'package.json').read_text())['version']}"
            if modules
            else ""
        )
    except OSError:
        return ""


def _ipfs_car(source: Path, work: Path) -> Run:
    modules, out = _modules(), work / "ipfs-car.car"
    assert modules
    try:
        return run((modules / ".bin/ipfs-car", "pack", source, "--no-wrap", "--output", out), env=_SILENT)
    finally:
        out.unlink(missing_ok=True)


def _filecoin_pin(source: Path, work: Path) -> Run:
    modules, out = _modules(), work / "filecoin-pin"
    assert modules
    out.mkdir()
    command = ("node", "--input-type=module", "--eval", _BUILD, modules / _BUILDER, source)
    try:
        return run(command, env={**_SILENT, "TMPDIR": str(out)})
    finally:
        shutil.rmtree(out)
