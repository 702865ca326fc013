"""`docs/reference/faults.md`, written from the table; nothing in it is not in the table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.faults.table import KILLED, NOTE, ONE, TABLE, Part, Row

PAGE = Path(__file__).parent.parent.parent / "docs" / "reference" / "faults.md"


def _command(args: tuple[str, ...]) -> str:
    return " ".join(["fpin", *("FILE" if arg == NOTE else arg for arg in args)])


HEAD = f"""\
# Faults

<!-- Written by `make reference` from tests/faults/table.py; a test makes every row happen. -->

What fpin does when something fails in the middle: its [exit code](exit-codes.md), what it says on standard
error, what the store holds then, and what the next run makes of it.
The command is `{_command(ONE)}` where no other is shown.
A … stands for what differs between runs.

A copy is *planned*, then *parked* (the provider has the bytes), *signed* and *submitted* (its add may be on
chain any moment), *confirmed* (it is on chain) and *advertised* (an indexer has it); or *failed*.

The next run is the same command when the fault is over, after or instead of it what is named.
It ends with 0 in every row; then each piece is on chain once at each provider, and was paid for once.
"""


def page() -> str:
    """Return the whole page."""
    return "\n".join([HEAD, *(line for part in TABLE for line in _part(part))])


def _part(part: Part) -> Iterator[str]:
    yield f"## {part.title}"
    yield ""
    yield "| What goes wrong | Code | fpin says | The store holds | After the next run |"
    yield "| --- | --- | --- | --- | --- |"
    for row in part.rows:
        cells = (row.what + _asked(row), _code(row), _said(row), _stored(row), _afterwards(row))
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
    yield ""


def _asked(row: Row) -> str:
    return "" if row.args == ONE else f" (`{_command(row.args)}`)"


def _code(row: Row) -> str:
    return "killed" if row.code == KILLED else str(row.code)


def _said(row: Row) -> str:
    return "<br>".join(f"`{sentence}`" for sentence in row.says) or "nothing of it"


def _stored(row: Row) -> str:
    if row.state is None:
        return "what was written before"
    if not row.state:
        return "nothing"
    return f"{row.state}; {_copies(row.copies)}"


def _afterwards(row: Row) -> str:
    before = [f"`{row.remedy}`"] if row.remedy else []
    command = [f"`{_command(row.again)}`"] if row.again else []
    return ", ".join([*before, *command, _copies(row.copies_again)])


def _copies(copies: Mapping[int, str]) -> str:
    return ", ".join(f"{state} at provider {number}" for number, state in copies.items())
