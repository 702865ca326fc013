"""`fpin import`: a CAR that exists already, as it is, onto the devnet and back."""

from __future__ import annotations

import contextlib
import os
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from fpin import events
from fpin.backends.base import Wish
from fpin.errors import SourceChanged
from fpin.flows.add import AddRequest, add
from fpin.flows.imports import CarContent
from fpin.flows.services import Services, connect
from fpin.ipld import car
from fpin.ipld.car import Block
from fpin.ipld.cid import format_cid, parse_cid
from fpin.keys import Secret
from fpin.piece import PieceCid
from fpin.settings import folders
from tests.cli.conftest import Here, Tenant
from tests.cli.test_bad_input import told
from tests.cli.test_main_path import same_tree
from tests.pack.test_imported import make_car, make_v2, raw, sections


@pytest.fixture
def folder(tenant: Tenant, tmp_path: Path) -> Path:
    """A folder that no other test stores."""
    path = tmp_path / "folder"
    (path / "below").mkdir(parents=True)
    for number in range(8):
        (path / "below" / f"{number}.bin").write_bytes(os.urandom(9000))
    (path / "readme.txt").write_text(f"belongs to {tenant.wallet}\n")
    return path


@pytest.fixture
def packed(tenant: Tenant, folder: Path, tmp_path: Path) -> Path:
    path = tmp_path / "content.car"
    assert tenant.here("pack", folder, "-o", path, "-q").code == 0
    return path


def read(path: Path) -> tuple[bytes, list[Block]]:
    """The one root of a CAR and its blocks."""
    reader = car.read_car([path.read_bytes()])
    [root] = reader.roots
    return root, list(reader)


def root_first(packed: Path) -> Path:
    """The same DAG as other programs write it: the root before what it leads to."""
    root, blocks = read(packed)
    path = packed.with_name("root-first.car")
    path.write_bytes(make_car(blocks[::-1], root))
    return path


def without(packed: Path, number: int) -> tuple[Path, Block]:
    root, blocks = read(packed)
    lost = blocks.pop(number)
    path = packed.with_name("gap.car")
    path.write_bytes(make_car(blocks, root))
    return path, lost


@contextlib.contextmanager
def services(tenant: Tenant) -> Iterator[Services]:
    """The services that a command of *tenant* would use."""
    key = Secret(tenant.env["FPIN_PRIVATE_KEY"], "test")
    where = folders({"FPIN_HOME": str(tenant.fpin.home)})
    info = tenant.world.info_path
    with connect(network="devnet", rpc_url=None, folders=where, key=key, devnet_info=info) as opened:
        yield opened


def test_an_imported_car_is_the_piece_that_add_makes_of_the_same_content(
    tenant: Tenant, folder: Path, packed: Path, tmp_path: Path
) -> None:
    imported = tenant.fpin("import", packed, "--json")
    assert imported.code == 0, imported.stderr
    result = imported.json
    assert result["schema"] == "fpin.add/1"
    assert (result["name"], result["complete"], result["routing"]["state"]) == ("content", True, "found")
    assert [copy["state"] for copy in result["pieces"][0]["copies"]] == ["advertised", "advertised"]
    assert result["pieces"][0]["size"] == packed.stat().st_size
    pin = tenant.here("status", packed, "--json").json["pins"][0]
    assert (pin["path"], pin["state"], pin["profile"]) == (str(packed), "pinned", "car")

    added = tenant.here("add", folder, "--json").json
    for name in ("root_cid", "size", "files", "car_size"):
        assert added[name] == result[name]
    assert [piece["piece_cid"] for piece in added["pieces"]] == [result["pieces"][0]["piece_cid"]]
    assert added["cost"]["fees"] == "0"

    assert tenant.here("get", result["root_cid"], "-o", tmp_path / "back").code == 0
    assert same_tree(folder, tmp_path / "back")


def test_of_version_2_the_same_piece_comes_out(tenant: Tenant, packed: Path, tmp_path: Path) -> None:
    second = tmp_path / "second.car"
    second.write_bytes(make_v2(packed.read_bytes(), padding=77))
    root, _ = read(packed)
    [ours] = tenant.here("pack", tmp_path / "folder", "-o", tmp_path / "x.car", "--json").json["cars"]
    imported = tenant.here("import", second, "--copies", "1", "--json")
    assert imported.code == 0, imported.stderr
    assert imported.json["root_cid"] == format_cid(root)
    assert imported.json["pieces"][0]["piece_cid"] == ours["piece_cid"]


