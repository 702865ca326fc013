"""The example in each command's help does what it says, and what it prints with --json fits its schema."""

from __future__ import annotations

import io
import json
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from fpin.devnet.world import World
from reference import commands
from tests.cli.conftest import Here, Tenant
from tests.conftest import Fpin
from tests.keyrings import own_keyring
from tests.schemas import check_progress, check_schema

__all__ = ["own_keyring"]

COMMANDS = commands.every_command()
# Needs a network of its own; devnet up runs until it is interrupted.
DEVNET = {name for name in COMMANDS if name.startswith("devnet ")}
LAST = ("rm", "data-set terminate")  # what takes away what other examples look at


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_shows_an_example(name: str) -> None:
    example = commands.example_of(COMMANDS[name])
    assert example is not None, f"end the docstring of fpin {name} with 'Example: fpin {name} …'"
    assert example.startswith(f"fpin {name}")


def test_the_examples_work_one_after_the_other(
    tenant: Tenant, site: Path, tmp_path: Path, own_keyring: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(site, tmp_path / "site")
    monkeypatch.chdir(tmp_path)
    assert tenant.here("pack", "site", "-o", "site.car").code == 0
    assert tenant.here("add", "site", "--copies", "2", "-q").code == 0
    monkeypatch.setattr("sys.stdin", io.StringIO(tenant.env["FPIN_PRIVATE_KEY"]))  # what key set reads
    # Keys are numbered by chance, so an example cannot name the one that another example made.
    made = tenant.here("session", "create", "--out", "of-the-test.key", "-q").stdout.strip()
    order = [name for name in COMMANDS if name not in LAST] + [name for name in LAST if name in COMMANDS]
    for name in order:
        if name in DEVNET:
            continue
        example = shlex.split(commands.example_of(COMMANDS[name]) or "")[1:]
        # The examples name networks that a test cannot reach.
        args = [word if word not in ("calibration", "mainnet") else "devnet" for word in example]
        if name.startswith("data-set "):  # other tests have the first ones
            [own, *_] = tenant.here("data-set", "ls", "-q").stdout.split()
            args = [own if word == "1" else word for word in args]
        args = [made if word.startswith("0x") else word for word in args if word not in ("<", "key.txt")]
        outcome = tenant.here(*args, "--json")
        assert outcome.code == 0, f"fpin {name}: {outcome.stderr}"
        assert outcome.json["schema"] in commands.schemas_of(COMMANDS[name])
        check_progress(outcome.stderr)


def test_the_examples_of_the_devnet_work(world: World, home: Path, here: Here) -> None:
    for name in ("devnet info", "devnet mine"):
        outcome = here(*shlex.split(commands.example_of(COMMANDS[name]) or "")[1:], "--json")
        assert outcome.code == 0, outcome.stderr
        check_schema(outcome.json)


def test_a_devnet_says_where_it_is_as_json_and_ends_when_it_is_told_to(fpin: Fpin) -> None:
    command = fpin.command(["devnet", "up", "--json"])
    with subprocess.Popen(command, env=fpin.env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        body = json.loads(process.stdout.readline())
        process.terminate()
        assert (process.wait(timeout=60), process.stdout.read()) == (0, "")
    check_schema(body)
    assert body["up"] is True
    reset = fpin(*shlex.split(commands.example_of(COMMANDS["devnet reset"]) or "")[1:], "--json")
    assert (reset.code, reset.json["forgotten"]) == (0, 0), reset.stderr
