"""What JavaScript programs read and write: the same CIDs and CARs as fpin's, both ways."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fpin.ipld.cid import format_cid, parse_cid, to_v1
from fpin.pack import PROFILES, digest, plan, walk
from tests.conftest import Fpin
from tests.interop import corpus
from tests.interop.conftest import Node

PROGRAM = "JavaScript"
NAMES = [*PROFILES]


@pytest.fixture(scope="module")
def folder(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("javascript") / "corpus"
    found.mkdir()
    corpus.write(found)
    return found


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    (folder / "below" / "deeper").mkdir(parents=True)
    (folder / "large").write_bytes(bytes(range(256)) * 10_000)
    (folder / "below" / "small").write_text("hello\n")
    (folder / "below" / "deeper" / "nothing").touch()
    return folder


def packed(fpin: Fpin, source: Path, to: Path, *options: str) -> Any:
    done = fpin("pack", source, "-o", to, "--json", *options)
    assert done.code == 0, done.stderr
    return done.json


def listed(fpin: Fpin, path: Path) -> Any:
    done = fpin("car", "ls", path, "--json")
    assert done.code == 0, done.stderr
    return done.json


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def has_links(path: Path) -> bool:
    return path.is_symlink() or any(below.is_symlink() for below in path.rglob("*"))


@pytest.mark.parametrize("profile", NAMES)
def test_ipfs_unixfs_importer_gives_the_same_root_to_what_has_no_links(
    node: Node, folder: Path, profile: str, record_property: Any
) -> None:
    names = sorted(path.name for path in folder.iterdir() if not has_links(path))
    theirs = json.loads(node("roots.mjs", profile, folder, *names))
    ours = {}
    for name in names:
        layout = plan(walk(folder / name, hidden=True), profile=PROFILES[profile])
        ours[name] = format_cid(digest(layout).root_cid)
    assert theirs == ours
    record_property("cases", len(ours))


@pytest.mark.parametrize("profile", NAMES)
def test_ipld_car_reads_what_fpin_writes(
    node: Node, fpin: Fpin, folder: Path, tmp_path: Path, profile: str, record_property: Any
) -> None:
    paths = []
    for source in sorted(folder.iterdir())[::40]:
        paths.append(tmp_path / f"{source.name}.car")
        packed(fpin, source, paths[-1], "--hidden", "--profile", profile)
    for path, theirs in zip(paths, json.loads(node("blocks.mjs", *paths)), strict=True):
        ours = listed(fpin, path)
        assert theirs == {"roots": ours["roots"], "blocks": [block["cid"] for block in ours["blocks"]]}
    record_property("cases", len(paths))


def test_fpin_reads_what_ipld_car_writes(node: Node, fpin: Fpin, tree: Path, tmp_path: Path) -> None:
    root = packed(fpin, tree, tmp_path / "x.car")["root_cid"]
    node("rewrite.mjs", tmp_path / "x.car", tmp_path / "y.car")
    there, back = listed(fpin, tmp_path / "x.car"), listed(fpin, tmp_path / "y.car")
    assert back["roots"] == [root]
    assert [block["cid"] for block in back["blocks"]] == [block["cid"] for block in there["blocks"]][::-1]
    assert fpin("car", "verify", tmp_path / "y.car").code == 0


def test_ipfs_car_unpacks_what_fpin_packs(node: Node, fpin: Fpin, tree: Path, tmp_path: Path) -> None:
    root = packed(fpin, tree, tmp_path / "x.car")["root_cid"]
    assert node.bin("ipfs-car", "roots", tmp_path / "x.car").split() == [root]
    node.bin("ipfs-car", "unpack", tmp_path / "x.car", "--output", tmp_path / "back")
    assert contents(tmp_path / "back") == contents(tree)


def test_fpin_stores_and_gives_back_what_ipfs_car_packs(
    node: Node, fpin: Fpin, tree: Path, tmp_path: Path
) -> None:
    root = node.bin("ipfs-car", "pack", tree, "--no-wrap", "--output", tmp_path / "y.car").strip()
    assert fpin("car", "verify", tmp_path / "y.car", "--json").json["roots"] == [root]
    for command in (("import", tmp_path / "y.car"), ("get", root, "-o", tmp_path / "back")):
        done = fpin(*command)
        assert done.code == 0, done.stderr
    assert contents(tmp_path / "back") == contents(tree)


def test_fpin_reads_every_text_form_that_multiformats_writes(node: Node, fpin: Fpin, tree: Path) -> None:
    cids = [
        fpin("cid", path, "--json", "--profile", name).json
        for path in (tree, tree / "large")
        for name in NAMES
    ]
    texts = [cid["root_cid"] for cid in cids] + [cid["pieces"][0]["piece_cid"] for cid in cids]
    forms = json.loads(node("cids.mjs", *texts))
    for text in texts:
        assert {to_v1(parse_cid(form)) for form in forms[text]} == {to_v1(parse_cid(text))}
        assert text in forms[text]
