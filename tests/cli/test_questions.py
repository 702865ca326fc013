"""No command asks anything without a terminal."""

from __future__ import annotations

import ast
from pathlib import Path

import fpin.cli

CLI = Path(fpin.cli.__file__).parent
# These ask, and look first whether somebody is there.
ASKING = {"asking.py", "consent.py"}
QUESTIONS = {"input", "getpass", "prompt", "confirm", "getchar", "pause"}


def asks(path: Path) -> bool:
    """Tell whether a module calls anything that waits for a person."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            called = node.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            owner = getattr(getattr(called, "value", None), "id", "")
            if name in QUESTIONS and owner in ("", "click", "getpass", "typer"):
                return True
    return False


def test_only_the_modules_that_look_for_a_terminal_ask() -> None:
    assert {path.name for path in CLI.glob("*.py") if asks(path)} <= ASKING
    for name in ASKING:
        assert "isatty()" in (CLI / name).read_text(encoding="utf-8")
