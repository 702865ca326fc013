"""kubo gives the same roots to the same content, takes fpin's CARs, and fetches from a devnet provider."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fpin.devnet.world import World
from fpin.ipld.cid import format_cid
from fpin.pack import PROFILES, digest, plan, walk
from tests.conftest import Fpin
from tests.interop import corpus, kubo
from tests.interop.conftest import Program

PROGRAM = "kubo"
NAMES = [*PROFILES]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("kubo") / "corpus"
    found.mkdir()
    assert len(corpus.write(found)) >= 300
    return found


@pytest.fixture(scope="module")
def repos(ipfs: Program, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Program]:
    """A repository for each profile."""
    base = tmp_path_factory.mktemp("repos")
    return {name: kubo.repository(ipfs, base / name, profile=name) for name in NAMES}


@pytest.fixture(scope="module")
def rich(folder: Path) -> Path:
    """The random tree with the most entries."""
    trees = [path for path in folder.iterdir() if path.is_dir()]
    sizes = {path: sum(1 for _ in path.rglob("*")) for path in trees}
    return max((path for path in trees if sizes[path] < 1000), key=lambda path: sizes[path])


def root_of(path: Path, profile: str, *, hidden: bool = True) -> str:
    return format_cid(digest(plan(walk(path, hidden=hidden), profile=PROFILES[profile])).root_cid)


@pytest.mark.parametrize("profile", NAMES)
def test_ipfs_add_gives_the_same_root(
    repos: dict[str, Program], folder: Path, profile: str, record_property: Any
) -> None:
    theirs = kubo.roots_of_entries(repos[profile], folder, "--hidden")
    ours = {path.name: root_of(path, profile) for path in folder.iterdir()}
    assert theirs == ours
    record_property("cases", len(ours))


@pytest.mark.parametrize("profile", NAMES)
def test_ipfs_add_leaves_out_the_same_hidden_files(
    repos: dict[str, Program], tmp_path: Path, profile: str
) -> None:
    for name in (".dot", "seen/.dot", "seen/file", ".folder/file", "seen/.folder/file"):
        path = tmp_path / "tree" / "case" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    theirs = kubo.roots_of_entries(repos[profile], tmp_path / "tree")
    assert theirs == {"case": root_of(tmp_path / "tree" / "case", profile, hidden=False)}


@pytest.mark.parametrize("profile", NAMES)
def test_ipfs_add_shards_a_folder_at_the_same_byte(
    repos: dict[str, Program], tmp_path: Path, profile: str, record_property: Any
) -> None:
    base = tmp_path / "folders"
    base.mkdir()
    sharded = {}
    for over in (-1, 0, 1):
        path = base / f"case{over:+}".replace("+", "plus-")
        corpus.threshold_folder(path, PROFILES[profile], over)
        sharded[over] = bool(plan(walk(path), profile=PROFILES[profile]).shardings)
    assert sharded == {-1: False, 0: False, 1: True}
    theirs = kubo.roots_of_entries(repos[profile], base)
    assert theirs == {path.name: root_of(path, profile) for path in base.iterdir()}
    record_property("cases", len(theirs))


def test_ipfs_add_gives_the_same_root_around_a_gibibyte(repos: dict[str, Program], tmp_path: Path) -> None:
    base = tmp_path / "large"
    base.mkdir()
    for over in (0, 1):  # 1024 blocks of a MiB fill one node
        with (base / f"case-{over}").open("wb") as file:
            file.truncate(2**30 + over)
    theirs = kubo.roots_of_entries(repos["unixfs-v1-2025"], base)
    assert theirs == {path.name: root_of(path, "unixfs-v1-2025") for path in base.iterdir()}


@pytest.mark.parametrize("profile", NAMES)
def test_ipfs_dag_import_takes_a_car_and_gives_back_the_files(
    repos: dict[str, Program], rich: Path, fpin: Fpin, tmp_path: Path, profile: str
) -> None:
    ipfs = repos[profile]
    packed = fpin("pack", rich, "-o", tmp_path / "x.car", "--profile", profile, "--hidden", "--json")
    assert packed.code == 0, packed.stderr
    root = packed.json["root_cid"]
    said = ipfs("dag", "import", "--offline", tmp_path / "x.car")
    assert f"Pinned root\t{root}\tsuccess" in said
    ipfs("get", "--offline", "-o", tmp_path / "back", root)
    assert root_of(tmp_path / "back", profile) == root


def test_fpin_imports_what_ipfs_dag_export_wrote(
    repos: dict[str, Program], rich: Path, fpin: Fpin, tmp_path: Path
) -> None:
    ipfs = repos["unixfs-v1-2025"]
    root = ipfs("add", "--offline", "--recursive", "--hidden", "--quieter", rich).strip()
    exported = tmp_path / "y.car"
    exported.write_bytes(ipfs("dag", "export", "--offline", root).encode(errors="surrogateescape"))
    verified = fpin("car", "verify", exported, "--json")
    assert verified.code == 0, verified.stderr
    assert verified.json["roots"] == [root]


@pytest.fixture(scope="module")
def stored(rich: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, dict[str, str]]]:
    """A devnet, and the root CIDs of what it holds: a tree, and a file of several blocks."""
    home = tmp_path_factory.mktemp("stored") / "home"
    large = home.parent / "large"
    large.write_bytes(bytes(range(256)) * 20_000)
    fpin = Fpin(home)
    with World.start(home / "devnet", mode="up") as world:
        roots = {}
        for path in (rich, large):
            added = fpin("add", path, "--hidden", "--copies", "1", "--json")
            assert added.code == 0, added.stderr
            assert added.json["routing"]["state"] == "found"
            roots["tree" if path == rich else "large"] = added.json["root_cid"]
        yield world, roots


@pytest.fixture(scope="module")
def online(
    ipfs: Program, stored: tuple[World, dict[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Program]:
    """kubo with an empty repository and nobody to ask but the devnet's indexer."""
    folder = tmp_path_factory.mktemp("online") / "repo"
    found = kubo.repository(ipfs, folder)
    routers = [stored[0].urls.indexer]
    kubo.configure(folder, {"Routing.Type": "delegated", "Routing.DelegatedRouters": routers})
    with kubo.daemon(found):
        yield found


def test_ipfs_finds_the_provider_through_the_indexer(
    online: Program, stored: tuple[World, dict[str, str]]
) -> None:
    world, roots = stored
    assert online("routing", "findprovs", roots["tree"]).split()[0] in {p.peer_id for p in world.providers}


def test_ipfs_get_over_http_returns_the_tree(
    online: Program, stored: tuple[World, dict[str, str]], tmp_path: Path
) -> None:
    _, roots = stored
    online("get", "-o", tmp_path / "back", roots["tree"])
    assert root_of(tmp_path / "back", "unixfs-v1-2025") == roots["tree"]


def test_ipfs_cat_over_http_returns_the_bytes(online: Program, stored: tuple[World, dict[str, str]]) -> None:
    _, roots = stored
    assert online("cat", roots["large"]).encode(errors="surrogateescape") == bytes(range(256)) * 20_000
