"""`fpin data-set show` and `terminate`: what is said of a data set, and what its end means for pins."""

from __future__ import annotations

import io
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fpin.chain.contracts import Chain
from fpin.chain.multicall import Call
from fpin.chain.revert import Revert
from fpin.devnet.world import World
from tests.cli.conftest import WALLETS, Tenant
from tests.cli.test_bad_input import told
from tests.conftest import Fpin

NOBODY = "0x2e988A386a799F506693793c6A5AF6B54dfAaBfB"


def stored(tenant: Tenant, folder: Path, name: str, *args: str) -> dict[str, Any]:
    file = folder / name
    file.write_text(f"{name} of {tenant.wallet}")
    added = tenant.here("add", file, "--json", *args)
    assert added.code == 0, added.stderr
    body: dict[str, Any] = added.json
    return body


def own_set(added: dict[str, Any], provider_id: int) -> int:
    copies = [one for one in added["pieces"][0]["copies"] if one["state"] == "advertised"]
    return int(next(one["data_set_id"] for one in copies if one["provider_id"] == provider_id))


def test_a_data_set_is_shown_with_what_it_holds_proves_and_costs(tenant: Tenant, tmp_path: Path) -> None:
    added = stored(tenant, tmp_path, "one.txt", "--provider", "1")
    number = own_set(added, 1)
    shown = tenant.here("data-set", "show", str(number), "--json")
    assert shown.code == 0, shown.stderr
    found = shown.json["data_set"]
    assert (found["state"], found["payer"], found["provider_id"]) == ("live", tenant.wallet, 1)
    assert found["metadata"] == {"source": "filecoin-pin", "withIPFSIndexing": ""}
    [piece] = found["pieces"]
    assert piece["piece_cid"] == added["pieces"][0]["piece_cid"]
    assert (piece["piece_id"], piece["size"], piece["leaving"]) == (0, added["pieces"][0]["size"], False)
    assert shown.json["known"] == [
        {"piece_cid": piece["piece_cid"], "root_cid": added["root_cid"], "name": "one.txt"}
    ]
    [rail] = found["rails"]
    assert rail["kind"] == "storage"
    assert Decimal(rail["per_month"]) == Decimal(found["per_month"]) >= Decimal("0.12")
    assert found["proof"]["state"] in ("not started", "waiting", "window open")
    # When the account is empty, what is locked pays for 30 more days.
    assert found["paid_until"] == found["epoch"] + found["runway"] + 30 * 2880
    text = tenant.here("data-set", "show", str(number)).stdout
    for word in ("live", "one.txt", piece["piece_cid"], "0.12 USDFC a month", "rail", "source=filecoin-pin"):
        assert word in text
    told(tenant.here("data-set", "show", "987654"), 1, "987654", "fpin data-set ls")


@pytest.mark.parametrize("by_cursor", [True, False])
def test_pieces_are_listed_page_by_page(
    tenant: Tenant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_cursor: bool
) -> None:
    if not by_cursor:
        # As a verifier from before 3.4 answers.
        ask = Chain.outcomes

        def older(chain: Chain, calls: Sequence[Call], **rest: Any) -> list[Any]:
            if [call.function.name for call in calls] == ["getActivePiecesByCursor"]:
                return [Revert(name="", args={}, sentence="the contract refused and gave no reason")]
            return list(ask(chain, calls, **rest))

        monkeypatch.setattr(Chain, "outcomes", older)
    monkeypatch.setattr("fpin.chain.contracts.PIECES_PER_PAGE", 2)
    added = [stored(tenant, tmp_path, f"{number}.txt", "--provider", "1") for number in range(3)]
    cids = [one["pieces"][0]["piece_cid"] for one in added]
    number = str(own_set(added[0], 1))

    def page(*args: str) -> tuple[list[str], int | None]:
        found = tenant.here("data-set", "show", number, "--json", *args).json["data_set"]
        return [piece["piece_cid"] for piece in found["pieces"]], found["next_piece_id"]

    assert page() == (cids, None)
    assert page("--limit", "2") == (cids[:2], 2)
    assert page("--limit", "2", "--from", "2") == (cids[2:], None)
    assert page("--limit", "1", "--from", "1") == (cids[1:2], 2)
    assert page("--from", "9") == ([], None)
    assert (
        f"fpin data-set show {number} --from 1"
        in tenant.here("data-set", "show", number, "--limit", "1").stdout
    )


def test_a_data_set_of_anybody_can_be_looked_at_without_a_key(tenant: Tenant, tmp_path: Path) -> None:
    number = own_set(stored(tenant, tmp_path, "one.txt", "--provider", "1"), 1)
    env = {"FPIN_PRIVATE_KEY": "", "FPIN_WALLET_ADDRESS": NOBODY}
    assert tenant.here("data-set", "show", str(number), "--json", env=env).json["data_set"]["state"] == "live"


