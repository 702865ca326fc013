"""The blocks that hold no content: file nodes, directories, shards, made from a layout and digests."""

from __future__ import annotations

from fpin.ipld import dagpb, hamt, protobuf, unixfs, varint
from fpin.pack.layout import EMPTY_DIRECTORY, Layout
from fpin.pack.tree import FILE, SYMLINK

DIGEST = 32  # bytes


def make_block(layout: Layout, digests: bytes | bytearray | memoryview, block: int) -> bytes:
    """Return the block with that number: any but the leaf of a file.

    *digests* holds 32 bytes for each block of the layout; those of all blocks below this one must be set.
    """
    entry = layout.entry_at(block)
    if layout.tree.kinds[entry] == SYMLINK:
        return _symlink(layout.tree.targets[entry])
    if layout.tree.kinds[entry] == FILE:
        return _file_node(layout, digests, entry, block)
    if entry in layout.shardings:
        return _shard(layout, digests, entry, block - layout.first_blocks[entry])
    return _directory(layout, digests, entry)


def _symlink(target: bytes) -> bytes:
    message = unixfs.UnixFs(kind=unixfs.Kind.SYMLINK, data=target)
    return protobuf.bytes_field(1, unixfs.encode(message))


def section(prefix: bytes, digest: bytes, block: bytes) -> bytes:
    """Return a block as it stands in a CAR."""
    return varint.encode(len(prefix) + DIGEST + len(block)) + prefix + digest + block


def _directory(layout: Layout, digests: bytes | bytearray | memoryview, entry: int) -> bytes:
    names, tsizes = layout.tree.names, layout.tsizes
    links = [
        dagpb.encode_link(_root_cid(layout, digests, child), names[child], tsizes[child])
        for child in layout.tree.children(entry)
    ]
    return b"".join(links) + EMPTY_DIRECTORY


def _root_cid(layout: Layout, digests: bytes | bytearray | memoryview, entry: int) -> bytes:
    end = layout.first_blocks[entry + 1] * DIGEST
    return layout.root_prefix(entry) + digests[end - DIGEST : end]


def _shard(layout: Layout, digests: bytes | bytearray | memoryview, entry: int, number: int) -> bytes:
    sharding = layout.shardings[entry]
    first = layout.first_blocks[entry]
    below = sharding.shards_below(number)
    links, buckets = [], []
    for bucket, low, high in sharding.buckets(number):
        prefix = hamt.PREFIXES[bucket]
        buckets.append(bucket)
        if high - low == 1:
            child = sharding.order[low]
            cid, name = _root_cid(layout, digests, child), prefix + layout.tree.names[child]
            links.append(dagpb.encode_link(cid, name, layout.tsizes[child]))
        else:
            shard = below.pop(0)
            start = (first + shard) * DIGEST
            cid = layout.profile.node_prefix + digests[start : start + DIGEST]
            links.append(dagpb.encode_link(cid, prefix, sharding.tsizes[shard]))
    return b"".join(links) + hamt.shard_data(buckets)


def _file_node(layout: Layout, digests: bytes | bytearray | memoryview, entry: int, block: int) -> bytes:
    shape, first = layout.shape(entry), layout.first_blocks[entry]
    level, index = shape.locate(block - first)
    below, width = level - 1, layout.profile.width
    prefix = layout.profile.node_prefix if below else layout.profile.leaf_prefix
    children = range(index * width, min((index + 1) * width, shape.rows[below].nodes))
    # Leaves of one node follow each other; between nodes stand those below them.
    start = shape.number(below, children[0])
    links, sizes = [], []
    for place, child in enumerate(children):
        number = start + place if below == 0 else shape.number(below, child)
        at = (first + number) * DIGEST
        links.append(
            dagpb.encode_link(prefix + digests[at : at + DIGEST], b"", shape.tree_size(below, child))
        )
        sizes.append(shape.content_size(below, child))
    message = unixfs.UnixFs(
        kind=unixfs.Kind.FILE, filesize=shape.content_size(level, index), blocksizes=tuple(sizes)
    )
    return b"".join(links) + protobuf.bytes_field(1, unixfs.encode(message))
