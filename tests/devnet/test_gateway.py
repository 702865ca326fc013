"""The gateway's answers against the block sequences that gateway-conformance demands; headers and errors."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from fpin.devnet.gateway import Gateway
from fpin.devnet.server import Server, bind, url_of
from fpin.ipld.car import read_car
from fpin.ipld.cid import format_cid, multihash_of, parse_cid

FOLDER = Path(__file__).parent / "fixtures" / "gateway"
DATA: dict[str, Any] = json.loads((FOLDER / "cases.json").read_text(encoding="utf-8"))
NAMES: dict[str, str] = DATA["names"]
CASES: list[dict[str, str]] = DATA["cases"]
HELLO = NAMES["hello"]


class Memory:
    """Blocks in a dictionary."""

    def __init__(self) -> None:
        self.blocks: dict[bytes, bytes] = {}

    def get(self, multihash: bytes) -> bytes | None:
        return self.blocks.get(multihash)

    def has(self, multihash: bytes) -> bool:
        return multihash in self.blocks


@pytest.fixture(scope="module")
def store() -> Memory:
    memory = Memory()
    for path in sorted(FOLDER.glob("*.car")):
        with path.open("rb") as file:
            memory.blocks.update((multihash_of(block.cid), block.data) for block in read_car(file))
    return memory


@pytest.fixture(scope="module")
def http(store: Memory) -> Iterator[httpx.Client]:
    bound = bind()
    server = Server({bound: Gateway(store)})
    server.start()
    with httpx.Client(base_url=url_of(bound), trust_env=False, headers={"Accept": ""}) as client:
        yield client
    server.stop()


def sections(body: bytes) -> list[str]:
    return [format_cid(block.cid) for block in read_car(io.BytesIO(body))]


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_a_car_holds_exactly_the_demanded_blocks_in_order(http: httpx.Client, case: dict[str, str]) -> None:
    answer = http.get(f"/ipfs/{NAMES[case['root']]}{case['path']}?format=car{case['query']}")
    assert answer.status_code == 200
    found = sections(answer.content)
    if "blocks" in case:
        assert found == [NAMES[name] for name in case["blocks"].split()]
    else:
        assert found[0] == NAMES[case["starts"]]
        assert NAMES["multi"] not in found


def test_the_entity_of_a_hamt_is_all_its_shards_and_no_file(http: httpx.Client, store: Memory) -> None:
    found = sections(http.get(f"/ipfs/{NAMES['hamt']}?format=car&dag-scope=entity").content)
    whole = sections(http.get(f"/ipfs/{NAMES['hamt']}?format=car&car-dups=n").content)
    files = {NAMES[name] for name in ("multi", "m0", "m1", "m2", "m3", "m4")}
    assert found == [cid for cid in whole if cid not in files]
    assert len(whole) == 243  # every block of the fixture


def test_raw_gives_the_block_and_says_so(http: httpx.Client) -> None:
    answer = http.get(f"/ipfs/{HELLO}", headers={"Accept": "application/vnd.ipld.raw"})
    assert answer.content == b"hello world\n"
    assert answer.headers["content-type"] == "application/vnd.ipld.raw"
    assert answer.headers["content-disposition"] == f'attachment; filename="{HELLO}.bin"'
    assert answer.headers["content-length"] == "12"
    assert answer.headers["content-location"] == f"/ipfs/{HELLO}?format=raw"
    assert "accept-ranges" not in answer.headers


def test_a_car_answer_carries_the_headers_of_a_trustless_gateway(http: httpx.Client) -> None:
    answer = http.get(f"/ipfs/{HELLO}?format=car")
    expected = {
        "content-type": "application/vnd.ipld.car;version=1;order=dfs;dups=y",
        "content-disposition": f'attachment; filename="{HELLO}.car"',
        "cache-control": "public, max-age=29030400, immutable",
        "x-content-type-options": "nosniff",
        "x-ipfs-path": f"/ipfs/{HELLO}",
        "x-ipfs-roots": HELLO,
        "accept-ranges": "none",
        "vary": "Accept, Accept-Encoding",
    }
    assert {name: answer.headers[name] for name in expected} == expected
    assert answer.headers["etag"].startswith(f'W/"{HELLO}.car.')
    assert "content-location" not in answer.headers


def test_different_answers_have_different_etags(http: httpx.Client) -> None:
    queries = ["", "&dag-scope=block", "&car-dups=n", "&dag-scope=entity&entity-bytes=0:1"]
    etags = {http.get(f"/ipfs/{HELLO}?format=car{query}").headers["etag"] for query in queries}
    assert len(etags) == 4


@pytest.mark.parametrize(
    ("accept", "query", "content_type"),
    [
        ("application/vnd.ipld.car; version=1; order=dfs; dups=n", "", "version=1;order=dfs;dups=n"),
        ("application/vnd.ipld.car; order=unk", "", "version=1;order=unk;dups=y"),
        ("application/vnd.ipld.car; order=unk; dups=n", "format=car&car-order=dfs", "order=dfs;dups=n"),
        ("application/vnd.ipld.car; dups=n", "car-dups=y", "order=dfs;dups=y"),
        ("application/vnd.ipld.raw", "format=car", "version=1;order=dfs;dups=y"),
        ("application/vnd.ipld.raw;q=0.5, application/vnd.ipld.car;q=0.9", "", "vnd.ipld.car"),
        ("*/*", "", "application/vnd.ipld.car;version=1;order=dfs;dups=y"),
        ("text/html, application/*;q=0.1", "", "application/vnd.ipld.car"),
        ("application/vnd.ipld.car", "format=raw", "application/vnd.ipld.raw"),
    ],
)
def test_query_and_accept_header_choose_the_form(
    http: httpx.Client, accept: str, query: str, content_type: str
) -> None:
    answer = http.get(f"/ipfs/{HELLO}?{query}", headers={"Accept": accept})
    assert content_type in answer.headers["content-type"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"/ipfs/{HELLO}", 400),
        ("/ipfs/", 404),
        ("/ipfs/nonsense?format=car", 400),
        (f"/ipfs/{HELLO}?format=tar", 400),
        (f"/ipfs/{HELLO}?format=car&dag-scope=some", 400),
        (f"/ipfs/{HELLO}?format=car&entity-bytes=x", 400),
        (f"/ipfs/{HELLO}?format=car&entity-bytes=9:3", 400),
        (f"/ipfs/{HELLO}?format=car&car-version=2", 400),
        (f"/ipfs/{HELLO}?format=car&car-dups=maybe", 400),
        (f"/ipfs/{HELLO}?format=car&filename=x.bin", 400),
        (f"/ipfs/{NAMES['two']}/subdir?format=raw", 400),
        ("/ipfs/bafkreie7q3iidccmpvszul7kudcvvuavuo7u6gzlbobczuk5nqk3b4akba?format=raw", 404),
        ("/ipfs/bafkreie7q3iidccmpvszul7kudcvvuavuo7u6gzlbobczuk5nqk3b4akba?format=car", 404),
    ],
)
def test_requests_that_cannot_be_answered_say_why(http: httpx.Client, path: str, status: int) -> None:
    answer = http.get(path)
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.text


def test_a_filename_replaces_the_name_and_cannot_break_the_header(http: httpx.Client) -> None:
    answer = http.get(f"/ipfs/{HELLO}", params={"format": "car", "filename": 'a"é.car'})
    assert answer.headers["content-disposition"] == 'attachment; filename="a__.car"'


def test_only_if_cached_turns_a_miss_into_412(http: httpx.Client) -> None:
    missing = "/ipfs/bafkreie7q3iidccmpvszul7kudcvvuavuo7u6gzlbobczuk5nqk3b4akba?format=car"
    assert http.get(missing, headers={"Cache-Control": "only-if-cached"}).status_code == 412


def test_the_probe_cid_always_answers(http: httpx.Client) -> None:
    assert http.get("/ipfs/bafkqaaa?format=raw").content == b""
    answer = http.get("/ipfs/bafkqaaa?format=car")
    reader = read_car(io.BytesIO(answer.content))
    assert reader.roots == (parse_cid("bafkqaaa"),)
    assert [*reader] == []


def test_identity_blocks_are_given_raw_and_never_put_into_a_car(http: httpx.Client) -> None:
    inline = "bafkqaf3imvwgy3zaneqgc3janfxgy2lomvscay3jmqfa"
    assert http.get(f"/ipfs/{inline}?format=raw").content == b"hello i am inlined cid\n"
    assert sections(http.get(f"/ipfs/{inline}?format=car").content) == []


def test_head_has_the_headers_and_no_body(http: httpx.Client) -> None:
    answer = http.head(f"/ipfs/{HELLO}?format=car")
    assert (answer.status_code, answer.content) == (200, b"")
    assert "vnd.ipld.car" in answer.headers["content-type"]
    assert http.head(f"/ipfs/{NAMES['missing/0']}?format=raw").status_code == 200
    assert http.post(f"/ipfs/{HELLO}?format=car").status_code == 405


def test_cids_of_any_version_and_codec_find_the_block(http: httpx.Client) -> None:
    v0 = NAMES["missing/0"]
    raw = http.get(f"/ipfs/{v0}?format=raw").content
    as_v1 = format_cid(b"\x01\x70" + parse_cid(v0))
    as_raw = format_cid(b"\x01\x55" + parse_cid(v0))
    assert http.get(f"/ipfs/{as_v1}?format=raw").content == raw
    assert http.get(f"/ipfs/{as_raw}?format=raw").content == raw


def test_an_encoded_slash_belongs_to_a_name(http: httpx.Client) -> None:
    found = sections(http.get(f"/ipfs/{NAMES['two']}/subdir%2Fascii.txt?format=car").content)
    assert found == [NAMES["two"]]
