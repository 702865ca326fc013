"""What a flow works with, put together in one place for commands and library users alike."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from fpin.backends.base import Backend
from fpin.chain.networks import DEVNET, DevnetInfo, load_network
from fpin.events import OnEvent, Waiting
from fpin.http import Http
from fpin.keys import Credentials, Secret, given
from fpin.routing import LOCAL, PUBLIC, Gate, Pace
from fpin.settings import Folders, indexers, make_folder
from fpin.store import Pin, Store
from fpin.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The store, the backend and the ways to ask routing. Belongs to one thread."""

    store: Store
    backend: Backend
    http: Http
    gate: Gate
    pace: Pace
    gateways: tuple[str, ...]  # URL templates with {cid} and {path}; safe to open once routing found it
    folders: Folders

    def alone(self, pin: Pin, on_event: OnEvent) -> contextlib.AbstractContextManager[None]:
        """Be the only process that changes copies of *pin*, once no other does; read it again inside."""

        def waiting(holder: str) -> None:
            on_event(Waiting(what=f"{holder}, which works on the same content"))

        return self.store.exclusively(pin.pin, on_wait=waiting)


@contextlib.contextmanager
def connect(
    *,
    network: str,
    rpc_url: str | None,
    folders: Folders,
    key: Secret | None = None,
    credentials: Credentials | None = None,
    devnet_info: Path | None = None,
) -> Iterator[Services]:
    """Open everything for *network*; asks nothing of it, and no key is read, yet.

    *key* is short for credentials that are the wallet's own key. *devnet_info* names the file of a running
    devnet, whose first user acts where nobody else is named.
    """
    from fpin.backends.filecoin import Account, FilecoinBackend, Identity
    from fpin.chain.contracts import Chain
    from fpin.chain.rpc import JsonRpc

    net = load_network(network, rpc_url=rpc_url, devnet_info=devnet_info)
    if (named := indexers()) is not None:
        net = net.with_indexers(named)
    acting = credentials or Credentials(key=given(key) if key else None)
    nobody = acting.wallet is None and acting.key is None and acting.session is None
    if nobody and devnet_info is not None and net.name == DEVNET:
        user = DevnetInfo.read(devnet_info).users[0]
        acting = Credentials(key=given(Secret(user.private_key, "devnet-info.json")))
    identity = Identity(acting, net.name)
    gate = Gate()
    make_folder(folders.data)
    with Store(folders.store) as store, Http(guard=gate) as http:
        chain = Chain(net, JsonRpc(net.rpc_url, http))
        yield Services(
            store=store,
            backend=FilecoinBackend(Account(chain=chain, store=store, http=http, identity=identity)),
            http=http,
            gate=gate,
            pace=LOCAL if net.name == DEVNET else PUBLIC,
            gateways=net.gateways,
            folders=folders,
        )
