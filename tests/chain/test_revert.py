from __future__ import annotations

import json
import string
from importlib import resources
from typing import Any

import pytest
from eth_abi.abi import encode

from fpin import errors
from fpin.chain.abi import error_by_name, error_by_selector
from fpin.chain.keccak import keccak
from fpin.chain.revert import Revert, decode_revert
from tests.chain.vectors import load

VECTORS = load("reverts.json")
WORDS: dict[str, Any] = json.loads(resources.files("fpin.chain").joinpath("reverts.json").read_text("utf-8"))


def decode(case: dict[str, Any]) -> Revert | None:
    if "bytes" in case:
        return decode_revert(bytes.fromhex(case["bytes"][2:]))
    return decode_revert(case["text"])


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: case["id"])
def test_reverts_are_understood_in_every_form_they_come_in(case: dict[str, Any]) -> None:
    revert = decode(case)
    if case["name"] is None:
        assert revert is None
        return
    assert revert is not None
    assert revert.name == case["name"]
    error = revert.error("creating a data set")
    assert type(error) is getattr(errors, case["class"])
    assert error.message.startswith("creating a data set: ")
    for words in case["says"]:
        assert words in error.message
    assert case.get("hint", "") in (error.hint or "")
    json.dumps(error.values)


@pytest.mark.parametrize("row", VECTORS["selectors"], ids=lambda row: row["error"])
def test_every_published_error_is_known_by_its_selector(row: dict[str, str]) -> None:
    selector = bytes.fromhex(row["selector"])
    assert keccak(row["error"].encode())[:4] == selector
    entry = error_by_selector(selector)
    assert entry is not None
    assert entry.name == row["error"].partition("(")[0]


@pytest.mark.parametrize("row", VECTORS["selectors"], ids=lambda row: row["error"])
def test_every_error_has_a_sentence_that_fits_its_arguments(row: dict[str, str]) -> None:
    name = row["error"].partition("(")[0]
    if name in ("Error", "Panic"):
        return
    words, entry = WORDS["errors"][name], error_by_name(name)
    assert entry is not None
    known = {param["name"] for param in entry.inputs}
    used = {field for _, field, _, _ in string.Formatter().parse(words["says"]) if field}
    assert used <= known | ({"missing"} if {"required", "available"} <= known else set())
    assert words.get("hint") is None or words["hint"] in WORDS["hints"]
    assert words.get("class") in (None, "funds", "approval")


@pytest.mark.parametrize("row", VECTORS["told"], ids=lambda row: f"{row['error']} {row['says']}")
def test_what_users_meet_most_is_said_with_the_way_out(row: dict[str, Any]) -> None:
    types = row["error"].partition("(")[2].rstrip(")").split(",")
    values = [int(arg) if kind == "uint256" else arg for kind, arg in zip(types, row["args"], strict=True)]
    data = keccak(row["error"].encode())[:4] + encode(types, values)
    # As bytes, and as a node prints it in the middle of its message.
    for form in (data, f"message execution failed (exit=[33], revert reason=[0x{data.hex()}], vm error=[…])"):
        revert = decode_revert(form)
        assert revert is not None
        error = revert.error("adding")
        assert type(error) is getattr(errors, row["class"])
        assert row["says"] in error.message
        assert row["hint"] in (error.hint or "")


def test_zero_words_decode_into_a_sentence_for_every_error() -> None:
    for row in VECTORS["selectors"]:
        name = row["error"].partition("(")[0]
        entry = error_by_name(name)
        assert entry is not None
        if any(param["type"] == "string" for param in entry.inputs):
            continue  # zeros are no string
        revert = decode_revert(bytes.fromhex(row["selector"]) + bytes(32 * len(entry.inputs)))
        assert revert is not None
        assert revert.name == name
        assert name in ("Error", "Panic") or name not in revert.sentence  # worded, not just named


def test_a_revert_shows_where_amounts_come_short_never_rounding_a_need_down() -> None:
    data = "0xdae03403" + "11".rjust(64, "0") + f"{10**18 + 1:064x}" + f"{10**18 - 1:064x}"
    revert = decode_revert(bytes.fromhex(data[2:]))
    assert revert is not None
    assert "0.9999 USDFC free" in revert.sentence
    assert "1.0001 USDFC must be locked" in revert.sentence
    assert "at least 0.0001 USDFC" in revert.sentence
