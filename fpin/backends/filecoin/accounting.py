"""Accounting in words: quotes, accounts and rails as the reports that flows hand on.

Pure: values of `chain` in, values of `backends.base` out. What things cost is for `chain.costs` to say.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fpin.backends.base import (
    AccountReport,
    AllowanceReport,
    Cost,
    Funding,
    OutlookReport,
    PriceReport,
    RailKind,
    RailReport,
    ScopeReport,
    SessionReport,
    StatementReport,
)
from fpin.chain.account import standing
from fpin.chain.costs import CopyQuote, Quote
from fpin.chain.records import MAX_UINT256, Approval, DataSet, PayerState, PriceList, Rail, Statement
from fpin.chain.sessions import Grants
from fpin.units import (
    EPOCH_SECONDS,
    EPOCHS_PER_DAY,
    EPOCHS_PER_MONTH,
    floor_token,
    format_epochs,
    format_token,
    parse_token,
    short_token,
)

TOKEN = "USDFC"

WITHDRAWAL_EPOCHS = 20  # ten minutes, between reading the account and the transaction's execution

_APPROVALS = {
    "not-approved": "the storage service may not use your payment account yet",
    "rate-allowance": "the storage service's rate allowance is used up",
    "lockup-allowance": "the storage service's lockup allowance is used up",
    "lockup-period": "the storage service may not lock funds for as long as it needs",
}


def cost(priced: Quote | CopyQuote) -> Cost:
    return Cost(
        per_month=format_token(priced.per_month),
        flat_per_month=format_token(priced.flat_per_month),
        per_epoch=format_token(priced.rate),
        fees=format_token(priced.fees),
        earlier_fees=format_token(priced.earlier_fees),
        locked=format_token(priced.locked),
        token=TOKEN,
    )


NOTHING = Cost(
    per_month="0", flat_per_month="0", per_epoch="0", fees="0", earlier_fees="0", locked="0", token=TOKEN
)


def funding(priced: Quote, state: PayerState) -> Funding:
    problems = priced.approval_problems if priced.copies else ()
    return Funding(
        required=priced.shortfall,
        deposit=priced.deposit,
        approve="not-approved" in problems,
        limited=bool(problems) and "not-approved" not in problems,
        funds=state.account.funds,
        wallet=priced.wallet,
        ticket=state.permit_nonce,
    )


def shortfalls(priced: Quote, runway: int) -> tuple[str, ...]:
    """Return in sentences what keeps the account from taking *priced*; empty when nothing does."""
    sentences = []
    if priced.copies:  # where nothing is bought, no approval is needed and a debt is no obstacle
        problems = priced.approval_problems
        if "not-approved" in problems:
            problems = ("not-approved",)  # of a service that may do nothing, the allowances say nothing
        sentences = [_APPROVALS[code] for code in problems]
        if priced.shortfall:
            sentences.append(
                f"the payment account has {floor_token(priced.available)} {TOKEN} free and needs "
                f"{short_token(priced.required)}"
            )
    if priced.runway_after is not None and priced.runway_after < runway:
        sentences.append(
            f"the payment account would last {format_epochs(priced.runway_after)} afterwards, "
            f"not the {format_epochs(runway)} asked for"
        )
    return tuple(sentences)


def remedy(priced: Quote, network: str) -> str | None:
    """Return the command that makes *priced* affordable; None where it is."""
    amount = short_token(priced.deposit) if priced.deposit else None
    if priced.copies and priced.approval_problems:
        return f"fpin payments setup --network {network}" + (f" --deposit {amount}" if amount else "")
    return f"fpin payments deposit {amount} --network {network}" if amount else None


def session_report(grants: Grants) -> SessionReport:
    return SessionReport(
        address=grants.session,
        wallet=grants.wallet,
        live=bool(grants.live),
        scopes=tuple(
            ScopeReport(scope=scope, expires=expiry, live=scope in grants.live)
            for scope, expiry in grants.expiries.items()
            if expiry
        ),
    )


def account_report(owner: str, state: PayerState) -> AccountReport:
    now = standing(state.account, state.epoch)
    free = 0 if now.debt else now.available
    dry = None if now.runway is None else state.timestamp + now.runway * EPOCH_SECONDS
    return AccountReport(
        address=owner,
        token=TOKEN,
        wallet=format_token(state.balances.usdfc),
        gas=format_token(state.balances.fil),
        funds=format_token(state.account.funds),
        available=format_token(now.available),
        locked=format_token(state.account.funds - now.available),
        withdrawable=format_token(max(0, free - now.lockup_rate * WITHDRAWAL_EPOCHS)),
        per_epoch=format_token(now.lockup_rate),
        per_month=format_token(now.lockup_rate * EPOCHS_PER_MONTH),
        debt=format_token(now.debt),
        runway=now.runway,
        runs_dry=dry,
        epoch=state.epoch,
        approved=state.approval.approved,
    )


def statement_report(
    statement: Statement,
    data_sets: Sequence[DataSet],
    *,
    adding: Cost | None,
    days: Sequence[int],
) -> StatementReport:
    payer = statement.payer
    locked = payer.account.funds - standing(payer.account, payer.epoch).available
    held = sum(rail.lockup(payer.epoch) for rail in statement.rails)
    return StatementReport(
        unsettled=format_token(locked - held),
        rails=tuple(_rail_reports(statement, data_sets)),
        prices=_price_report(payer.prices),
        allowance=_allowance_report(payer.approval, payer.prices),
        outlook=tuple(_outlook(payer, day, adding) for day in days),
        adding=adding,
    )


def _rail_reports(statement: Statement, data_sets: Sequence[DataSet]) -> Iterator[RailReport]:
    storage = {data_set.pdp_rail_id: data_set for data_set in data_sets}
    cdn = {rail_id: data_set for data_set in data_sets for rail_id in data_set.cdn_rail_ids}
    for rail in statement.rails:
        owner = storage.get(rail.rail_id) or cdn.get(rail.rail_id)
        kind: RailKind = "storage" if rail.rail_id in storage else "CDN" if rail.rail_id in cdn else "other"
        yield rail_report(rail, kind, owner, statement.payer.epoch)


def rail_report(rail: Rail, kind: RailKind, data_set: DataSet | None, epoch: int) -> RailReport:
    return RailReport(
        rail_id=rail.rail_id,
        kind=kind,
        data_set_id=data_set.data_set_id if data_set else None,
        provider_id=data_set.provider_id if data_set else None,
        payee=rail.payee,
        per_epoch=format_token(rail.rate),
        per_month=format_token(rail.rate * EPOCHS_PER_MONTH),
        locked=format_token(rail.lockup(epoch)),
        settled_up_to=rail.settled_up_to,
        ended=rail.end_epoch if rail.terminated else None,
    )


def _price_report(prices: PriceList) -> PriceReport:
    return PriceReport(
        storage_per_tib_month=format_token(prices.storage_per_tib_month),
        data_set_per_month=format_token(prices.data_set_fee_month),
        create_data_set=format_token(prices.create_data_set_fee),
        add_pieces=format_token(prices.add_pieces_fee),
        add_piece=format_token(prices.add_piece_fee),
        schedule_removals=format_token(prices.schedule_removals_fee),
        terminate=format_token(prices.terminate_fee),
        reserve=format_token(prices.reserve_target),
        lockup_days=prices.lockup_period // EPOCHS_PER_DAY,
    )


def _allowance_report(approval: Approval, prices: PriceList) -> AllowanceReport:
    unlimited = approval.is_maximal(prices.lockup_period)
    return AllowanceReport(
        approved=approval.approved,
        unlimited=unlimited,
        per_epoch=None if approval.rate_allowance == MAX_UINT256 else format_token(approval.rate_allowance),
        per_epoch_used=format_token(approval.rate_usage),
        # Every fee lowers the allowance for good, so one without a limit is below the maximum soon.
        lockup=None if approval.lockup_allowance >= 2**255 else format_token(approval.lockup_allowance),
        lockup_used=format_token(approval.lockup_usage),
        lockup_days=approval.max_lockup_period // EPOCHS_PER_DAY,
    )


def _outlook(payer: PayerState, days: int, adding: Cost | None) -> OutlookReport:
    epochs = days * EPOCHS_PER_DAY
    rate, locked = (parse_token(adding.per_epoch), parse_token(adding.locked)) if adding else (0, 0)
    now = standing(payer.account, payer.epoch)
    spent = (now.lockup_rate + rate) * epochs
    left = (-now.debt if now.debt else now.available) - locked - spent
    return OutlookReport(
        days=days,
        spent=format_token(spent),
        available=format_token(max(0, left)),
        missing=format_token(max(0, -left)),
    )
