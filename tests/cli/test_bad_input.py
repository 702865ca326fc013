"""Input that cannot be used: a sentence that names the thing and the way out, and nothing sent or paid."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path

import pytest

from fpin.chain.signer import Signer
from fpin.chain.wallet import Wallet
from fpin.devnet.accounts import USERS
from tests.cli.conftest import Here, Tenant
from tests.conftest import Fpin, Outcome

EMPTY_DIRECTORY = "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354"
KEY = "ab" * 32
CLOSED = "http://127.0.0.1:9"  # "discard": nothing listens there, and nothing may


@pytest.fixture
def note(tmp_path: Path) -> Path:
    path = tmp_path / "note.txt"
    path.write_text("one short note\n")
    return path


def told(outcome: Outcome, code: int, *words: str) -> None:
    """The last lines of stderr are the sentence and the way out, and hold *words*."""
    lines = outcome.stderr.splitlines()
    assert outcome.code == code, outcome.stderr
    assert lines[-2].startswith("fpin: "), outcome.stderr
    assert lines[-1].startswith("  → "), outcome.stderr
    for word in words:
        assert word in "\n".join(lines[-2:]), outcome.stderr


# What is to be stored


def test_a_missing_path_is_named_and_nothing_is_written_down(tenant: Tenant, tmp_path: Path) -> None:
    told(tenant.fpin("add", tmp_path / "no such"), 2, f"{tmp_path}/no such", "does not exist", "spelling")
    assert tenant.pins() == []


def test_a_pattern_is_a_missing_path(here: Here, note: Path) -> None:
    told(here("cid", note.parent / "*.txt"), 2, "*.txt", "patterns are not expanded")


def test_an_empty_directory_is_stored_and_comes_back_empty(tenant: Tenant, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    added = tenant.fpin("add", empty, "--copies", "1", "--json")
    assert added.code == 0, added.stderr
    assert (added.json["root_cid"], added.json["files"], added.json["size"]) == (EMPTY_DIRECTORY, 0, 0)
    assert added.json["pieces"][0]["size"] >= 127
    assert tenant.fpin("get", EMPTY_DIRECTORY, "-o", tmp_path / "back").code == 0
    assert list((tmp_path / "back").iterdir()) == []


@pytest.mark.parametrize("size", [0, 1, 126])
def test_a_file_too_small_for_a_piece_is_filled_up_and_comes_back_as_it_was(
    here: Here, tmp_path: Path, size: int
) -> None:
    small, car = tmp_path / "small", tmp_path / "small.car"
    small.write_bytes(b"\x07" * size)
    packed = here("pack", small, "-o", car, "--json")
    assert packed.code == 0, packed.stderr
    assert packed.json["cars"][0]["size"] == car.stat().st_size >= 127
    assert here("car", "verify", car).code == 0


# As root, runs the command once to load all modules (the interpreter itself may lie in a folder that only
# root can enter), then gives up root's rights and runs it again.
_AS_NOBODY = """
import os, sys
from fpin.cli import run
home = os.environ["FPIN_HOME"]
if os.geteuid() == 0:
    os.environ["FPIN_HOME"] = sys.argv[1]
    run(sys.argv[2:])
    os.environ["FPIN_HOME"] = home
    os.setuid(65534)
sys.exit(run(sys.argv[2:]))
"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o777)
        yield Path(name)
        for folder, _, _ in os.walk(name):
            os.chmod(folder, 0o700)


