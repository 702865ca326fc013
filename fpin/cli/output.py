"""What goes to stdout, and how a failure is told: text for people, one JSON object for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence

from fpin.errors import FpinError
from fpin.units import parse_token, short_token


def print_json(schema: str, fields: Mapping[str, object]) -> None:
    """Print the one JSON object of a command."""
    sys.stdout.write(json.dumps({"schema": schema, **fields}, ensure_ascii=False) + "\n")


def print_text(text: str) -> None:
    """Print a line of a command's result."""
    sys.stdout.write(text + "\n")


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print *rows* in columns as wide as their longest cell."""
    table = [list(header), *(list(row) for row in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(header))]
    for row in table:
        print_text("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def short(amount: str) -> str:
    """Return an exact amount of tokens as people want to read it, rounded up."""
    return short_token(parse_token(amount))


def print_failure(error: FpinError, code: int, *, as_json: bool, kind: str | None = None) -> None:
    """Tell what went wrong: on stderr, and with *as_json* as the object that stdout promises."""
    if as_json:
        facts = {name: value for name, value in error.values.items() if _jsonable(value)}
        body = {
            **facts,
            "code": code,
            "kind": kind or type(error).__name__,
            "message": error.message,
            "hint": error.hint,
        }
        print_json("fpin.error/1", {"error": body})
    sys.stderr.write(f"fpin: {error.message}\n")
    if error.hint:
        sys.stderr.write(f"  → {error.hint}\n")


def _jsonable(value: object) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True
