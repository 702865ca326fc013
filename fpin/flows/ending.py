"""`data-set terminate`: ends a data set, and lets the pins that lose a copy know it."""

from __future__ import annotations

from fpin.backends.base import Ending, Paid
from fpin.errors import FpinError
from fpin.events import Noted, OnEvent, ignore
from fpin.flows.services import Services
from fpin.ipld.cid import format_cid
from fpin.store import Pin
from fpin.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LosingPin:
    """A pin with a piece in the data set. *left*: copies of its scarcest piece that are elsewhere."""

    root_cid: str
    name: str | None
    left: int
    wanted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EndingResult:
    """A data set that was terminated, or would be. *tx* is None where nothing was sent."""

    network: str
    ending: Ending
    pins: tuple[LosingPin, ...]
    tx: str | None
    gas: str | None  # what it burned of the chain's own coin, if it is known


def propose(services: Services, data_set_id: int) -> EndingResult:
    """Work out what terminating a data set means; raises NoKey where it could not be sent."""
    services.backend.check_owner()
    return _result(services, data_set_id, None)


def terminate(services: Services, data_set_id: int, *, on_event: OnEvent = ignore) -> EndingResult:
    """Terminate a data set, wait until the chain has done it, and write down what that means for pins.

    One that was terminated already, perhaps by a run that did not live to tell, costs nothing more.
    """
    services.backend.check_owner()
    affected = _losing(services, data_set_id)
    with services.backend.paying(on_event=on_event) as earlier:
        paid = services.backend.terminate(data_set_id, on_event=on_event)
        for payment in earlier:
            if paid is None and (payment.doing, payment.subject) == ("terminate", str(data_set_id)):
                paid = Paid(tx=payment.tx, gas=None)
            services.backend.acknowledge(payment.tx)
    result = _result(services, data_set_id, paid)
    for pin in affected:
        try:
            with services.alone(pin, on_event):
                services.backend.settle(services.store.pin(pin.pin), on_event=ignore)
        except FpinError as exc:
            shown = pin.name or format_cid(pin.root_cid)
            on_event(Noted(text=f"{shown} is not up to date: {exc.message}; fpin status --refresh"))
    if paid is not None:
        services.backend.acknowledge(paid.tx)
    return result


def _result(services: Services, data_set_id: int, paid: Paid | None) -> EndingResult:
    return EndingResult(
        network=services.backend.network,
        ending=services.backend.ending(data_set_id),
        pins=tuple(
            LosingPin(
                root_cid=format_cid(pin.root_cid),
                name=pin.name,
                left=min(sum(copy.data_set_id != data_set_id for copy in piece.held) for piece in pin.pieces),
                wanted=pin.copies_wanted,
            )
            for pin in _losing(services, data_set_id)
        ),
        tx=paid.tx if paid else None,
        gas=paid.gas if paid else None,
    )


def _losing(services: Services, data_set_id: int) -> list[Pin]:
    return [
        pin
        for pin in services.store.pins(services.backend.chain_id)
        if any(copy.data_set_id == data_set_id for piece in pin.pieces for copy in piece.held)
    ]
