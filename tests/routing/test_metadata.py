"""Metadata bytes against the table of spec routing-and-retrieval §1.5."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fpin.routing import metadata

CASES = json.loads((Path(__file__).parents[1] / "vectors" / "ipni.json").read_text("utf-8"))["metadata"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_metadata_names_its_protocols(case: dict[str, Any]) -> None:
    found = metadata.decode(bytes.fromhex(case["hex"]))
    assert [protocol.name for protocol in found.protocols] == case["protocols"]
    assert found.http_retrievable is case["http"]
    assert found.rest == b""


@pytest.mark.parametrize("text", ["80", "a01205", "9012bf", "818080f40190", "a0120102"])
def test_what_cannot_be_read_is_kept(text: str) -> None:
    data = bytes.fromhex(text)
    found = metadata.decode(data)
    assert found.rest
    assert data.endswith(found.rest)


@given(st.binary(max_size=1024))
def test_no_bytes_make_it_raise(data: bytes) -> None:
    metadata.decode(data)
