"""ABI tables: the contracts' functions, events and errors by name, values in and out as plain Python.

Built from `abi.json`, which is grouped by contract. Knows no address and no node. Structs come back as dicts
with the names of the ABI, addresses as checksummed text, bytes as `bytes`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache, cached_property
from importlib import resources
from typing import Any

from fpin.chain.codec import decode, encode
from fpin.chain.keccak import checksum_address, keccak
from fpin.errors import ChainError
from fpin.values import dataclass

Entry = Mapping[str, Any]  # one JSON object of the ABI: its shape depends on "type"

# Two words that 1.3 added to DataSetInfoView; views of 1.2 and before answer without them.
_SINCE_1_3 = ("pendingOneTimePayments", "lifecycleReserveBalance")


@dataclass(frozen=True)
class Function:
    """One function of one contract. *outputs* are ABI parameter objects."""

    contract: str
    name: str
    inputs: tuple[Entry, ...]
    outputs: tuple[Entry, ...]

    @cached_property
    def types(self) -> tuple[str, ...]:
        return tuple(map(canonical_type, self.inputs))

    @cached_property
    def signature(self) -> str:
        return f"{self.name}({','.join(self.types)})"

    @cached_property
    def selector(self) -> bytes:
        return keccak(self.signature.encode())[:4]

    def encode(self, *args: object) -> bytes:
        """Return calldata; raises ValueError for arguments that do not fit."""
        try:
            return self.selector + encode(self.types, args)
        except ValueError as exc:
            raise ValueError(f"{self.contract}.{self.signature}: {exc}") from exc

    def decode(self, data: bytes) -> Any:
        """Return the single output, or a tuple of several; raises ChainError for bytes that are no answer."""
        values = decode_values(self._form(data), data, f"{self.contract}.{self.name}")
        return values[0] if len(values) == 1 else tuple(values)

    def _form(self, data: bytes) -> tuple[Entry, ...]:
        """Choose between the two known layouts of DataSetInfoView by the number of words.

        Decoding with the wrong one "works" and yields another data set's id, so the length decides.
        """
        if not self.outputs or self.outputs[0].get("type") not in ("tuple", "tuple[]"):
            return self.outputs
        fields = self.outputs[0]["components"]
        if not any(field["name"] in _SINCE_1_3 for field in fields):
            return self.outputs
        old = [field for field in fields if field["name"] not in _SINCE_1_3]
        words = len(data) // 32
        if self.outputs[0]["type"] == "tuple[]":
            count = int.from_bytes(data[32:64], "big")
            if count == 0:
                return self.outputs
            words = (words - 2) // count
        if words == len(old):
            return ({**self.outputs[0], "components": old},)
        if words != len(fields):
            raise ChainError(f"{self.contract}.{self.name}: {words} words is a layout fpin does not know")
        return self.outputs


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A decoded log. *values* has indexed and plain parameters together, by name."""

    contract: str
    name: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorEntry:
    """A custom error of a contract."""

    name: str
    inputs: tuple[Entry, ...]


def function(contract: str, name: str) -> Function:
    """Return a function by contract group and name, or by full signature where it is overloaded.

    >>> function("FilecoinPayV1", "withdraw").selector.hex()
    'f3fef3a3'
    """
    return _functions()[f"{contract}.{name}"]


def error_by_selector(selector: bytes) -> ErrorEntry | None:
    return _errors().get(selector)


def error_by_name(name: str) -> ErrorEntry | None:
    return next((entry for entry in _errors().values() if entry.name == name), None)


