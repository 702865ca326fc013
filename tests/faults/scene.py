"""What can be broken on the devnet and on this machine, by name; nothing here knows what fpin should say."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from fpin.backends.filecoin import adding
from fpin.chain.account import standing
from fpin.chain.signer import Signer
from fpin.chain.wallet import Wallet
from fpin.devnet.provider import transactions
from fpin.flows import services
from fpin.piece import MAX_PIECE_SIZE
from fpin.provider.waiting import Clock
from fpin.routing import LOCAL
from fpin.store import Store
from fpin.threads import Crew
from fpin.units import ONE_TOKEN
from tests.cli.conftest import Tenant
from tests.conftest import Outcome
from tests.kills import victim
from tests.kills.victim import Order

ALWAYS = 10**9
HANGS_UP = 0  # in place of an HTTP status
ADD_PIECES = bytes.fromhex("9afd37f2")  # PDPVerifier.addPieces(uint256,address,(bytes)[],bytes)


@dataclass(frozen=True)
class Scene:
    """A tenant of the devnet and a file that nobody else stores."""

    tenant: Tenant
    note: Path
    patch: pytest.MonkeyPatch

    @property
    def wallet(self) -> Wallet:
        return Wallet(self.tenant.chain, Signer.from_key(self.tenant.fpin.wallet.key))

    def empty_account(self) -> None:
        state = self.tenant.chain.payer_state(self.tenant.wallet)
        self.wallet.withdraw(standing(state.account, state.epoch).available)


Fault = Callable[[Scene], object]


def provider(number: int, *routes: str, status: int = 503, times: int = ALWAYS) -> Fault:
    """A provider answers on *routes* with *status*, or hangs up."""

    def make(scene: Scene) -> None:
        faults = scene.tenant.world.provider(number).faults
        faults.status_for |= dict.fromkeys(routes, (status, times))

    return make


def every_provider(*routes: str) -> Fault:
    return together(*(provider(number, *routes) for number in (1, 2, 3)))


class Once(set[str]):
    """Routes at which something happens one time only."""

    def __contains__(self, name: object) -> bool:
        known = super().__contains__(name)
        self.discard(str(name))
        return known


def loses_answer(number: int, route: str) -> Fault:
    def make(scene: Scene) -> None:
        scene.tenant.world.provider(number).faults.drop_answer_after_success = Once({route})

    return make


def provider_switch(number: int, name: str, value: object) -> Fault:
    return lambda scene: setattr(scene.tenant.world.provider(number).faults, name, value)


def node(*methods: str, status: int = 503, times: int = ALWAYS) -> Fault:
    """The chain's node answers *methods* with *status*, or hangs up."""

    def make(scene: Scene) -> None:
        faults = scene.tenant.world.chain.faults
        faults.status_for |= dict.fromkeys(methods, (status, times))

    return make


def node_after(method: str, route: str) -> Fault:
    """The node stops answering *method* when provider 1 has been asked *route*."""

    def make(scene: Scene) -> None:
        faults = scene.tenant.world.provider(1).faults
        refusal = faults.refusal

        def watching(name: str) -> int | None:
            if name == route:
                node(method)(scene)
            return refusal(name)

        scene.patch.setattr(faults, "refusal", watching)

    return make


def chain_switch(name: str, value: object) -> Fault:
    """What happens to the transactions that add pieces, the other ones of the devnet left alone."""

    def make(scene: Scene) -> None:
        scene.tenant.world.chain.faults.selector = ADD_PIECES
        setattr(scene.tenant.world.chain.faults, name, value)

    return make


def before_the_add(act: Fault) -> Fault:
    """*act* comes when the provider's transaction is about to be executed."""
    return lambda scene: chain_switch("before", lambda: act(scene))(scene)


def when_uploaded(act: Fault) -> Fault:
    """*act* comes when the provider has the bytes."""

    def make(scene: Scene) -> None:
        mark_parked, todo = Store.mark_parked, [act]

        def acting(store: Store, copy: int, *, uploaded: bool, pulled_from: int | None = None) -> None:
            mark_parked(store, copy, uploaded=uploaded, pulled_from=pulled_from)
            if todo:
                todo.pop()(scene)

        scene.patch.setattr(Store, "mark_parked", acting)

    return make