def test_an_end_is_asked_for_with_what_it_means_and_done_after_a_yes(
    tenant: Tenant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    added = stored(tenant, tmp_path, "one.txt", "--provider", "1", "--provider", "2")
    number = own_set(added, 1)
    asked = tenant.here("data-set", "terminate", str(number))
    told(asked, 2, f"data set {number}", "one.txt (1 of 2 copies left)", "0.12", "stored until", "--yes")
    assert not tenant.chain.data_set(number).terminated

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for answer, code in (("\n", 1), ("no\n", 1), ("yes\n", 0)):
        monkeypatch.setattr("sys.stdin", Terminal(answer))
        monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
        outcome = tenant.here("data-set", "terminate", str(number))
        assert outcome.code == code, outcome.stderr
        assert tenant.chain.data_set(number).terminated is (code == 0)
    assert f"until epoch {tenant.chain.data_set(number).pdp_end_epoch}" in outcome.stdout


def test_what_ends_is_told_as_the_chain_then_has_it_and_pins_know(tenant: Tenant, tmp_path: Path) -> None:
    added = stored(tenant, tmp_path, "one.txt", "--provider", "1", "--provider", "2")
    number = own_set(added, 1)
    before = tenant.here("payments", "status", "--json").json["account"]
    ended = tenant.here("data-set", "terminate", str(number), "--yes", "--json")
    assert ended.code == 0, ended.stderr
    result = ended.json
    assert result["tx"].startswith("0x")
    assert result["ending"]["ends"] == tenant.chain.data_set(number).pdp_end_epoch
    assert result["ending"]["terminated"] is True
    [pin] = tenant.pins()
    assert pin["state"] == "degraded"
    states = {one["provider_id"]: one for one in pin["pieces"][0]["copies"]}
    assert (states[1]["state"], states[2]["state"]) == ("scheduled", "advertised")
    assert f"stored until epoch {result['ending']['ends']}" in states[1]["reason"]
    after = tenant.here("payments", "status", "--json").json["account"]
    # The rate of the data set is no longer counted; what is paid until its end comes out of what was locked.
    saved = Decimal(before["per_month"]) - Decimal(after["per_month"])
    assert abs(saved - Decimal(result["ending"]["per_month"])) < Decimal("0.0001")
    [listed, _] = tenant.here("data-set", "ls", "--json").json["data_sets"]
    assert (listed["state"], listed["ends"]) == ("terminated", result["ending"]["ends"])
    shown = tenant.here("data-set", "show", str(number), "--json").json["data_set"]
    assert (shown["state"], shown["paid_until"]) == ("terminated", result["ending"]["ends"])
    again = tenant.here("data-set", "terminate", str(number), "--yes", "--json")
    assert (again.code, again.json["tx"]) == (0, None)


def test_a_data_set_that_was_terminated_is_never_chosen_again(tenant: Tenant, tmp_path: Path) -> None:
    number = own_set(stored(tenant, tmp_path, "one.txt", "--provider", "1"), 1)
    assert tenant.here("data-set", "terminate", str(number), "--yes", "-q").code == 0
    other = own_set(stored(tenant, tmp_path, "two.txt", "--provider", "1"), 1)
    assert other != number
    again = own_set(stored(tenant, tmp_path, "three.txt", "--provider", "1"), 1)
    assert again == other
    file = tmp_path / "four.txt"
    file.write_text("nowhere to go")
    told(tenant.here("add", file, "--data-set", str(number)), 2, str(number), "terminated")
    # What lies in it is not counted as stored: adding it again makes a copy elsewhere.
    assert own_set(stored(tenant, tmp_path, "one.txt", "--provider", "1"), 1) == other


def test_only_the_wallet_that_pays_ends_a_data_set_and_only_with_its_own_key(
    tenant: Tenant, tmp_path: Path
) -> None:
    number = own_set(stored(tenant, tmp_path, "one.txt", "--provider", "1"), 1)
    stranger = {"FPIN_PRIVATE_KEY": "0x" + WALLETS[-2].key.hex()}
    told(tenant.here("data-set", "terminate", str(number), "--yes", env=stranger), 4, tenant.wallet)
    watching = {"FPIN_PRIVATE_KEY": "", "FPIN_WALLET_ADDRESS": tenant.wallet}
    told(tenant.here("data-set", "terminate", str(number), "--yes", env=watching), 4, "no key")
    file = tmp_path / "session.key"
    assert tenant.here("session", "create", "--scope", "all", "--out", file).code == 0
    session = {**watching, "FPIN_SESSION_KEY_FILE": str(file)}
    told(tenant.here("data-set", "terminate", str(number), "--yes", env=session), 4, "own key")
    assert not tenant.chain.data_set(number).terminated


def test_an_end_whose_answer_was_lost_is_found_and_not_sent_twice(
    fpin: Fpin, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fpin.api import connect
    from fpin.chain.node import Node
    from fpin.errors import NodeUnavailable
    from fpin.flows import ending

    file = tmp_path / "one.txt"
    file.write_text("once")
    number = fpin("add", file, "--copies", "1", "--json").json["pieces"][0]["copies"][0]["data_set_id"]
    for name, value in fpin.env.items():
        monkeypatch.setenv(name, value)

    def gone(*_: object, **__: object) -> None:
        raise NodeUnavailable("the node does not answer")

    with connect("devnet") as services, monkeypatch.context() as patch:
        patch.setattr(Node, "wait_for_receipt", gone)
        with pytest.raises(NodeUnavailable):
            ending.terminate(services, number)
    sent = world.chain.epoch
    again = fpin("data-set", "terminate", str(number), "--yes", "--json")
    assert again.code == 0, again.stderr
    assert again.json["tx"].startswith("0x")  # of the first run: it is the one that was asked for
    assert "which an earlier run signed, was executed" in again.stderr
    assert again.json["ending"]["ends"] <= sent + 30 * 2880
    assert fpin("ls", "--json").json["pins"][0]["pieces"][0]["copies"][0]["state"] == "scheduled"
