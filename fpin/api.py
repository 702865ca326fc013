"""fpin for Python programs: one call for each thing that the command line does, the same results and errors.

Each call opens what it needs and closes it again, so calls may be made from any thread; whoever makes many
gives them one `connect`, which belongs to the thread that opened it. Prints nothing, asks nothing.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from fpin import config
from fpin.config import Config
from fpin.errors import UsageError
from fpin.events import OnEvent, Waiting, ignore
from fpin.keys import SESSION, WALLET, Credentials, Keychain, Role, Secret, Source, find, given
from fpin.settings import DEFAULT_NETWORK, JOBS, folders, make_folder

if TYPE_CHECKING:
    from fpin.backends.base import Wish
    from fpin.flows.add import AddResult, CostResult
    from fpin.flows.funding import Ceilings
    from fpin.flows.get import GetResult
    from fpin.flows.packing import CidResult, Content
    from fpin.flows.remove import RemoveResult
    from fpin.flows.repair import RepairResult
    from fpin.flows.services import Services
    from fpin.flows.status import CheckResult, StatusResult
    from fpin.flows.verify import VerifyResult

DEVNET = "devnet"

Amount = Decimal | int | str  # of tokens, never a float
Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


@contextlib.contextmanager
def connect(
    network: str | None = None,
    *,
    rpc_url: str | None = None,
    key: str | Secret | None = None,
    wallet: str | None = None,
    use: str | None = None,
    offline: bool = False,
    on_event: OnEvent = ignore,
) -> Iterator[Services]:
    """Open *network*, to be given to other calls as ``services``.

    What is None comes from ``FPIN_*``, then from the profile *use* of ``config.toml`` (None: the one in use),
    as for the command line; a *wallet* without a key only looks. An embedded devnet is started if none is
    running; *offline* is for what only reads the store: then none is.
    """
    network = network or _setting("network", use) or DEFAULT_NETWORK
    rpc_url = rpc_url or _setting("rpc-url", use)
    secret = Secret(key, "the caller") if isinstance(key, str) else key
    acting = credentials(network, config.read(use), wallet=wallet, key=secret)
    with open_network(
        network, rpc_url=rpc_url, credentials=acting, offline=offline, on_event=on_event
    ) as services:
        yield services


def credentials(
    network: str,
    settings: Config,
    *,
    wallet: str | None = None,
    key: Secret | None = None,
    prompt: Callable[[], Secret] | None = None,
) -> Credentials:
    """Return what there is to act with on *network*, by caller, environment, profile and keyring.

    A *key* in hand is all there is to it. Reads no key yet, and asks no keyring.
    """
    if key is not None:
        return Credentials(wallet=wallet, key=given(key))
    keychain = Keychain(folders().keys)
    names = [name for name in (settings.profile, network) if name is not None]

    def named(role: Role, names: Sequence[str]) -> Source | None:
        found = settings.settings.get(role.setting)
        reference = None if found is None else str(found.value)
        return find(role, reference=reference, names=names, keychain=keychain)

    return Credentials(
        wallet=wallet
        or os.environ.get("FPIN_WALLET_ADDRESS")
        or (str(address.value) if (address := settings.settings.get("wallet-address")) else None)
        or os.environ.get("WALLET_ADDRESS")
        or None,
        key=named(WALLET, names),
        session=named(SESSION, [f"session-{name}" for name in names]),
        prompt=prompt,
    )


@contextlib.contextmanager
def open_network(
    network: str, *, rpc_url: str | None, credentials: Credentials, offline: bool, on_event: OnEvent
) -> Iterator[Services]:
    """Open *network* with settings that are known already."""
    # The rooms below take 0.1 s to import, and `import fpin` needs none of them.
    from fpin import temporary
    from fpin.flows.services import connect as open_services
    from fpin.pack.spool import sweep

    where = folders()
    sweep(where.spool)
    temporary.sweep(where.notes)
    with contextlib.ExitStack() as stack:
        info = None
        if network == DEVNET:
            if rpc_url:
                raise UsageError(
                    "--rpc-url does not go with --network devnet",
                    hint="fpin devnet up --chain URL --devnet-info FILE uses another node",
                )
            info = stack.enter_context(_devnet(offline, on_event))
        services = open_services(
            network=network, rpc_url=rpc_url, folders=where, credentials=credentials, devnet_info=info
        )
        yield stack.enter_context(services)


def add(
    paths: Paths,
    *,
    copies: int | None = None,
    providers: Sequence[int] = (),
    exclude_providers: Sequence[int] = (),
    data_sets: Sequence[int] = (),
    countries: Sequence[str] = (),
    regions: Sequence[str] = (),
    spread: str | None = None,
    seed: str | None = None,
    name: str | None = None,
    metadata: Mapping[str, str] | None = None,
    profile: str | None = None,
    wrap: bool = False,
    hidden: bool = False,
    exclude: Sequence[str] = (),
    max_cost: Amount | None = None,
    auto_fund: bool = False,
    min_runway_days: int = 0,
    max_deposit: Amount | None = None,
    max_balance: Amount | None = None,
    jobs: int = JOBS,
    wait_for: str = "advertised",
    dry_run: bool = False,
    network: str | None = None,
    services: Services | None = None,
    on_event: OnEvent = ignore,
) -> AddResult:
    """Store *paths* and wait until they are as far as *wait_for* says; several go into one directory.

    Amounts are in tokens: of *max_cost* a month, of a deposit and of the balance after it for *auto_fund*,
    which deposits what is missing. Calling it again continues where the last call ended, and pays nothing
    twice. The result is not ``complete`` where there are fewer copies than asked for or routing does not
    know them yet; everything else that keeps it from being stored is raised as a `fpin.FpinError`.
    """
    from fpin.flows import add as flow

    request = flow.AddRequest(
        content=_content(paths, name=name, wrap=wrap, hidden=hidden, exclude=exclude, profile=profile),
        wish=wish(
            copies=copies,
            providers=providers,
            exclude_providers=exclude_providers,
            data_sets=data_sets,
            countries=countries,
            regions=regions,
            spread=spread,
            seed=seed,
            min_runway_days=min_runway_days,
        ),
        name=name,
        metadata=tuple((metadata or {}).items()),
        max_cost=_amount(max_cost, "max_cost"),
        auto_fund=auto_fund,
        ceilings=_ceilings(max_deposit, max_balance),
        jobs=jobs,
        wait_for=wait_for,
        dry_run=dry_run,
    )
    with _given(services, network, on_event) as opened:
        return flow.add(opened, request, on_event=on_event)


def cost(
    paths: Paths,
    *,
    copies: int | None = None,
    providers: Sequence[int] = (),
    exclude_providers: Sequence[int] = (),
    data_sets: Sequence[int] = (),
    countries: Sequence[str] = (),
    regions: Sequence[str] = (),
    spread: str | None = None,
    seed: str | None = None,
    profile: str | None = None,
    wrap: bool = False,
    hidden: bool = False,
    exclude: Sequence[str] = (),
    network: str | None = None,
    services: Services | None = None,
    on_event: OnEvent = ignore,
) -> CostResult:
    """Return what storing *paths* costs; reads names and sizes only."""
    from fpin.flows import add as flow

    wanted = wish(
        copies=copies,
        providers=providers,
        exclude_providers=exclude_providers,
        data_sets=data_sets,
        countries=countries,
        regions=regions,
        spread=spread,
        seed=seed,
    )
    content = _content(paths, wrap=wrap, hidden=hidden, exclude=exclude, profile=profile)
    with _given(services, network, on_event) as opened:
        return flow.price(opened, content, wanted, on_event=on_event)


def cid(
    paths: Paths,
    *,
    profile: str | None = None,
    wrap: bool = False,
    hidden: bool = False,
    exclude: Sequence[str] = (),
    on_event: OnEvent = ignore,
) -> CidResult:
    """Return the root CID and the piece CIDs of *paths*; asks nobody, writes nothing."""
    from fpin.flows import packing

    content = _content(paths, wrap=wrap, hidden=hidden, exclude=exclude, profile=profile)
    return packing.cid(content, on_event=on_event)


def get(
    what: str,
    out: str | os.PathLike[str] | BinaryIO | None = None,
    *,
    span: str | None = None,
    network: str | None = None,
    services: Services | None = None,
    on_event: OnEvent = ignore,
) -> GetResult:
    """Fetch *what* (``CID``, ``CID/path``, or a pin's name or path), verify every block, write it to *out*.

    *out* None is a path in the working directory, called as the content; a path must not exist yet. *span*
    is the part of a file to fetch, as ``first:last`` byte. A call that was interrupted is gone on with by the
    same call.
    """
    from fpin.flows import get as flow

    target = Path(out) if isinstance(out, (str, os.PathLike)) else out
    with _given(services, network, on_event) as opened:
        return flow.get(opened, what, target, span=span, on_event=on_event)


def verify(
    what: str,
    *,
    sample: int | None = None,
    seed: int | None = None,
    network: str | None = None,
    services: Services | None = None,
    on_event: OnEvent = ignore,
) -> VerifyResult:
    """Fetch every block of *what* from each provider that has it, or *sample* blocks, and hash them.

    The result is not ``complete`` where a provider lacks a block that it should have, or gave a wrong one.
    """
    from fpin.flows import verify as flow

    with _given(services, network, on_event) as opened:
        return flow.verify(opened, what, sample=sample, seed=seed, on_event=on_event)


def status(
    what: str | None = None,
    *,
    refresh: bool = False,
    network: str | None = None,
    services: Services | None = None,
    on_event: OnEvent = ignore,
) -> StatusResult:
    """Return the account and every pin, or the one that *what* names; *refresh* asks the network anew."""
    from fpin.flows import status as flow

    with _given(services, network, on_event) as opened:
        return flow.status(opened, what, refresh=refresh, on_event=on_event)


def check(
    what: str,
    *,
    announce: bool = False,
    confirm: bool = False,
    network: str | None = None,
    services: Services | None = None,
    on_event: OnEvent = ignore,
) -> CheckResult:
    """Ask routing whether the pin *what* can be found, and why not.

    *announce* first tells the indexers of the providers' advertisements; *confirm* looks at the indexer that
    everybody reads when it was found.
    """
    from fpin.flows import status as flow

    with _given(services, network, on_event) as opened:
        return flow.check(opened, what, announce=announce, confirm=confirm, on_event=on_event)


def repair(
    what: str | None = None,
    *,
    source: str | os.PathLike[str] | None = None,
    replace_silent: bool = False,
    exclude_providers: Sequence[int] = (),
    max_cost: Amount | None = None,
    auto_fund: bool = False,
    max_deposit: Amount | None = None,
    max_balance: Amount | None = None,
    jobs: int = JOBS,
    network: str | None = None,
    services: Services | None = None,
    on_event: OnEvent = ignore,
) -> RepairResult:
    """Finish what is incomplete of *what*, or of every pin, and make copies elsewhere of those that are gone.

    *source* is where the content of *what* lies now, should no provider give it. Amounts are as in `add`.
    """
    from fpin.flows import repair as flow
    from fpin.flows.placing import Means

    request = flow.RepairRequest(
        what=what,
        source=None if source is None else Path(source),
        replace_silent=replace_silent,
        exclude_provider_ids=tuple(exclude_providers),
        means=Means(
            max_cost=_amount(max_cost, "max_cost"),
            auto_fund=auto_fund,
            ceilings=_ceilings(max_deposit, max_balance),
        ),
        jobs=jobs,
    )
    with _given(services, network, on_event) as opened:
        return flow.repair(opened, request, on_event=on_event)


def rm(
    what: str,
    *,
    wait: bool = False,
    network: str | None = None,
    services: Services | None = None,
    on_event: OnEvent = ignore,
) -> RemoveResult:
    """Remove the pin, or the piece, that *what* names; *wait* follows it until routing has forgotten it."""
    from fpin.flows import remove as flow

    with _given(services, network, on_event) as opened:
        return flow.remove(opened, what, wait=wait, on_event=on_event)


@contextlib.contextmanager
def _given(services: Services | None, network: str | None, on_event: OnEvent) -> Iterator[Services]:
    if services is not None:
        if network not in (None, services.backend.network):
            raise UsageError(f"services are of {services.backend.network}, not of {network}")
        yield services
        return
    with connect(network, on_event=on_event) as opened:
        yield opened


@contextlib.contextmanager
def _devnet(offline: bool, on_event: OnEvent) -> Iterator[Path]:
    """Give the `devnet-info.json` of a devnet that runs, at least as long as the block does."""
    # A DEVNET_INFO_PATH names a devnet that somebody else runs, as the reference client reads it.
    named = os.environ.get("DEVNET_INFO_PATH")
    where = folders()
    if named:
        yield Path(named)
    elif offline and where.devnet_info.exists():
        yield where.devnet_info
    else:
        from fpin.devnet.attach import attach_or_start

        def waiting(what: str) -> None:
            on_event(Waiting(what=what))

        with attach_or_start(make_folder(where.devnet), on_wait=waiting) as info:
            yield info


def _content(
    paths: Paths,
    *,
    name: str | None = None,
    wrap: bool,
    hidden: bool,
    exclude: Sequence[str],
    profile: str | None,
) -> Content:
    from fpin.flows.packing import Content
    from fpin.pack import DEFAULT_PROFILE

    several = [paths] if isinstance(paths, (str, os.PathLike)) else paths
    return Content(
        paths=tuple(Path(path) for path in several),
        name=name,
        wrap=wrap,
        hidden=hidden,
        exclude=tuple(exclude),
        profile=profile or DEFAULT_PROFILE.name,
    )


def _setting(key: str, use: str | None) -> str | None:
    found = config.setting(key, use=use)
    return None if found is None else str(found)


def wish(
    *,
    copies: int | None,
    providers: Sequence[int] = (),
    exclude_providers: Sequence[int] = (),
    data_sets: Sequence[int] = (),
    countries: Sequence[str] = (),
    regions: Sequence[str] = (),
    spread: str | None = None,
    seed: str | None = None,
    min_runway_days: int = 0,
) -> Wish:
    """Return where copies are to be; as many as places are named, where *copies* is None.

    Raises UsageError for what does not go together.
    """
    from fpin.backends.base import Wish
    from fpin.units import EPOCHS_PER_DAY

    if providers and data_sets:
        raise UsageError(
            "--provider does not go with --data-set", hint="a data set is at one provider: name either"
        )
    if spread not in (None, "country", "region"):
        raise UsageError(f"--spread {spread!r} is neither country nor region")
    if (countries or regions or spread) and (providers or data_sets):
        raise UsageError(
            "--country, --region and --spread choose providers, and --provider or --data-set names them",
            hint="leave out either",
        )
    named = len(set(providers or data_sets))
    return Wish(
        copies=copies if copies is not None else named or Wish().copies,
        provider_ids=tuple(providers),
        exclude_provider_ids=tuple(exclude_providers),
        data_set_ids=tuple(data_sets),
        runway=min_runway_days * EPOCHS_PER_DAY,
        countries=tuple(countries),
        regions=tuple(regions),
        spread=spread,
        seed=seed,
    )


def _amount(value: Amount | None, name: str) -> Decimal | None:
    from fpin.units import parse_token

    if value is None:
        return None
    try:
        parse_token(str(value))
    except ValueError as exc:
        raise UsageError(f"{name}={value!r} is not an amount", hint="such as '0.5'") from exc
    return Decimal(value)


def _ceilings(max_deposit: Amount | None, max_balance: Amount | None) -> Ceilings:
    from fpin.flows.funding import Ceilings

    return Ceilings(
        max_deposit=_units(max_deposit, "max_deposit"), max_balance=_units(max_balance, "max_balance")
    )


def _units(value: Amount | None, name: str) -> int | None:
    from fpin.units import parse_token

    amount = _amount(value, name)
    return None if amount is None else parse_token(format(amount, "f"))
