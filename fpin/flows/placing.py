"""Copies to where they are wanted: what `add` and `repair` do alike once it is known what to bring.

Knows that a place which fails is replaced, and that each offer is told, allowed and paid for before it is
taken. Knows nothing of where the bytes come from.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from dataclasses import field, replace
from decimal import Decimal

from fpin import events
from fpin.backends.base import Cost, Failed, Offer, Place, Wish
from fpin.backends.source import PieceSource
from fpin.errors import PermissionMissing, ProviderError, Unaffordable
from fpin.events import OnEvent
from fpin.flows.funding import Ceilings, grant, top_up
from fpin.flows.services import Services
from fpin.settings import JOBS
from fpin.store import ON_CHAIN, CopyState, Payment, Pin
from fpin.units import format_token, parse_token, short_token
from fpin.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What may be spent: at most *max_cost* a month, and with *auto_fund* what has to be deposited for it."""

    max_cost: Decimal | None = None
    auto_fund: bool = False
    ceilings: Ceilings = field(default_factory=Ceilings)

    def check(self, offer: Offer, *, besides: Decimal = Decimal(0)) -> None:
        """Raise Unaffordable when *offer* costs more than the user, the account or the wallet allows.

        *besides* is what this run has added to a month's cost already.
        """
        per_month = Decimal(offer.cost.per_month) + besides
        if self.max_cost is not None and per_month > self.max_cost:
            exactly = f"{per_month:f}"
            cost = short_token(parse_token(exactly), digits=6)
            raise Unaffordable(
                f"this costs {cost} {offer.cost.token} a month, more than --max-cost {self.max_cost:f}",
                hint="raise --max-cost, or ask for fewer copies",
                per_month=exactly,
            )
        if self.auto_fund and not offer.funding.limited:  # whoever set limits has not agreed to lifting them
            grant(offer.funding, self.ceilings, offer.cost.token)
        elif offer.shortfalls:
            raise Unaffordable(
                "; ".join(offer.shortfalls), hint=offer.remedy, missing=offer.missing, token=offer.cost.token
            )


@dataclass(frozen=True, kw_only=True)
class Placing:
    """An order to have *pin* where *wish* says.

    *sources* are by piece CID, None where only providers have the bytes; *sizes* likewise, in bytes.
    """

    services: Services
    pin: Pin
    sources: Mapping[str, PieceSource | None]
    sizes: Mapping[str, int]
    wish: Wish
    means: Means
    park_only: bool = False
    jobs: int = JOBS
    on_event: OnEvent
    deposits: list[int] = field(default_factory=list)  # made by this order, in base units

    def run(self, known: Offer | None = None) -> Offer:
        """Bring the pin to where it is wanted; return what that took, nothing where it is there already.

        *known* is an offer that was told to the user before. A place that fails is replaced, unless it was
        asked for by name; what could not be had is told and left for later. Raises the first failure when no
        place at all was served.
        """
        offer = self._take(self.wish, known=known)
        self.services.store.want_copies(self.pin.pin, self.wish.copies)
        if held_at(self.pin, offer.places, self.sizes):
            return offer
        served: dict[int, Place] = {}
        failed: dict[int, Failed] = {}
        while True:
            failures = self._put(offer, failed)
            failed |= {one.provider_id: one for one in failures}
            for one in offer.places:
                if one.provider_id not in failed:
                    served.setdefault(one.provider_id, one)
            gone = [one for one in failures if one.replaceable]
            instead = self._instead(gone, served, failed) if gone else None
            if instead is None:
                break
            offer = instead
        if failed and not served:
            raise next(iter(failed.values())).error
        return replace(offer, wish=self.wish, cost=total(one.cost for one in served.values()))

    def _take(
        self,
        wish: Wish,
        *,
        known: Offer | None = None,
        keep: Collection[int] = (),
        besides: Decimal = Decimal(0),
    ) -> Offer:
        """Return an offer for what is lacking now, allowed and with the means for it in the account."""
        services, on_event = self.services, self.on_event
        none = contextlib.nullcontext[tuple[Payment, ...]](())
        pin = services.store.pin(self.pin.pin)
        with services.backend.paying(on_event=on_event) if self.means.auto_fund else none as earlier:
            offer = services.backend.offer_rest(pin, self.sizes, wish, keep=keep, on_event=on_event)
            if held_at(pin, offer.places, self.sizes):
                on_event(
                    events.Noted(text="it is stored already: nothing is uploaded and nothing paid for it")
                )
            elif known is None or not _same(offer, known):
                quoted(offer, on_event)
            means = replace(self.means, ceilings=replace(self.means.ceilings, deposited=sum(self.deposits)))
            means.check(offer, besides=besides)
            if means.auto_fund:
                self.deposits.append(top_up(services, offer, means.ceilings, earlier, on_event=on_event))
        return offer

    def _put(self, offer: Offer, failed: Mapping[int, Failed]) -> tuple[Failed, ...]:
        return self.services.backend.put(
            self.services.store.pin(self.pin.pin),
            self.sources,
            [place for place in offer.places if place.provider_id not in failed],
            park_only=self.park_only,
            jobs=self.jobs,
            aside=[one.provider_id for one in failed.values() if not one.replaceable],
            replaced={one.provider_id: one.error.message for one in failed.values()},
            on_event=self.on_event,
        )

    def _instead(
        self, gone: Sequence[Failed], served: Mapping[int, Place], failed: Mapping[int, Failed]
    ) -> Offer | None:
        """Return an offer with others in the place of *gone*; None where there are none to be had."""
        names = " and ".join(f"provider {one.provider_id}" for one in gone)
        if self.wish.provider_ids or self.wish.data_set_ids:
            return None
        given_up = [one.provider_id for one in failed.values() if one.replaceable]
        wish = replace(self.wish, exclude_provider_ids=(*self.wish.exclude_provider_ids, *given_up))
        try:
            offer = self._take(
                wish,
                keep=[*served, *(number for number in failed if number not in given_up)],
                besides=Decimal(total(place.cost for place in served.values()).per_month),
            )
        except (ProviderError, PermissionMissing) as exc:
            if not served:
                return None
            self.on_event(events.Noted(text=f"nobody takes the place of {names}: {exc.message}"))
            return None
        newcomers = [one for one in offer.places if one.provider_id not in {*served, *failed}]
        for old, new in zip(gone, newcomers, strict=False):
            self.on_event(
                events.Replaced(
                    provider_id=new.provider_id, failed_id=old.provider_id, reason=old.error.message
                )
            )
        return offer if newcomers else None


