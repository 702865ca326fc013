"""Holds JSON that fpin printed against the schemas that are published in docs/reference/json."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

FOLDER = Path(__file__).parent.parent / "docs" / "reference" / "json"


def check_schema(body: Any) -> None:
    """Fail unless *body* is an object of a published schema and fits it."""
    validator(body["schema"]).validate(body)


def check_progress(stderr: str) -> list[Any]:
    """Return the lines of progress; fail if one does not fit."""
    lines = [json.loads(line) for line in stderr.splitlines() if line.startswith("{")]
    for line in lines:
        validator("fpin.event/1").validate(line)
    return lines


@functools.cache
def validator(schema: str) -> Draft202012Validator:
    path = FOLDER / (schema.replace("/", ".") + ".json")
    assert path.exists(), (
        f"{schema} has no schema: add its class to reference/results.py, run `make reference`"
    )
    found = json.loads(path.read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(found)
    return Draft202012Validator(found)
