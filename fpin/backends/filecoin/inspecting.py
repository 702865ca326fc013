"""Looking closely: one provider, one data set, who answers, and what the end of a data set would mean.

Reads the chain and pings providers. Changes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from fpin.backends.base import (
    DataSetDetail,
    DataSetState,
    Ending,
    PieceInSet,
    PingReport,
    ProofDetail,
    ProviderDetail,
    ProviderReport,
    RailKind,
)
from fpin.backends.filecoin import accounting
from fpin.backends.filecoin.account import Account
from fpin.chain.account import standing
from fpin.chain.costs import billed_size
from fpin.chain.provider_record import ProviderRecord
from fpin.chain.records import DataSet, Rail, Statement
from fpin.errors import FpinError, NoKey
from fpin.piece import PieceCid
from fpin.routing.peer_id import from_capability, text_of
from fpin.units import EPOCH_SECONDS, EPOCHS_PER_MONTH, format_token

AT_ONCE = 8
NUMBERS = (
    "minPieceSizeInBytes",
    "maxPieceSizeInBytes",
    "storagePricePerTibPerDay",
    "minProvingPeriodInEpochs",
)


def state_of(data_set: DataSet) -> DataSetState:
    return "terminated" if data_set.terminated else "live" if data_set.live else "deleted"


def provider_report(
    record: ProviderRecord, approved: frozenset[int], endorsed: frozenset[int]
) -> ProviderReport:
    return ProviderReport(
        provider_id=record.provider_id,
        name=record.name,
        url=record.service_url,
        location=record.location,
        approved=record.provider_id in approved,
        endorsed=record.provider_id in endorsed,
        problem=record.problem,
    )


def provider(account: Account, provider_id: int) -> ProviderDetail:
    chain = account.chain
    record = account.provider(provider_id)
    owner = account.identity.address
    sets = chain.client_data_sets(owner) if owner else ()
    return ProviderDetail(
        provider=provider_report(record, chain.approved_provider_ids(), chain.endorsed_provider_ids()),
        description=record.description,
        sends_from=record.service_provider,
        payee=record.payee,
        smallest_piece=record.min_piece_size,
        largest_piece=record.max_piece_size,
        advertises_ipfs=record.ipni_ipfs,
        peer_id=_peer_id(record),
        capabilities={name: _shown(name, value) for name, value in sorted(record.capabilities.items())},
        data_sets=tuple(one.data_set_id for one in sets if one.provider_id == provider_id),
    )


def ping(account: Account, provider_ids: Sequence[int]) -> tuple[PingReport, ...]:
    """Ask *provider_ids* whether they are well, all at once; without any, all active ones."""
    if provider_ids:
        records = [account.provider(one) for one in dict.fromkeys(provider_ids)]
    else:
        records = list(account.chain.providers())
        account.meet(one.provider_id for one in records)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return tuple(pool.map(lambda record: _ping(account, record), records))


def _ping(account: Account, record: ProviderRecord) -> PingReport:
    problem, took = record.problem, None
    if problem is None:
        started = time.perf_counter()
        try:
            account.api(record.provider_id).ping()
            took = round((time.perf_counter() - started) * 1000)
        except FpinError as exc:
            problem = exc.message
    return PingReport(
        provider_id=record.provider_id, url=record.service_url, milliseconds=took, problem=problem
    )


def data_set(account: Account, data_set_id: int, *, start: int, limit: int) -> DataSetDetail:
    chain = account.chain
    found = chain.data_set(data_set_id)
    statement = chain.statement(found.payer)
    payer = statement.payer
    now = standing(payer.account, payer.epoch)
    rails = _rails(statement, found)
    proving = chain.provings([data_set_id]).get(data_set_id) if found.live else None
    leaving = chain.scheduled_removals(data_set_id) if found.live else frozenset()
    page = list(islice(chain.pieces(data_set_id, start=start), limit + 1)) if found.live else []
    if found.terminated:
        paid_until: int | None = found.pdp_end_epoch
    else:
        # When the account is empty, what is locked still pays for one lockup period.
        paid_until = None if now.runway is None else payer.epoch + now.runway + payer.prices.lockup_period
    return DataSetDetail(
        data_set_id=data_set_id,
        client_data_set_id=str(found.client_data_set_id),
        provider_id=found.provider_id,
        provider_url=account.provider(found.provider_id).service_url,
        payer=found.payer,
        state=state_of(found),
        size=billed_size(found.leaf_count),
        metadata=dict(found.metadata),
        epoch=payer.epoch,
        timestamp=payer.timestamp,
        proof=None
        if proving is None
        else ProofDetail(
            state=proving.state,
            last_proven=proving.last_proven,
            next_challenge=proving.window_start,
            due=proving.deadline,
            proven_this_period=proving.proven_this_period,
            period=proving.proving_period,
        ),
        rails=tuple(accounting.rail_report(rail, kind, found, payer.epoch) for rail, kind in rails),
        token=accounting.TOKEN,
        per_month=format_token(_rate(rails) * EPOCHS_PER_MONTH),
        runway=now.runway,
        paid_until=paid_until,
        pieces=tuple(
            PieceInSet(
                piece_id=one.piece_id,
                piece_cid=str(cid := PieceCid.from_bytes(one.piece_cid)),
                size=cid.payload_size,
                leaving=one.piece_id in leaving,
            )
            for one in page[:limit]
        ),
        next_piece_id=page[limit].piece_id if len(page) > limit else None,
    )


def ending(account: Account, data_set_id: int) -> Ending:
    """Return what terminating a data set now would mean; raises NoKey for that of another wallet."""
    found = account.chain.data_set(data_set_id)
    if found.payer.lower() != account.payer.lower():
        raise NoKey(
            f"data set {data_set_id} is paid for by {found.payer}, and this is {account.payer}",
            hint="use the key of the wallet that pays for it",
        )
    statement = account.chain.statement(found.payer)
    payer, rails = statement.payer, _rails(statement, found)
    now = standing(payer.account, payer.epoch)
    # The lockup period counts from the epoch up to which the account could pay.
    paid = payer.epoch if now.runway is None or now.runway > 0 else payer.account.settled_at
    ends = found.pdp_end_epoch or paid + payer.prices.lockup_period
    return Ending(
        data_set_id=data_set_id,
        provider_id=found.provider_id,
        size=billed_size(found.leaf_count),
        token=accounting.TOKEN,
        per_month=format_token(_rate(rails) * EPOCHS_PER_MONTH),
        to_be_paid=format_token(_rate(rails) * max(0, ends - payer.epoch)),
        locked=format_token(sum(rail.lockup(payer.epoch) for rail, _ in rails)),
        ends=ends,
        ends_at=payer.timestamp + (ends - payer.epoch) * EPOCH_SECONDS,
        terminated=found.terminated,
    )


def _rails(statement: Statement, data_set: DataSet) -> list[tuple[Rail, RailKind]]:
    kinds: dict[int, RailKind] = {
        data_set.pdp_rail_id: "storage",
        **dict.fromkeys(data_set.cdn_rail_ids, "CDN"),
    }
    return [(rail, kinds[rail.rail_id]) for rail in statement.rails if rail.rail_id in kinds]


def _rate(rails: Sequence[tuple[Rail, RailKind]]) -> int:
    return sum(rail.rate for rail, _ in rails)


def _peer_id(record: ProviderRecord) -> str | None:
    peer_id = from_capability(record.ipni_peer_id) if record.ipni_peer_id else None
    return text_of(peer_id) if peer_id else None


def _shown(name: str, value: bytes) -> str:
    """Return a capability as text where it is printable text, else as hexadecimal digits."""
    if name in NUMBERS:
        return str(int.from_bytes(value, "big"))
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return "0x" + value.hex()
    return text if text.isprintable() else "0x" + value.hex()
