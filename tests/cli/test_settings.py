"""Every option can stand on the command line, in FPIN_… and in config.toml, in this order of precedence."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import click
import pytest

from fpin.cli.app import app
from fpin.cli.command import commands
from fpin.cli.declare import long_name
from tests.cli.conftest import Here, Tenant
from tests.conftest import Fpin

EVERY_COMMAND = dict(commands(app))
# Read before there is a command, or not options at all.
TAKEN = {
    "FPIN_HOME",
    "FPIN_CONFIG",
    *(f"FPIN_{key}{way}" for key in ("PRIVATE_KEY", "SESSION_KEY") for way in ("", "_FILE", "_COMMAND")),
}


@pytest.fixture
def config(home: Path, here: Here) -> Path:
    home.mkdir()
    return home / "config.toml"


def options(command: Any) -> list[click.Option]:
    return [param for param in command.params if isinstance(param, click.Option)]


@pytest.mark.parametrize("name", EVERY_COMMAND)
def test_every_option_of_every_command_has_a_variable_that_is_made_of_its_name(name: str) -> None:
    for option in options(EVERY_COMMAND[name]):
        assert option.envvar == "FPIN_" + long_name(option).upper().replace("-", "_")
        assert option.envvar not in TAKEN


def test_a_variable_means_the_same_kind_of_value_wherever_it_is_read() -> None:
    kinds: dict[str, set[tuple[str, bool, bool]]] = {}
    for command in EVERY_COMMAND.values():
        for option in options(command):
            kind = "text" if isinstance(option.type, click.Path) else option.type.name
            kinds.setdefault(str(option.envvar), set()).add((kind, option.is_flag, option.multiple))
    # The keys to list, and the one to make or prolong.
    assert {name for name, found in kinds.items() if len(found) > 1} == {"FPIN_ADDRESS"}


@pytest.mark.parametrize("name", EVERY_COMMAND)
def test_every_command_prints_json_or_nothing_when_it_is_told_to_and_ends_when_its_time_is_up(
    name: str,
) -> None:
    assert {"json", "quiet", "timeout", "use"} <= {long_name(one) for one in options(EVERY_COMMAND[name])}


def test_the_command_line_wins_over_the_environment_and_that_over_the_profile_and_that_over_the_rest(
    here: Here, config: Path
) -> None:
    config.write_text(
        'network = "mainnet"\nuse = "trial"\n[profiles.trial]\nnetwork = "calibration"\n', encoding="utf-8"
    )

    def network(*args: str, env: dict[str, str]) -> str:
        return str(here("ls", "--json", *args, env=env).json["network"])

    unset = {"FPIN_NETWORK": ""}
    assert network("--network", "mainnet", env={"FPIN_NETWORK": "nowhere"}) == "mainnet"
    assert network(env={"FPIN_NETWORK": "mainnet"}) == "mainnet"
    assert network(env=unset) == "calibration"
    config.write_text('network = "calibration"\n', encoding="utf-8")
    assert network(env=unset) == "calibration"
    config.unlink()
    assert network(env=unset) == "mainnet"


def test_switches_lists_and_amounts_stand_in_all_three_places(
    here: Here, config: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in ("a.txt", "b.txt", ".hidden", "c d, e.txt"):
        (folder / name).write_text(name)
    wanted = here("cid", folder, "--hidden", "--exclude", "a.txt", "--exclude", "b.txt", "-q").stdout
    by_env = {"FPIN_HIDDEN": "yes", "FPIN_EXCLUDE": "a.txt, b.txt", "FPIN_QUIET": "1"}
    assert here("cid", folder, env=by_env).stdout == wanted
    config.write_text('hidden = true\nexclude = ["a.txt", "b.txt"]\nquiet = true\n', encoding="utf-8")
    assert here("cid", folder).stdout == wanted
    # A value with a comma in it stands on a line of its own.
    without = here("cid", folder, "--exclude", "c d, e.txt", "--exclude", "a.txt", "-q").stdout
    assert here("cid", folder, env={"FPIN_EXCLUDE": "c d, e.txt\na.txt\n"}).stdout == without != wanted


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("copies = \n", 1, "Invalid value"),
        ('[profiles.ci]\nnetwrk = "x"\n', 2, "did you mean 'network'?"),
        ('[profiles.ci]\n\ncopies = "many"\n', 3, "integer"),
        ("[profiles.ci]\ncopies = 0\n", 2, "x>=1"),
        ("[profiles.ci]\nnetwork = [1]\n", 2, "single value"),
        ("[profiles.ci]\njson = true\n", 2, "no setting 'json'"),
        ('profiles = "ci"\n', 1, "[profiles.NAME]"),
        ("use = 3\n", 1, "name of a profile"),
        ('use = "c"\n[profiles.ci]\n', 1, "there are: ci"),
        ("copies = 1\ncopies = 2\n", 2, "overwrite"),
    ],
)
def test_a_mistake_in_the_file_is_told_with_its_line(
    here: Here, config: Path, text: str, line: int, words: str
) -> None:
    config.write_text(text, encoding="utf-8")
    outcome = here("cost", "x", "--json", env={"FPIN_USE": "ci" if "[profiles.ci]" in text else ""})
    if 'use = "c"' in text:
        outcome = here("cost", "x", "--json")
    assert outcome.code == 2, outcome.stderr
    assert f"{config}:{line}" in outcome.json["error"]["message"]
    assert words in outcome.json["error"]["message"] + str(outcome.json["error"]["hint"])


def test_a_setting_of_another_command_is_no_mistake(here: Here, config: Path) -> None:
    config.write_text("max-cost = 0.5\n", encoding="utf-8")
    assert here("ls").code == 0


def test_a_value_that_makes_no_sense_is_told_with_the_place_it_came_from(here: Here, config: Path) -> None:
    from_env = here("add", config.parent, env={"FPIN_MAX_COST": "lots"})
    assert from_env.code == 2
    assert "--max-cost is from FPIN_MAX_COST" in from_env.stderr
    unknown = here("add", config.parent, env={"FPIN_WAIT_FOR": "for ever"})
    assert "--wait-for is from FPIN_WAIT_FOR" in unknown.stderr
    address = here("status", env={"FPIN_WALLET_ADDRESS": "nobody"})
    assert "--wallet-address is from FPIN_WALLET_ADDRESS" in address.stderr
    assert "nobody" not in address.stderr  # it may be a key
    absent = here("add", config.parent, "--network", "devnet", env={"FPIN_PROFILE": "odd"})
    assert "--profile is from FPIN_PROFILE" in absent.stderr
    not_a_number = here("add", config.parent, env={"FPIN_COPIES": "many"})
    assert "Invalid value for FPIN_COPIES" in not_a_number.stderr


def test_config_show_says_where_each_value_comes_from(here: Here, config: Path) -> None:
    config.write_text('max-cost = 0.5\n[profiles.ci]\ncopies = 3\nkey = "keyring:ci"\n', encoding="utf-8")
    shown = here("config", "show", "--json", "--use", "ci", env={"FPIN_EXCLUDE": "*.tmp"}).json
    assert (shown["profile"], shown["profiles"]) == ("ci", ["ci"])
    found = {one["name"]: (one["value"], one["origin"]) for one in shown["settings"]}
    assert found["max-cost"] == ("0.5", f"{config}:1")
    assert found["copies"] == ("3", f"{config}:3")
    assert found["exclude"] == ("*.tmp", "FPIN_EXCLUDE")
    assert found["key"] == ("keyring:ci", f"{config}:4")
    assert found["network"] == ("devnet", "FPIN_NETWORK")
    assert found["wait-for"] == ("advertised", "default")
    assert f"{config}:1" in here("config", "show", "--origin").stdout


def test_help_is_shown_whatever_the_file_says(here: Here, config: Path) -> None:
    config.write_text("nonsense", encoding="utf-8")
    assert here("add", "--help").code == 0
    assert here("add", "x").code == 2


def test_a_file_that_is_named_has_to_be_there(here: Here, tmp_path: Path) -> None:
    outcome = here("ls", env={"FPIN_CONFIG": str(tmp_path / "absent.toml")})
    assert (outcome.code, "FPIN_CONFIG" in outcome.stderr) == (2, True)


def test_json_can_be_asked_for_by_the_environment_and_holds_for_failures_too(here: Here) -> None:
    assert here("ls", env={"FPIN_JSON": "1"}).json["schema"] == "fpin.ls/1"
    assert here("cid", "absent", env={"FPIN_JSON": "true"}).json["schema"] == "fpin.error/1"
    assert here("ls", env={"FPIN_JSON": "0"}).stdout.startswith("nothing is pinned")


def test_a_command_whose_time_is_up_ends_as_temporary_and_leaves_nothing_behind(
    fpin: Fpin, home: Path
) -> None:
    # Standard input that never ends, so only the limit can end the command.
    with subprocess.Popen(
        fpin.command(["cid", "-", "--timeout", "1", "--json"]),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=fpin.env,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        body = json.loads(process.stdout.read())
        assert "fpin: not done within 1 s" in process.stderr.read()
        assert process.wait(timeout=60) == body["error"]["code"] == 5
    assert body["error"]["kind"] == "Timeout"
    assert [path for path in home.rglob("spool/*") if path.is_file()] == []


def test_quiet_leaves_only_failures(fpin: Fpin, tmp_path: Path) -> None:
    done = fpin("devnet", "info", "--quiet")
    assert (done.code, done.stdout) == (1, "")
    assert done.stderr.startswith("fpin: ")


def test_quiet_prints_the_one_thing_that_a_script_wants(tenant: Tenant, here: Here) -> None:
    before = tenant.here("payments", "status", "--json").json["account"]
    status = tenant.here("payments", "status", "-q")
    assert (status.stdout.strip(), status.stderr) == (before["available"], "")
    deposit = tenant.here("payments", "deposit", "1", "-q")
    assert re.fullmatch("0x[0-9a-f]{64}\n", deposit.stdout)
    assert deposit.stderr == ""
    enough = tenant.here("payments", "fund", "--days", "1", "-q")
    assert (enough.code, enough.stdout, enough.stderr) == (0, "", "")
    assert "complete" in here("completion", "bash", "-q").stdout


def test_a_command_that_is_not_there_is_told_with_what_was_probably_meant(here: Here) -> None:
    assert "Did you mean 'status'?" in here("statsu").stderr
    assert "Did you mean 'withdraw'?" in here("payments", "withdrw").stderr