def held_at(
    pin: Pin, places: Sequence[Place], asked: Container[str], states: Container[CopyState] = ON_CHAIN
) -> bool:
    """Tell whether every one of *places* has a copy in *states* of each piece of *pin* that was asked for.

    The pin may have other pieces, cut otherwise; they do not count.
    """
    return bool(places) and all(
        any(copy.provider_id == place.provider_id and copy.state in states for copy in piece.copies)
        for place in places
        for piece in pin.pieces
        if piece.piece_cid in asked
    )


def quoted(offer: Offer, on_event: OnEvent) -> None:
    """Tell what *offer* costs, how many copies that is for, and where all of them are."""
    bought = sum(Decimal(one.cost.fees) + Decimal(one.cost.per_month) > 0 for one in offer.places)
    on_event(
        events.Quoted(
            copies=bought or len(offer.places),
            per_month=offer.cost.per_month,
            flat_per_month=offer.cost.flat_per_month,
            earlier_fees=offer.cost.earlier_fees,
            fees=offer.cost.fees,
            locked=offer.cost.locked,
            token=offer.cost.token,
            new_data_sets=offer.new_data_sets,
        )
    )
    for place in offer.places:
        on_event(
            events.ProviderChosen(
                provider_id=place.provider_id, provider_url=place.provider_url, reason=place.reason
            )
        )
    if len(offer.places) < offer.wish.copies:
        on_event(
            events.Noted(text=f"only {len(offer.places)} of {offer.wish.copies} copies can be placed now")
        )


def total(costs: Iterable[Cost]) -> Cost:
    """Return the sum of the costs of several places."""
    found = list(costs)
    token = found[0].token if found else "USDFC"

    def summed(name: str) -> str:
        return format_token(sum(parse_token(getattr(cost, name)) for cost in found))

    return Cost(
        per_month=summed("per_month"),
        flat_per_month=summed("flat_per_month"),
        per_epoch=summed("per_epoch"),
        fees=summed("fees"),
        earlier_fees=summed("earlier_fees"),
        locked=summed("locked"),
        token=token,
    )


def _same(one: Offer, other: Offer) -> bool:
    return one.places == other.places and one.new_data_sets == other.new_data_sets
