"""`provider ls`, `show` and `ping`, `data-set ls` and `show`: what is said of the places where pins live."""

from __future__ import annotations

from collections.abc import Sequence

from fpin.backends.base import (
    DataSetDetail,
    DataSetReport,
    PingReport,
    ProviderDetail,
    ProviderReport,
)
from fpin.flows.services import Services
from fpin.ipld.cid import format_cid
from fpin.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderResult:
    network: str
    provider: ProviderDetail


@dataclass(frozen=True, slots=True, kw_only=True)
class PingResult:
    network: str
    providers: tuple[PingReport, ...]
    well: bool  # all of them; where none was named, at least one


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownPiece:
    """What the store knows of a piece that is on chain."""

    piece_cid: str
    root_cid: str
    name: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSetResult:
    """A data set, and of which pins its pieces are as far as the store knows."""

    network: str
    data_set: DataSetDetail
    known: tuple[KnownPiece, ...]


def providers(services: Services) -> tuple[ProviderReport, ...]:
    """Return the active providers, those that cannot be used with the reason."""
    return services.backend.providers()


def provider(services: Services, provider_id: int) -> ProviderResult:
    """Return all that is registered of one provider."""
    return ProviderResult(network=services.backend.network, provider=services.backend.provider(provider_id))


def ping(services: Services, provider_ids: Sequence[int] = ()) -> PingResult:
    """Ask providers whether they are well: those named, else all that are active."""
    found = services.backend.ping(provider_ids)
    answers = [one.problem is None for one in found]
    well = all(answers) if provider_ids else any(answers)
    return PingResult(network=services.backend.network, providers=found, well=well)


def data_sets(services: Services) -> tuple[DataSetReport, ...]:
    """Return the data sets that the account pays for, oldest first."""
    return services.backend.data_sets()


def data_set(services: Services, data_set_id: int, *, start: int = 0, limit: int = 100) -> DataSetResult:
    """Return a data set, of anybody's, and up to *limit* of its pieces from id *start* on."""
    found = services.backend.data_set(data_set_id, start=start, limit=limit)
    there = {one.piece_cid for one in found.pieces}
    return DataSetResult(
        network=services.backend.network,
        data_set=found,
        known=tuple(
            KnownPiece(piece_cid=piece.piece_cid, root_cid=format_cid(pin.root_cid), name=pin.name)
            for pin in services.store.pins(services.backend.chain_id)
            for piece in pin.pieces
            if piece.piece_cid in there
        ),
    )
