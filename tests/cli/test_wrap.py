"""What a root is: the path itself, a directory around it, or a directory of several paths."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Here, Tenant
from tests.cli.test_bad_input import told
from tests.cli.test_main_path import same_tree


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a file, a hidden file and a folder."""
    path = tmp_path / "folder"
    (path / "photos").mkdir(parents=True)
    (path / "note.txt").write_text("a note\n")
    (path / ".hidden").write_text("not shown\n")
    (path / "photos" / "one.jpg").write_bytes(b"\xff\xd8" * 500)
    return path


def root(here: Here, *args: str | Path) -> str:
    outcome = here("cid", *args, "-q")
    assert outcome.code == 0, outcome.stderr
    return outcome.stdout.strip()


def alone(path: Path, tmp_path: Path) -> Path:
    """A folder that holds a copy of *path* and nothing else."""
    around = tmp_path / "around"
    around.mkdir()
    path.rename(around / path.name)
    return around


@pytest.mark.parametrize("name", ["note.txt", "photos"])
def test_a_wrapped_path_is_the_folder_that_holds_only_it(
    here: Here, folder: Path, tmp_path: Path, name: str
) -> None:
    wrapped = root(here, "--wrap", folder / name)
    assert wrapped != root(here, folder / name)
    assert wrapped == root(here, alone(folder / name, tmp_path))


def test_standard_input_is_wrapped_under_its_name(tenant: Tenant, folder: Path) -> None:
    data = (folder / "note.txt").read_bytes()
    expected = tenant.here("cid", "--wrap", folder / "note.txt", "-q").stdout
    assert tenant.fpin("cid", "-", "--wrap", "--name", "note.txt", "-q", stdin=data).stdout == expected
    told(tenant.fpin("cid", "-", "--wrap", "--name", "a/b", stdin=data), 1, "'a/b'", "cannot be stored")


def test_several_paths_are_one_folder_whatever_their_order(here: Here, folder: Path) -> None:
    whole = root(here, folder)
    note, photos = folder / "note.txt", folder / "photos"
    assert root(here, note, photos) == root(here, photos, note) == whole
    assert root(here, note, f"{photos}/", "--wrap") == whole


def test_a_hidden_file_that_is_named_is_taken(here: Here, folder: Path) -> None:
    paths = [folder / "note.txt", folder / "photos", folder / ".hidden"]
    assert root(here, *paths) == root(here, folder, "--hidden")


def test_two_paths_of_one_name_are_refused(here: Here, folder: Path) -> None:
    (folder / "photos" / "note.txt").write_text("another\n")
    note, other = folder / "note.txt", folder / "photos" / "note.txt"
    told(here("cid", note, other), 2, str(note), str(other), "same name")
    told(here("cid", note, note), 2, "same name")


def test_of_several_paths_the_one_that_is_missing_is_named(here: Here, folder: Path) -> None:
    told(here("cid", folder / "note.txt", folder / "no such"), 2, "no such", "does not exist")


def test_several_paths_are_stored_as_one_folder_and_come_back(
    tenant: Tenant, folder: Path, tmp_path: Path
) -> None:
    (folder / "note.txt").write_text(f"of {tenant.wallet}\n")
    (folder / ".hidden").unlink()
    paths = (folder / "note.txt", folder / "photos")
    assert tenant.here("cost", *paths, "--json").json["files"] == 2
    added = tenant.here("add", *paths, "--name", "both", "--copies", "1", "--json")
    assert added.code == 0, added.stderr
    [pin] = tenant.pins()
    assert (pin["name"], pin["path"], pin["files"]) == ("both", None, 2)
    assert tenant.here("get", added.json["root_cid"], "-o", tmp_path / "back").code == 0
    assert same_tree(folder, tmp_path / "back")


def test_a_wrapped_file_comes_back_under_its_name(tenant: Tenant, folder: Path, tmp_path: Path) -> None:
    note = folder / "note.txt"
    note.write_text(f"of {tenant.wallet}\n")
    added = tenant.here("add", note, "--wrap", "--copies", "1", "--json")
    assert added.code == 0, added.stderr
    assert tenant.pins()[0]["path"] == str(note)
    got = tenant.here("get", f"{added.json['root_cid']}/note.txt", "-o", tmp_path / "back.txt")
    assert got.code == 0, got.stderr
    assert (tmp_path / "back.txt").read_text() == note.read_text()


def test_a_packed_car_of_several_paths_holds_them_all(here: Here, folder: Path, tmp_path: Path) -> None:
    car = tmp_path / "x.car"
    packed = here("pack", folder / "note.txt", folder / "photos", "-o", car, "--json")
    assert packed.code == 0, packed.stderr
    assert packed.json["root_cid"] == root(here, folder)
    assert here("car", "verify", car).code == 0
