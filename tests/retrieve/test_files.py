"""Writing content to disk: nothing half-done under its final name, nothing outside of it."""

import errno
import io
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from fpin.errors import LocalError, UsageError, VerificationFailed
from fpin.retrieve import files
from fpin.retrieve.content import Directory, File, FileEnd, Part, Symlink
from fpin.retrieve.files import write_stream, write_tree


def file_parts(path: tuple[str, ...], *chunks: bytes, mode: int | None = None) -> list[Part]:
    return [File(path, sum(map(len, chunks)), mode), *chunks, FileEnd(path)]


def write(parts: list[Part], out: Path) -> files.Written:
    with files.Tree(out) as tree:
        *_, written = write_tree(iter(parts), tree)
    return written


def everything(folder: Path) -> dict[str, bytes | str | None]:
    """Return what is below *folder*, hidden names included."""
    found: dict[str, bytes | str | None] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = os.readlink(path)
        else:
            found[name] = path.read_bytes() if path.is_file() else None
    return found


TREE: list[Part] = [
    Directory((), None),
    *file_parts(("a ä*?.txt",), b"al", b"pha"),
    Directory(("empty",), None),
    Directory(("sub",), None),
    *file_parts(("sub", "b"), b""),
    Symlink(("sub", "up"), "../a"),
]


def test_a_tree_is_written_with_files_links_and_empty_folders(tmp_path: Path) -> None:
    written = write(TREE, tmp_path / "new" / "out")
    assert everything(tmp_path / "new" / "out") == {
        "a ä*?.txt": b"alpha", "empty": None, "sub": None, "sub/b": b"", "sub/up": "../a",
    }  # fmt: skip
    assert (written.bytes, written.files, written.skipped) == (5, 3, [])
    assert os.listdir(tmp_path / "new") == ["out"]


def test_a_single_file_is_written_under_its_name(tmp_path: Path) -> None:
    write(file_parts((), b"hello"), tmp_path / "hello.txt")
    assert everything(tmp_path) == {"hello.txt": b"hello"}


def test_nothing_stands_under_the_final_name_until_the_end(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with files.Tree(out) as tree:
        for _ in write_tree(iter(TREE), tree):
            assert not out.exists()
    assert out.exists()


@pytest.mark.parametrize("stop", range(1, len(TREE)))
def test_whatever_ends_it_early_leaves_nothing_behind(tmp_path: Path, stop: int) -> None:
    def broken() -> Iterator[Part]:
        yield from TREE[:stop]
        raise VerificationFailed("wrong block")

    with pytest.raises(VerificationFailed), files.Tree(tmp_path / "out") as tree:
        for _ in write_tree(broken(), tree):
            pass
    assert everything(tmp_path) == {}


def test_giving_up_in_the_middle_leaves_nothing_behind(tmp_path: Path) -> None:
    with files.Tree(tmp_path / "out") as tree:
        steps = write_tree(iter(TREE), tree)
        for _ in range(4):
            next(steps)
        assert everything(tmp_path) != {}
    assert everything(tmp_path) == {}


def test_an_empty_folder_may_stand_there_and_a_full_one_may_not(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    write(TREE, tmp_path / "out")
    with pytest.raises(LocalError, match="not empty"):
        write(TREE, tmp_path / "out")


def test_a_file_or_link_in_the_way_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("out", "link"):
        with pytest.raises(LocalError, match="exists already"):
            write(file_parts((), b"theirs"), tmp_path / name)
    assert (tmp_path / "out").read_text() == "mine"


@pytest.mark.parametrize(
    "link",
    [
        Symlink(("abs",), "/etc/passwd"),
        Symlink(("up",), "../outside"),
        Symlink(("sub", "up"), "../../outside"),
        Symlink(("sub", "winding"), "x/../../../outside"),
        # harmless to the eye, and out of the content if "x" is a link to "../.." somewhere deep
        Symlink(("winding",), "x/.."),
        Symlink(("empty",), ""),
        Symlink(("nul",), "a\0b"),
    ],
)
def test_links_that_may_lead_out_are_not_made_and_are_told(tmp_path: Path, link: Symlink) -> None:
    parts = [Directory((), None), Directory(("sub",), None), link, *file_parts(("after",), b"x")]
    written = write(parts, tmp_path / "out")
    assert everything(tmp_path / "out") == {"sub": None, "after": b"x"}
    assert written.skipped == [f"{'/'.join(link.path)} -> {link.target}"]


def test_nothing_is_ever_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "victim").mkdir()
    parts = [Directory((), None), Symlink(("d",), "victim"), *file_parts(("d", "x"), b"evil")]
    out = tmp_path / "out"
    with pytest.raises(LocalError):
        write(parts, out)
    assert everything(tmp_path) == {"victim": None}


def test_two_names_that_are_one_to_the_file_system_are_an_error(tmp_path: Path) -> None:
    # As on a file system that does not tell "A" from "a": the second of them exists already.
    parts = [Directory((), None), *file_parts(("a",), b"1"), *file_parts(("a",), b"2")]
    with pytest.raises(LocalError, match="one and the same"):
        write(parts, tmp_path / "out")
    assert everything(tmp_path) == {}


def test_modes_are_kept_within_0777(tmp_path: Path) -> None:
    parts: list[Part] = [
        Directory((), 0o40755),
        *file_parts(("setuid",), b"#!", mode=0o104755),
        Directory(("readonly",), 0o555),
        *file_parts(("readonly", "x"), b"x", mode=0o400),
    ]
    out = tmp_path / "out"
    write(parts, out)
    try:
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in out.rglob("*")}
        assert modes == {"setuid": 0o755, "readonly": 0o555, "x": 0o400}
    finally:
        (out / "readonly").chmod(0o755)


