"""From options and environment to the services a flow works with, the devnet included."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import click

from fpin.cli.asking import ask_for_key, can_ask
from fpin.cli.command import CONFIG, WALLET
from fpin.values import dataclass

if TYPE_CHECKING:
    from fpin.cli.progress import Printer
    from fpin.flows.services import Services
    from fpin.keys import Credentials

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
        from fpin import api

        with api.open_network(
            self.network,
            rpc_url=self.rpc_url,
            credentials=self.credentials(),
            offline=offline,
            on_event=printer,
        ) as services:
            yield services

    def credentials(self) -> Credentials:
        """Return what there is to act with; no key is read yet, and nobody is asked for one."""
        from fpin import api

        meta = click.get_current_context().meta
        prompt = partial(ask_for_key, "private key", self.network) if not self.json and can_ask() else None
        return api.credentials(self.network, meta[CONFIG], wallet=meta.get(WALLET), prompt=prompt)