def as_nobody(*args: str | Path, home: Path) -> Outcome:
    done = subprocess.run(
        [sys.executable, "-c", _AS_NOBODY, str(home) + "-of-root", *map(str, args)],
        env=Fpin(home).env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


@pytest.mark.skipif(os.name != "posix", reason="needs permissions as POSIX has them")
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_cannot_be_read_is_named_before_anything_is_hashed(open_folder: Path, kind: str) -> None:
    content, home = open_folder / "photos", open_folder / "home"
    (content / "deep").mkdir(parents=True)
    (content / "deep" / "secret.txt").write_text("not yours")
    closed = content / "deep" / ("secret.txt" if kind == "file" else "")
    closed.chmod(0)
    outcome = as_nobody("cid", content, home=home)
    told(outcome, 1, kind, str(closed), "permission denied", "--exclude")
    left_out = as_nobody("cid", content, "--exclude", "deep", "-q", home=home)
    assert (left_out.code, left_out.stdout.split()[-1]) == (0, EMPTY_DIRECTORY)


@pytest.mark.skipif(os.name != "posix", reason="needs permissions as POSIX has them")
def test_a_home_that_cannot_be_written_is_named(open_folder: Path) -> None:
    home = open_folder / "home"
    home.mkdir(mode=0o555)
    outcome = as_nobody("ls", "--network", "mainnet", home=home)
    told(outcome, 1, str(home), "FPIN_HOME")
    assert list(home.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="needs permissions as POSIX has them")
def test_a_home_that_cannot_be_entered_is_named(open_folder: Path) -> None:
    home = open_folder / "home"
    home.mkdir(mode=0)
    told(as_nobody("ls", "--network", "mainnet", home=home), 1, str(home), "Permission denied", "FPIN_HOME")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("kind", ["a named pipe", "a socket"])
def test_what_is_no_file_is_named_and_can_be_left_out(here: Here, tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    if kind == "a socket":
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(str(folder / "odd"))
    else:
        os.mkfifo(folder / "odd")
    told(here("cid", folder), 1, str(folder / "odd"), kind, "--exclude")
    assert here("cid", folder, "--exclude", "odd", "-q").stdout.strip() == EMPTY_DIRECTORY


@pytest.mark.skipif(sys.platform != "linux", reason="needs file names that are not text")
def test_a_path_that_is_not_text_is_stored_and_found_by_it_again(tenant: Tenant, tmp_path: Path) -> None:
    folder = Path(os.fsdecode(bytes(tmp_path) + b"/caf\xe9"))
    folder.mkdir()
    (folder / "note.txt").write_text("from another time\n")
    added = tenant.here("add", folder, "--copies", "1", "--json")
    assert added.code == 0, added.stderr
    found = tenant.here("status", folder, "--json")
    assert found.code == 0, found.stderr
    assert [pin["root_cid"] for pin in found.json["pins"]] == [added.json["root_cid"]]


# CAR files


@pytest.fixture
def car(here: Here, tmp_path: Path) -> Path:
    folder, path = tmp_path / "folder", tmp_path / "folder.car"
    folder.mkdir()
    for number in range(4):
        (folder / f"{number}.bin").write_bytes(bytes([number]) * 1000)
    assert here("pack", folder, "-o", path, "-q").code == 0
    return path


@pytest.mark.parametrize("json", [False, True])
def test_a_damaged_car_is_told_with_file_and_offset(here: Here, car: Path, json: bool) -> None:
    listing = here("car", "ls", car, "--json").json["blocks"]
    block = next(block for block in listing if block["size"] == 1000)
    damaged = bytearray(car.read_bytes())
    damaged[block["offset"] + 500] ^= 1
    car.write_bytes(damaged)
    outcome = here("car", "verify", car, *["--json"] * json)
    assert outcome.code == 6
    message = outcome.json["error"]["message"] if json else outcome.stderr
    assert str(car) in message
    assert block["cid"] in message
    assert any(str(number) in message for number in range(block["offset"] - 40, block["offset"] + 1))


@pytest.mark.parametrize("length", [0, 1, 30, -1, -500])
def test_a_car_that_is_cut_short_is_told_with_file_and_offset(here: Here, car: Path, length: int) -> None:
    whole = car.read_bytes()
    car.write_bytes(whole[:length])
    for command in ("ls", "verify"):
        outcome = here("car", command, car)
        assert outcome.code == 6, outcome.stderr
        assert str(car) in outcome.stderr
        assert "byte" in outcome.stderr


def test_a_car_that_lacks_a_block_is_not_complete_and_says_which(here: Here, car: Path) -> None:
    blocks = here("car", "ls", car, "--json").json["blocks"]
    lost = blocks[0]
    raw = car.read_bytes()
    # A section is its length (2 bytes for this size), the CID (36 bytes) and the block.
    start = lost["offset"] - 38
    car.write_bytes(raw[:start] + raw[lost["offset"] + lost["size"] :])
    verdict = here("car", "verify", car, "--json")
    assert verdict.code == 6
    assert (verdict.json["complete"], verdict.json["missing"]) == (False, [lost["cid"]])


def test_what_is_no_car_and_what_is_not_there_are_named(here: Here, note: Path) -> None:
    for command in ("ls", "verify"):
        other = here("car", command, note)
        assert (other.code, str(note) in other.stderr) == (6, True), other.stderr
        absent = here("car", command, note.parent / "absent.car")
        assert (absent.code, "absent.car" in absent.stderr) == (1, True), absent.stderr


# Keys


@pytest.mark.parametrize(
    "key",
    ["0x" + "zz" * 32, KEY[:-2], KEY + "00", "correct horse battery staple", "00" * 32, "ff" * 32],
    ids=["not hex", "too short", "too long", "words", "zero", "beyond the curve"],
)
def test_a_wrong_key_is_refused_without_being_shown(here: Here, note: Path, key: str, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(key)
    file.chmod(0o600)
    ways = {
        "FPIN_PRIVATE_KEY": key,
        "PRIVATE_KEY": key,
        "FPIN_PRIVATE_KEY_FILE": str(file),
        "FPIN_PRIVATE_KEY_COMMAND": f"cat {file}",
    }
    for name, value in ways.items():
        network = ("--network", "calibration", "--rpc-url", CLOSED)
        outcome = here("add", note, *network, "-v", env={name: value})
        told(outcome, 4, "key")
        as_json = here("add", note, *network, "--json", env={name: value})
        assert as_json.json["error"]["kind"] == "NoKey"
        for text in (outcome.stdout, outcome.stderr, as_json.stdout, as_json.stderr):
            assert key not in text


def test_a_key_file_that_cannot_be_used_is_named(here: Here, note: Path, tmp_path: Path) -> None:
    file = tmp_path / "key"
    env = {"FPIN_PRIVATE_KEY_FILE": str(file)}
    told(here("add", note, "--network", "calibration", env=env), 4, str(file), "FPIN_PRIVATE_KEY_FILE")
    file.write_text(KEY)
    file.chmod(0o644)
    readable = here("add", note, "--network", "calibration", env=env)
    told(readable, 4, str(file), "other users", "chmod 600")
    assert KEY not in readable.stderr


@pytest.mark.parametrize("network", ["calibration", "mainnet"])
@pytest.mark.parametrize(
    "command", [("add", "{note}"), ("payments", "status"), ("payments", "setup"), ("cost", "{note}")]
)
def test_without_a_key_nobody_is_asked_and_the_way_to_give_one_is_named(
    here: Here, note: Path, network: str, command: tuple[str, ...]
) -> None:
    args = [word.format(note=note) for word in command]
    # The node is one that answers nothing: whoever asked it would end with 5.
    outcome = here(*args, "--network", network, "--rpc-url", CLOSED)
    told(outcome, 4, network, "FPIN_PRIVATE_KEY", "FPIN_PRIVATE_KEY_FILE")


# Networks


def test_an_unknown_network_is_told_with_those_there_are(here: Here, note: Path) -> None:
    told(here("add", note, "--network", "testnet"), 2, "testnet", "mainnet", "calibration", "devnet")


@pytest.mark.parametrize("command", [("add", "{note}"), ("payments", "deposit", "1")])
def test_a_network_that_cannot_be_reached_is_one_sentence_and_code_5(
    fpin: Fpin, note: Path, command: tuple[str, ...]
) -> None:
    args = [word.format(note=note) for word in command]
    outcome = fpin(
        *args, "--network", "calibration", "--rpc-url", CLOSED, env={"FPIN_PRIVATE_KEY": KEY, "NO_PROXY": "*"}
    )
    told(outcome, 5, "127.0.0.1:9", "cannot be reached", "again")
    assert outcome.stderr.count("fpin: ") == 1


def test_a_node_that_is_gone_keeps_nothing_from_being_shown_that_is_known(
    tenant: Tenant, tmp_path: Path, note: Path
) -> None:
    root = tenant.here("add", note, "--copies", "1", "-q").stdout.strip()
    info = tmp_path / "devnet-info.json"
    info.write_text(tenant.world.info_path.read_text().replace(tenant.world.urls.chain, CLOSED))
    env = {"DEVNET_INFO_PATH": str(info)}
    assert tenant.here("ls", "-q", env=env).stdout.strip() == root
    status = tenant.here("status", root, env=env)
    assert (status.code, root in status.stdout) == (0, True), status.stderr
    assert "note: the account is not shown: node 127.0.0.1:9 cannot be reached" in status.stderr


def test_a_node_of_another_chain_is_refused_before_anything_is_signed(tenant: Tenant, note: Path) -> None:
    node = f"{tenant.world.urls.chain}/rpc/v1"
    before = tenant.world.chain.epoch
    for command in (("add", str(note)), ("payments", "setup", "--deposit", "1")):
        outcome = tenant.fpin(*command, "--network", "calibration", "--rpc-url", node)
        told(outcome, 2, "31415926", "calibration is 314159", "--rpc-url")
    assert tenant.world.chain.epoch - before < 30  # epochs that passed, and no transaction's


def test_an_address_that_is_no_node_is_told(tenant: Tenant, note: Path) -> None:
    for url, code, words in (
        (tenant.world.urls.indexer, 1, "node"),
        ("ftp://example.test", 2, "--rpc-url"),
        ("no address", 2, "--rpc-url"),
    ):
        outcome = tenant.here("add", note, "--network", "calibration", "--rpc-url", url)
        told(outcome, code, words)


def test_a_devnet_file_that_is_missing_or_something_else_is_named(here: Here, note: Path) -> None:
    absent = str(note.parent / "absent.json")
    told(here("add", note, env={"DEVNET_INFO_PATH": absent}), 1, absent, "fpin devnet up")
    other = here("add", note, env={"DEVNET_INFO_PATH": str(note)})
    assert (other.code, str(note) in other.stderr) == (2, True), other.stderr


# Limits


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--metadata", "k" * 33 + "=v"], ["33 bytes", "32"]),
        (["--metadata", "key=" + "é" * 49], ["'key'", "98 bytes", "96"]),
        (["--metadata", "a=1", "--metadata", "b=2", "--metadata", "c=3"], ["4 metadata entries", "3"]),
        (["--metadata", "a=1", "--metadata", "a=2"], ["'a'", "twice"]),
        (["--name", "日" * 33], ["'name'", "99 bytes", "96"]),
        (["--metadata", "no-equals-sign"], ["no-equals-sign", "KEY=VALUE"]),
        (["--max-cost", "lots"], ["lots", "0.5"]),
        (["--copies", "0"], ["--copies"]),
        (["--wait-for", "ever"], ["ever", "retrievable"]),
        (["--profile", "unixfs-v9"], ["unixfs-v9", "unixfs-v1-2025"]),
    ],
)
def test_a_limit_that_is_broken_is_told_before_anybody_is_asked(
    here: Here, note: Path, args: list[str], words: list[str]
) -> None:
    env = {"FPIN_PRIVATE_KEY": KEY}
    # A question to the node would end with code 5.
    outcome = here("add", note, *args, "--network", "calibration", "--rpc-url", CLOSED, env=env)
    assert outcome.code == 2, outcome.stderr
    for word in words:
        assert word in outcome.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="needs arguments that are not text")
