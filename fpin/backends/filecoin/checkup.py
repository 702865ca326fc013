"""What `fpin doctor` looks at on the network: node, clock, contracts, providers, indexers and wallet."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime

from fpin.addresses import shown
from fpin.backends.base import Finding
from fpin.backends.filecoin.account import Account
from fpin.backends.filecoin.identity import HOW_TO_GIVE_A_KEY
from fpin.chain.account import standing
from fpin.chain.provider_record import ProviderRecord
from fpin.chain.reader import FWSS, PDP, REGISTRY
from fpin.chain.revert import Revert
from fpin.errors import FpinError
from fpin.http import Timeout
from fpin.units import format_epochs, short_token

# What this version of fpin was written against: filecoin-services a16aea49, pdp 3.4.0.
KNOWN = {FWSS: ("1.3.0", "1.3.1"), PDP: ("3.4.0",), REGISTRY: ("1.2.0",)}
CLOCK_TOLERANCE = 60  # seconds; permits and session keys expire by the calendar
LAG_TOLERANCE = 300  # seconds the newest block may be old: ten epochs
PROVIDERS_AT_ONCE = 8
SOON = Timeout(connect=5, io=8)


def checkup(account: Account) -> Iterator[Finding]:
    """Yield one finding for each thing looked at; a failure to look is a finding, too."""
    node = _attempt("node", _node, account)
    yield node
    yield from _indexers(account)
    if node.state == "bad":
        return  # everything below asks the node
    yield _attempt("clock", _clock, account)
    yield _attempt("contracts", _contracts, account)
    yield _attempt("providers", _providers, account)
    yield _attempt("wallet", _wallet, account)


def _attempt(name: str, look: Callable[[Account], Finding], account: Account) -> Finding:
    """Return what *look* finds; what it raises is a bad finding with its own way out."""
    try:
        return look(account)
    except FpinError as exc:
        remedy = exc.hint or "check the network of this machine, or choose another node with --rpc-url"
        return Finding(name=name, state="bad", says=exc.message, remedy=remedy)


def _node(account: Account) -> Finding:
    chain = account.chain
    started = time.perf_counter()
    chain.connect()
    took = time.perf_counter() - started
    head = chain.head()
    facts = {"chain_id": chain.network.chain_id, "epoch": head.epoch, "ms": round(took * 1000)}
    says = (
        f"{chain.rpc.peer} serves {chain.network.name}, epoch {head.epoch}, answers in {took * 1000:.0f} ms"
    )
    if chain.network.genesis_timestamp is None:  # a devnet's time is its own
        return Finding(name="node", state="ok", says=says, facts=facts)
    lag = round(time.time() - head.timestamp)
    facts["lag"] = lag
    if lag > LAG_TOLERANCE:
        return Finding(
            name="node",
            state="warning",
            says=f"{says}; its newest block is {lag} s old",
            remedy="it is behind, or this machine's clock is ahead: see clock, or try another --rpc-url",
            facts=facts,
        )
    return Finding(name="node", state="ok", says=f"{says}, newest block {lag} s old", facts=facts)


def _clock(account: Account) -> Finding:
    body = {"jsonrpc": "2.0", "id": 0, "method": "eth_chainId", "params": []}
    reply = account.http.request("POST", account.chain.rpc.url, json=body, timeout=SOON)
    now = time.time()
    try:
        theirs = parsedate_to_datetime(reply.headers["date"]).timestamp()
    except (KeyError, ValueError):
        return Finding(name="clock", state="ok", says="the node does not tell its time; not compared")
    off = round(now - theirs)
    facts = {"offset": off}
    if abs(off) > CLOCK_TOLERANCE:
        direction = "ahead of" if off > 0 else "behind"
        return Finding(
            name="clock",
            state="bad",
            says=f"this machine is {abs(off)} s {direction} the node",
            remedy="set the clock: permits and session keys expire by it",
            facts=facts,
        )
    return Finding(name="clock", state="ok", says=f"within {max(abs(off), 1)} s of the node's", facts=facts)


def _contracts(account: Account) -> Finding:
    chain = account.chain
    outcomes = chain.outcomes([chain.call(contract, "VERSION") for contract in KNOWN])
    found = {
        contract: None if isinstance(outcome, Revert) else str(outcome)
        for contract, outcome in zip(KNOWN, outcomes, strict=True)
    }
    says = ", ".join(f"{contract} {version or 'without a version'}" for contract, version in found.items())
    strange = [contract for contract, version in found.items() if version not in KNOWN[contract]]
    if strange:
        known = "; ".join(f"{contract} {' or '.join(KNOWN[contract])}" for contract in strange)
        return Finding(
            name="contracts",
            state="warning",
            says=says,
            remedy=f"this fpin was written for {known}: look for a newer fpin",
            facts=found,
        )
    return Finding(name="contracts", state="ok", says=says, facts=found)


def _providers(account: Account) -> Finding:
    chain = account.chain
    approved = chain.approved_provider_ids()
    wanted = [record for record in chain.providers() if record.provider_id in approved]
    with ThreadPoolExecutor(PROVIDERS_AT_ONCE) as pool:
        answers = list(pool.map(lambda record: _ping(account, record), wanted))
    silent = {
        str(record.provider_id): why for record, why in zip(wanted, answers, strict=True) if why is not None
    }
    there = len(wanted) - len(silent)
    says = f"{there} of {len(wanted)} approved providers answer"
    facts = {"approved": len(wanted), "answering": there, "silent": silent}
    if there < 2:
        remedy = "two copies need two providers: check the network of this machine, or wait"
        return Finding(name="providers", state="bad", says=says, remedy=remedy, facts=facts)
    if silent:
        says += f"; silent: {', '.join(silent)}"
        remedy = "nothing to do for new data; fpin status shows whether yours is at one of them"
        return Finding(name="providers", state="warning", says=says, remedy=remedy, facts=facts)
    return Finding(name="providers", state="ok", says=says, facts=facts)


def _ping(account: Account, record: ProviderRecord) -> str | None:
    """Return why a provider cannot be used; None if it says that it is well."""
    if record.problem is not None:
        return record.problem
    try:
        account.api(record.provider_id).ping()
    except FpinError as exc:
        return exc.message
    return None


def _indexers(account: Account) -> Iterator[Finding]:
    indexers = account.chain.network.indexers
    if not indexers:
        yield Finding(name="indexer", state="warning", says="this network has none")
    for indexer in indexers:
        # Its health, never a CID: a question about content too early is remembered as "not there".
        url, name = indexer.url.rstrip("/") + "/health", shown(indexer.url)
        try:
            status = account.http.request("GET", url, timeout=SOON, peer=name).status
            problem = f"{name}: HTTP {status}" if status >= 500 else None
        except FpinError as exc:
            problem = exc.message
        if problem is None:
            yield Finding(name="indexer", state="ok", says=f"{name} answers")
        else:
            remedy = "check the network of this machine, or wait; an add then takes other evidence"
            yield Finding(name="indexer", state="warning", says=problem, remedy=remedy)


def _wallet(account: Account) -> Finding:
    if account.identity.address is None:
        return Finding(
            name="wallet", state="warning", says="there is no key to sign with", remedy=HOW_TO_GIVE_A_KEY
        )
    state = account.chain.payer_state(account.payer)
    now = standing(state.account, state.epoch)
    network = account.chain.network.name
    lasts = "nothing is spending" if now.runway is None else f"lasts {format_epochs(now.runway)}"
    says = (
        f"{account.payer}: {short_token(state.balances.fil)} FIL, {short_token(state.balances.usdfc)} USDFC; "
        f"deposited {short_token(state.account.funds)} USDFC, {lasts}"
    )
    facts = {"address": account.payer, "approved": state.approval.approved}
    if not state.approval.approved or not state.account.funds:
        remedy = f"before the first add: fpin payments setup --deposit 2 --network {network}"
        return Finding(name="wallet", state="warning", says=says, remedy=remedy, facts=facts)
    return Finding(name="wallet", state="ok", says=says, facts=facts)
