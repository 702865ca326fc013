"""The table of `docs/reference/compatibility.md`: what must hold, with which program, and what came of it.

`python -m tests.interop.page` puts the table of the last `make interop` into the page.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.interop import programs

PAGE = programs.ROOT / "docs" / "reference" / "compatibility.md"
TABLE = programs.CACHE / "table.md"
BEGIN, END = "<!-- made by make interop -->\n", "<!-- end of the table -->\n"
_FOLDER = Path(__file__).parent


@dataclass(frozen=True, order=True)
class Check:
    """One test of this folder: its module names the *program*, its own name is the *claim*."""

    program: str
    claim: str
    node_id: str  # without the parameters


@dataclass
class Outcome:
    """What the runs of one check came to."""

    passed: int = 0
    cases: int = 0
    skipped: str | None = None
    failed: bool = False

    def __str__(self) -> str:
        if self.failed:
            return "FAILED"
        if self.passed == 0:
            return f"not run: {self.skipped}" if self.skipped else "not run"
        cases = max(self.cases, self.passed)
        return "holds" if cases == 1 else f"holds, {cases} cases"


def checks() -> list[Check]:
    """All checks, in the order of the files; read from the source, so that no program is needed."""
    found = []
    for path in sorted(_FOLDER.glob("test_*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        program = next(
            ast.literal_eval(node.value)
            for node in tree.body
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "PROGRAM"
        )
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                claim = node.name.removeprefix("test_").replace("_", " ")
                found.append(Check(program, claim, f"tests/interop/{path.name}::{node.name}"))
    return found


def table(outcomes: Mapping[str, Outcome]) -> str:
    """The Markdown table, with the versions of the programs that are there."""
    lines = ["| Program | What holds | Result |", "| --- | --- | --- |"]
    for check in checks():
        result = outcomes.get(check.node_id, Outcome())
        lines.append(f"| {check.program} | {check.claim} | {result} |")
    lines.append("")
    for program in programs.GO_PROGRAMS:
        version = programs.version_of(program)
        if version:
            lines.append(f"- {program.title} {version}")
    lines += [f"- {name} {version}" for name, version in programs.LIBRARIES.versions().items()]
    lines += [f"- {name} {version}" for name, version in programs.npm_versions().items()]
    return "\n".join(lines) + "\n"


def split(page: str) -> tuple[str, str, str]:
    """What stands before the table, the table, and what stands after it."""
    before, rest = page.split(BEGIN)
    inside, after = rest.split(END)
    return before, inside, after


def main() -> int:
    before, _, after = split(PAGE.read_text("utf-8"))
    PAGE.write_text(f"{before}{BEGIN}{TABLE.read_text('utf-8')}{END}{after}", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
