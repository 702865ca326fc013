"""A room may import only from rows below its own, function bodies included."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import fpin

PACKAGE = Path(fpin.__file__).parent

ROWS = [
    {"action"},
    {"cli"},
    {"servers"},
    {"api"},
    {"flows"},
    {"backends"},
    {"chain", "provider", "routing", "retrieve", "store", "pack"},
    {"http", "piece"},
    {"config"},
    {"ipld", "keys", "temporary"},
    {"settings"},
    {"units", "events", "threads", "addresses"},
    {"errors", "values"},
    {"_version"},
]
ROW_OF = {room: row for row, rooms in enumerate(ROWS) for room in rooms}
MODULES = sorted(PACKAGE.rglob("*.py"))


def room_of(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imported_rooms(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "fpin" and len(parts) > 1:
                yield parts[1]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_from_rooms_below_its_own(path: Path) -> None:
    room = room_of(path)
    rooms = set(imported_rooms(path)) - {room}
    if room == "devnet":
        assert rooms <= {"ipld", "units", "errors", "values", "_version"}
    elif room != "__init__":
        allowed = (
            set(ROW_OF)
            if room == "__main__"
            else {name for name, row in ROW_OF.items() if row > ROW_OF[room]}
        )
        if room in ("cli", "api"):
            allowed.add("devnet")  # these may start it
        assert rooms <= allowed


def test_httpx_is_imported_in_one_module_of_the_client() -> None:
    importers = {
        room_of(path)
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if (isinstance(node, ast.Import) and any(alias.name.split(".")[0] == "httpx" for alias in node.names))
        or (isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "httpx")
    }
    assert importers - {"devnet"} == {"http"}


def test_the_design_page_has_the_rooms_in_these_rows() -> None:
    page = (PACKAGE.parent / "docs" / "explanation" / "design.md").read_text("utf-8")
    found: dict[int, set[str]] = {}
    for row, rooms in re.findall(r"^\| (\d+) \| (`[^|]*) \|", page, re.MULTILINE):
        found.setdefault(int(row), set()).update(re.findall(r"`(\w+)`", rooms))
    there = {room_of(path) for path in MODULES}
    wanted = [rooms & there for rooms in ROWS if rooms & there and rooms != {"_version"}]
    assert [found[row] for row in sorted(found)] == wanted
