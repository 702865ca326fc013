"""An importer and a packer in the plainest form, to hold the real ones against: recursive, all in memory.

Shares with them only the codecs of `fpin.ipld`, which have vectors of their own.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fpin.ipld import car, dagpb, hamt, unixfs
from fpin.ipld import cid as cids
from fpin.ipld.unixfs import Kind, UnixFs
from fpin.pack import Profile

Node = bytes | str | Mapping[bytes, "Node"]  # a file, the target of a link, a directory


@dataclass(frozen=True)
class Made:
    """A block just made, and what a link to it says."""

    cid: bytes
    tsize: int
    content: int = 0


class Importer:
    """Makes blocks in order into `blocks`."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.blocks: list[tuple[bytes, bytes]] = []

    def add(self, node: Node) -> Made:
        if isinstance(node, bytes):
            return self.file(node)
        if isinstance(node, str):
            return self.put_node(UnixFs(kind=Kind.SYMLINK, data=os.fsencode(node)), [])
        return self.directory({name: self.add(node[name]) for name in sorted(node)})

    def put(self, codec: int, block: bytes, below: int, content: int = 0) -> Made:
        digest = hashlib.sha256(block).digest()
        cid = cids.sha256_cid(codec, digest) if self.profile.cid_version else b"\x12\x20" + digest
        self.blocks.append((cid, block))
        return Made(cid, below + len(block), content)

    def put_node(self, message: UnixFs, links: list[tuple[bytes, Made]]) -> Made:
        made = [dagpb.Link(child.cid, os.fsdecode(name), child.tsize) for name, child in links]
        block = dagpb.encode(dagpb.Node(tuple(made), unixfs.encode(message)))
        return self.put(cids.DAG_PB, block, sum(child.tsize for _, child in links), message.filesize or 0)

    def file(self, data: bytes) -> Made:
        leaves = max(1, -(-len(data) // self.profile.chunk_size))
        level = 0
        while self.profile.width**level < leaves:
            level += 1
        return self.file_node(data, level)

    def file_node(self, data: bytes, level: int) -> Made:
        if level == 0:
            if self.profile.raw_leaves:
                return self.put(cids.RAW, data, 0, len(data))
            return self.put_node(UnixFs(kind=Kind.FILE, data=data, filesize=len(data)), [])
        step = self.profile.chunk_size * self.profile.width ** (level - 1)
        below = [self.file_node(data[start : start + step], level - 1) for start in range(0, len(data), step)]
        message = UnixFs(
            kind=Kind.FILE, filesize=len(data), blocksizes=tuple(child.content for child in below)
        )
        return self.put_node(message, [(b"", child) for child in below])

    def directory(self, entries: dict[bytes, Made]) -> Made:
        links = [dagpb.Link(made.cid, os.fsdecode(name), made.tsize) for name, made in entries.items()]
        if self.profile.hamt_estimate == "block-bytes":
            message = unixfs.encode(UnixFs(kind=Kind.DIRECTORY))
            estimate = len(dagpb.encode(dagpb.Node(tuple(links), message)))
        else:
            estimate = sum(len(name) + len(made.cid) for name, made in entries.items())
        if estimate > self.profile.hamt_threshold:
            return self.shard(entries, 0)
        return self.put_node(UnixFs(kind=Kind.DIRECTORY), list(entries.items()))

    def shard(self, entries: dict[bytes, Made], level: int) -> Made:
        buckets: dict[int, dict[bytes, Made]] = {}
        for name, made in entries.items():
            digits = f"{hamt.name_hash(name):016x}"
            buckets.setdefault(int(digits[2 * level : 2 * level + 2], 16), {})[name] = made
        links = []
        for bucket in sorted(buckets):
            prefix = f"{bucket:02X}".encode()
            if len(buckets[bucket]) == 1:
                [(name, made)] = buckets[bucket].items()
                links.append((prefix + name, made))
            else:
                links.append((prefix, self.shard(buckets[bucket], level + 1)))
        field = sum(1 << bucket for bucket in buckets)
        data = field.to_bytes(32, "big").lstrip(b"\0")
        message = UnixFs(kind=Kind.HAMT, data=data, hash_type=0x22, fanout=256)
        return self.put_node(message, links)


def pack(node: Node, profile: Profile, limit: int) -> tuple[bytes, list[bytes]]:
    """Return the root CID and the CARs: cut before blocks that are equal are dropped from each."""
    importer = Importer(profile)
    root = importer.add(node).cid
    head = car.header([root])
    cars: list[list[tuple[bytes, bytes]]] = [[]]
    size = len(head)
    for cid, data in importer.blocks:
        section = len(car.section_prefix(cid, len(data)) + data)
        if size + section > limit:
            cars.append([])
            size = len(head)
        cars[-1].append((cid, data))
        size += section
    return root, [_padded(head, dict(blocks)) for blocks in cars]


def _padded(head: bytes, blocks: dict[bytes, bytes]) -> bytes:
    out = head + b"".join(car.section_prefix(cid, len(data)) + data for cid, data in blocks.items())
    if len(out) < 127:
        for cid, data in ((cids.cid_of(cids.RAW, b""), b""), (cids.cid_of(cids.DAG_PB, EMPTY), EMPTY)):
            if cid not in blocks:
                return out + car.section_prefix(cid, len(data)) + data
    return out


EMPTY = bytes.fromhex("0a020801")


def write(node: Node, path: Path) -> None:
    """Put *node* on disk at *path*; an existing directory is filled."""
    if isinstance(node, bytes):
        path.write_bytes(node)
    elif isinstance(node, str):
        path.symlink_to(node)
    else:
        path.mkdir(exist_ok=True)
        for name, child in node.items():
            write(child, path / os.fsdecode(name))