def test_a_read_only_folder_in_the_way_of_cleaning_up_is_removed_all_the_same(tmp_path: Path) -> None:
    with files.Tree(tmp_path / "out") as tree:
        parts = [Directory((), None), Directory(("d",), 0o555), Directory(("e",), None)]
        for _ in zip(range(3), write_tree(iter(parts), tree), strict=False):
            pass
    assert everything(tmp_path) == {}


def test_a_full_disk_is_a_local_error_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(io.BytesIO):
        def write(self, _data: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    real = os.fdopen

    def fdopen(fd: int, mode: str) -> io.BytesIO:
        real(fd, mode).close()
        return Full()

    monkeypatch.setattr("os.fdopen", fdopen)
    with pytest.raises(LocalError, match="no space left"):
        write(TREE, tmp_path / "out")
    assert everything(tmp_path) == {}


def test_a_file_larger_than_the_free_space_is_refused_before_it_is_written(tmp_path: Path) -> None:
    parts: list[Part] = [File((), 2**60, None), b"x", FileEnd(())]
    with pytest.raises(LocalError, match="not enough space"):
        write(parts, tmp_path / "out")
    assert everything(tmp_path) == {}


def test_content_that_is_one_link_leading_out_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="symbolic link"):
        write([Symlink((), "/etc")], tmp_path / "out")
    assert everything(tmp_path) == {}


def test_a_parent_that_is_a_file_is_a_local_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(LocalError):
        write(TREE, tmp_path / "file" / "out")


def test_a_stream_takes_one_file() -> None:
    out = io.BytesIO()
    *_, written = write_stream(iter(file_parts((), b"hel", b"lo")), out)
    assert (out.getvalue(), written.bytes, written.files) == (b"hello", 5, 1)


@pytest.mark.parametrize("part", [Directory((), None), Symlink((), "x")])
def test_a_stream_takes_nothing_else(part: Part) -> None:
    out = io.BytesIO()
    with pytest.raises(UsageError):
        list(write_stream(iter([part]), out))
    assert out.getvalue() == b""
