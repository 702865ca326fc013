"""`fpin car extract`: files back out of CAR files, offline."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Here
from tests.retrieve.test_files import everything


@pytest.fixture
def packed(here: Here, site: Path, tmp_path: Path) -> Path:
    path = tmp_path / "site.car"
    assert here("pack", site, "-o", path).code == 0
    return path


def test_what_was_packed_comes_out_as_it_was(here: Here, packed: Path, site: Path, tmp_path: Path) -> None:
    result = here("car", "extract", packed, "-o", tmp_path / "back", "--json")
    assert (result.code, result.json["files"]) == (0, 7), result.stderr
    assert everything(tmp_path / "back") == everything(site)
    assert here("car", "extract", packed, "-o", tmp_path / "again", "-q").stdout == f"{tmp_path / 'again'}\n"


def test_one_path_of_it_comes_out_alone(here: Here, packed: Path, site: Path, tmp_path: Path) -> None:
    name = next(path.name for path in sorted(site.iterdir()) if path.is_file())
    assert here("car", "extract", packed, "--path", name, "-o", tmp_path / "one").code == 0
    assert (tmp_path / "one").read_bytes() == (site / name).read_bytes()
    missing = here("car", "extract", packed, "--path", "nothing", "-o", tmp_path / "no", "--json")
    assert (missing.code, missing.json["error"]["kind"]) == (1, "NotFound")


def test_several_files_are_taken_together(here: Here, site: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
        assert here("pack", tmp_path / name, "-o", tmp_path / f"{name}.car").code == 0
    root = here("cid", tmp_path / "b", "-q").stdout.strip()
    both = (tmp_path / "a.car", tmp_path / "b.car")
    several = here("car", "extract", *both, "-o", tmp_path / "out")
    assert (several.code, "--root" in several.stderr) == (2, True)
    assert here("car", "extract", *both, "--root", root, "-o", tmp_path / "out").code == 0
    assert (tmp_path / "out").read_text() == "b"
    assert here("car", "extract", *both, "--root", "nonsense", "-o", tmp_path / "no").code == 2


def test_a_damaged_file_is_refused_and_leaves_nothing(here: Here, packed: Path, tmp_path: Path) -> None:
    data = bytearray(packed.read_bytes())
    data[len(data) // 2] ^= 1
    packed.write_bytes(data)
    place = tmp_path / "place"
    place.mkdir()
    assert here("car", "extract", packed, "-o", place / "back").code == 6
    assert list(place.iterdir()) == []
    packed.write_bytes(data[: len(data) // 3])
    assert here("car", "extract", packed, "-o", place / "back").code in (1, 6)
    (place / "back").write_text("mine")
    assert here("car", "extract", packed, "-o", place / "back").code in (1, 6)
    assert (place / "back").read_text() == "mine"