def test_a_car_can_come_from_standard_input(tenant: Tenant, packed: Path) -> None:
    imported = tenant.fpin("import", "-", "--copies", "1", "--json", stdin=packed.read_bytes())
    assert imported.code == 0, imported.stderr
    assert imported.json["root_cid"] == format_cid(read(packed)[0])
    [pin] = tenant.pins()
    assert (pin["path"], pin["name"]) == (None, None)
    assert list((tenant.fpin.home / "cache" / "spool").iterdir()) == []


def test_gaps_are_listed_before_a_byte_is_sent(tenant: Tenant, packed: Path) -> None:
    gap, lost = without(packed, 3)
    funds = tenant.funds()
    refused = tenant.here("import", gap, "--json")
    assert refused.code == 6
    error = refused.json["error"]
    assert error["kind"] == "VerificationFailed"
    assert (error["missing"], error["missing_count"]) == ([format_cid(lost.cid)], 1)
    assert "--allow-missing" in error["hint"]
    assert format_cid(lost.cid) in refused.stderr
    assert (tenant.pins(), tenant.funds()) == ([], funds)

    allowed = tenant.here("import", gap, "--allow-missing", "--copies", "1", "--json")
    assert allowed.code == 0, allowed.stderr
    assert allowed.json["complete"] is True
    assert f"they stay missing: {format_cid(lost.cid)}" in allowed.stderr


def test_a_car_without_the_block_of_its_root_is_refused_even_with_gaps_allowed(
    tenant: Tenant, packed: Path
) -> None:
    gap, root = without(packed, -1)
    told(tenant.here("import", gap, "--allow-missing"), 6, "gap.car", format_cid(root.cid), "of its root")
    assert tenant.pins() == []


def test_of_several_roots_one_has_to_be_chosen(tenant: Tenant, packed: Path) -> None:
    root, blocks = read(packed)
    leaf = blocks[0].cid
    path = packed.with_name("two.car")
    path.write_bytes(make_car(blocks, root, leaf))
    refused = tenant.here("import", path, "--json")
    assert refused.code == 2
    assert refused.json["error"]["roots"] == [format_cid(root), format_cid(leaf)]
    assert "--root" in refused.json["error"]["hint"]
    told(tenant.here("import", path, "--root", format_cid(blocks[1].cid)), 2, "no root", format_cid(root))
    told(tenant.here("import", path, "--root", "nonsense"), 2, "'nonsense' is not a CID")
    chosen = tenant.here("import", path, "--root", format_cid(leaf), "--copies", "1", "--json")
    assert chosen.code == 0, chosen.stderr
    assert chosen.json["root_cid"] == format_cid(leaf)
    assert (chosen.json["files"], chosen.json["size"]) == (1, len(blocks[0].data))


def test_a_car_without_roots_is_refused_with_a_sentence(here: Here, tenant: Tenant, tmp_path: Path) -> None:
    path = tmp_path / "none.car"
    path.write_bytes(car.header([]) + sections([raw(b"content")]))
    told(tenant.here("import", path), 1, "none.car", "names no root")


@pytest.mark.parametrize(
    ("name", "code", "word"), [("gone.car", 2, "does not exist"), ("text.car", 6, "not a CAR")]
)
def test_what_is_no_car_is_told(tenant: Tenant, tmp_path: Path, name: str, code: int, word: str) -> None:
    (tmp_path / "text.car").write_text("plain text, and not a little of it\n" * 9)
    told(tenant.here("import", tmp_path / name), code, name, word)