def decode_event(topics: Sequence[bytes], data: bytes) -> Event | None:
    """Return the event, or None for one the tables do not have. Indexed strings and arrays stay hashes."""
    found = _events().get(topics[0]) if topics else None
    if found is None:
        return None
    contract, entry = found
    indexed = [param for param in entry["inputs"] if param.get("indexed")]
    plain = tuple(param for param in entry["inputs"] if not param.get("indexed"))
    if len(topics) != len(indexed) + 1:  # Transfer of an ERC-721 has the topic of an ERC-20's
        return None
    values = dict(_names(plain, decode_values(plain, data, entry["name"])))
    for param, topic in zip(indexed, topics[1:], strict=True):
        values[param["name"]] = decode_values((_word(param),), topic, entry["name"])[0]
    return Event(contract=contract, name=entry["name"], values=values)


def decode_values(params: Sequence[Entry], data: bytes, what: str) -> list[Any]:
    """Return one value for each parameter; raises ChainError naming *what* was being read."""
    try:
        raw = decode(tuple(map(canonical_type, params)), data)
    except ValueError as exc:
        raise ChainError(f"{what}: the answer is not what the ABI says ({len(data)} bytes: {exc})") from exc
    return [_plain(param, value) for param, value in zip(params, raw, strict=True)]


def canonical_type(param: Entry) -> str:
    """Return the type as it stands in a signature: a struct is the tuple of its fields.

    >>> canonical_type({"type": "tuple[]", "components": [{"type": "bytes"}, {"type": "bool"}]})
    '(bytes,bool)[]'
    """
    kind: str = param["type"]
    if not kind.startswith("tuple"):
        return kind
    fields = ",".join(map(canonical_type, param["components"]))
    return f"({fields}){kind.removeprefix('tuple')}"


def _plain(param: Entry, value: Any) -> Any:
    kind: str = param["type"]
    if kind.endswith("]"):
        element = {**param, "type": kind[: kind.rindex("[")]}
        return [_plain(element, item) for item in value]
    if kind == "tuple":
        fields = param["components"]
        return dict(_names(fields, [_plain(field, item) for field, item in zip(fields, value, strict=True)]))
    return checksum_address(value) if kind == "address" else value


def _names(params: Sequence[Entry], values: Sequence[Any]) -> list[tuple[str, Any]]:
    return [(param["name"], value) for param, value in zip(params, values, strict=True)]


def _word(param: Entry) -> Entry:
    """Return the parameter as a topic holds it: types longer than a word are there as their hash."""
    dynamic = param["type"] in ("string", "bytes") or param["type"].endswith("]")
    return {"type": "bytes32"} if dynamic or param["type"] == "tuple" else param


@cache
def _document() -> Mapping[str, list[Entry]]:
    text = resources.files("fpin.chain").joinpath("abi.json").read_text("utf-8")
    document: Mapping[str, list[Entry]] = json.loads(text)
    return document


@cache
def _functions() -> Mapping[str, Function]:
    table: dict[str, Function] = {}
    overloaded: set[str] = set()
    for contract, entry in _entries("function"):
        made = Function(contract, entry["name"], tuple(entry["inputs"]), tuple(entry["outputs"]))
        short = f"{contract}.{made.name}"
        if short in table:
            overloaded.add(short)
        table[short] = table[f"{contract}.{made.signature}"] = made
    for short in overloaded:  # an overloaded name alone must not silently mean the one listed last
        del table[short]
    return table


@cache
def _events() -> Mapping[bytes, tuple[str, Entry]]:
    return {
        keccak(_signature(entry).encode()): (contract, entry)
        for contract, entry in _entries("event")
        if not entry.get("anonymous")
    }


@cache
def _errors() -> Mapping[bytes, ErrorEntry]:
    return {
        keccak(_signature(entry).encode())[:4]: ErrorEntry(name=entry["name"], inputs=tuple(entry["inputs"]))
        for _, entry in _entries("error")
    }


def _signature(entry: Entry) -> str:
    return f"{entry['name']}({','.join(map(canonical_type, entry['inputs']))})"


def _entries(kind: str) -> list[tuple[str, Entry]]:
    return [
        (contract, entry)
        for contract, group in _document().items()
        for entry in group
        if entry["type"] == kind
    ]
