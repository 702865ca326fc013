"""The GitHub Action: its own steps, run as a runner runs them, on a devnet."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from fpin.action.event import read_event
from fpin.action.inputs import ALIASES, OWN, RENAMED, SECRETS
from fpin.cli.declare import long_name
from reference import commands
from tests.action.runner import ACTION, GitHub, Runner
from tests.cli.conftest import Tenant
from tests.schemas import check_schema

ROOT = "bafybeidtybo5no6ftz2rq7ispq4zk5gzxpjqpl5waskihggwkxhfaz3vpa"  # of fixtures/site
OURS = {"repo": {"full_name": "us/site"}}
THEIRS = {"repo": {"full_name": "them/site"}}


def pull_request(head: Any) -> dict[str, Any]:
    return {"pull_request": {"number": 5, "head": head, "base": OURS}}


@pytest.fixture
def runner(tenant: Tenant, tmp_path: Path, site: Path) -> Runner:
    made = Runner(tmp_path / "runner", {"DEVNET_INFO_PATH": tenant.env["DEVNET_INFO_PATH"]})
    shutil.copytree(site, made.workspace / "dist")
    return made


@pytest.fixture
def github() -> Iterator[GitHub]:
    with GitHub() as server:
        yield server


@pytest.fixture
def inputs(tenant: Tenant) -> dict[str, str]:
    return {"path": "dist", "network": "devnet", "private-key": tenant.env["FPIN_PRIVATE_KEY"]}


def test_every_input_is_an_option_of_add_and_import_or_the_steps_own() -> None:
    action = yaml.safe_load(ACTION.read_text("utf-8"))
    packing = {"wrap", "hidden", "exclude"}  # mean nothing for a CAR
    for command, others in (("add", set()), ("import", packing)):
        options = {long_name(one) for one in commands.options_of(commands.every_command()[command])} | others
        for name in action["inputs"].keys() - {"egressProvider"}:
            plain = ALIASES.get(name, name)
            assert plain in OWN or plain in SECRETS or RENAMED.get(plain, plain) in options, name


def test_a_push_is_stored_and_told_and_the_next_run_of_the_same_pays_nothing(
    runner: Runner, tenant: Tenant, inputs: dict[str, str]
) -> None:
    ran = runner.run(inputs)
    assert ran.code == 0, ran.log
    assert ran.outputs["root-cid"] == ROOT
    assert ran.outputs["status"] == "stored"
    [piece_cid] = json.loads(ran.outputs["piece-cids"])
    assert len(tenant.on_chain(piece_cid)) == 2
    held = sorted(data_set for _, data_set, _ in tenant.on_chain(piece_cid))
    assert sorted(json.loads(ran.outputs["data-set-ids"])) == held
    assert json.loads(ran.outputs["urls"])[0].startswith("http://127.0.0.1:")
    assert float(ran.outputs["cost"]) > 0
    check_schema(json.loads(ran.outputs["json"]))
    for text in (ROOT, piece_cid, "| Provider |", "advertised", "USDFC a month"):
        assert text in ran.summary
    assert "provider 1: on chain" in ran.log
    # A fresh machine remembers nothing, the chain does.
    runner.forget()
    paid = tenant.funds()
    again = runner.run(inputs)
    assert (again.code, again.outputs["status"]) == (0, "already-stored"), again.log
    assert tenant.funds() == paid
    assert len(tenant.on_chain(piece_cid)) == 2


def test_a_session_key_is_enough_and_the_wallets_own_key_stays_at_home(
    runner: Runner, tenant: Tenant, inputs: dict[str, str]
) -> None:
    file = runner.folder / "session.key"
    assert tenant.here("session", "create", "--out", file).code == 0
    inputs.pop("private-key")
    ran = runner.run({**inputs, "session-key": file.read_text().strip(), "wallet-address": tenant.wallet})
    assert (ran.code, ran.outputs["status"]) == (0, "stored"), ran.log
    [piece_cid] = json.loads(ran.outputs["piece-cids"])
    assert len(tenant.on_chain(piece_cid)) == 2
    assert file.read_text().strip().removeprefix("0x") not in "\n".join(ran.log.splitlines()[2:])


def test_the_key_is_masked_first_and_printed_nowhere_else(
    runner: Runner, tenant: Tenant, inputs: dict[str, str]
) -> None:
    ran = runner.run(inputs)
    key = tenant.env["FPIN_PRIVATE_KEY"]
    bare = key.removeprefix("0x")
    masks = [f"::add-mask::{key}", f"::add-mask::{bare}"]
    lines = ran.log.splitlines()
    assert sorted(lines[:2]) == sorted(masks)
    assert bare not in "\n".join(lines[2:])
    assert bare not in ran.summary + json.dumps(ran.outputs)


def test_a_fork_is_packed_and_no_key_is_touched(
    runner: Runner, tenant: Tenant, inputs: dict[str, str], github: GitHub
) -> None:
    # Neither the key of the inputs nor one of the environment, nor a command that would print one.
    trap = runner.folder / "asked-for-the-key"
    more = {"FPIN_PRIVATE_KEY_COMMAND": f"touch {trap}", "GITHUB_API_URL": github.url}
    paid = tenant.funds()
    ran = runner.run(inputs, name="pull_request_target", event=pull_request(THEIRS), **more)
    assert ran.code == 0, ran.log
    assert (ran.outputs["root-cid"], ran.outputs["status"]) == (ROOT, "fork")
    assert len(json.loads(ran.outputs["piece-cids"])) == 1
    assert json.loads(ran.outputs["data-set-ids"]) == json.loads(ran.outputs["urls"]) == []
    assert "fork them/site" in ran.summary.replace("\\", "")
    assert not trap.exists()
    assert tenant.funds() == paid
    assert "no key was touched" in github.comments[0]["body"]


def workflow_run(head: Any) -> dict[str, Any]:
    run = {"head_repository": head, "repository": OURS["repo"], "pull_requests": [{"number": 5}]}
    return {"workflow_run": run}


@pytest.mark.parametrize(
    ("name", "event", "trusted"),
    [
        ("push", {}, True),
        ("pull_request", pull_request(OURS), True),
        ("pull_request", pull_request(THEIRS), False),
        ("pull_request_target", pull_request(THEIRS), False),
        ("workflow_run", workflow_run(OURS["repo"]), True),
        ("workflow_run", workflow_run(THEIRS["repo"]), False),
        # What does not say whose code it is counts as a fork.
        ("pull_request", {}, False),
        ("pull_request", {"pull_request": {"number": 5}}, False),
        ("pull_request", pull_request({"repo": None}), False),
        ("workflow_run", {}, False),
        ("workflow_run", workflow_run(None), False),
        # Nor is it believed by its name alone.
        ("push", pull_request(THEIRS), False),
        ("push", workflow_run(THEIRS["repo"]), False),
    ],
)
def test_only_the_repositorys_own_code_is_trusted(
    tmp_path: Path, name: str, event: dict[str, Any], trusted: bool
) -> None:
    file = tmp_path / "event.json"
    file.write_text(json.dumps(event))
    found = read_event({"GITHUB_EVENT_NAME": name, "GITHUB_EVENT_PATH": str(file)})
    assert (found.distrust is None) == trusted
    assert found.pull_request == (5 if "number" in json.dumps(event) else None)


def test_a_pull_request_has_one_comment_that_follows_what_is_stored(
    runner: Runner, inputs: dict[str, str], github: GitHub
) -> None:
    # Others have talked before, some of them about us.
    github.comments += [
        {"id": number, "html_url": "", "body": f"> <!-- fpin: dist -->\n{number}"} for number in range(100)
    ]
    for head, given, status in ((THEIRS, inputs, "fork"), (OURS, {**inputs, "dryRun": "true"}, "dry-run")):
        ran = runner.run(given, name="pull_request", event=pull_request(head), GITHUB_API_URL=github.url)
        assert (ran.code, ran.outputs["status"]) == (0, status), ran.log
    assert len(github.comments) == 101
    assert github.comments[-1]["body"].startswith("<!-- fpin: dist -->\n### fpin: dist")
    assert ROOT in github.comments[-1]["body"]
    assert "https://github.example/us/site/actions/runs/7" in github.comments[-1]["body"]
    assert [one.split()[0] for one in github.requests] == ["GET", "GET", "POST", "GET", "GET", "PATCH"]


def test_a_comment_that_is_refused_is_a_warning_and_the_step_goes_on(
    runner: Runner, inputs: dict[str, str], github: GitHub
) -> None:
    github.status = 403
    ran = runner.run(inputs, name="pull_request", event=pull_request(THEIRS), GITHUB_API_URL=github.url)
    assert ran.code == 0
    assert "::warning::the comment on the pull request was not written" in ran.log
    assert "Resource not accessible" in ran.log


def test_a_failure_is_an_annotation_with_fpins_code_and_what_to_do(
    runner: Runner, inputs: dict[str, str]
) -> None:
    ran = runner.run({**inputs, "path": "absent"})
    assert (ran.code, ran.outputs["status"]) == (2, "failed")
    assert "::error::absent does not exist" in ran.log
    assert "absent does not exist" in ran.summary
    too_expensive = runner.run({**inputs, "max-cost": "0"})
    assert (too_expensive.code, too_expensive.outputs["status"]) == (4, "failed")
    assert "--max-cost" in too_expensive.summary.replace("\\", "")


def test_what_is_stored_in_part_fails_the_step_unless_that_is_allowed(
    runner: Runner, tenant: Tenant, inputs: dict[str, str]
) -> None:
    faults = tenant.world.provider(2).faults
    faults.status_for["add"] = faults.status_for["create-and-add"] = (503, 999)
    both = {**inputs, "provider-id": "1,2"}
    ran = runner.run(both)
    assert (ran.code, ran.outputs["status"]) == (3, "partial"), ran.log
    assert "Stored in part" in ran.summary
    allowed = runner.run({**both, "allow-partial": "true"})
    assert (allowed.code, allowed.outputs["status"]) == (0, "partial")


def test_filecoin_pins_names_mean_what_they_mean_there(
    runner: Runner, tenant: Tenant, inputs: dict[str, str]
) -> None:
    key = inputs.pop("private-key")
    theirs = {"walletPrivateKey": key, "minRunwayDays": "36500", "maxBalance": "1000", "copies": "1"}
    before = tenant.funds()
    ran = runner.run({**inputs, **theirs})
    assert (ran.code, ran.outputs["status"]) == (0, "stored"), ran.log
    assert tenant.funds() > before  # a hundred years took a deposit


@pytest.mark.parametrize(
    ("theirs", "words"),
    [
        ({"minRunwayDays": "30"}, "maxBalance has to say"),
        ({"egressProvider": "beam"}, "no paid CDN"),
    ],
)
def test_what_filecoin_pin_refuses_or_has_alone_is_refused(
    runner: Runner, tenant: Tenant, inputs: dict[str, str], theirs: dict[str, str], words: str
) -> None:
    runner.action["outputs"].clear()  # nothing is written before the inputs are understood
    paid = tenant.funds()
    ran = runner.run({**inputs, **theirs})
    assert (ran.code, words in ran.log) == (2, True), ran.log
    assert tenant.funds() == paid


def test_what_filecoin_pin_takes_for_nothing_is_nothing(runner: Runner, inputs: dict[str, str]) -> None:
    theirs = {"minRunwayDays": "0", "egressProvider": "none", "dryRun": "true"}
    ran = runner.run({**inputs, **theirs})
    assert (ran.code, ran.outputs["status"], ran.outputs["root-cid"]) == (0, "dry-run", ROOT), ran.log


def test_a_single_file_keeps_its_name_where_it_is_wrapped(
    runner: Runner, tenant: Tenant, inputs: dict[str, str]
) -> None:
    given = {**inputs, "path": "dist/index.html", "wrap": "true", "dry-run": "true"}
    wrapped = tenant.here("cid", runner.workspace / "dist" / "index.html", "--wrap", "-q").stdout.split()[0]
    assert runner.run(given).outputs["root-cid"] == wrapped
    few = runner.run({**inputs, "exclude": "articles\ndownloads", "dry-run": "true"})
    left = ("--exclude", "articles", "--exclude", "downloads", "-q")
    assert few.outputs["root-cid"] == tenant.here("cid", runner.workspace / "dist", *left).stdout.split()[0]


def test_a_car_is_stored_as_it_is(runner: Runner, tenant: Tenant, inputs: dict[str, str]) -> None:
    car = runner.workspace / "build.car"
    assert tenant.here("pack", runner.workspace / "dist", "-o", car).code == 0
    ran = runner.run({**inputs, "path": "build.car", "copies": "1", "wait-for": "confirmed"})
    assert (ran.code, ran.outputs["root-cid"], ran.outputs["status"]) == (0, ROOT, "stored"), ran.log
    fork = runner.run({**inputs, "path": "build.car"}, name="pull_request", event=pull_request(THEIRS))
    assert (fork.code, fork.outputs["root-cid"], fork.outputs["status"]) == (0, ROOT, "fork"), fork.log


def test_names_of_files_are_neither_commands_nor_markup(runner: Runner, inputs: dict[str, str]) -> None:
    odd = runner.workspace / "::error::x"
    odd.mkdir()
    (odd / "| <b>` x").write_text("odd")
    ran = runner.run({**inputs, "path": "::error::x"}, name="pull_request", event=pull_request(THEIRS))
    assert ran.code == 0, ran.log
    before, _, rest = ran.log.partition("::stop-commands::")
    assert "::error::" not in before
    assert rest
    missing = runner.run({**inputs, "path": "<img src=x> | `no`"})
    assert "<img" not in missing.summary
    assert "\\`no\\`" in missing.summary


def test_inputs_that_make_no_sense_are_told(runner: Runner, inputs: dict[str, str]) -> None:
    runner.action["outputs"].clear()  # nothing is written before the inputs are understood
    twice = runner.run({**inputs, "walletPrivateKey": "another"})
    assert (twice.code, "private-key is given twice" in twice.log) == (2, True)
    assert inputs["private-key"] not in twice.log
    nothing = runner.run({**inputs, "path": ""})
    assert (nothing.code, "path" in nothing.log) == (2, True)