@pytest.mark.parametrize("option", [("--name", "\udcff"), ("--metadata", "key=\udcff")])
def test_a_name_that_is_not_text_is_refused(here: Here, note: Path, option: tuple[str, str]) -> None:
    env = {"FPIN_PRIVATE_KEY": KEY}
    outcome = here("add", note, *option, "--network", "calibration", "--rpc-url", CLOSED, env=env)
    assert (outcome.code, "UTF-8" in outcome.stderr) == (2, True), outcome.stderr


def test_more_than_the_ceiling_is_refused_and_nothing_is_paid(tenant: Tenant, note: Path) -> None:
    before = tenant.funds()
    told(tenant.here("add", note, "--max-cost", "0.1"), 4, "--max-cost 0.1", "fewer copies")
    assert tenant.funds() == before
    assert tenant.pins() == []


# Money


def test_who_has_neither_deposited_nor_approved_is_given_a_command_that_makes_it_work(
    tenant: Tenant, note: Path
) -> None:
    env = {"FPIN_PRIVATE_KEY": USERS[1].key.hex()}
    refused = tenant.here("add", note, "--copies", "1", "--json", env=env)
    assert refused.code == 4
    error = refused.json["error"]
    assert error["kind"] == "Unaffordable"
    assert "may not use your payment account" in error["message"]
    assert Decimal(error["hint"].split()[-1]) >= Decimal(error["missing"])
    assert tenant.pins() == []

    program, *command = error["hint"].split()
    assert (program, command[:2]) == ("fpin", ["payments", "setup"])
    paid = tenant.here(*command, "--json", env=env)
    assert paid.code == 0, paid.stderr
    assert paid.json["account"]["approved"] is True
    added = tenant.here("add", note, "--copies", "1", "--json", env=env)
    assert (added.code, added.json["complete"]) == (0, True), added.stderr


