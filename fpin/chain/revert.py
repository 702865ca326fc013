"""Reverts in words: what a contract refused, and the way out.

Reads raw revert bytes, the text forms that nodes print, and either of them inside a provider's HTTP body. The
sentences are data (`reverts.json`). Knows no node.
"""

from __future__ import annotations

import json
import re
import string
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from fpin.chain.abi import ErrorEntry, decode_values, error_by_name, error_by_selector
from fpin.errors import ChainError, FpinError, PermissionMissing, Reverted, Unaffordable
from fpin.units import format_epochs, short_token
from fpin.values import dataclass

# Nodes print: message execution failed (exit=[33], revert reason=[…], vm error=[…])
_BRACKETS = re.compile(r"(?:vm error|revert reason)=\[(.*?)\]", re.DOTALL)
_HEX = re.compile(r"0x((?:[0-9a-fA-F]{2}){4,})")
_TEXT_ERROR = re.compile(r"Error\((.*)\)", re.DOTALL)
_NAMED = re.compile(r"\b([A-Z][A-Za-z0-9_]+)\(([^()]*)\)")
_CLASSES: Mapping[str, type[FpinError]] = {"funds": Unaffordable, "approval": PermissionMissing}


@dataclass(frozen=True, slots=True, kw_only=True)
class Revert:
    """Why a contract refused.

    *name* is the error's name; "Error" for a text, "Panic" for a compiler check, "Unknown" for a selector
    that the tables do not have, and "" when no reason came (a function that does not exist answers so too).
    *args* are its arguments by name. *sentence* stands alone; *hint* says what to do.
    """

    name: str
    args: Mapping[str, object]
    sentence: str
    hint: str | None = None
    error_class: type[FpinError] = Reverted

    @property
    def is_empty(self) -> bool:
        return self.name == ""

    def error(self, doing: str) -> FpinError:
        """Return the exception for this revert while *doing* something ("creating a data set").

        Its class is what a caller can do about it: `Unaffordable`, `PermissionMissing` or `Reverted`.
        """
        values = {key: str(value) for key, value in self.args.items()}
        return self.error_class(
            f"{doing}: {self.sentence}", hint=self.hint, revert=self.name or None, arguments=values
        )


def decode_revert(answer: bytes | str) -> Revert | None:
    """Return the revert in *answer*; None when a text holds none.

    Bytes are revert data and always give one. Texts are node messages or HTTP bodies of any kind.
    """
    if isinstance(answer, bytes):
        return _from_bytes(answer)
    for inner in _BRACKETS.findall(answer):
        data = _HEX.fullmatch(inner)
        found = _from_bytes(bytes.fromhex(data[1])) if data else _from_text(inner)
        if found is not None:
            return found
    return _from_text(answer)


def _from_text(text: str) -> Revert | None:
    for match in _HEX.finditer(text):
        data = bytes.fromhex(match[1])
        if len(data) % 32 == 4 and error_by_selector(data[:4]) is not None:
            return _from_bytes(data)
    for match in _NAMED.finditer(text):
        entry = error_by_name(match[1])
        if entry is not None and entry.name not in ("Error", "Panic"):
            return _from_printed(entry, match[2])
    printed = _TEXT_ERROR.search(text)
    message = printed[1] if printed else text
    known = _known_text(message)
    if known is not None:
        return known
    return _text_revert(message) if printed else None


def _from_bytes(data: bytes) -> Revert:
    if not data:
        return Revert(name="", args={}, sentence="the contract refused and gave no reason")
    entry = error_by_selector(data[:4])
    if entry is None:
        shown = data[:4].hex()
        return Revert(
            name="Unknown",
            args={"data": "0x" + data.hex()},
            sentence=f"the contract refused for a reason this version does not know (0x{shown})",
        )
    try:
        values = decode_values(entry.inputs, data[4:], entry.name)
    except ChainError:
        return Revert(name=entry.name, args={}, sentence=f"the contract refused: {entry.name}")
    args = {param["name"]: value for param, value in zip(entry.inputs, values, strict=True)}
    if entry.name == "Error":
        message = str(args["message"])
        return _known_text(message) or _text_revert(message)
    if entry.name == "Panic":
        words = _words()["panics"].get(str(args["code"]), "a check of the compiler failed")
        return Revert(name="Panic", args=args, sentence=f"the contract broke off: {words}")
    return _worded(entry.name, args, _words()["errors"].get(entry.name, {}))


def _from_printed(entry: ErrorEntry, arguments: str) -> Revert:
    """Read ``Name(0xabc, 12, 34)``, which libraries print; types are guessed from the look of the values."""
    parts = [part.strip() for part in arguments.split(",")] if arguments.strip() else []
    if len(parts) != len(entry.inputs):
        return Revert(name=entry.name, args={}, sentence=f"the contract refused: {entry.name}")
    values = [int(part) if part.isdecimal() else part for part in parts]
    args = {param["name"]: value for param, value in zip(entry.inputs, values, strict=True)}
    return _worded(entry.name, args, _words()["errors"].get(entry.name, {}))


def _known_text(message: str) -> Revert | None:
    for words in _words()["texts"]:
        if words["has"] in message:
            return _worded("Error", {"message": message}, words)
    return None


def _text_revert(message: str) -> Revert:
    return Revert(name="Error", args={"message": message}, sentence=f"the contract refused: {message}")


def _worded(name: str, args: Mapping[str, object], words: Mapping[str, Any]) -> Revert:
    shown = dict(args)
    required, available = args.get("required"), args.get("available")
    if isinstance(required, int) and isinstance(available, int):
        shown["missing"] = max(0, required - available)
    try:
        sentence = _Words().vformat(words["says"], (), shown)
    except (KeyError, ValueError, TypeError):  # an argument printed by somebody else may be anything
        sentence = f"the contract refused: {name}"
    return Revert(
        name=name,
        args=args,
        sentence=sentence,
        hint=_words()["hints"].get(words.get("hint")),
        error_class=_CLASSES.get(words.get("class", ""), Reverted),
    )


class _Words(string.Formatter):
    """Understands what `reverts.json` may put behind a colon: usdfc, held, epochs, field."""

    def format_field(self, value: Any, format_spec: str) -> str:
        if format_spec == "usdfc":
            return short_token(int(value))
        if format_spec == "held":  # rounded down: nobody has more than they have
            return short_token(int(value) - int(value) % 10**14)
        if format_spec == "epochs":
            return format_epochs(int(value))
        if format_spec == "field":
            fields: list[str] = _words()["address_fields"]
            return fields[value] if value < len(fields) else f"field {value}"
        return str(super().format_field(value, format_spec))


@cache
def _words() -> Mapping[str, Any]:
    text = resources.files("fpin.chain").joinpath("reverts.json").read_text("utf-8")
    words: Mapping[str, Any] = json.loads(text)
    return words
