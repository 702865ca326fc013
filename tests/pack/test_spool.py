"""Input that can be read only once: kept while it is needed, and gone afterwards whatever happens."""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path

import pytest

from fpin.errors import LocalError, SourceError
from fpin.pack.spool import spool, sweep


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_bytes_are_in_a_file_of_the_owner_alone_until_the_end(tmp_path: Path) -> None:
    data = os.urandom(3 * 2**20 + 5)
    told: list[int] = []
    with spool(io.BytesIO(data), tmp_path / "new" / "spool", progress=told.append) as path:
        assert path.read_bytes() == data
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert names(tmp_path / "new" / "spool") == []
    assert told[-1] == len(data)


def test_nothing_is_left_when_what_uses_it_fails(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), spool(io.BytesIO(b"x"), tmp_path) as path:
        raise ZeroDivisionError(path)
    assert names(tmp_path) == []


def test_input_that_cannot_be_read_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(SourceError, match="Input/output error"), spool(Broken(), tmp_path):
        pass
    assert names(tmp_path) == []


def test_a_folder_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LocalError, match="spool"), spool(io.BytesIO(b"x"), tmp_path / "file" / "spool"):
        pass


def test_leftovers_go_when_the_next_one_comes_and_files_in_use_stay(tmp_path: Path) -> None:
    (tmp_path / "0123.spool").write_text("of a process that was killed")
    with spool(io.BytesIO(b"first"), tmp_path) as first, spool(io.BytesIO(b"second"), tmp_path) as second:
        assert set(names(tmp_path)) == {first.name, second.name}
        sweep(tmp_path)
        assert (first.read_bytes(), second.read_bytes()) == (b"first", b"second")
    assert names(tmp_path) == []


def test_sweeping_touches_nothing_but_leftovers(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.txt"
    elsewhere.write_text("not ours")
    folder = tmp_path / "spool"
    sweep(folder)  # not there yet
    folder.mkdir()
    (folder / "notes.txt").write_text("no spool file")
    (folder / "link.spool").symlink_to(elsewhere)
    (folder / "folder.spool").mkdir()
    (folder / "left.spool").write_text("left")
    sweep(folder)
    assert names(folder) == ["folder.spool", "link.spool", "notes.txt"]
    assert elsewhere.read_text() == "not ours"
