"""The contracts' ABI: functions by selector, events and errors by name, words in and out.

Refuses to know what any of them means. Addresses are lower-case ``0x`` text on the Python side.
"""

from __future__ import annotations

import functools
import json
from importlib import resources
from typing import TypedDict

from eth_abi.abi import decode as eth_decode
from eth_abi.abi import encode as eth_encode
from eth_abi.exceptions import DecodingError
from eth_utils.crypto import keccak

from fpin.values import dataclass

Word = object  # what eth_abi takes and gives: int, str, bool, bytes, and tuples of them


class AbiParam(TypedDict, total=False):
    name: str
    type: str
    indexed: bool
    components: list[AbiParam]


class AbiEntry(TypedDict, total=False):
    type: str
    name: str
    inputs: list[AbiParam]
    outputs: list[AbiParam]
    stateMutability: str


class Malformed(ValueError):
    """Bytes that do not decode as the ABI says; Solidity reverts without data."""


@dataclass(frozen=True, kw_only=True)
class Function:
    signature: str
    selector: bytes
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    payable: bool


@dataclass(frozen=True, kw_only=True)
class Event:
    topic: bytes
    inputs: tuple[tuple[str, bool], ...]  # (type, indexed)


@dataclass(frozen=True, kw_only=True)
class Error:
    selector: bytes
    inputs: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Interface:
    """One contract's ABI. Overloaded functions are told apart by signature, `name(types)`."""

    functions: dict[str, Function]  # by signature
    events: dict[str, Event]
    errors: dict[str, Error]


def _type(param: AbiParam) -> str:
    if not param["type"].startswith("tuple"):
        return param["type"]
    return f"({','.join(map(_type, param['components']))}){param['type'][5:]}"


def _signature(entry: AbiEntry) -> str:
    return f"{entry['name']}({','.join(map(_type, entry['inputs']))})"


@functools.cache
def load(group: str) -> Interface:
    """Return the interface named *group* in ``abi.json``."""
    entries: list[AbiEntry] = _document()[group]
    functions, events, errors = {}, {}, {}
    for entry in entries:
        signature = _signature(entry)
        types = tuple(map(_type, entry["inputs"]))
        digest = keccak(text=signature)
        if entry["type"] == "function":
            functions[signature] = Function(
                signature=signature,
                selector=digest[:4],
                inputs=types,
                outputs=tuple(map(_type, entry["outputs"])),
                payable=entry["stateMutability"] == "payable",
            )
        elif entry["type"] == "event":
            indexed = [param.get("indexed", False) for param in entry["inputs"]]
            events[entry["name"]] = Event(topic=digest, inputs=tuple(zip(types, indexed, strict=True)))
        elif entry["type"] == "error":
            errors[entry["name"]] = Error(selector=digest[:4], inputs=types)
    return Interface(functions=functions, events=events, errors=errors)


@functools.cache
def _document() -> dict[str, list[AbiEntry]]:
    text = resources.files("fpin.devnet.chain").joinpath("abi.json").read_text()
    document: dict[str, list[AbiEntry]] = json.loads(text)
    return document


def encode(types: tuple[str, ...] | list[str], values: tuple[Word, ...] | list[Word]) -> bytes:
    return eth_encode(types, values)


def decode(types: tuple[str, ...] | list[str], data: bytes) -> tuple[Word, ...]:
    """Return the values in *data*; raises `Malformed`."""
    try:
        values: tuple[Word, ...] = eth_decode(types, data)
    except (DecodingError, UnicodeDecodeError, OverflowError) as exc:
        raise Malformed(str(exc)) from exc
    return values


def encode_event(event: Event, values: tuple[Word, ...]) -> tuple[tuple[bytes, ...], bytes]:
    """Return topics and data of a log."""
    topics, types, plain = [event.topic], [], []
    for (kind, indexed), value in zip(event.inputs, values, strict=True):
        if indexed:  # every indexed parameter of these contracts is one word
            topics.append(encode([kind], [value]))
        else:
            types.append(kind)
            plain.append(value)
    return tuple(topics), encode(types, plain)
