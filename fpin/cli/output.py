"""What goes to stdout, and how a failure is told: text for people, one JSON object for programs."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from io import TextIOWrapper
from typing import TextIO

from fpin.cli.exits import way_out
from fpin.cli.typed_keys import HIDDEN
from fpin.errors import FpinError, LocalError
from fpin.units import parse_token, round_token

RED, YELLOW = 31, 33
SHORTEST = 16  # characters that are left of a cell when the terminal is narrow

_muted = False
_hidden: set[str] = set()  # words that no failure repeats


def mute(quiet: bool) -> None:
    """Print no text from now on, or print it again; JSON and failures are always printed."""
    global _muted
    _muted = quiet


def hide(words: Iterable[str]) -> None:
    """Leave *words* out of every failure told from now on, too."""
    _hidden.update(words)


def print_json(schema: str, fields: Mapping[str, object]) -> None:
    """Print the one JSON object of a command."""
    _print(json.dumps({"schema": schema, **fields}, ensure_ascii=False))


def print_text(text: str) -> None:
    """Print a line of a command's result."""
    if not _muted:
        _print(text)


def _print(text: str) -> None:
    try:
        sys.stdout.write(text + "\n")
    except OSError as exc:
        exc.filename = "standard output"
        raise


def count(number: int, one: str, many: str | None = None) -> str:
    """Return a number of things, such as "1 file" or "2 copies"."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def prepare() -> None:
    """Make standard output take every name there is, and be there even where the caller closed it."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  (open until the end)
    elif isinstance(sys.stdout, TextIOWrapper):
        # A file name need not be text, and the terminal's alphabet need not have all of Unicode.
        sys.stdout.reconfigure(errors="backslashreplace")


def clear() -> None:
    """Begin again at the top of the terminal; where there is none, leave a line between."""
    sys.stdout.write("\x1b[H\x1b[2J" if sys.stdout.isatty() else "\n")


def flush() -> None:
    """See that all of a command's result is out; raises OSError when it cannot be."""
    sys.stdout.flush()


def machine_error(exc: OSError) -> LocalError:
    """Return *exc*, which nobody expected, in words; most often standard output is what is full."""
    try:
        flush()
    except OSError:
        discard()
        exc.filename = "standard output"
    return LocalError(
        f"{exc.filename or 'this machine'}: {exc.strerror or exc}",
        hint="free some space or correct permissions; what the command did until then is written down",
    )


def discard() -> None:
    """Forget what is still to be printed: it would fail again when Python exits, and change its code."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print *rows* in columns; on a terminal as wide as it is, long cells then without their middle."""
    table = [list(header), *(list(row) for row in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(header))]
    if sys.stdout.isatty():
        _narrow(widths, [len(name) for name in header], shutil.get_terminal_size().columns)
    for row in table:
        cells = (_middle_out(cell, width).ljust(width) for cell, width in zip(row, widths, strict=True))
        print_text("  ".join(cells).rstrip())


def _narrow(widths: list[int], least: Sequence[int], columns: int) -> None:
    """Take from the widest columns until all fit into *columns*, as far as their names allow."""
    while sum(widths) + 2 * (len(widths) - 1) > columns:
        widest = max(range(len(widths)), key=lambda column: widths[column])
        if widths[widest] <= max(least[widest], SHORTEST):
            return
        widths[widest] -= 1


def _middle_out(cell: str, width: int) -> str:
    """Return *cell* in at most *width* characters: begin and end of a CID tell it apart, not its middle."""
    if len(cell) <= width:
        return cell
    kept = width - 1
    return cell[: kept - kept // 2] + "…" + cell[len(cell) - kept // 2 :]


def paint(text: str, colour: int, stream: TextIO) -> str:
    """Return *text* in an ANSI *colour*, where *stream* is a terminal whose user wants any."""
    if not stream.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    return f"\x1b[{colour}m{text}\x1b[0m"


def short(amount: str) -> str:
    """Return an exact amount of tokens as people want to read it, rounded."""
    return round_token(parse_token(amount))


def print_sent(tx: str, gas: str | None) -> None:
    """Print which transaction was executed, and what it burned of the chain's own coin, if that is known."""
    print_text(f"sent      transaction {tx}{f', {short(gas)} FIL of gas' if gas else ''}")


def print_failure(error: FpinError, code: int, *, as_json: bool, kind: str | None = None) -> None:
    """Tell what went wrong: on stderr, and with *as_json* as the object that stdout promises."""
    message, hint = _without_hidden(error.message), _without_hidden(error.hint or way_out(error) or "")
    if message != error.message:
        hint = f"if that is a key: it is no argument and no such setting, and your shell may keep it; {hint}"
    if as_json:
        facts = {name: value for name, value in error.values.items() if _jsonable(value)}
        body = {
            **facts,
            "code": code,
            "kind": kind or _kind_of(error),
            "message": message,
            "hint": hint or None,
        }
        try:
            _print(_without_hidden(json.dumps({"schema": "fpin.error/1", "error": body}, ensure_ascii=False)))
            flush()
        except OSError:
            discard()
    sys.stderr.write(f"{paint('fpin:', RED, sys.stderr)} {message}\n")
    if hint:
        sys.stderr.write(f"  → {hint}\n")


def print_crash() -> None:
    """Print where the exception that is being handled came from."""
    import traceback

    sys.stderr.write(_without_hidden(traceback.format_exc()))


def _without_hidden(text: str) -> str:
    for word in _hidden:
        text = text.replace(word, HIDDEN)
    return text


def _kind_of(error: FpinError) -> str:
    """Return the class of the public tree that *error* is of; rooms have finer ones of their own."""
    return next(kind.__name__ for kind in type(error).__mro__ if kind.__module__ == FpinError.__module__)


def _jsonable(value: object) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True