def test_an_account_that_is_too_small_is_told_by_how_much_and_with_a_command_that_fills_it(
    tenant: Tenant, note: Path
) -> None:
    wallet = Wallet(tenant.chain, Signer.from_key(tenant.fpin.wallet.key))
    wallet.withdraw(tenant.funds() - 10**17)
    refused = tenant.here("add", note, "--copies", "1", "--json")
    assert refused.code == 4
    error = refused.json["error"]
    assert "0.1 USDFC free and needs 0.62" in error["message"]
    program, *command = error["hint"].split()
    assert (program, command[:2]) == ("fpin", ["payments", "deposit"])
    assert Decimal(command[2]) >= Decimal(error["missing"])
    assert tenant.pins() == []
    assert tenant.here(*command).code == 0
    assert tenant.here("add", note, "--copies", "1").code == 0


def test_a_wallet_that_holds_nothing_is_told_what_to_send_it(tenant: Tenant, note: Path) -> None:
    env = {"FPIN_PRIVATE_KEY": USERS[2].key.hex()}
    told(tenant.here("add", note, env=env), 4, "0 USDFC free", "fpin payments setup", "--deposit")
    told(tenant.here("payments", "setup", "--deposit", "5", env=env), 4, USERS[2].address, "5 USDFC", "send")
    told(tenant.here("payments", "setup", env=env), 4, USERS[2].address, "FIL")


