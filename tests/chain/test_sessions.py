"""What session keys may sign, and for how long that is enough."""

from __future__ import annotations

from fpin.chain.sessions import MARGIN, SCOPES, STORING, Grants
from fpin.chain.typed_data import PERMISSIONS, permission_hash

NOW = 1_800_000_000


def grants(**expiries: int) -> Grants:
    every = {scope: expiries.get(scope.replace("-", "_"), 0) for scope in SCOPES}
    return Grants(wallet="0xw", session="0xs", now=NOW, expiries=every)


def test_the_scopes_are_the_permissions_of_the_contract() -> None:
    assert set(SCOPES.values()) == set(PERMISSIONS)
    assert set(STORING) < set(SCOPES)
    # Published values, spec chain §5.
    assert permission_hash("AddPieces").hex().startswith("954bdc254591a7ea")
    assert permission_hash("TerminateService").hex().endswith("721dd8479dffc")


def test_what_expires_before_a_transaction_can_be_mined_is_missing_already() -> None:
    found = grants(add=NOW + MARGIN, remove=NOW + MARGIN + 1, create_data_set=NOW - 1)
    assert found.live == ("add", "remove")
    assert found.missing(STORING) == ("create-data-set", "add")
    assert found.missing(["remove"]) == ()
    assert found.missing(["terminate"]) == ("terminate",)