def test_a_damaged_block_is_told_with_its_offset_and_nothing_is_paid(tenant: Tenant, packed: Path) -> None:
    data = bytearray(packed.read_bytes())
    data[len(data) // 2] ^= 1
    packed.write_bytes(data)
    funds = tenant.funds()
    told(tenant.here("import", packed), 6, str(packed), "at byte", "does not have the content its CID names")
    assert (tenant.pins(), tenant.funds()) == ([], funds)


def test_a_dry_run_says_the_price_and_reads_no_block(tenant: Tenant, packed: Path) -> None:
    data = bytearray(packed.read_bytes())
    data[len(data) // 2] ^= 1  # would be noticed
    packed.write_bytes(data)
    dry = tenant.here("import", packed, "--dry-run", "--json")
    assert dry.code == 0, dry.stderr
    assert (dry.json["dry_run"], dry.json["car_size"]) == (True, len(data))
    assert float(dry.json["cost"]["per_month"]) > 0
    assert tenant.pins() == []


def test_a_file_that_changes_after_it_was_hashed_is_not_sent(tenant: Tenant, packed: Path) -> None:
    def damage(event: events.Event) -> None:
        if isinstance(event, events.Packed):
            data = bytearray(packed.read_bytes())
            data[-1] ^= 1
            packed.write_bytes(data)

    funds = tenant.funds()
    with services(tenant) as opened, pytest.raises(SourceChanged, match="content"):
        add(opened, AddRequest(content=CarContent(path=packed)), on_event=damage)
    assert tenant.funds() == funds


def test_a_car_over_the_limit_is_stored_as_several_and_comes_back_whole(
    tenant: Tenant, folder: Path, packed: Path, tmp_path: Path
) -> None:
    path = root_first(packed)
    root, _ = read(path)
    content = CarContent(path=path, piece_limit=20_000)
    with services(tenant) as opened:
        result = add(opened, AddRequest(content=content, wish=Wish(copies=1)))
    assert result.complete
    assert result.routing.state == "found"
    assert len(result.pieces) == 4
    assert sum(piece.size for piece in result.pieces) == result.car_size > path.stat().st_size
    assert all(piece.size <= 20_000 for piece in result.pieces)
    assert [len(tenant.on_chain(piece.piece_cid)) for piece in result.pieces] == [1] * 4

    # What a provider holds of each is a CAR with the true root; the one with its block is last.
    stored = [stored_car(tenant, piece.piece_cid) for piece in result.pieces]
    readers = [car.read_car([data]) for data in stored]
    assert {reader.roots for reader in readers} == {(root,)}
    assert [any(block.cid == root for block in reader) for reader in readers] == [False] * 3 + [True]

    back = tmp_path / "back"
    got = tenant.here("get", format_cid(root), "-o", back)
    assert got.code == 0, got.stderr
    assert same_tree(folder, back)


def stored_car(tenant: Tenant, piece_cid: str) -> bytes:
    [(provider_id, _, _)] = tenant.on_chain(piece_cid)
    url = tenant.world.urls.providers[provider_id - 1]
    with urllib.request.urlopen(f"{url}/piece/{piece_cid}") as answer:
        data: bytes = answer.read()
    assert len(data) == PieceCid.parse(piece_cid).payload_size
    return data


def test_content_that_was_removed_can_be_imported_with_its_blocks_in_another_order(
    tenant: Tenant, folder: Path, packed: Path
) -> None:
    path = root_first(packed)
    root = tenant.here("add", folder, "--copies", "1", "-q").stdout.strip()
    assert parse_cid(root) == read(path)[0]
    removed = tenant.here("rm", root, "--wait", "--json")
    assert removed.code == 0, removed.stderr
    imported = tenant.here("import", path, "--copies", "1", "--json")
    assert imported.code == 0, imported.stderr
    [piece] = imported.json["pieces"]
    assert piece["size"] == path.stat().st_size
    [pin] = tenant.pins()
    assert (pin["root_cid"], pin["state"], len(pin["pieces"])) == (root, "pinned", 1)


def test_content_that_is_stored_is_imported_beside_it_when_its_blocks_are_in_another_order(
    tenant: Tenant, folder: Path, packed: Path
) -> None:
    first = tenant.here("add", folder, "--copies", "1", "--json").json
    second = tenant.here("import", root_first(packed), "--copies", "1", "--json")
    assert second.code == 0, second.stderr
    [old, new] = second.json["pieces"]
    assert old["piece_cid"] == first["pieces"][0]["piece_cid"]
    assert [copy["uploaded"] for piece in (old, new) for copy in piece["copies"]] == [False, True]
    assert tenant.pins()[0]["state"] == "pinned"
