"""Small files, read many at a time: the compiled reader against the one in Python, and what stops either."""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fpin.pack import reading

_files = pytest.importorskip("fpin.pack._files", reason="built without a C compiler")
READERS = {"compiled": _files.read_files, "Python": reading.read_each}

Rows = list[tuple[bytes, os.stat_result]]


def rows(folder: Path, contents: list[bytes]) -> Rows:
    """Write a file for each of *contents*, over those of a run before."""
    found = []
    for number, content in enumerate(contents):
        path = folder / str(number)
        path.write_bytes(content)
        found.append((os.fsencode(path), path.stat()))
    return found


def read(reader: Callable[..., int], files: Rows, out: bytearray, gap: int = 0) -> int:
    places, end = array("Q"), gap
    for _, status in files:
        places.append(end)
        end += status.st_size + gap
    return reader(
        tuple(path for path, _ in files),
        array("Q", [status.st_size for _, status in files]),
        array("q", [status.st_mtime_ns for _, status in files]),
        array("Q", [status.st_ino for _, status in files]),
        places,
        memoryview(out),
        os.O_RDONLY,
    )


@given(contents=st.lists(st.binary(max_size=300), max_size=20), gap=st.integers(0, 3))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_both_readers_put_every_file_in_its_place(tmp_path: Path, contents: list[bytes], gap: int) -> None:
    files = rows(tmp_path, contents)
    wanted = b"".join(b"\xee" * gap + content for content in contents)
    for reader in READERS.values():
        out = bytearray(b"\xee" * len(wanted))
        assert read(reader, files, out, gap) == len(contents)
        assert bytes(out) == wanted


def gone(path: Path) -> None:
    path.unlink()


def shorter(path: Path) -> None:
    stamp = path.stat()
    path.write_bytes(b"ab")
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))


def longer(path: Path) -> None:
    stamp = path.stat()
    path.write_bytes(b"abcd")
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))


def touched(path: Path) -> None:
    stamp = path.stat()
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns + 1000))


def another(path: Path) -> None:
    stamp = path.stat()
    path.rename(path.with_name("moved"))
    path.write_bytes(b"new")
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("change", [gone, shorter, longer, touched, another, folder])
@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_a_reader_stops_before_the_first_file_that_is_not_as_it_was(
    tmp_path: Path, reader: Callable[..., int], change: Callable[[Path], None]
) -> None:
    files = rows(tmp_path, [b"one", b"two", b"six"])
    change(tmp_path / "1")
    assert read(reader, files, bytearray(20)) == 1


def test_columns_and_room_are_checked_before_anything_is_read(tmp_path: Path) -> None:
    files = rows(tmp_path, [b"one", b"two"])
    with pytest.raises(ValueError, match="without room"):
        read(_files.read_files, files, bytearray(5))
    paths, eights = (files[0][0],), array("Q", [3])
    with pytest.raises(ValueError, match="another length"):
        _files.read_files(paths, eights, eights, eights, array("Q"), bytearray(5), os.O_RDONLY)
    huge = array("Q", [2**64 - 2])
    with pytest.raises(ValueError, match="without room"):
        _files.read_files(paths, huge, eights, eights, eights, bytearray(5), os.O_RDONLY)
    with pytest.raises(ValueError, match="null byte"):
        _files.read_files((b"a\0b",), eights, eights, eights, array("Q", [0]), bytearray(5), os.O_RDONLY)
    with pytest.raises(TypeError):
        _files.read_files(("text",), eights, eights, eights, array("Q", [0]), bytearray(5), os.O_RDONLY)
