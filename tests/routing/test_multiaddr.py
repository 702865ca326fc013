"""Multiaddrs against the table and the announcement of spec routing-and-retrieval §1.8 and §3.11."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fpin.routing.multiaddr import Multiaddr, normalise_url, url_of

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "multiaddr.json").read_text("utf-8"))


@pytest.mark.parametrize("case", VECTORS["urls"], ids=lambda case: case["multiaddr"])
def test_a_multiaddr_becomes_the_url_of_the_table(case: dict[str, str]) -> None:
    assert Multiaddr.parse(case["multiaddr"]).to_url() == case["url"]


@pytest.mark.parametrize("case", VECTORS["urls"], ids=lambda case: case["multiaddr"])
def test_the_binary_form_keeps_the_whole_address(case: dict[str, str]) -> None:
    address = Multiaddr.parse(case["multiaddr"])
    assert Multiaddr.from_bytes(address.to_bytes()) == address


@pytest.mark.parametrize("case", VECTORS["binary"], ids=lambda case: case["id"])
def test_the_binary_form_is_the_published_one(case: dict[str, str]) -> None:
    address = Multiaddr.parse(case["multiaddr"])
    assert address.to_bytes().hex() == case["hex"]
    assert str(Multiaddr.from_bytes(bytes.fromhex(case["hex"]))) == case["multiaddr"]


def test_a_peer_id_at_the_end_does_not_change_the_url() -> None:
    peer = "12D3KooWA4Xop1JaT3MHxwYMkCepYsv4iPVopMXwCz5iHYdBfeSB"
    assert url_of(f"/dns/sp.example.com/tcp/443/https/p2p/{peer}") == "https://sp.example.com"


@pytest.mark.parametrize(
    "text",
    ["", "sp.example.com", "/dns", "/dns/", "/tcp/http", "/tcp/65536", "/ip4/1.2.3", "/ip6/1.2.3.4",
     "/carrier-pigeon/x", "/p2p/hello", "/dns/h/tcp/443/https/extra"],
)  # fmt: skip
def test_what_is_no_multiaddr_is_refused_and_has_no_url(text: str) -> None:
    with pytest.raises(ValueError):
        Multiaddr.parse(text)
    assert url_of(text) is None


@given(st.binary(max_size=40))
def test_any_bytes_are_an_address_or_a_value_error(data: bytes) -> None:
    try:
        address = Multiaddr.from_bytes(data)
    except ValueError:
        return
    assert address.to_bytes() == data


@pytest.mark.parametrize(
    ("url", "same"),
    [
        ("HTTPS://SP.Example.com:443//foo/", "https://sp.example.com/foo"),
        ("http://sp.example.com:80", "http://sp.example.com"),
        ("https://sp.example.com./", "https://sp.example.com"),
        ("http://[::1]:7001/", "http://[::1]:7001"),
        ("https://user@sp.example.com/a?b#c", "https://sp.example.com/a"),
        ("ftp://sp.example.com", None),
        ("https://", None),
        ("https://sp.example.com:99999", None),
        ("https://[::1", None),
    ],
)
def test_urls_are_compared_in_one_form(url: str, same: str | None) -> None:
    assert normalise_url(url) == same
    assert url_of(url) == same
