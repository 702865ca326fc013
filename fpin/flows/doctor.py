"""`doctor`: what is wrong with this machine, its settings and the network, and what to do about each."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from fpin import piece
from fpin._version import __version__
from fpin.backends.base import Finding
from fpin.flows.services import Services
from fpin.piece import core
from fpin.settings import Folders
from fpin.units import format_size
from fpin.values import dataclass

MEASURED = 8 * 2**20  # bytes hashed to see how fast this machine is; the twin gets an eighth
LITTLE_SPACE = 2**30
NEEDED = ("click", "httpx", "multiformats", "eth-account", "eth-abi", "cryptography")


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorResult:
    """Everything looked at. *well*: nothing is bad; warnings do not keep fpin from working."""

    network: str
    well: bool
    findings: tuple[Finding, ...]


def look_here(folders: Folders) -> Iterator[Finding]:
    """Yield what this machine shows, without asking anybody."""
    yield _python()
    yield _packages()
    yield _commitment()
    for what, folder in (("store", folders.data), ("cache", folders.cache)):
        yield _disk(what, folder)


def look_around(services: Services) -> Iterator[Finding]:
    """Yield what the network shows."""
    yield from services.backend.checkup()


def _python() -> Finding:
    version = platform.python_version()
    says = f"Python {version} ({sys.executable}) on {platform.system()} {platform.machine()}"
    return Finding(name="python", state="ok", says=says, facts={"python": version})


def _packages() -> Finding:
    facts = {}
    missing = []
    for name in NEEDED:
        try:
            facts[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        remedy = "install fpin again: python -m pip install --force-reinstall fpin"
        says = f"fpin {__version__}, without {', '.join(missing)}"
        return Finding(name="packages", state="bad", says=says, remedy=remedy, facts=facts)
    says = f"fpin {__version__}, " + ", ".join(f"{name} {version}" for name, version in facts.items())
    return Finding(name="packages", state="ok", says=says, facts={"fpin": __version__, **facts})


def _commitment() -> Finding:
    kernel = core.implementation()
    height = 12
    size = MEASURED // 8 if kernel == core.PYTHON else MEASURED
    data = bytes(size)
    started = time.perf_counter()
    core.block_roots(data, height)
    speed = size / (time.perf_counter() - started) / 2**20
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    facts = {"kernel": kernel, "mib_per_s": round(speed), "cores": cores}
    says = f"piece commitment by {kernel}, {speed:.0f} MiB/s on one of {cores} cores"
    if piece.warning():
        remedy = "install a C compiler, then: python -m pip install --force-reinstall --no-deps fpin"
        return Finding(name="commitment", state="warning", says=says, remedy=remedy, facts=facts)
    return Finding(name="commitment", state="ok", says=says, facts=facts)


def _disk(what: str, folder: Path) -> Finding:
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if not os.access(there, os.W_OK):
        remedy = "set FPIN_HOME to a folder that can be written"
        return Finding(name="disk", state="bad", says=f"{what} {folder}: not writable", remedy=remedy)
    free = shutil.disk_usage(there).free
    says = f"{what} {folder}: {format_size(free)} free"
    if free < LITTLE_SPACE:
        remedy = "free some space; standard input and the devnet are kept there"
        return Finding(name="disk", state="warning", says=says, remedy=remedy, facts={"free": free})
    return Finding(name="disk", state="ok", says=says, facts={"free": free})
