"""From the classes that flows return to JSON Schema 2020-12, their comments becoming descriptions.

An object has exactly the fields of its class: what is renamed or added without a new schema is found by
the tests, which hold every JSON object they see against these files.
"""

from __future__ import annotations

import dataclasses
import inspect
import io
import tokenize
import types
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from fpin import errors, events
from fpin.cli import exits
from reference.results import RESULTS

DRAFT = "https://json-schema.org/draft/2020-12/schema"
_PLAIN = {str: "string", int: "integer", bool: "boolean", float: "number", type(None): "null"}
# What can end a command beside the classes of the error tree.
_ENDINGS = ("Bug", "Interrupted", "Timeout")


def all_schemas() -> dict[str, dict[str, Any]]:
    """Return every schema by the name of its file."""
    found = {file_name(name): result_schema(name, kind) for name, kind in RESULTS.items()}
    return {**found, file_name("fpin.error/1"): error_schema(), "fpin.event.1.json": event_schema()}


def file_name(schema: str) -> str:
    """Return the file of a schema.

    >>> file_name("fpin.data-set.ls/1")
    'fpin.data-set.ls.1.json'
    """
    return schema.replace("/", ".") + ".json"


def result_schema(name: str, kind: type) -> dict[str, Any]:
    """Return the schema of the object that `--json` prints for a result of class *kind*."""
    shape = _object(kind)
    shape["properties"] = {"schema": {"const": name}, **shape["properties"]}
    shape["required"] = ["schema", *shape["required"]]
    return {"$schema": DRAFT, "$id": _urn(name), "title": name, **shape}


def error_schema() -> dict[str, Any]:
    """Return the schema of what `--json` prints when a command fails."""
    kinds = [name for name, kind in vars(errors).items() if inspect.isclass(kind)]
    body = {
        "type": "object",
        "description": "What went wrong; further fields are facts about it, such as paths, CIDs and amounts.",
        "properties": {
            "code": {"enum": sorted(exits.MEANINGS.keys() - {exits.DONE}), "description": "the exit code"},
            "kind": {"enum": sorted([*kinds, *_ENDINGS]), "description": "the class of error"},
            "message": {"type": "string"},
            "hint": {"type": ["string", "null"], "description": "what to do about it"},
        },
        "required": ["code", "kind", "message", "hint"],
    }
    return {
        "$schema": DRAFT,
        "$id": _urn("fpin.error/1"),
        "title": "fpin.error/1",
        "type": "object",
        "properties": {"schema": {"const": "fpin.error/1"}, "error": body},
        "required": ["schema", "error"],
        "additionalProperties": False,
    }


def event_schema() -> dict[str, Any]:
    """Return the schema of a line of progress, as `--json` writes them to standard error."""
    shapes = []
    for name, kind in vars(events).items():
        if inspect.isclass(kind) and issubclass(kind, events.Event) and kind is not events.Event:
            shape = _object(kind)
            called = name[0].lower() + name[1:]
            shape["properties"] = {"event": {"const": called}, **shape["properties"]}
            shape["required"] = ["event", *shape["required"]]
            shapes.append(shape)
    return {"$schema": DRAFT, "$id": _urn("fpin.event/1"), "title": "fpin.event/1", "oneOf": shapes}


def _urn(name: str) -> str:
    return "urn:fpin:" + name.removeprefix("fpin.").replace("/", ":")


def _object(kind: type) -> dict[str, Any]:
    hints = get_type_hints(kind)
    said = dict(_comments(kind))
    properties = {}
    for field in dataclasses.fields(kind):
        described = {"description": said[field.name]} if field.name in said else {}
        properties[field.name] = {**_type(hints[field.name]), **described}
    document = inspect.cleandoc(kind.__doc__ or "")  # its own, not that of what it inherits from
    described = {} if document.startswith(f"{kind.__name__}(") or not document else {"description": document}
    return {
        **described,
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _type(hint: Any) -> dict[str, Any]:
    origin, args = get_origin(hint), get_args(hint)
    if hint is object:
        return {}
    if origin is Literal:
        return {"enum": list(args)}
    if isinstance(hint, type) and issubclass(hint, Enum):
        return {"enum": [member.value for member in hint]}
    if hint in _PLAIN:
        return {"type": _PLAIN[hint]}
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _object(hint)
    if origin in (Union, types.UnionType):
        return _union([_type(arg) for arg in args])
    if origin is tuple and len(args) == 2 and args[1] is not ...:
        return {"type": "array", "prefixItems": [_type(arg) for arg in args], "minItems": 2, "maxItems": 2}
    if origin in (tuple, list):
        return {"type": "array", "items": _type(args[0])}
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": _type(args[1])}
    if hasattr(hint, "__supertype__"):  # NewType
        return _type(hint.__supertype__)
    raise TypeError(f"no schema for {hint}")


def _union(shapes: list[dict[str, Any]]) -> dict[str, Any]:
    if all(set(shape) == {"type"} for shape in shapes):
        return {"type": [shape["type"] for shape in shapes]}
    return {"anyOf": shapes}


def _comments(kind: type) -> Iterator[tuple[str, str]]:
    """Yield the comment beside each field of *kind*."""
    name = ""
    for token in tokenize.generate_tokens(io.StringIO(inspect.getsource(kind)).readline):
        if token.type == tokenize.NAME and token.start[1] == 4:
            name = token.string
        elif token.type == tokenize.COMMENT and token.start[1] > 4 and not token.string.startswith("# noqa"):
            yield name, token.string.lstrip("# ")
