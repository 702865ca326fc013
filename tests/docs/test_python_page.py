"""The page about Python is a program that runs; importing fpin costs next to nothing."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import fpin
from fpin import errors
from tests.cli.conftest import Tenant

PAGE = Path(__file__).parent.parent.parent / "docs" / "how-to" / "python.md"


def test_the_examples_run_from_top_to_bottom(
    tenant: Tenant, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(site, tmp_path / "site")
    (tmp_path / "note.txt").write_text(tenant.wallet)
    monkeypatch.chdir(tmp_path)
    for name, value in {**tenant.env, "FPIN_NETWORK": "devnet"}.items():
        monkeypatch.setenv(name, value)
    text = PAGE.read_text(encoding="utf-8")
    names: dict[str, object] = {"__name__": "page"}
    for match in re.finditer(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        # Blank lines before it, so that a failure names the line of the page.
        above = "\n" * text[: match.start(1)].count("\n")
        exec(compile(above + match[1], str(PAGE), "exec"), names)


def test_importing_fpin_imports_nothing_else_of_it() -> None:
    code = "import sys; import fpin; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    ours = {name for name in done.stdout.split() if name.split(".")[0] == "fpin"}
    assert ours == {"fpin", "fpin._version"}


def test_everything_that_is_promised_is_there() -> None:
    assert sorted(dir(fpin)) == sorted(fpin.__all__)
    for name in fpin.__all__:
        assert getattr(fpin, name) is not None
    assert not hasattr(fpin, "nothing")


def test_services_of_one_network_are_not_used_for_another(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in tenant.env.items():
        monkeypatch.setenv(name, value)
    with fpin.connect("devnet") as services, pytest.raises(errors.UsageError, match="not of mainnet"):
        fpin.status(network="mainnet", services=services)


def test_a_key_that_is_given_signs_and_is_never_shown(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEVNET_INFO_PATH", tenant.env["DEVNET_INFO_PATH"])
    key = tenant.env["FPIN_PRIVATE_KEY"]
    with fpin.connect("devnet", key=key) as services:
        account = fpin.status(services=services).account
        assert key.removeprefix("0x") not in repr(services)
    assert account is not None
    assert account.address == tenant.wallet


def test_amounts_that_are_none_are_told_before_anything_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("max_cost", "max_deposit", "max_balance"):
        amount: dict[str, Any] = {name: "lots"}
        with pytest.raises(errors.UsageError, match=f"{name}='lots' is not an amount"):
            fpin.add("absent", network="calibration", **amount)
