"""Whatever a page calls a command or an option of fpin is one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from fpin.cli.declare import long_name
from reference import commands
from tests.docs.test_links import PAGES, TOP

EVERY = commands.every_command()
GROUPS = {name.split()[0] for name in EVERY if " " in name}
NAMED = re.compile(r"(?:`|^\$ |^ +- )fpin ([^`\n]*)", re.MULTILINE)
SHARED = {"--help", "-h", "--version"}


def command_of(words: list[str]) -> str | None:
    """Return the command that *words* begin with; None for a group, or for fpin alone."""
    if not words or words[0].startswith("-"):
        return None
    if words[0] not in GROUPS:
        return words[0]
    return " ".join(words[:2]) if len(words) > 1 and not words[1].startswith("-") else None


def named(text: str) -> Iterator[list[str]]:
    for line in NAMED.findall(text):
        yield re.split(r"\s+", re.split(r"\s#|[|;>&]", line)[0].strip().rstrip(".,:")) if line.strip() else []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(TOP)))
def test_the_commands_and_options_of_a_page_exist(page: Path) -> None:
    for words in named(page.read_text(encoding="utf-8")):
        command = command_of([word for word in words if word])
        if command is None:
            continue
        assert command in EVERY, f"fpin {' '.join(words)}"
        known = {
            one
            for option in commands.options_of(EVERY[command])
            for one in (*option.opts, *option.secondary_opts)
        }
        for word in words:
            if re.match(r"--?[a-z]", word):
                assert word.partition("=")[0].rstrip(".,") in known | SHARED, f"fpin {' '.join(words)}"


def test_the_check_would_notice() -> None:
    assert [
        command_of(words) for words in named("`fpin nothing --at-all` and\n$ fpin add x --copies 2\n")
    ] == [
        "nothing",
        "add",
    ]
    assert "copies" in {long_name(one) for one in commands.options_of(EVERY["add"])}
