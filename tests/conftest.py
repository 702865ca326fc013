"""What tests share: a devnet in this process, and fpin as a user runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from fpin.devnet.world import World
from tests.schemas import check_schema

# No test looks at a clock, and Hypothesis' own deadline is one: on a busy machine it fails what is right.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

FIXTURES = Path(__file__).parent.parent / "fixtures"


@dataclass(frozen=True)
class Outcome:
    """What one run of fpin left behind."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """stdout as the one JSON object that it promises to be, held against its published schema."""
        body = json.loads(self.stdout)
        check_schema(body)
        return body


class Fpin:
    """fpin as a subprocess, with a home of its own and nothing of the caller's environment."""

    def __init__(self, home: Path, env: Mapping[str, str] | None = None) -> None:
        self.home = home
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(home / "nowhere"),
            "FPIN_HOME": str(home),
            "FPIN_NETWORK": "devnet",
            "PYTHONWARNINGS": "error",
            "LC_ALL": "C.UTF-8",
            **(env or {}),
        }

    def command(self, args: Sequence[str | Path]) -> list[str]:
        return [sys.executable, "-m", "fpin", *map(str, args)]

    def __call__(
        self, *args: str | Path, env: Mapping[str, str] | None = None, stdin: bytes = b""
    ) -> Outcome:
        done = subprocess.run(
            self.command(args),
            input=stdin,
            capture_output=True,
            env={**self.env, **(env or {})},
            timeout=240,
            check=False,
        )
        return Outcome(done.returncode, done.stdout.decode(), done.stderr.decode())


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def fpin(home: Path) -> Fpin:
    return Fpin(home)


@pytest.fixture
def world(home: Path) -> Iterator[World]:
    """A devnet that stays up in *home*; time moves fast only while a removal waits."""
    with World.start(home / "devnet", mode="up") as running:
        yield running


@pytest.fixture
def site() -> Path:
    """A small real web site, see fixtures/README.md."""
    return FIXTURES / "site"
