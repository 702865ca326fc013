"""The table of docs/reference/compatibility.md lists exactly the checks there are, and none that failed."""

from __future__ import annotations

from tests.interop import page


def test_the_page_has_one_row_for_each_check_and_no_other() -> None:
    _, table, _ = page.split(page.PAGE.read_text("utf-8"))
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| ")][2:]
    assert [(program, claim) for program, claim, _ in rows] == [
        (check.program, check.claim) for check in page.checks()
    ]
    assert [row for row in rows if "FAILED" in row[2]] == []