def indexer(**switches: object) -> Fault:
    def make(scene: Scene) -> None:
        for name, value in switches.items():
            setattr(scene.tenant.world.indexer.faults, name, value)

    return make


def withdrawn(scene: Scene) -> None:
    scene.empty_account()


def revoked(scene: Scene) -> None:
    scene.wallet.revoke_service()


def dearer(scene: Scene) -> None:
    """The storage service asks for ten times as much, for as long as the scene lasts."""
    service = scene.tenant.world.chain.deployed.fwss
    price = 10 * service.prices.storage_per_tib_per_month
    scene.patch.setattr(
        service, "prices", dataclasses.replace(service.prices, storage_per_tib_per_month=price)
    )


def deposited(scene: Scene) -> None:
    scene.wallet.deposit(10 * ONE_TOKEN, approve=False)


def approved(scene: Scene) -> None:
    scene.wallet.approve_service()


def nothing(_: Scene) -> None:
    """Nothing is broken, or it has mended itself."""


def together(*faults: Fault) -> Fault:
    def make(scene: Scene) -> None:
        for fault in faults:
            fault(scene)

    return make


def hurried(scene: Scene) -> None:
    """Pauses between attempts are a tenth of what they are."""
    defaults = Clock.__init__.__kwdefaults__
    assert defaults is not None
    scene.patch.setitem(defaults, "sleep", lambda seconds: time.sleep(seconds / 10))
    sleep = Crew.sleep
    scene.patch.setattr(Crew, "sleep", lambda crew, seconds: sleep(crew, seconds / 10))


def resends_at_once(scene: Scene) -> None:
    """Providers send a transaction again that the chain does not know, without waiting."""
    scene.patch.setattr(transactions, "SEND_AGAIN_SECONDS", 0.0)
    for one in scene.tenant.world.providers:
        one._transactions._send_again_at = 0.0


def gives_up_routing(scene: Scene) -> None:
    """Routing is asked for half a second only, so that what lasts for ever ends."""
    soon = dataclasses.replace(
        LOCAL.add, delays=(0.02,), deadline=0.5, children=0.2, extension=0.1, ceiling=0.6, grace=0.1
    )
    scene.patch.setattr(services, "LOCAL", dataclasses.replace(LOCAL, add=soon))


def gives_up_confirming(scene: Scene) -> None:
    """The chain is asked for half a second only whether it has the add."""
    scene.patch.setattr(adding, "CONFIRMING", 0.5)


# How a command is run

Run = Callable[[Scene, Sequence[str]], Outcome]


def here(scene: Scene, args: Sequence[str]) -> Outcome:
    return scene.tenant.here(*args)


_LIMITED = """
import resource, sys
sys.dont_write_bytecode = True  # half a file of it would be left where everybody imports it from
from fpin.cli import main
limit = int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
main()
"""


def on_full_disk(limit: int) -> Run:
    """No file can grow beyond *limit* bytes."""

    def run(scene: Scene, args: Sequence[str]) -> Outcome:
        return _process(scene, [sys.executable, "-c", _LIMITED, str(limit), *args])

    return run


def killed_at(point: str) -> Run:
    def run(scene: Scene, args: Sequence[str]) -> Outcome:
        order, log = str(Order(point=point, time=1)), str(scene.note.with_name("points"))
        return _process(scene, [sys.executable, victim.__file__, order, log, str(MAX_PIECE_SIZE), *args])

    return run


def _process(scene: Scene, command: Sequence[str]) -> Outcome:
    done = subprocess.run(
        command,
        env={**os.environ, **scene.tenant.fpin.env},
        input=scene.note.read_bytes(),
        capture_output=True,
        timeout=120,
        check=False,
    )
    return Outcome(done.returncode, done.stdout.decode(), done.stderr.decode())
