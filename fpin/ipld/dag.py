"""Which blocks a block leads to, for every codec fpin can read; knows nothing of where blocks are kept."""

from __future__ import annotations

from fpin.ipld import cid as cids
from fpin.ipld import dagcbor, dagpb

READABLE = frozenset({cids.RAW, cids.DAG_PB, cids.DAG_CBOR, cids.DAG_JSON})


def links(cid: bytes, data: bytes) -> list[bytes]:
    """Return the CIDs that the block *data* of *cid* links to, in order, repeats included.

    A codec that fpin cannot read has no known links. Raises ValueError when the block does not decode.
    """
    codec = cids.codec_of(cid)
    if codec == cids.DAG_PB:
        return [link.cid for link in dagpb.decode(data).links]
    if codec == cids.DAG_CBOR:
        return dagcbor.links(dagcbor.decode(data))
    if codec == cids.DAG_JSON:
        return _json_links(data)
    return []


def _json_links(data: bytes) -> list[bytes]:
    from fpin.ipld.jsonbytes import read_json  # rare here, and 7 ms to import

    found: list[bytes] = []

    def visit(value: object) -> None:
        if isinstance(value, list):
            for item in value:
                visit(item)
        elif isinstance(value, dict):
            link = value.get("/")
            if len(value) == 1 and isinstance(link, str):
                found.append(cids.parse_cid(link))
            else:
                visit(list(value.values()))

    visit(read_json(data))
    return found
