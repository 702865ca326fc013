from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from fpin.errors import SourceError
from fpin.pack import EntryKind, Tree, file_tree, walk, wrap

as_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="permissions do not bind this user"
)


def paths(tree: Tree) -> list[str]:
    return [tree.path(entry) for entry in range(len(tree))]


def fill(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


def test_entries_stand_sorted_by_bytes_with_children_before_their_folder(source: Path) -> None:
    fill(source, "b/2", "b/10", "a.txt", "Z", "é", "b.txt")
    tree = walk(source)
    assert paths(tree) == ["Z", "a.txt", "b/10", "b/2", "b", "b.txt", "é", ""]
    assert [tree.names[child] for child in tree.children(tree.root)] == [
        b"Z",
        b"a.txt",
        b"b",
        b"b.txt",
        "é".encode(),
    ]
    assert (tree.files, tree.size) == (6, sum(map(len, ["b/2", "b/10", "a.txt", "Z", "b.txt"])) + 2)


def test_a_single_file_is_the_root_itself(source: Path) -> None:
    fill(source, "photo.jpg")
    tree = walk(source / "photo.jpg")
    assert (tree.name, paths(tree), tree.kinds[0]) == ("photo.jpg", [""], EntryKind.FILE)
    assert tree.source_path(tree.root) == os.fsencode(source / "photo.jpg")


def test_an_empty_folder_is_a_tree_of_one_entry(source: Path) -> None:
    tree = walk(source)
    assert (len(tree), tree.kinds[tree.root], tree.size) == (1, EntryKind.DIRECTORY, 0)


def test_a_path_is_never_a_pattern(source: Path) -> None:
    fill(source, "[a]*/what?.txt", "a/other.txt")
    tree = walk(source / "[a]*", exclude=["?a?", "[[]a[]]*"])
    assert paths(tree) == ["what?.txt", ""]


def test_hidden_entries_are_left_out_unless_asked_for(source: Path) -> None:
    fill(source, ".git/config", "seen", "sub/.hidden")
    assert paths(walk(source)) == ["seen", "sub", ""]
    assert paths(walk(source, hidden=True)) == [".git/config", ".git", "seen", "sub/.hidden", "sub", ""]


def test_a_hidden_path_itself_is_fine(source: Path) -> None:
    fill(source, ".well-known/file")
    assert paths(walk(source / ".well-known")) == ["file", ""]


@pytest.mark.parametrize(
    ("patterns", "left"),
    [
        (["*.log"], ["build/keep", "build", "src/build", "src", ""]),
        (["build"], ["a.log", "src/x.log", "src", ""]),
        (["build/"], ["a.log", "src/build", "src/x.log", "src", ""]),
        (["src/*"], ["a.log", "build/b.log", "build/keep", "build", "src", ""]),
        (["src/x.log", "build/b*"], ["a.log", "build/keep", "build", "src/build", "src", ""]),
        (["[!a-z]*"], ["a.log", "build/b.log", "build/keep", "build", "src/build", "src/x.log", "src", ""]),
    ],
)
def test_patterns_are_held_against_name_and_path(source: Path, patterns: list[str], left: list[str]) -> None:
    fill(source, "a.log", "build/b.log", "build/keep", "src/x.log", "src/build")
    assert paths(walk(source, exclude=patterns)) == left


def test_symbolic_links_are_kept_and_a_loop_is_no_loop(source: Path) -> None:
    (source / "sub").mkdir()
    (source / "sub/up").symlink_to("..")
    (source / "dead").symlink_to("nowhere at all")
    tree = walk(source)
    assert paths(tree) == ["dead", "sub/up", "sub", ""]
    assert tree.targets == {0: b"nowhere at all", 1: b".."}
    assert list(tree.sizes) == [14, 2, 0, 0]


def test_links_are_followed_on_request_and_a_loop_is_named(source: Path) -> None:
    fill(source, "real/file")
    (source / "link").symlink_to("real")
    assert paths(walk(source, follow=True)) == ["link/file", "link", "real/file", "real", ""]
    (source / "real/up").symlink_to("..")
    with pytest.raises(SourceError, match=r"link/up' leads back"):
        walk(source, follow=True)


def test_a_broken_link_that_is_followed_is_named(source: Path) -> None:
    (source / "dead").symlink_to("nowhere")
    with pytest.raises(SourceError, match=r"dead' does not exist"):
        walk(source, follow=True)


def test_a_path_that_is_not_there_is_named(source: Path) -> None:
    with pytest.raises(SourceError, match=r"absent' does not exist"):
        walk(source / "absent")


def test_a_socket_is_named_and_may_be_left_out(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(source)  # the path of a socket must be short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("control")
        with pytest.raises(SourceError, match=r"control' is a socket") as caught:
            walk(source)
        assert caught.value.hint == "leave it out with --exclude"
        assert paths(walk(source, exclude=["control"])) == [""]


def test_a_named_pipe_is_named_and_not_opened(source: Path) -> None:
    os.mkfifo(source / "pipe")
    with pytest.raises(SourceError, match=r"pipe' is a named pipe"):
        walk(source)


def test_a_name_that_is_not_utf_8_is_named(source: Path) -> None:
    try:
        (source / os.fsdecode(b"caf\xe9")).touch()
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    with pytest.raises(SourceError, match=r"caf\\udce9' has a name that is not UTF-8"):
        walk(source)


@as_root
def test_an_unreadable_file_is_named(source: Path) -> None:
    fill(source, "secret")
    (source / "secret").chmod(0)
    with pytest.raises(SourceError, match=r"file '.*secret' cannot be read: permission denied"):
        walk(source)


@as_root
def test_an_unreadable_folder_is_named(source: Path) -> None:
    fill(source, "secret/file")
    (source / "secret").chmod(0)
    try:
        with pytest.raises(SourceError, match=r"folder '.*secret' cannot be read: permission denied"):
            walk(source)
    finally:
        (source / "secret").chmod(0o700)


def test_folders_nested_deeper_than_python_calls_are_walked(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(source)
    for _ in range(1100):
        os.mkdir("d")
        os.chdir("d")
    tree = walk(source)
    assert len(tree) == 1101
    for _ in range(1100):
        os.chdir("..")
        os.rmdir("d")


def test_a_file_elsewhere_can_be_stored_under_any_name(source: Path) -> None:
    fill(source, "spool-4711")
    tree = file_tree("stdin", source / "spool-4711")
    assert (tree.name, tree.size, paths(tree)) == ("stdin", 10, [""])
    assert tree.source_path(0) == os.fsencode(source / "spool-4711")


def test_several_trees_are_wrapped_into_one_folder_that_is_nowhere(source: Path) -> None:
    fill(source, "here/b/file", "there/a")
    (source / "here/link").symlink_to("b")
    tree = wrap([walk(source / "there/a"), walk(source / "here")], "both")
    assert tree.name == "both"
    assert paths(tree) == ["a", "here/b/file", "here/b", "here/link", "here", ""]
    assert tree.targets == {3: b"b"}
    assert tree.source_path(1) == os.fsencode(source / "here/b/file")
    assert tree.source_path(0) == os.fsencode(source / "there/a")


def test_two_trees_of_one_name_are_not_wrapped(source: Path) -> None:
    fill(source, "x/same", "y/same")
    with pytest.raises(SourceError, match="same name"):
        wrap([walk(source / "x/same"), walk(source / "y/same")], "both")
