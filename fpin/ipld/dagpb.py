"""dag-pb nodes: links and data to a block and back; knows nothing of UnixFS.

Names are `str`; bytes that are not UTF-8 come out as lone surrogates, the way Python treats file
names, so that reading loses nothing and a name can be refused where it matters.
"""

from __future__ import annotations

from fpin.ipld import cid as cids
from fpin.ipld import protobuf
from fpin.values import dataclass


@dataclass(frozen=True, slots=True)
class Link:
    """A named link; *tsize* is the size of the child's blocks counted with repeats, never to be trusted."""

    cid: bytes
    name: str = ""
    tsize: int = 0


@dataclass(frozen=True, slots=True)
class Node:
    """A dag-pb node; *data* is None where the field is absent, which is not the same as empty."""

    links: tuple[Link, ...] = ()
    data: bytes | None = None


def encode_link(cid: bytes, name: bytes, tsize: int) -> bytes:
    """Return a link as it stands in a block: all three fields are written, also when empty."""
    number = protobuf.uvarint(tsize)
    length = 5 + len(cid) + len(name) + len(number)
    if length < 128:  # then every length in it takes one byte: nearly always, and this is a hot place
        parts = (length, len(cid), cid, len(name), name, number)
        return b"\x12%c\x0a%c%b\x12%c%b\x18%b" % parts
    body = protobuf.bytes_field(1, cid) + protobuf.bytes_field(2, name) + b"\x18" + number
    return protobuf.bytes_field(2, body)


def encode(node: Node) -> bytes:
    """Return the block of *node*: links in the order given, then data.

    >>> encode(Node(data=bytes.fromhex("0801"))).hex()      # the empty directory
    '0a020801'
    """
    links = b"".join(
        encode_link(link.cid, link.name.encode("utf-8", "surrogateescape"), link.tsize) for link in node.links
    )
    return links if node.data is None else links + protobuf.bytes_field(1, node.data)


def decode(block: bytes) -> Node:
    """Return the node in *block*, read strictly.

    Data may stand before or after the links. Raises ValueError for anything else: links on both sides of
    the data, data twice, fields that are unknown, out of order or of the wrong type, a missing CID.
    """
    links: list[Link] = []
    data: bytes | None = None
    closed = False  # links have been seen and data came after them
    for field, wire, value in protobuf.fields(block):
        if not isinstance(value, bytes) or wire != protobuf.BYTES or field not in (1, 2):
            raise ValueError(f"dag-pb node has a field {field} that does not belong there")
        if field == 2:
            if closed:
                raise ValueError("dag-pb links stand on both sides of the data")
            links.append(_decode_link(value))
        elif data is not None:
            raise ValueError("dag-pb node has two data fields")
        else:
            data, closed = value, bool(links)
    return Node(tuple(links), data)


def _decode_link(message: bytes) -> Link:
    cid, name, tsize, last = b"", "", 0, 0
    for field, wire, value in protobuf.fields(message):
        if field <= last:
            raise ValueError("dag-pb link has fields out of order")
        last = field
        if field == 1 and wire == protobuf.BYTES and isinstance(value, bytes):
            cid, end = cids.read_cid(value)
            if end != len(value):
                raise ValueError("dag-pb link has bytes after its CID")
        elif field == 2 and wire == protobuf.BYTES and isinstance(value, bytes):
            name = value.decode("utf-8", "surrogateescape")
        elif field == 3 and isinstance(value, int):
            tsize = value
        else:
            raise ValueError(f"dag-pb link has a field {field} that does not belong there")
    if not cid:
        raise ValueError("dag-pb link has no CID")
    return Link(cid, name, tsize)
