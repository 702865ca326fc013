"""The sessions that README and tutorial show: every command still works, and still prints what is shown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reference.transcripts import PAGES, shell, steps_of


def plain(text: str) -> set[str]:
    """Return the lines of *text* without what differs from run to run: numbers, hashes, spaces."""
    without = re.sub(r"0x[0-9a-f]+|baguqeera\w+|\d[\d.:-]*", "N", text)
    return {" ".join(line.split()) for line in without.splitlines() if line.strip()}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_a_session_prints_what_the_page_shows(page: Path) -> None:
    with shell() as at:
        for step in steps_of(page.read_text(encoding="utf-8")):
            printed = at.run(step.command, together=False)
            if not step.varies:
                # Progress on standard error is in the page too, in an order that may differ.
                assert plain(printed) <= plain(step.shown), "run `make transcripts`"
