"""The library of go-car, which hashes what it reads, takes each kind of CAR that fpin writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Fpin
from tests.interop.conftest import Program
from tests.interop.test_go_car import Written, blocks, cars, tree

__all__ = ["cars", "tree"]

PROGRAM = "go-car (library)"


def test_its_reader_verifies_every_section_and_finds_the_root(
    libraries: Program, cars: dict[str, Written], fpin: Fpin, record_property: Any
) -> None:
    whole = [written for written in cars.values() if written.has_root]
    for written in whole:
        assert int(libraries("car-verify", written.path)) == len(blocks(fpin, written.path))
    record_property("cases", len(whole))


def test_the_other_parts_of_a_split_dag_lack_nothing_but_the_root(
    libraries: Program, cars: dict[str, Written], record_property: Any
) -> None:
    parts = [written for written in cars.values() if not written.has_root]
    for written in parts:
        assert "a root is not present as a block" in libraries("car-verify", written.path, code=1)
    record_property("cases", len(parts))


def test_it_lists_the_same_blocks_in_the_same_order(
    libraries: Program, cars: dict[str, Written], fpin: Fpin, record_property: Any
) -> None:
    for name, written in cars.items():
        same = [block["cid"] for block in blocks(fpin, written.path)]
        assert libraries("car-list", written.path).split() == same, name
    record_property("cases", len(cars))


def test_both_refuse_a_car_with_one_wrong_byte(
    libraries: Program, cars: dict[str, Written], fpin: Fpin, tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged.car"
    data = bytearray(cars["pack"].path.read_bytes())
    data[len(data) // 2] ^= 1
    damaged.write_bytes(data)
    assert "mismatch" in libraries("car-verify", damaged, code=1)
    assert fpin("car", "verify", damaged).code == 6


def test_extracting_gives_back_the_files(
    libraries: Program, cars: dict[str, Written], tree: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    libraries("car-extract", cars["pack"].path, out)
    assert (out / "large").read_bytes() == (tree / "large").read_bytes()
    assert (out / "link").readlink() == Path("small")
    assert {path.name for path in (out / "wide").iterdir()} == {
        path.name for path in (tree / "wide").iterdir()
    }


@pytest.mark.parametrize("codec", ["car-index-sorted", "car-multihash-index-sorted"])
def test_fpin_reads_the_carv2_that_it_makes_of_each(
    libraries: Program,
    cars: dict[str, Written],
    fpin: Fpin,
    tmp_path: Path,
    codec: str,
    record_property: Any,
) -> None:
    for name, written in cars.items():
        indexed = tmp_path / "indexed.car"
        libraries("car-index", written.path, indexed, codec)
        assert indexed.read_bytes()[:11].hex() == "0aa16776657273696f6e02"
        same = [block["cid"] for block in blocks(fpin, written.path)]
        assert [block["cid"] for block in blocks(fpin, indexed)] == same, name
    record_property("cases", len(cars))
