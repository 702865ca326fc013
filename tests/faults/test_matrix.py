"""Every row of the table happens: exit code, sentence, state, and the run afterwards."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from fpin.chain.contracts import Chain
from fpin.devnet.accounts import DevAccount
from fpin.devnet.world import World
from fpin.store import ON_CHAIN, UNDER_WAY
from tests.cli.conftest import Careful, Tenant, here, shared_world, tenant, wallets, witness
from tests.conftest import Outcome
from tests.faults.page import PAGE, page
from tests.faults.scene import Scene, hurried, nothing
from tests.faults.scene import here as run_here
from tests.faults.table import NOTE, TABLE, Row

__all__ = ["here", "shared_world", "tenant", "wallets", "witness"]

ROWS = [row for part in TABLE for row in part.rows]
LINES = 4000  # of the file that is stored: more than some room on a disk


@pytest.fixture
def scene(tenant: Tenant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    return Scene(tenant, write_note(tmp_path, tenant.wallet), monkeypatch)


@pytest.fixture(scope="module")
def price(
    shared_world: World,
    witness: Chain,
    wallets: Iterator[DevAccount],
    tmp_path_factory: pytest.TempPathFactory,
) -> int:
    """What one copy of the file costs an account when nothing goes wrong."""
    folder, wallet = tmp_path_factory.mktemp("undisturbed"), next(wallets)
    fpin = Careful(folder / "home", wallet, {"DEVNET_INFO_PATH": str(shared_world.info_path)})
    before = witness.account(wallet.address).funds
    added = fpin("add", write_note(folder, wallet.address), "--copies", "1")
    assert added.code == 0, added.stderr
    return before - witness.account(wallet.address).funds


def write_note(folder: Path, wallet: str) -> Path:
    note = folder / "note.txt"
    note.write_text(f"what {wallet} wants to keep\n" * LINES)
    return note


def run(row: Row, scene: Scene) -> Outcome:
    with scene.patch.context() as patch:
        broken = Scene(scene.tenant, scene.note, patch)
        hurried(broken)
        row.make(broken)
        outcome = row.run(broken, arguments(scene, row.args))
    scene.tenant.mend()
    return outcome


def arguments(scene: Scene, args: Sequence[str]) -> list[str]:
    return [str(scene.note) if arg == NOTE else arg for arg in args]


def check_said(outcome: Outcome, says: Sequence[str]) -> None:
    lines = [line.strip() for line in outcome.stderr.splitlines()]
    for sentence in says:
        pattern = ".+".join(map(re.escape, sentence.split("…")))
        assert any(re.fullmatch(pattern, line) for line in lines), f"{sentence!r} is not in\n{outcome.stderr}"


def copies(tenant: Tenant) -> dict[int, str]:
    pins = tenant.pins()
    return {c["provider_id"]: c["state"] for pin in pins for piece in pin["pieces"] for c in piece["copies"]}


def check_chain(scene: Scene, stored: Mapping[int, str]) -> int:
    """Check that the chain holds what the store says, once at each provider; return how many that are."""
    [piece] = scene.tenant.here("cid", scene.note, "--json").json["pieces"]
    providers = [row[0] for row in scene.tenant.on_chain(piece["piece_cid"])]
    assert len(set(providers)) == len(providers)
    assert {number for number, state in stored.items() if state in ON_CHAIN} <= set(providers)
    assert set(providers) <= {number for number, state in stored.items() if state in ON_CHAIN | UNDER_WAY}
    return len(providers)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_what_goes_wrong_is_told_and_the_next_run_makes_it_good(row: Row, scene: Scene, price: int) -> None:
    tenant, before = scene.tenant, scene.tenant.funds()
    first = run(row, scene)
    assert first.code == row.code, first.stderr
    check_said(first, row.says)
    if row.state is not None:
        assert [pin["state"] for pin in tenant.pins()] == ([row.state] if row.state else [])
        assert copies(tenant) == row.copies
    there = check_chain(scene, copies(tenant))
    if row.then is nothing:  # else money was moved besides
        assert before - tenant.funds() == there * price

    row.then(scene)
    before = tenant.funds()
    command = row.again or row.args
    if NOTE in command:
        again = run_here(scene, [*arguments(scene, command), "--json"])
    else:
        again = tenant.fpin(*command, "--json", stdin=scene.note.read_bytes())
    assert (again.code, again.json["complete"]) == (0, True), again.stderr
    assert copies(tenant) == row.copies_again
    assert before - tenant.funds() == (check_chain(scene, row.copies_again) - there) * price


def test_the_page_is_what_the_table_gives() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run `make reference`"


def test_every_row_has_a_name_of_its_own() -> None:
    assert len({row.id for row in ROWS}) == len(ROWS)
