"""`FilecoinBackend`: offers, puts, removes and looks, for one wallet on one network."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

from fpin import events, routing
from fpin.backends.base import (
    AccountReport,
    DataSetDetail,
    DataSetReport,
    Ending,
    Failed,
    Finding,
    Funding,
    Loss,
    Offer,
    Paid,
    PingReport,
    Place,
    Proof,
    ProviderDetail,
    ProviderReport,
    SessionReport,
    StatementReport,
    Wish,
)
from fpin.backends.filecoin import accounting, inspecting, removing, submissions
from fpin.backends.filecoin.account import Account
from fpin.backends.filecoin.adding import DATA_SET_METADATA, INDEXING
from fpin.backends.filecoin.checkup import checkup
from fpin.backends.filecoin.forks import see_forks
from fpin.backends.filecoin.losses import losses
from fpin.backends.filecoin.moving import see_moves
from fpin.backends.filecoin.paying import Paying
from fpin.backends.filecoin.putting import Putting, drop_others
from fpin.backends.source import PieceSource
from fpin.chain import networks
from fpin.chain.costs import CopyPlan, CopyQuote, billed_size, quote
from fpin.chain.limits import check_piece_metadata
from fpin.chain.provider_record import ProviderRecord, is_web_address
from fpin.chain.records import Market, PriceList
from fpin.chain.selection import Candidate, Selection, Terms, find_reusable_data_set, select, select_data_sets
from fpin.errors import ProviderError
from fpin.events import OnEvent
from fpin.http import Http
from fpin.piece import PieceCid
from fpin.provider.api import ProviderApi
from fpin.provider.results import PieceStatus
from fpin.routing import Gate, Indexer, Peers, Publisher, Router
from fpin.routing.peer_id import from_capability
from fpin.routing.private import PrivateIndexer
from fpin.settings import JOBS
from fpin.store import ON_CHAIN, UNDER_WAY, Copy, Payment, Pin
from fpin.threads import Crew
from fpin.units import format_token


class FilecoinBackend:
    """Pins on Filecoin, paid from the wallet of *account*. Keeps the contract of `backends.base.Backend`."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._publishers: dict[int, Publisher] = {}
        self._indexed: dict[int, bool] = {}  # by data set: whether its pieces are advertised
        self._prices: PriceList | None = None  # that were quoted last
        self._paid: set[int] = set()  # payments that this run sent

    @property
    def network(self) -> str:
        return self._account.chain.network.name

    @property
    def chain_id(self) -> int:
        return self._account.chain.network.chain_id

    # who may

    def check_rights(self, *, new_data_sets: bool) -> None:
        self._account.check_rights(["create-data-set", "add"] if new_data_sets else ["add"])

    def check_owner(self) -> None:
        _ = self._account.owner

    @property
    def wallet(self) -> str:
        return self._account.payer

    @property
    def known_wallet(self) -> str | None:
        return self._account.identity.address

    @property
    def session(self) -> str | None:
        signer = self._account.identity.session
        return signer.address if signer else None

    def sessions(self, addresses: Sequence[str]) -> tuple[SessionReport, ...]:
        grants = [self._account.chain.session_grants(self.wallet, address) for address in addresses]
        return tuple(accounting.session_report(one) for one in grants)

    def allow_session(self, address: str, scopes: Sequence[str], seconds: int, *, on_event: OnEvent) -> Paid:
        # By the chain's clock, which is the one that is compared with.
        expiry = self._account.chain.head().timestamp + seconds
        return self._paying(on_event).authorize(address, expiry, scopes)

    def revoke_session(self, address: str, *, on_event: OnEvent) -> Paid | None:
        grants = self._account.chain.session_grants(self.wallet, address)
        if not grants.live:
            return None
        return self._paying(on_event).revoke(address, grants.live)

    # what it would cost

    def check_metadata(self, metadata: Sequence[tuple[str, str]]) -> None:
        check_piece_metadata(metadata)

    def offer(self, sizes: Sequence[int], wish: Wish, *, on_event: OnEvent) -> Offer:
        market = self._account.market()
        chosen = self._choose(market, wish, largest_piece=max(sizes, default=0), on_event=on_event)
        return self._priced(wish, [(candidate, tuple(sizes)) for candidate in chosen])

    def offer_rest(
        self,
        pin: Pin,
        sizes: Mapping[str, int],
        wish: Wish,
        *,
        on_event: OnEvent,
        keep: Collection[int] = (),
    ) -> Offer:
        market = self._account.market()
        largest = max(sizes.values(), default=0)
        if wish.provider_ids or wish.data_set_ids:
            chosen = self._choose(market, wish, largest_piece=largest, on_event=on_event)
        else:
            chosen = self._bound(market, pin, sizes, wish, keep)
            others = replace(wish, copies=wish.copies - len(chosen))
            beside = tuple(candidate.provider for candidate in chosen)
            if others.copies > 0:
                chosen += self._choose(
                    market, others, largest_piece=largest, beside=beside, on_event=on_event
                )
        return self._priced(wish, [(one, _lacking(pin, sizes, one.provider.provider_id)) for one in chosen])

    def _bound(
        self, market: Market, pin: Pin, sizes: Mapping[str, int], wish: Wish, keep: Collection[int]
    ) -> list[Candidate]:
        """Return the providers that hold pieces of *pin*, or are adding them, unless they are excluded."""
        ids = dict.fromkeys(
            copy.provider_id
            for piece in pin.pieces
            if piece.piece_cid in sizes
            for copy in piece.copies
            if (copy.state in ON_CHAIN | UNDER_WAY or copy.provider_id in keep)
            and copy.provider_id not in wish.exclude_provider_ids
        )
        return [
            Candidate(
                provider=self._account.provider(provider_id),
                data_set=find_reusable_data_set(market.data_sets, provider_id, dict(DATA_SET_METADATA)),
                reason="has it already",
            )
            for provider_id in list(ids)[: wish.copies]
        ]

    def _choose(
        self,
        market: Market,
        wish: Wish,
        *,
        largest_piece: int,
        on_event: OnEvent,
        beside: tuple[ProviderRecord, ...] = (),
    ) -> list[Candidate]:
        """Return a provider for each copy, of those that answer."""
        if wish.data_set_ids:
            selection = select_data_sets(
                market, wish.data_set_ids, owner=self._account.payer, copies=wish.copies
            )
        else:
            selection = select(
                market,
                copies=wish.copies,
                metadata=dict(DATA_SET_METADATA),
                provider_ids=wish.provider_ids,
                terms=Terms(
                    exclude=wish.exclude_provider_ids,
                    largest_piece=largest_piece,
                    countries=wish.countries,
                    regions=wish.regions,
                    spread=wish.spread,
                    beside=beside,
                ),
                seed=self._seed(wish),
            )
        for entry in selection.passed_over:
            on_event(events.PassedOver(provider_id=entry.provider_id, reason=entry.reason))
        return self._healthy(selection, on_event)

    def _priced(self, wish: Wish, chosen: Sequence[tuple[Candidate, tuple[int, ...]]]) -> Offer:
        plans = {
            one.provider.provider_id: CopyPlan(
                pieces=sizes, provider_id=one.provider.provider_id, data_set=one.data_set
            )
            for one, sizes in chosen
            if sizes
        }
        state = self._account.chain.payer_state(self._account.payer)
        self._prices = state.prices
        priced = quote([*plans.values()], state, extra_runway=wish.runway)
        shares = dict(zip(plans, priced.copies, strict=True))
        funding = accounting.funding(priced, state)
        return Offer(
            wish=wish,
            seed=self._seed(wish),
            places=tuple(_place(one, shares.get(one.provider.provider_id)) for one, _ in chosen),
            cost=accounting.cost(priced),
            new_data_sets=priced.new_data_sets,
            shortfalls=accounting.shortfalls(priced, wish.runway),
            remedy=accounting.remedy(priced, self.network),
            missing=format_token(funding.deposit),
            funding=funding,
            runway=priced.runway_after,
        )

    def _seed(self, wish: Wish) -> str:
        """Return what orders providers: of each wallet alone by itself, so that not all go to the same ones.

        And the same on every machine of a wallet, so that they do not make data sets at different ones.
        """
        return wish.seed or self._account.chain.network.seed or self._account.payer

    def _healthy(self, selection: Selection, on_event: OnEvent) -> list[Candidate]:
        """Return for each copy the first candidate that answers a ping; all are pinged at the same time."""
        healthy: set[int] = set()
        failed: dict[int, ProviderError] = {}
        while True:
            chosen = selection.pick(failed)
            ids = [candidate.provider.provider_id for candidate in chosen]
            pings = [functools.partial(self._ping, one) for one in ids if one not in healthy]
            for failure in Crew().run(pings):
                if isinstance(failure, int):
                    healthy.add(failure)
                    continue
                provider_id, error = failure
                failed[provider_id] = error
                on_event(events.CopyFailed(provider_id=provider_id, reason=error.message))
            if healthy.issuperset(ids):
                break
        if not chosen and failed:
            raise next(iter(failed.values()))
        return list(chosen)

    def _ping(self, provider_id: int) -> int | tuple[int, ProviderError]:
        """Return a provider that answers, or with it what it says instead."""
        try:
            self._account.api(provider_id).ping()
        except ProviderError as exc:
            return provider_id, exc
        return provider_id

    # the way in

    def put(
        self,
        pin: Pin,
        sources: Mapping[str, PieceSource | None],
        places: Sequence[Place],
        *,
        park_only: bool,
        on_event: OnEvent,
        jobs: int = JOBS,
        aside: Collection[int] = (),
        replaced: Mapping[int, str] | None = None,
    ) -> tuple[Failed, ...]:
        self.check_rights(new_data_sets=any(place.data_set_id is None for place in places))
        drop_others(self._account, pin, {*aside, *(place.provider_id for place in places)}, replaced or {})
        putting = Putting(
            account=self._account,
            pin=self._account.store.pin(pin.pin),
            sources=sources,
            places=places,
            prices=self._prices,
            park_only=park_only,
            jobs=jobs,
            on_event=on_event,
        )
        return putting.run()

    def settle(self, pin: Pin, *, on_event: OnEvent) -> None:
        submissions.settle(self._account, pin, on_event)
        unknown = see_forks(self._account, self._account.store.pin(pin.pin), on_event)
        see_moves(self._account, pin)
        self._see_endings(pin, on_event)
        copies = [one for one in self._account.store.pin(pin.pin).copies if one.copy not in unknown]
        removing.see_removals(self._account, copies, on_event=on_event)

    def _see_endings(self, pin: Pin, on_event: OnEvent) -> None:
        """Stop counting copies in data sets that were terminated: they are stored till the end only."""
        held = [copy for copy in self._account.store.pin(pin.pin).copies if copy.state in ON_CHAIN]
        ids = dict.fromkeys(copy.data_set_id for copy in held if copy.data_set_id is not None)
        # One that was deleted is left out: its pieces are not live, which is seen next.
        sets = self._account.chain.data_sets(ids) if ids else {}
        for data_set_id, data_set in sets.items():
            self._indexed[data_set_id] = INDEXING in data_set.metadata
            if not data_set.terminated:
                continue
            says = f"was terminated: what it holds is stored until epoch {data_set.pdp_end_epoch}"
            on_event(events.Noted(text=f"data set {data_set_id} at provider {data_set.provider_id} {says}"))
            for copy in held:
                if copy.data_set_id == data_set_id:
                    reason = f"data set {data_set_id} {says}"
                    self._account.store.mark_scheduled(copy.copy, tx=None, reason=reason)

    def losses(self, pin: Pin) -> dict[int, Loss]:
        return losses(self._account, pin)

    # the way out

    def remove(self, copies: Sequence[Copy], *, on_event: OnEvent) -> None:
        removing.remove(self._account, copies, on_event=on_event)

    def is_live(self, copy: Copy) -> bool:
        if copy.data_set_id is None or copy.piece_id is None:
            return False
        return self._account.chain.piece_live(copy.data_set_id, copy.piece_id)

    def held_beside(self, copy: Copy, piece_cid: str) -> bool:
        chain, cid = self._account.chain, PieceCid.parse(piece_cid).to_bytes()
        places = [
            (found.data_set_id, piece_id)
            for found in chain.client_data_sets(self._account.payer)
            if found.provider_id == copy.provider_id
            for piece_id in chain.find_piece_ids(found.data_set_id, cid)
            if (found.data_set_id, piece_id) != (copy.data_set_id, copy.piece_id)
        ]
        return bool(places) and any(one.live and not one.leaving for one in chain.presences(places))

    # evidence

    def account(self) -> AccountReport | None:
        if self._account.identity.address is None:
            return None
        owner = self._account.payer
        return accounting.account_report(owner, self._account.chain.payer_state(owner))

    def statement(
        self, offer: Offer | None, *, days: Sequence[int] = ()
    ) -> tuple[AccountReport, StatementReport] | None:
        if self._account.identity.address is None:
            return None
        owner = self._account.payer
        statement = self._account.chain.statement(owner)
        data_sets = self._account.chain.client_data_sets(owner)
        return accounting.account_report(owner, statement.payer), accounting.statement_report(
            statement, data_sets, adding=offer.cost if offer else None, days=days
        )

    # the wallet's money

    def lacking(self, *, runway: int) -> Funding:
        state = self._account.chain.payer_state(self._account.payer)
        return accounting.funding(quote((), state, extra_runway=runway), state)

    def paying(self, *, on_event: OnEvent) -> AbstractContextManager[tuple[Payment, ...]]:
        return self._paying(on_event).turn()

    def deposit(
        self, amount: int, *, approve: bool, ticket: int | None = None, on_event: OnEvent
    ) -> Paid | None:
        return self._paying(on_event).deposit(amount, approve=approve, ticket=ticket)

    def withdraw(self, amount: int, *, on_event: OnEvent) -> Paid:
        return self._paying(on_event).withdraw(amount)

    def acknowledge(self, tx: str) -> None:
        self._paying(events.ignore).tell(tx)

    def _paying(self, on_event: OnEvent) -> Paying:
        return Paying(account=self._account, on_event=on_event, own=self._paid)

    def providers(self) -> tuple[ProviderReport, ...]:
        chain = self._account.chain
        approved, endorsed = chain.approved_provider_ids(), chain.endorsed_provider_ids()
        return tuple(inspecting.provider_report(record, approved, endorsed) for record in chain.providers())

    def provider(self, provider_id: int) -> ProviderDetail:
        return inspecting.provider(self._account, provider_id)

    def ping(self, provider_ids: Sequence[int]) -> tuple[PingReport, ...]:
        return inspecting.ping(self._account, provider_ids)

    def data_set(self, data_set_id: int, *, start: int, limit: int) -> DataSetDetail:
        return inspecting.data_set(self._account, data_set_id, start=start, limit=limit)

    def ending(self, data_set_id: int) -> Ending:
        return inspecting.ending(self._account, data_set_id)

    def terminate(self, data_set_id: int, *, on_event: OnEvent) -> Paid | None:
        if self._account.chain.data_set(data_set_id).terminated:
            return None
        return self._paying(on_event).terminate(data_set_id)

    def data_sets(self) -> tuple[DataSetReport, ...]:
        return tuple(
            DataSetReport(
                data_set_id=found.data_set_id,
                provider_id=found.provider_id,
                state=inspecting.state_of(found),
                size=billed_size(found.leaf_count),
                metadata=tuple(sorted(found.metadata.items())),
                ends=found.pdp_end_epoch or None,
            )
            for found in self._account.chain.client_data_sets(self._account.payer)
        )

    def proofs(self, pins: Sequence[Pin]) -> dict[int, Proof]:
        held = [
            copy
            for pin in pins
            for copy in pin.copies
            if copy.data_set_id is not None and copy.state in ON_CHAIN
        ]
        statuses = self._account.chain.provings({copy.data_set_id or 0 for copy in held}) if held else {}
        return {
            copy.copy: Proof(
                last_proven=status.last_proven, next_proof_due=status.deadline, state=status.state
            )
            for copy in held
            if (status := statuses.get(copy.data_set_id or 0)) is not None
        }

    def routed(self, copy: Copy, piece_cid: str) -> routing.Copy:
        record = self._account.provider(copy.provider_id)
        return routing.Copy(
            provider_id=copy.provider_id,
            service_url=record.service_url,
            piece_cid=PieceCid.parse(piece_cid),
            peer_id=from_capability(record.ipni_peer_id) if record.ipni_peer_id else None,
            not_expected=self._never_advertised(record, copy),
        )

    def _never_advertised(self, record: ProviderRecord, copy: Copy) -> str | None:
        """Return why no indexer will ever list *copy*; None where one should."""
        if not record.ipni_ipfs:
            return "the provider does not advertise IPFS content"
        if copy.data_set_id is None:
            return None
        if copy.data_set_id not in self._indexed:
            data_set = self._account.chain.data_sets([copy.data_set_id]).get(copy.data_set_id)
            self._indexed[copy.data_set_id] = data_set is None or INDEXING in data_set.metadata
        if self._indexed[copy.data_set_id]:
            return None
        return f"data set {copy.data_set_id} was made without IPFS indexing"

    def peers(self, gate: Gate) -> Peers:
        network, http = self._account.chain.network, self._account.http
        return Peers(
            poll=tuple(_indexer(indexer, http) for indexer in network.indexers_for("poll")),
            confirm=tuple(_indexer(indexer, http) for indexer in network.indexers_for("confirm")),
            routers=tuple(Router(router.url, http) for router in network.indexers_for("route")),
            gate=gate,
            publisher=self._publisher,
            piece_status=self._piece_status,
        )

    def checkup(self) -> Iterator[Finding]:
        return checkup(self._account)

    def _publisher(self, copy: routing.Copy) -> Publisher | None:
        """Return the provider's advertisement chain, one for a run: it remembers what it has read."""
        if copy.peer_id is None:
            return None
        known = self._publishers.get(copy.provider_id)
        if known is None:
            known = Publisher(copy.service_url, copy.peer_id, self._account.http)
            self._publishers[copy.provider_id] = known
        return known

    def _piece_status(self, copy: routing.Copy) -> PieceStatus | None:
        if not is_web_address(copy.service_url):
            return None
        api = ProviderApi(copy.service_url, self._account.http, provider_id=copy.provider_id)
        return api.piece_status(copy.piece_cid)


def _indexer(named: networks.Indexer, http: Http) -> Indexer:
    return PrivateIndexer(named.url, http) if named.encrypted else Indexer(named.url, http)


def _lacking(pin: Pin, sizes: Mapping[str, int], provider_id: int) -> tuple[int, ...]:
    """Return the sizes of the pieces of *pin* that a provider does not hold on chain."""
    held = {
        piece.piece_cid for piece in pin.pieces if any(copy.provider_id == provider_id for copy in piece.held)
    }
    return tuple(size for piece_cid, size in sizes.items() if piece_cid not in held)


def _place(candidate: Candidate, share: CopyQuote | None) -> Place:
    return Place(
        provider_id=candidate.provider.provider_id,
        provider_url=candidate.provider.service_url,
        data_set_id=candidate.data_set.data_set_id if candidate.data_set else None,
        reason=candidate.reason,
        cost=accounting.cost(share) if share else accounting.NOTHING,
    )
