"""The table of exit codes, and the one JSON object on every way out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fpin import errors
from fpin.cli import exits
from fpin.cli.session import Session
from tests.cli.conftest import Here, Tenant
from tests.conftest import Fpin

# The contract of the command line, class by class; a new class of error has to find its place here.
CODES = {
    "FpinError": 1,
    "UsageError": 2,
    "SourceError": 1,
    "SourceChanged": 1,
    "NotFound": 1,
    "LocalError": 1,
    "PermissionMissing": 4,
    "NoKey": 4,
    "Unaffordable": 4,
    "Unavailable": 5,
    "NodeUnavailable": 5,
    "ProviderUnavailable": 5,
    "IndexerUnavailable": 5,
    "GatewayUnavailable": 5,
    "QuoteExpired": 5,
    "ProviderError": 1,
    "ChainError": 1,
    "Reverted": 1,
    "VerificationFailed": 6,
    "PieceMismatch": 6,
}
DOCUMENTED = {0, 1, 2, 3, 4, 5, 6, 130}


def test_every_class_of_error_has_the_code_of_the_contract() -> None:
    tree = {
        name: kind
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, errors.FpinError)
    }
    assert {name: exits.code_of(kind("it did not work")) for name, kind in tree.items()} == CODES


def test_the_table_that_is_printed_into_the_documentation_has_every_code() -> None:
    assert set(exits.MEANINGS) == DOCUMENTED


def test_what_may_work_later_always_says_so() -> None:
    for kind in (errors.Unavailable, errors.NodeUnavailable, errors.ProviderUnavailable):
        assert "again" in (exits.way_out(kind("no answer")) or "")


USAGE = [
    ["--nonsense"],
    ["nonsense"],
    ["add"],
    ["add", "--copies", "many", "x"],
    ["add", "x", "--network", "nowhere"],
    ["add", "absent"],
    ["add", "here.txt", "--metadata", "nothing"],
    ["cost"],
    ["cost", "absent"],
    ["status", "a", "b"],
    ["ls", "surplus"],
    ["get"],
    ["get", "here", "-o", "-"],  # with --json, as all of these
    ["check"],
    ["rm"],
    ["cid", "absent"],
    ["cid", "here.txt", "--profile", "none"],
    ["pack", "here.txt"],
    ["pack", "here.txt", "-o", "."],
    ["car", "nonsense"],
    ["car", "ls"],
    ["car", "verify"],
    ["payments", "deposit"],
    ["payments", "deposit", "lots"],
    ["payments", "deposit", "0"],
    ["payments", "setup", "--deposit", "lots"],
    ["devnet", "nonsense"],
]
FAILURES = [
    (["car", "ls", "absent.car"], 1),
    (["car", "verify", "here.txt"], 6),
    (["status", "nothing", "--network", "mainnet"], 1),
    (["check", "nothing", "--network", "mainnet"], 1),
    (["rm", "nothing", "--network", "mainnet"], 1),
    (["get", "nothing", "--network", "mainnet"], 1),
    (["add", "here.txt", "--network", "mainnet"], 4),
    (["cost", "here.txt", "--network", "mainnet"], 4),
    (["payments", "status", "--network", "calibration"], 4),
    (["payments", "deposit", "1", "--network", "calibration"], 4),
    (["payments", "setup", "--network", "calibration"], 4),
    (["devnet", "info"], 1),
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "place"
    place.mkdir()
    (place / "here.txt").write_text("something to store\n")
    monkeypatch.chdir(place)
    return place


@pytest.mark.parametrize(
    ("args", "code"),
    [(args, 2) for args in USAGE] + FAILURES,
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_failure_is_exactly_one_json_object_with_the_code_that_the_process_has(
    here: Here, folder: Path, args: list[str], code: int
) -> None:
    outcome = here(*args, "--json")
    assert outcome.code == code, outcome.stderr
    [line] = outcome.stdout.splitlines()
    body = json.loads(line)
    assert body["schema"] == "fpin.error/1"
    assert body["error"]["code"] == code
    assert body["error"]["kind"] in CODES
    assert body["error"]["message"]
    # People who watch stderr read the same sentence.
    assert f"fpin: {body['error']['message']}" in outcome.stderr


@pytest.mark.parametrize("args", [["add"], ["add", "absent"], ["status", "nothing", "--network", "mainnet"]])
def test_a_failure_without_json_leaves_stdout_empty(here: Here, folder: Path, args: list[str]) -> None:
    outcome = here(*args)
    assert outcome.code in (1, 2)
    assert outcome.stdout == ""
    assert outcome.stderr.splitlines()[-2].startswith("fpin: ")


def test_the_process_ends_with_the_code_and_prints_the_object_as_utf8(fpin: Fpin, tmp_path: Path) -> None:
    outcome = fpin("cid", tmp_path / "fehlt 日本", "--json", env={"LC_ALL": "C", "PYTHONIOENCODING": "utf-8"})
    assert outcome.code == outcome.json["error"]["code"] == 2
    assert "fehlt 日本" in outcome.json["error"]["message"]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_without_an_alphabet_gets_its_answer_all_the_same(
    fpin: Fpin, tmp_path: Path, encoding: str
) -> None:
    file = tmp_path / "日本.txt"
    file.write_text("a name that this terminal cannot show")
    packed = fpin("pack", file, "-o", tmp_path / "日本.car", env={"PYTHONIOENCODING": encoding})
    assert packed.code == 0, packed.stderr
    assert (tmp_path / "日本.car").exists()


def test_a_failed_command_that_is_not_foreseen_is_still_an_object_and_says_what_it_is(
    here: Here, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from fpin.cli import run

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a mistake of ours")

    monkeypatch.setattr(Session, "services", broken)
    code = run(["ls", "--json"])
    out, err = capsys.readouterr()
    body = json.loads(out)
    assert (code, body["error"]["code"], body["error"]["kind"]) == (1, 1, "Bug")
    assert "this is a bug of fpin: ZeroDivisionError: a mistake of ours" in err
    assert "Traceback" in err  # what a report needs


def test_success_is_exactly_one_object_for_every_command_of_the_main_path(
    tenant: Tenant, folder: Path, tmp_path: Path
) -> None:
    root = tenant.here("cid", "here.txt", "-q").stdout.strip()
    commands = {
        "fpin.cost/1": ["cost", "here.txt"],
        "fpin.cid/1": ["cid", "here.txt"],
        "fpin.pack/1": ["pack", "here.txt", "-o", str(tmp_path / "x.car")],
        "fpin.add/1": ["add", "here.txt", "--copies", "1"],
        "fpin.status/1": ["status"],
        "fpin.ls/1": ["ls"],
        "fpin.check/1": ["check", root],
        "fpin.get/1": ["get", root, "-o", str(tmp_path / "back")],
        "fpin.payments/1": ["payments", "status"],
        "fpin.rm/1": ["rm", root],
    }
    for schema, args in commands.items():
        outcome = tenant.here(*args, "--json")
        assert outcome.code == 0, outcome.stderr
        [line] = outcome.stdout.splitlines()
        assert json.loads(line)["schema"] == schema


def test_a_reader_that_goes_away_is_no_failure_to_tell(fpin: Fpin, folder: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(
            fpin.command(["cid", "here.txt"]),
            stdout=write,
            stderr=subprocess.PIPE,
            text=True,
            env=fpin.env,
            timeout=60,
            check=False,
        )
    finally:
        os.close(write)
    assert done.returncode == 1
    assert done.stderr == "1 file, 19 B\n"


def test_help_is_shown_without_touching_the_home(fpin: Fpin, home: Path) -> None:
    outcome = fpin("--help", env={"COLUMNS": "100"})
    assert (outcome.code, outcome.stderr) == (0, "")
    assert "add" in outcome.stdout
    assert not home.exists()
    assert sys.executable not in outcome.stdout