def test_an_amount_that_is_none_is_told(here: Here) -> None:
    for amount in ("lots", "1e5", "0.0000000000000000001"):
        told(here("payments", "deposit", amount), 2, amount, "2.5")


# This machine


@pytest.mark.parametrize("home", ["{tmp}/file/below", "/proc/nowhere"])
def test_a_home_that_cannot_be_made_is_named(here: Here, tmp_path: Path, home: str) -> None:
    (tmp_path / "file").write_text("in the way")
    place = home.format(tmp=tmp_path)
    told(here("ls", "--network", "calibration", env={"FPIN_HOME": place}), 1, place, "FPIN_HOME")


def test_a_store_of_a_newer_fpin_is_left_as_it_is(here: Here, home: Path) -> None:
    store = home / "data" / "fpin.sqlite"
    store.parent.mkdir(parents=True)
    with sqlite3.connect(store) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    before = store.read_bytes()
    told(here("ls", "--network", "calibration"), 1, str(store), "newer fpin", "upgrade")
    assert store.read_bytes() == before


@pytest.mark.parametrize("damage", ["other file", "pages"])
def test_a_damaged_store_is_named_and_costs_nothing_to_replace(
    tenant: Tenant, note: Path, home: Path, damage: str
) -> None:
    assert tenant.here("add", note, "--copies", "1", "-q").code == 0
    before = tenant.funds()
    store = home / "data" / "fpin.sqlite"
    db = sqlite3.connect(store)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    raw = store.read_bytes()
    store.write_bytes(b"x" * 5000 if damage == "other file" else raw[:4096] + b"\xff" * (len(raw) - 4096))
    for command in (("ls",), ("status",), ("add", note)):
        told(tenant.here(*command), 1, str(store), "move it away", "pays nothing twice")

    store.rename(home / "moved-away")
    again = tenant.here("add", note, "--copies", "1", "--json")
    assert again.code == 0, again.stderr
    assert again.json["pieces"][0]["copies"][0]["uploaded"] is False
    assert tenant.funds() == before


_LIMITED = """
import resource, sys
sys.dont_write_bytecode = True  # half a file of it would be left where everybody imports it from
from fpin.cli import main
limit = int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
main()
"""


class OnFullDisk(Fpin):
    """fpin where no file can grow beyond *limit* bytes."""

    limit = 200_000

    def command(self, args: Sequence[str | Path]) -> list[str]:
        return [sys.executable, "-c", _LIMITED, str(self.limit), *map(str, args)]


@pytest.mark.skipif(os.name != "posix", reason="needs limits as POSIX has them")
def test_a_full_disk_while_packing_leaves_nothing_and_keeps_what_was_there(
    home: Path, tmp_path: Path
) -> None:
    big, out = tmp_path / "big.bin", tmp_path / "out"
    big.write_bytes(os.urandom(300_000))
    out.mkdir()
    (out / "big.car").write_text("from before")
    told(OnFullDisk(home)("pack", big, "-o", out / "big.car"), 1, f"{out}/big.car", "make room")
    assert [(path.name, path.read_text()) for path in out.iterdir()] == [("big.car", "from before")]


