"""From options and environment to the services a flow works with, the devnet included."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fpin.errors import UsageError
from fpin.settings import folders, make_folder, private_key

if TYPE_CHECKING:
    from fpin.cli.progress import Printer
    from fpin.flows.services import Services

DEVNET = "devnet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One command's options."""

    network: str
    rpc_url: str | None = None
    json: bool = False
    quiet: bool = False
    verbose: bool = False

    def printer(self) -> Printer:
        from fpin.cli.progress import choose

        return choose(json_output=self.json, quiet=self.quiet, verbose=self.verbose)

    @contextlib.contextmanager
    def services(self, printer: Printer, *, offline: bool = False) -> Iterator[Services]:
        """Open the services of the network; an embedded devnet is started if none is running.

        *offline* is for what only reads the store: then no devnet is started.
        """
        # The rooms below take 0.1 s to import, and `fpin --help` needs none of them.
        from fpin.flows.services import connect
        from fpin.pack.spool import sweep

        where = folders()
        sweep(where.spool)
        if self.network != DEVNET:
            with connect(
                network=self.network, rpc_url=self.rpc_url, folders=where, key=private_key()
            ) as services:
                yield services
            return
        if self.rpc_url:
            raise UsageError(
                "--rpc-url does not go with --network devnet",
                hint="fpin devnet up --chain URL --devnet-info FILE uses another node",
            )
        # A DEVNET_INFO_PATH names a devnet that somebody else runs, as the reference client reads it.
        named = os.environ.get("DEVNET_INFO_PATH")
        with contextlib.ExitStack() as stack:
            if named:
                info = Path(named)
            elif offline and where.devnet_info.exists():
                info = where.devnet_info
            else:
                from fpin.devnet.attach import attach_or_start
                from fpin.events import Waiting

                def waiting(what: str) -> None:
                    printer(Waiting(what=what))

                info = stack.enter_context(attach_or_start(make_folder(where.devnet), on_wait=waiting))
            services = stack.enter_context(
                connect(network=DEVNET, rpc_url=None, folders=where, key=private_key(), devnet_info=info)
            )
            yield services
