"""Files and trees to import, made from a seed: sizes at every border, odd names, links, folders at the HAMT.

Knows which borders there are; knows no CID.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from fpin.pack import Profile

_SEED = 499
_KIB, _MIB = 2**10, 2**20
_V0_NODE = 174 * 256 * _KIB  # bytes below one full node of the older profile
ODD_NAMES = (
    b"with space",
    b" leading and trailing ",
    b"new\nline",
    b"tab\tname",
    b"quote'\"`",
    b"back\\slash",
    b"percent%2Fencoded",
    b"question?hash#",
    b"-rf",
    b"--",
    b"...",
    b".hidden",
    b"~",
    b"*",
    b"CON",
    b"emoji \xf0\x9f\x90\xb3",
    b"composed \xc3\xa9",
    b"decomposed e\xcc\x81",
    b"right to left \xd7\xa9\xd7\x9c",
    b"zero\xe2\x80\x8bwidth",
    b"control\x01\x7f",
    b"x" * 255,
    ("é" * 127).encode(),
    b"0" * 254 + b"F",
    b"FF",  # as a shard's own link is called
    b"00a",
)


def write(folder: Path) -> list[str]:
    """Fill *folder* with one entry for each case, a file or a tree; their names, sorted."""
    chance = random.Random(_SEED)
    for number, make in enumerate(_cases(chance)):
        make(folder / f"case-{number:03}")
    return sorted(path.name for path in folder.iterdir())


def threshold_folder(folder: Path, profile: Profile, over: int) -> None:
    """A folder of empty files whose size, as *profile* estimates it, is the threshold and *over* bytes."""
    folder.mkdir()
    left = profile.hamt_threshold + over - (4 if profile.hamt_estimate == "block-bytes" else 0)
    number = 0
    while left:
        # Never so long a name that what is left is too little for one more.
        lefts = {name: left - _link(profile, name) for name in range(200, 4, -1)}
        name = next(name for name, then in lefts.items() if then == 0 or then > 60)
        (folder / f"{number:05}".ljust(name, "n")).touch()
        left = lefts[name]
        number += 1


def _link(profile: Profile, name: int) -> int:
    """What a link to an empty file adds to the estimate."""
    if profile.hamt_estimate == "links-bytes":
        return name + profile.cid_size
    size = 2 + profile.cid_size + 1 + (1 if name < 128 else 2) + name + 2
    return size + 1 + (1 if size < 128 else 2)


def _cases(chance: random.Random) -> Iterator[Callable[[Path], object]]:
    for size in _sizes(chance):
        yield partial(Path.write_bytes, data=chance.randbytes(size))
    for size in (_MIB, 3 * _MIB + 1, 176 * 256 * _KIB):
        yield partial(Path.write_bytes, data=bytes(size))  # the same block again and again
    yield partial(Path.symlink_to, target="nowhere")
    yield Path.mkdir
    for name in ODD_NAMES:
        yield partial(_odd, name=name, kind=chance.randrange(3))
    yield _all_odd
    for count in (1, 2, 255, 256, 257, 2000):
        yield partial(_flat, count=count)
    for count in (1090, 1500, 5000):
        yield partial(_sharded, count=count, chance=chance)
    for _ in range(200):
        yield partial(_random_tree, chance=chance)
    yield _deep


def _sizes(chance: random.Random) -> Iterator[int]:
    borders = [n * 256 * _KIB for n in (1, 2, 3, 4, 8, 173)] + [n * _MIB for n in (2, 3)] + [_V0_NODE]
    yield from (0, 1, 2, 13, 126, 127, 128, 129, 255, 256, 257, 16_383, 16_384, 65_535, 65_536)
    for border in borders:
        yield from (border - 1, border, border + 1)
    yield _V0_NODE + 256 * _KIB + 1
    for _ in range(20):
        yield chance.randrange(6 * _MIB)


def _odd(folder: Path, name: bytes, kind: int) -> None:
    folder.mkdir()
    path = folder / os.fsdecode(name)
    if kind == 0:
        path.write_bytes(name)
    elif kind == 1:
        path.symlink_to(os.fsdecode(name))
    else:
        path.mkdir()
        (path / os.fsdecode(name)).write_bytes(name)


def _all_odd(folder: Path) -> None:
    folder.mkdir()
    for name in ODD_NAMES:
        (folder / os.fsdecode(name)).write_bytes(name)


def _flat(folder: Path, count: int) -> None:
    folder.mkdir()
    for number in range(count):
        (folder / f"{number}").write_text(str(number % 7))


def _sharded(folder: Path, count: int, chance: random.Random) -> None:
    """More than any threshold; in it a folder, a link and a file of several blocks."""
    folder.mkdir()
    for number in range(count):
        (folder / f"{number:05}-{chance.getrandbits(64):x}".ljust(230, "-")).touch()
    (folder / "folder").mkdir()
    (folder / "folder" / "file").write_text("x")
    (folder / "link").symlink_to("folder")
    (folder / "large").write_bytes(chance.randbytes(2 * _MIB + 5))


def _deep(folder: Path) -> None:
    for _ in range(80):
        folder.mkdir()
        folder = folder / "d"
    folder.write_text("the end")


def _random_tree(folder: Path, chance: random.Random, depth: int = 0) -> None:
    folder.mkdir()
    for _ in range(chance.randrange(8 if depth else 10)):
        path = folder / _name(chance)
        if path.is_symlink() or path.exists():
            continue
        kind = chance.random()
        if kind < 0.25 and depth < 5:
            _random_tree(path, chance, depth + 1)
        elif kind < 0.4:
            path.symlink_to(chance.choice(["..", "/etc/hosts", "a/b/../c", "é", "x" * 300, _name(chance)]))
        else:
            path.write_bytes(chance.randbytes(chance.choice((0, 1, 100, chance.randrange(300_000)))))
            path.chmod(chance.choice((0o644, 0o755, 0o600, 0o444)))


def _name(chance: random.Random) -> str:
    letters = "abcXYZ019-_. éßש中🐳"
    name = "".join(chance.choice(letters) for _ in range(chance.choice((1, 2, 8, 40))))
    return name if name.strip(".") else name + "x"
