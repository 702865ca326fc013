"""The page about Python is a program that runs; importing fpin costs next to nothing."""

from __future__ import annotations

import asyncio
import inspect
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import fpin
from fpin import errors
from fpin.cli.declare import long_name
from fpin.flows.add import AddResult
from reference import commands
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


RENAMED = {
    "provider": "providers",
    "exclude-provider": "exclude_providers",
    "data-set": "data_sets",
    "country": "countries",
    "region": "regions",
    "range": "span",
    "output": "out",
    "sample-seed": "seed",
}
# What makes no sense in a program, and what `connect` takes.
NOT_CALLED = {
    *("json", "quiet", "verbose", "timeout", "watch", "urls", "open"),
    *("use", "rpc-url", "wallet-address"),
}


@pytest.mark.parametrize("name", ["add", "cost", "cid", "get", "verify", "status", "check", "repair", "rm"])
def test_a_call_takes_what_the_command_of_its_name_takes(name: str) -> None:
    options = {long_name(one) for one in commands.options_of(commands.every_command()[name])}
    wanted = {RENAMED.get(one, one.replace("-", "_")) for one in options - NOT_CALLED}
    if name == "cid":
        wanted.remove("name")  # of standard input
    assert wanted <= inspect.signature(getattr(fpin, name)).parameters.keys()


def test_several_threads_of_an_event_loop_store_at_the_same_time(
    tenant: Tenant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**tenant.env, "FPIN_NETWORK": "devnet"}.items():
        monkeypatch.setenv(name, value)
    paths = [tmp_path / f"{number}.txt" for number in range(3)]
    for path in paths:
        path.write_text(f"{path.name} of {tenant.wallet}")

    async def store() -> list[AddResult]:
        return await asyncio.gather(*(asyncio.to_thread(fpin.add, path, copies=1) for path in paths))

    results = asyncio.run(store())
    assert all(result.complete for result in results)
    held = [tenant.on_chain(result.pieces[0].piece_cid) for result in results]
    # One copy each, and one data set for them all: none was paid for twice.
    assert [len(copies) for copies in held] == [1, 1, 1]
    assert len({data_set for copies in held for _, data_set, _ in copies}) == 1


def test_where_copies_are_to_be_is_refused_where_it_contradicts_itself() -> None:
    with pytest.raises(errors.UsageError, match="does not go with"):
        fpin.add("absent", providers=[1], data_sets=[1], network="calibration")
    with pytest.raises(errors.UsageError, match="neither country nor region"):
        fpin.cost("absent", spread="planet", network="calibration")


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
