"""The main path as a user walks it: fpin as a subprocess, a devnet over real sockets."""

from __future__ import annotations

import filecmp
import shutil
from pathlib import Path

import pytest

from fpin.devnet.world import World
from tests.conftest import Fpin


def same_tree(left: Path, right: Path) -> bool:
    compared = filecmp.dircmp(left, right)
    if compared.left_only or compared.right_only or compared.funny_files:
        return False
    _, differ, errors = filecmp.cmpfiles(left, right, compared.common_files, shallow=False)
    return not differ and not errors and all(same_tree(left / d, right / d) for d in compared.common_dirs)


def test_a_whole_life_of_a_directory(fpin: Fpin, world: World, site: Path, tmp_path: Path) -> None:
    added = fpin("add", site, "--copies", "2", "--json")
    assert added.code == 0, added.stderr
    result = added.json
    assert result["schema"] == "fpin.add/1"
    assert result["complete"] is True
    assert result["routing"]["state"] == "found"
    assert result["routing"]["strength"] == "exact"
    [piece] = result["pieces"]
    assert [copy["state"] for copy in piece["copies"]] == ["advertised", "advertised"]
    assert [copy["uploaded"] for copy in piece["copies"]] == [True, False]  # the other one fetched it
    assert {copy["provider_id"] for copy in piece["copies"]} == {1, 2}
    root = result["root_cid"]

    status = fpin("status", site, "--json").json
    [pin] = status["pins"]
    assert (pin["root_cid"], pin["state"], pin["path"]) == (root, "pinned", str(site))
    assert status["account"]["approved"] is True

    out = tmp_path / "back"
    got = fpin("get", root, "-o", out, "--json")
    assert got.code == 0, got.stderr
    assert got.json["files"] == 7
    assert same_tree(site, out)

    removed = fpin("rm", root, "--wait", "--json")
    assert removed.code == 0, removed.stderr
    assert [copy["state"] for copy in removed.json["pieces"]] == ["gone", "gone"]
    assert all(copy["removal_ad_cid"].startswith("baguqee") for copy in removed.json["pieces"])
    assert removed.json["remaining"] == []

    assert fpin("status", root, "--json").json["pins"][0]["state"] == "removed"
    gone = fpin("get", root, "-o", tmp_path / "again", "--json")
    assert gone.code == 1
    assert gone.json["error"]["kind"] == "NotFound"


def test_the_same_directory_added_twice_uploads_and_pays_once(fpin: Fpin, world: World, site: Path) -> None:
    first = fpin("add", site, "--json").json
    funds = fpin("payments", "status", "--json").json["account"]["funds"]
    again = fpin("add", site, "--json")
    assert again.code == 0
    second = again.json
    assert second["root_cid"] == first["root_cid"]
    assert [copy["tx"] for copy in second["pieces"][0]["copies"]] == [
        copy["tx"] for copy in first["pieces"][0]["copies"]
    ]
    assert [copy["uploaded"] for copy in second["pieces"][0]["copies"]] == [False, False]
    assert fpin("payments", "status", "--json").json["account"]["funds"] == funds


def test_a_lost_store_finds_its_pieces_on_chain_and_pays_nothing(
    fpin: Fpin, world: World, site: Path, home: Path
) -> None:
    first = fpin("add", site, "--json").json
    funds = fpin("payments", "status", "--json").json["account"]["funds"]
    shutil.rmtree(home / "data")
    again = fpin("add", site, "--json")
    assert again.code == 0, again.stderr
    copies = again.json["pieces"][0]["copies"]
    assert [(copy["data_set_id"], copy["piece_id"], copy["uploaded"]) for copy in copies] == [
        (copy["data_set_id"], copy["piece_id"], False) for copy in first["pieces"][0]["copies"]
    ]
    assert fpin("payments", "status", "--json").json["account"]["funds"] == funds


