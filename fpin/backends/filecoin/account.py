"""What every part of the Filecoin backend works with: the chain, the store, the keys and a provider's API."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import field, replace

from fpin.backends.filecoin.identity import Identity
from fpin.chain.contracts import Chain
from fpin.chain.provider_record import ProviderRecord, is_web_address
from fpin.chain.records import Market
from fpin.chain.revert import decode_revert
from fpin.chain.rpc import RpcError
from fpin.chain.sessions import Grants
from fpin.chain.signer import Signer
from fpin.errors import FpinError, PermissionMissing, ProviderError, Unavailable
from fpin.http import Http
from fpin.provider.api import ProviderApi
from fpin.provider.waiting import Clock
from fpin.store import Store
from fpin.threads import Crew
from fpin.units import format_time
from fpin.values import dataclass


@dataclass(kw_only=True)
class Account:
    """A wallet on one network, as fpin acts for it."""

    chain: Chain
    store: Store
    http: Http
    identity: Identity
    clock: Clock = field(default_factory=Clock)
    _grants: Grants | None = field(default=None, repr=False)
    _providers: dict[int, ProviderRecord] = field(default_factory=dict, repr=False)

    @contextlib.contextmanager
    def for_thread(self, crew: Crew) -> Iterator[Account]:
        """Give a thread of *crew* an account of its own: a store belongs to one thread."""
        with self.store.another() as store:
            crew.on_leaving(store.retire)
            yield replace(self, store=store, clock=replace(self.clock, sleep=crew.sleep))

    @property
    def payer(self) -> str:
        """The address of the wallet; raises NoKey where nobody says whose account it is."""
        return self.identity.payer

    @property
    def key(self) -> Signer:
        """What signs adds and removals: a session key where there is one, else the wallet's own."""
        return self.identity.key

    @property
    def owner(self) -> Signer:
        """The wallet's own key, which alone moves its money; raises NoKey where it is not at hand."""
        return self.identity.own

    def check_rights(self, scopes: Sequence[str], *, anew: bool = False) -> None:
        """Raise PermissionMissing, or NoKey, unless all of *scopes* (`sessions.SCOPES`) can be signed.

        What a session key may do is asked once a run, and again with *anew*.
        """
        session = self.identity.session
        if session is None:
            _ = self.owner
            return
        if self._grants is None or anew:
            self._grants = self.chain.session_grants(self.payer, session.address)
        missing = self._grants.missing(scopes)
        if missing:
            raise _not_allowed(self._grants, missing, self.chain.network.name)

    def market(self) -> Market:
        """Return providers and data sets as they are now; `provider` then knows its providers."""
        market = self.chain.market(self.payer)
        self._providers.update({record.provider_id: record for record in market.providers})
        return market

    def provider(self, provider_id: int) -> ProviderRecord:
        """Return the provider as registered, asked once a run."""
        if provider_id not in self._providers:
            self._providers[provider_id] = self.chain.provider(provider_id)
        return self._providers[provider_id]

    def meet(self, provider_ids: Iterable[int]) -> None:
        """Ask for all of these providers together, so that `provider` need not for each."""
        unknown = [one for one in dict.fromkeys(provider_ids) if one not in self._providers]
        if unknown:
            self._providers.update(self.chain.providers_by_id(unknown))

    def api(self, provider_id: int) -> ProviderApi:
        """Return the HTTP API of a provider; raises ProviderError when it cannot be used."""
        record = self.provider(provider_id)
        if not is_web_address(record.service_url):
            raise ProviderError(
                f"provider {provider_id} {record.problem or 'has no usable address'}",
                hint="use another provider",
            )
        return ProviderApi(record.service_url, self.http, provider_id=provider_id)


def _not_allowed(grants: Grants, missing: Sequence[str], network: str) -> PermissionMissing:
    def why(scope: str) -> str:
        expiry = grants.expiries[scope]
        if not expiry:
            return f"{scope} is not allowed"
        return f"{scope} {'expired' if expiry <= grants.now else 'expires'} at {format_time(expiry)}"

    # All that was ever allowed is asked for again, so that mending one scope loses no other.
    scopes = [scope for scope, expiry in grants.expiries.items() if expiry or scope in missing]
    return PermissionMissing(
        f"the session key {grants.session} may not do this for {grants.wallet}: "
        + ", ".join(why(scope) for scope in missing),
        hint=f"with that wallet's own key: fpin session create --address {grants.session} "
        f"--scope {','.join(scopes)} --network {network}",
        session=grants.session,
        wallet=grants.wallet,
        missing={scope: grants.expiries[scope] for scope in missing},
    )


def in_words(error: FpinError, doing: str) -> FpinError:
    """Return *error* with the chain's reason decoded, if a provider handed one on."""
    text = error.values.get("chain_error")
    revert = decode_revert(text) if isinstance(text, str) else None
    return error if revert is None else revert.error(doing)


def why_failed(chain: Chain, tx_hash: str) -> str:
    """Return in words why a mined transaction failed: it is replayed on the state it met.

    Falls back to the plain fact where the node does not know the transaction or the replay passes.
    """
    try:
        found = chain.rpc.call("eth_getTransactionByHash", tx_hash)
        if not isinstance(found, dict):
            return "it is not on chain"
        receipt = chain.node.receipt(tx_hash)
        if receipt is not None and receipt.gas_used >= int(str(found.get("gas", "0x0")), 16) > 0:
            return f"it ran out of gas, all {receipt.gas_used} units of it"
        request = {key: found[key] for key in ("from", "to", "value") if found.get(key)}
        request["data"] = found["input"]
        chain.rpc.call("eth_call", request, found["blockNumber"])
    except RpcError as exc:
        return exc.revert.sentence if exc.revert else exc.message
    except (KeyError, ValueError, Unavailable):
        pass
    return "a contract refused it"
