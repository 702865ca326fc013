"""What a command imports is what its user waits for, so it is held here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HEAVY = {"cryptography", "eth_abi", "eth_keys", "httpx", "keyring", "starlette", "tqdm", "uvicorn"}


def imported_by(*args: str) -> set[str]:
    code = f"from fpin.cli import run; import sys; run({list(args)!r}); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


def test_help_imports_nothing_below_the_command_line() -> None:
    modules = imported_by("--help")
    assert not modules & HEAVY
    assert {name for name in modules if name.startswith("fpin.") and name.count(".") == 1} <= {
        "fpin._version",
        "fpin.cli",
        "fpin.config",
        "fpin.errors",
        "fpin.settings",
        "fpin.units",
        "fpin.values",
    }


def test_commands_without_a_network_import_nothing_that_talks_or_signs(site: Path) -> None:
    modules = imported_by("cid", str(site), "-q")
    assert not modules & HEAVY
    assert "fpin.chain" not in modules