def test_a_second_directory_shares_the_data_set_of_the_first(
    fpin: Fpin, world: World, site: Path, tmp_path: Path
) -> None:
    other = tmp_path / "notes.txt"
    other.write_text("a second thing\n" * 50)
    first = fpin("add", site, "--copies", "1", "--json").json
    second = fpin("add", other, "--copies", "1", "--json").json
    [one], [two] = first["pieces"][0]["copies"], second["pieces"][0]["copies"]
    assert two["data_set_id"] == one["data_set_id"]
    assert two["piece_id"] == one["piece_id"] + 1


@pytest.mark.parametrize("name", ["a b*?[x].txt", "ünï/日本.txt", "-dash.txt"])
def test_names_that_look_like_something_else_are_taken_as_they_are(
    fpin: Fpin, world: World, tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "odd"
    file = folder / name
    file.parent.mkdir(parents=True)
    file.write_text("content of " + name)
    added = fpin("add", folder, "--copies", "1", "--json")
    assert added.code == 0, added.stderr
    out = tmp_path / "back"
    assert fpin("get", added.json["root_cid"], "-o", out).code == 0
    assert same_tree(folder, out)


def test_a_path_inside_the_content_can_be_fetched_to_standard_output(
    fpin: Fpin, world: World, site: Path
) -> None:
    root = fpin("add", site, "--copies", "1", "-q").stdout.strip()
    got = fpin("get", f"{root}/downloads [old]/tide-table?*.csv", "-o", "-")
    assert got.code == 0, got.stderr
    assert got.stdout == (site / "downloads [old]" / "tide-table?*.csv").read_text()


def test_a_file_too_small_for_a_piece_is_stored_all_the_same(
    fpin: Fpin, world: World, tmp_path: Path
) -> None:
    small = tmp_path / "one-byte"
    small.write_bytes(b"x")
    added = fpin("add", small, "--copies", "1", "--json")
    assert added.code == 0, added.stderr
    assert added.json["pieces"][0]["size"] >= 127
    back = fpin("get", added.json["root_cid"], "-o", "-")
    assert back.stdout == "x"


def test_without_a_running_devnet_each_command_brings_its_own(fpin: Fpin, site: Path, tmp_path: Path) -> None:
    root = fpin("add", site, "--copies", "1", "-q").stdout.strip()
    got = fpin("get", root, "-o", tmp_path / "back")
    assert got.code == 0, got.stderr
    assert same_tree(site, tmp_path / "back")


def test_rm_without_wait_says_what_is_still_to_come_and_status_follows(
    fpin: Fpin, world: World, site: Path
) -> None:
    root = fpin("add", site, "--copies", "1", "-q").stdout.strip()
    removed = fpin("rm", root, "--json")
    assert removed.code == 0, removed.stderr
    assert removed.json["pieces"][0]["state"] in ("scheduled", "removed", "unadvertised", "gone")
    waited = fpin("rm", root, "--wait", "--json")
    if waited.code == 0:
        assert waited.json["pieces"][0]["state"] == "gone"
    else:
        assert "removed already" in waited.json["error"]["message"]
    assert fpin("status", root, "--refresh", "--json").json["pins"][0]["state"] == "removed"


def test_a_dry_run_says_the_price_and_leaves_no_trace(fpin: Fpin, world: World, site: Path) -> None:
    before = fpin("payments", "status", "--json").json["account"]
    dry = fpin("add", site, "--dry-run", "--json")
    assert dry.code == 0, dry.stderr
    assert (dry.json["dry_run"], dry.json["root_cid"]) == (True, None)
    assert dry.json["cost"]["locked"].startswith("1.24")
    assert fpin("ls", "--json").json["pins"] == []
    assert fpin("payments", "status", "--json").json["account"]["funds"] == before["funds"]


def test_what_the_quote_says_is_locked_is_what_the_account_then_misses(
    fpin: Fpin, world: World, site: Path
) -> None:
    from decimal import Decimal

    before = Decimal(fpin("payments", "status", "--json").json["account"]["available"])
    added = fpin("add", site, "--json").json
    after = Decimal(fpin("payments", "status", "--json").json["account"]["available"])
    rent = before - after - Decimal(added["cost"]["locked"])
    # What was locked is gone to the unit; on top comes the rent of the epochs that passed meanwhile.
    assert Decimal(0) <= rent < Decimal("0.001")
