"""go-car's `car` reads every kind of CAR that fpin writes, and fpin reads what `car` makes of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from fpin.devnet.world import World
from fpin.pack import PROFILES, plan, walk, write_cars
from tests.conftest import Fpin
from tests.interop.conftest import Program

PROGRAM = "go-car"


@dataclass(frozen=True)
class Written:
    """A CAR that fpin wrote; *has_root*: the root's own block is in it, and not in another part."""

    path: Path
    has_root: bool = True


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of several blocks, small files, an empty folder, a link, and a folder that is sharded."""
    folder = tmp_path_factory.mktemp("car") / "tree"
    (folder / "empty folder").mkdir(parents=True)
    (folder / "wide").mkdir()
    (folder / "large").write_bytes(bytes(range(256)) * 10_000)
    (folder / "small").write_text("hello\n")
    (folder / "nothing").touch()
    (folder / "link").symlink_to("small")
    for number in range(1200):
        (folder / "wide" / f"{number:0200}").touch()
    return folder


@pytest.fixture(scope="module")
def cars(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Written]:
    """One CAR of each kind, by its kind."""
    folder = tmp_path_factory.mktemp("cars")
    fpin = Fpin(folder / "home")
    found: dict[str, Written] = {}
    for kind, source, options in (
        ("pack", tree, ()),
        ("pack of one file", tree / "large", ()),
        ("pack of an empty file", tree / "nothing", ()),
        ("pack of an empty folder", tree / "empty folder", ()),
        ("pack with the older profile", tree, ("--profile", "unixfs-v0-2015")),
    ):
        written = Written(folder / f"{kind}.car")
        packed = fpin("pack", source, "-o", written.path, *options)
        assert packed.code == 0, packed.stderr
        found[kind] = written
    # As `pack --split` and `add` cut a tree of more than a GiB, only smaller.
    layout = plan(walk(tree), profile=PROFILES["unixfs-v1-2025"], piece_limit=1_100_000)
    parts = [folder / f"split-{number}.car" for number in range(len(layout.pieces))]
    write_cars(layout, parts)
    assert len(parts) > 2
    for number, part in enumerate(parts):
        found[f"split, part {number}"] = Written(part, has_root=part == parts[-1])
    with World.start(folder / "home" / "devnet", mode="up") as world:
        added = fpin("add", tree, "--copies", "1", "--json")
        assert added.code == 0, added.stderr
        [piece], root = added.json["pieces"], added.json["root_cid"]
        url = world.urls.providers[piece["copies"][0]["provider_id"] - 1]
        for name, path in (
            ("piece download", f"piece/{piece['piece_cid']}"),
            ("gateway", f"ipfs/{root}?format=car"),
        ):
            answer = httpx.get(f"{url}/{path}", trust_env=False)
            assert answer.status_code == 200
            found[name] = Written(folder / f"{name}.car")
            found[name].path.write_bytes(answer.content)
    return found


def blocks(fpin: Fpin, path: Path) -> list[Any]:
    listed = fpin("car", "ls", path, "--json")
    assert listed.code == 0, listed.stderr
    found: list[Any] = listed.json["blocks"]
    return found


def test_car_verify_accepts_every_kind_of_car_that_fpin_writes(
    car: Program, cars: dict[str, Written], record_property: Any
) -> None:
    whole = [written for written in cars.values() if written.has_root]
    for written in whole:
        car("verify", written.path)
    record_property("cases", len(whole))


def test_car_verify_misses_nothing_but_the_root_in_the_other_parts_of_a_split_dag(
    car: Program, cars: dict[str, Written], record_property: Any
) -> None:
    parts = [written for written in cars.values() if not written.has_root]
    for written in parts:
        # Said last, after every section was read and hashed.
        assert "header lists root(s) not present as a block" in car("verify", written.path, code=1)
    record_property("cases", len(parts))


def test_car_list_names_the_same_blocks_in_the_same_order_as_fpin(
    car: Program, cars: dict[str, Written], fpin: Fpin, record_property: Any
) -> None:
    for name, written in cars.items():
        assert car("list", written.path).split() == [block["cid"] for block in blocks(fpin, written.path)], (
            name
        )
    record_property("cases", len(cars))


def test_car_extract_gives_back_the_files(
    car: Program, cars: dict[str, Written], tree: Path, tmp_path: Path
) -> None:
    car("extract", "-f", cars["pack"].path, "-o", tmp_path)
    assert (tmp_path / "large").read_bytes() == (tree / "large").read_bytes()
    assert (tmp_path / "link").readlink() == Path("small")
    assert {path.name for path in (tmp_path / "wide").iterdir()} == {
        path.name for path in (tree / "wide").iterdir()
    }


@pytest.mark.parametrize("codec", ["car-index-sorted", "car-multihash-index-sorted"])
def test_fpin_reads_the_carv2_that_car_index_makes_of_each(
    car: Program, cars: dict[str, Written], fpin: Fpin, tmp_path: Path, codec: str, record_property: Any
) -> None:
    for name, written in cars.items():
        indexed = tmp_path / "indexed.car"
        indexed.unlink(missing_ok=True)
        car("index", "--codec", codec, written.path, indexed)
        assert indexed.read_bytes()[:11].hex() == "0aa16776657273696f6e02"
        same = [block["cid"] for block in blocks(fpin, written.path)]
        assert [block["cid"] for block in blocks(fpin, indexed)] == same, name
    record_property("cases", len(cars))


def test_fpin_imports_a_carv2_that_car_create_made(
    car: Program, fpin: Fpin, tree: Path, tmp_path: Path
) -> None:
    made = tmp_path / "made.car"
    car("create", "--no-wrap", "-f", made, tree / "large")
    verified = fpin("car", "verify", made, "--json")
    assert verified.code == 0, verified.stderr
    [root] = verified.json["roots"]
    assert root == car("root", made).strip()
    added = fpin("import", made, "--json")
    assert added.code == 0, added.stderr
    assert added.json["root_cid"] == root
