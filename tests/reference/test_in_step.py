"""The committed reference says what the program does: `make reference` writes it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fpin.cli import exits
from reference import commands, pages
from reference.__main__ import FOLDER, files
from reference.results import RESULTS
from tests.schemas import validator

FILES = files()
CLI = Path(pages.PACKAGE) / "cli"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_page_is_what_make_reference_would_write(path: Path) -> None:
    assert path.exists(), "run `make reference`"
    assert path.read_text(encoding="utf-8") == FILES[path], "run `make reference`"


def test_there_is_no_schema_of_what_nothing_prints() -> None:
    assert set((FOLDER / "json").iterdir()) == {path for path in FILES if path.suffix == ".json"}


def test_everything_that_the_command_line_prints_has_a_schema() -> None:
    printed = {
        name
        for path in CLI.rglob("*.py")
        for name in re.findall(r'"(fpin\.[a-z.-]+/\d+)"', path.read_text(encoding="utf-8"))
    }
    assert printed - {"fpin.error/1"} == set(RESULTS), "add the class of the result to reference/results.py"


@pytest.mark.parametrize("name", commands.every_command())
def test_every_command_has_an_object_to_print(name: str) -> None:
    assert commands.schemas_of(commands.every_command()[name])


def test_every_variable_that_the_source_reads_is_explained() -> None:
    options = {
        str(one.envvar)
        for command in commands.every_command().values()
        for one in commands.options_of(command)
    }
    assert pages.variables_read() - options == set(pages.VARIABLES)


@pytest.mark.parametrize("schema", [*RESULTS, "fpin.error/1", "fpin.event/1"])
def test_a_schema_is_a_schema_and_is_strict(schema: str) -> None:
    shape = validator(schema).schema
    assert isinstance(shape, dict)
    assert shape["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert not validator(schema).is_valid({})
    assert not validator(schema).is_valid({"schema": schema, "surprise": json.dumps(1)})


def properties(shape: object) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(shape, dict):
        yield from shape.get("properties", {}).items()
    for inner in shape.values() if isinstance(shape, dict) else shape if isinstance(shape, list) else ():
        yield from properties(inner)


@pytest.mark.parametrize("schema", [*RESULTS, "fpin.error/1", "fpin.event/1"])
def test_a_state_is_one_of_those_there_are(schema: str) -> None:
    for name, shape in properties(validator(schema).schema):
        if name in ("state", "strength", "evidence", "kind", "doing", "record"):
            kinds = shape.get("anyOf", [shape])
            assert all("enum" in kind or kind == {"type": "null"} for kind in kinds), name


def test_the_readme_has_the_table_of_exit_codes_as_it_is() -> None:
    text = (FOLDER.parent.parent / "README.md").read_text(encoding="utf-8")
    for code, meaning in exits.MEANINGS.items():
        assert f"| {code} | {meaning} |" in text