@pytest.mark.skipif(os.name != "posix", reason="needs limits as POSIX has them")
def test_a_full_disk_while_fetching_leaves_nothing(tenant: Tenant, tmp_path: Path) -> None:
    big, out = tmp_path / "big.bin", tmp_path / "out"
    big.write_bytes(os.urandom(300_000))
    out.mkdir()
    root = tenant.fpin("add", big, "--copies", "1", "-q").stdout.strip()
    outcome = OnFullDisk(tenant.fpin.home, tenant.fpin.env)("get", root, "-o", out / "big.bin")
    assert outcome.code == 1
    assert "fpin: cannot write" in outcome.stderr
    assert str(out) in outcome.stderr
    assert list(out.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="needs limits as POSIX has them")
@pytest.mark.parametrize("limit", [10_000, 50_000, 70_000, 90_000, 110_000])
def test_a_disk_that_is_full_for_the_store_is_told_and_nothing_is_lost_or_paid_twice(
    tenant: Tenant, note: Path, home: Path, limit: int
) -> None:
    full = OnFullDisk(home, tenant.fpin.env)
    full.limit = limit
    outcome = full("add", note, "--copies", "1")
    # The more room the later it ends: before the store is made, after it, when the pin is written down, …
    if limit <= 90_000 or outcome.code:
        told(outcome, 1, str(home / "data" / "fpin.sqlite"), "free some space")
    again = tenant.here("add", note, "--copies", "1", "--json")
    assert (again.code, again.json["complete"]) == (0, True), again.stderr
    assert len(tenant.on_chain(again.json["pieces"][0]["piece_cid"])) == 1


@pytest.mark.skipif(os.name != "posix", reason="needs limits as POSIX has them")
@pytest.mark.parametrize("limit", [20_000, 50_000])
def test_a_disk_that_is_full_for_the_devnet_is_told(home: Path, note: Path, limit: int) -> None:
    full = OnFullDisk(home)
    full.limit = limit
    told(full("add", note, "--network", "devnet"), 1, str(home / "devnet"), "free some space")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("args", [("cid", "{note}"), ("cid", "{note}", "--json"), ("--help",)])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_standard_output_is_told_once(
    fpin: Fpin, note: Path, args: tuple[str, ...], unbuffered: str
) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            fpin.command([word.format(note=note) for word in args]),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env={**fpin.env, "PYTHONUNBUFFERED": unbuffered},
            timeout=60,
            check=False,
        )
    assert done.returncode == 1, done.stderr
    assert done.stderr.count("No space left on device") == 1
    assert done.stderr.splitlines()[-1].startswith("  → free some space")
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


@pytest.mark.parametrize("target", ["folder", "no/such/folder/x.car"])
def test_a_place_that_no_car_can_go_to_is_told_before_anything_is_read(
    here: Here, note: Path, tmp_path: Path, target: str
) -> None:
    (tmp_path / "folder").mkdir()
    told(here("pack", note, "-o", tmp_path / target), 2, str(tmp_path / target).removesuffix("/x.car"))
    assert list((tmp_path / "folder").iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_packing_never_replaces_what_is_no_file(here: Here, note: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert here("pack", note, "-o", pipe).code == 2
    assert pipe.is_fifo()


# Names


def test_a_name_that_means_two_pins_lists_both_and_touches_neither(tenant: Tenant, tmp_path: Path) -> None:
    roots = []
    for number in (1, 2):
        file = tmp_path / f"{number}.txt"
        file.write_text(f"content {number} {tenant.wallet}")
        added = tenant.here("add", file, "--name", "notes", "--copies", "1", "-q")
        roots.append(added.stdout.strip())
    refused = tenant.here("rm", "notes", "--json")
    assert refused.code == 1
    assert refused.json["error"]["matches"] == roots
    for root in roots:
        assert root in refused.json["error"]["message"]
    assert [pin["state"] for pin in tenant.pins()] == ["pinned", "pinned"]


def test_a_name_that_means_nothing_lists_what_there_is(here: Here, tmp_path: Path) -> None:
    told(here("status", "nothing", "--network", "calibration"), 1, "nothing here is called nothing")
