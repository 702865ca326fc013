"""The workflows of the how-to pages: their own commands, in an environment as the runner's."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.action.runner import ACTION, Runner
from tests.cli.conftest import Tenant

HOW_TO = Path(__file__).parent.parent.parent / "docs" / "how-to"


def block(page: str, language: str) -> str:
    """Return the first block of a language in a page."""
    found = re.search(rf"^```{language}\n(.*?)^```$", (HOW_TO / page).read_text("utf-8"), re.M | re.S)
    assert found is not None
    return found[1]


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder for PATH that has fpin and python; pip there has installed everything already."""
    folder = tmp_path / "bin"
    folder.mkdir()
    here = Path(sys.executable)
    for name, line in {
        "fpin": f'exec {here} -m fpin "$@"',
        "python": f'exec {here} "$@"',
        "pip": "exit 0",
    }.items():
        (folder / name).write_text(f"#!/bin/sh\n{line}\n")
        (folder / name).chmod(0o755)
    return folder


def run(script: str, cwd: Path, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-eo", "pipefail", "-c", script],
        cwd=cwd, env=dict(env), capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip


def test_the_github_workflow_builds_stores_and_uses_the_outputs(tenant: Tenant, tmp_path: Path) -> None:
    workflow = yaml.safe_load(block("github-actions.md", "yaml"))
    steps = workflow["jobs"]["site"]["steps"]
    assert workflow["permissions"]["pull-requests"] == "write"
    runner = Runner(tmp_path / "runner", {"DEVNET_INFO_PATH": tenant.env["DEVNET_INFO_PATH"]})
    outputs: dict[str, dict[str, str]] = {}
    file = tmp_path / "session.key"
    assert tenant.here("session", "create", "--out", file).code == 0
    given = {"secrets.FPIN_SESSION_KEY": file.read_text().strip(), "vars.FPIN_WALLET_ADDRESS": tenant.wallet}

    def expand(text: str) -> str:
        def value(found: re.Match[str]) -> str:
            expression = found[1]
            if expression in given:
                return given[expression]
            if match := re.fullmatch(r"fromJson\(steps\.(\w+)\.outputs\.([\w-]+)\)\[0\]", expression):
                return str(json.loads(outputs[match[1]][match[2]])[0])
            match = re.fullmatch(r"steps\.(\w+)\.outputs\.([\w-]+)", expression)
            assert match, expression
            return outputs[match[1]][match[2]]

        return re.sub(r"\$\{\{ (.+?) \}\}", value, text)

    said = ""
    for step in steps:
        if "run" in step:
            done = run(
                expand(step["run"]), runner.workspace, {"PATH": "/usr/bin:/bin", "GITHUB_WORKFLOW": "w"}
            )
            assert done.returncode == 0, done.stderr
            said += done.stdout
        elif "fpin@" in step["uses"]:
            # The network is the one thing that a test cannot have as the page has it.
            ran = runner.run(
                {**{name: expand(text) for name, text in step["with"].items()}, "network": "devnet"}
            )
            assert ran.code == 0, ran.log
            outputs[step["id"]] = ran.outputs
    assert f"root CID {outputs['fpin']['root-cid']}" in said
    assert "first URL http://127.0.0.1:" in said


def test_the_inputs_of_the_page_are_those_of_the_action() -> None:
    text = (HOW_TO / "github-actions.md").read_text("utf-8")
    declared = yaml.safe_load(ACTION.read_text("utf-8"))
    for table, names in (("Input", declared["inputs"]), ("Output", declared["outputs"])):
        rows = text.partition(f"| {table} | Meaning |")[2].partition("\n\n")[0]
        shown = set(
            re.findall(
                r"`([a-z-]+)`(?=[^|]*\|)", "\n".join(row.split("|")[1] + "|" for row in rows.splitlines()[2:])
            )
        )
        assert shown <= set(names), table
    assert set(re.findall(r"`([a-z]+[A-Z]\w+)`", text)) == {
        name for name in declared["inputs"] if not name.islower()
    }


def test_the_gitlab_pipeline_builds_and_stores(tenant: Tenant, tmp_path: Path, programs: Path) -> None:
    pipeline: dict[str, Any] = yaml.safe_load(block("gitlab-ci.md", "yaml"))
    project = tmp_path / "project"
    project.mkdir()
    predefined = {
        "CI": "true",
        "CI_COMMIT_SHA": "0123abc",
        "CI_PROJECT_DIR": str(project),
        "CI_PROJECT_NAME": "lighthouse",
        "PATH": f"{programs}:/usr/bin:/bin",
        "DEVNET_INFO_PATH": tenant.env["DEVNET_INFO_PATH"],
        "FPIN_PRIVATE_KEY": tenant.env["FPIN_PRIVATE_KEY"],
    }
    for name in ("build", "store"):
        job = pipeline[name]
        variables = {
            key: text.replace("$CI_PROJECT_DIR", str(project))
            for key, text in job.get("variables", {}).items()
        }
        env = {**predefined, **variables}
        if "FPIN_NETWORK" in env:
            env["FPIN_NETWORK"] = "devnet"
        done = run("\n".join(job["script"]), project, env)
        assert done.returncode == 0, done.stderr
        for path in job["artifacts"]["paths"]:
            assert (project / path).exists()
    root = (project / "root-cid.txt").read_text().strip()
    [pin] = tenant.here("ls", "--json", env={"FPIN_HOME": str(project / ".fpin")}).json["pins"]
    assert (pin["root_cid"], pin["name"]) == (root, "lighthouse")


def test_the_script_stores_and_goes_on_after_what_is_temporary(
    tenant: Tenant, tmp_path: Path, programs: Path, site: Path
) -> None:
    script = block("shell.md", "sh")
    shutil.copytree(site, tmp_path / "site")
    env = {**tenant.env, "FPIN_HOME": str(tmp_path / "home"), "PATH": f"{programs}:/usr/bin:/bin"}
    env["FPIN_NETWORK"] = "devnet"
    done = subprocess.run(
        ["sh", "-c", script], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=240, check=False
    )
    assert (done.returncode, done.stdout) == (0, "stored and findable\n"), done.stderr
    root = json.loads((tmp_path / "result.json").read_text())["root_cid"]
    assert (tmp_path / "pins.txt").read_text().strip() == root
    broken = {
        **env,
        "DEVNET_INFO_PATH": "",
        "FPIN_NETWORK": "calibration",
        "FPIN_RPC_URL": "http://127.0.0.1:9",
    }
    later = subprocess.run(
        ["sh", "-c", script],
        cwd=tmp_path,
        env=broken,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert "temporary, the next run tries again" in later.stdout
