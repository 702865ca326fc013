"""Selection: which data set is reused and which providers are asked, in which order, with the reasons.

Pure functions over what `Chain.market` read; whether a provider answers is for the caller to find out.
There is no chance in it: the same market, request and seed give the same order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence

from fpin.chain.location import Location
from fpin.chain.provider_record import ProviderRecord
from fpin.chain.records import DataSet, Market
from fpin.errors import NotFound, ProviderError, UsageError
from fpin.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A provider for one copy; *data_set* is the one to reuse, None to make a new one."""

    provider: ProviderRecord
    data_set: DataSet | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PassedOver:
    """A provider or data set that was not considered, and why."""

    provider_id: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What providers must be, besides approved.

    *spread*: no two copies in the same ``country``, or ``region``. *beside* are providers that have a copy
    already; the others are to be elsewhere than these.
    """

    exclude: Collection[int] = ()
    largest_piece: int = 0  # bytes
    countries: tuple[str, ...] = ()  # empty: any
    regions: tuple[str, ...] = ()
    spread: str | None = None
    beside: tuple[ProviderRecord, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """For each copy the candidates in order. *explicit*: asked for by id, so nothing replaces them."""

    slots: tuple[tuple[Candidate, ...], ...]
    passed_over: tuple[PassedOver, ...]
    explicit: bool
    terms: Terms = Terms()

    def pick(self, failed: Collection[int] = ()) -> tuple[Candidate, ...]:
        """Return for each copy its first candidate that is not in *failed* and not another copy's.

        Shorter than the number of copies where there are not enough.
        """
        chosen: list[Candidate] = []
        for slot in self.slots:
            used = {candidate.provider.provider_id for candidate in chosen}
            places = self._places(chosen)
            for candidate in slot:
                if candidate.provider.provider_id in {*failed, *used}:
                    continue
                if self.terms.spread is None or _part(candidate.provider, self.terms.spread) not in places:
                    chosen.append(candidate)
                    break
        return tuple(chosen)

    def _places(self, chosen: Sequence[Candidate]) -> set[tuple[str, ...] | None]:
        providers = (*self.terms.beside, *(candidate.provider for candidate in chosen))
        return {_part(provider, self.terms.spread or "") for provider in providers}


_ANY = Terms()
_PLURALS = {"country": "countries", "region": "regions"}
SPREADS = tuple(_PLURALS)


def find_reusable_data_set(
    data_sets: Iterable[DataSet], provider_id: int, metadata: Mapping[str, str]
) -> DataSet | None:
    """Return the data set at *provider_id* that takes pieces and has exactly this *metadata*.

    Of several: one that already holds pieces, then the oldest. One key more or less is another data set.
    """
    matches = [
        data_set
        for data_set in data_sets
        if data_set.provider_id == provider_id
        and data_set.accepts_pieces
        and dict(data_set.metadata) == dict(metadata)
    ]
    return min(matches, key=_seniority, default=None)


def select(
    market: Market,
    *,
    copies: int,
    metadata: Mapping[str, str],
    provider_ids: Sequence[int] = (),
    terms: Terms = _ANY,
    seed: str,
) -> Selection:
    """Return the candidates for *copies* copies.

    Without *provider_ids*: providers that already have a matching data set first, then the others in the
    order of *seed*; of two or more copies the first goes to an endorsed provider, unless there is one already
    (``terms.beside``). With *provider_ids*: exactly these, one for each copy. Raises UsageError, NotFound, or
    ProviderError when there are too few.
    """
    if provider_ids:
        return _explicit_providers(market, copies, metadata, provider_ids, terms)
    ranked, passed_over = _rank(market, metadata, terms, seed)
    endorsed = tuple(c for c in ranked if c.provider.provider_id in market.endorsed)
    first = ranked if terms.beside else endorsed or (ranked if copies == 1 else ())
    selection = Selection(
        slots=(first, *[ranked] * (copies - 1)), passed_over=passed_over, explicit=False, terms=terms
    )
    if len(selection.pick()) < copies:
        raise _too_few(copies, selection, ranked, bool(first))
    return selection


def select_data_sets(
    market: Market, data_set_ids: Sequence[int], *, owner: str, copies: int | None = None
) -> Selection:
    """Return one candidate for each data set that was asked for by id; its metadata stays its own."""
    ids = _distinct(data_set_ids, copies, "data set")
    known = {data_set.data_set_id: data_set for data_set in market.data_sets}
    slots, used = [], dict[int, int]()
    for data_set_id in ids:
        data_set = known.get(data_set_id)
        if data_set is None:
            raise NotFound(
                f"{owner} has no data set {data_set_id}",
                hint="fpin data-set ls shows yours",
                data_set_id=data_set_id,
            )
        provider = _provider(market, data_set.provider_id)
        _check_data_set(data_set)
        if data_set.provider_id in used:
            raise UsageError(
                f"data sets {used[data_set.provider_id]} and {data_set_id} are at the same provider; "
                "copies belong to different ones"
            )
        used[data_set.provider_id] = data_set_id
        reason = f"data set {data_set_id} was asked for"
        slots.append((Candidate(provider=provider, data_set=data_set, reason=reason),))
    return Selection(slots=tuple(slots), passed_over=(), explicit=True)


def _explicit_providers(
    market: Market,
    copies: int,
    metadata: Mapping[str, str],
    provider_ids: Sequence[int],
    terms: Terms,
) -> Selection:
    slots = []
    for provider_id in _distinct(provider_ids, copies, "provider"):
        if provider_id in terms.exclude:
            raise UsageError(
                f"provider {provider_id} is both asked for and excluded", provider_id=provider_id
            )
        provider = _provider(market, provider_id)
        problem = provider.problem or _size_problem(provider, terms.largest_piece)
        if problem:
            raise ProviderError(f"provider {provider_id} {problem}", provider_id=provider_id)
        data_set = find_reusable_data_set(market.data_sets, provider_id, metadata)
        reason = f"provider {provider_id} was asked for"
        slots.append((Candidate(provider=provider, data_set=data_set, reason=reason),))
    return Selection(slots=tuple(slots), passed_over=(), explicit=True)


def _rank(
    market: Market, metadata: Mapping[str, str], terms: Terms, seed: str
) -> tuple[tuple[Candidate, ...], tuple[PassedOver, ...]]:
    known, fresh, passed_over = [], [], []
    for provider in market.providers:
        if any(provider.provider_id == other.provider_id for other in terms.beside):
            continue
        problem = _problem(provider, market, terms)
        if problem:
            passed_over.append(PassedOver(provider_id=provider.provider_id, reason=problem))
            continue
        data_set = find_reusable_data_set(market.data_sets, provider.provider_id, metadata)
        if data_set is None:
            fresh.append(Candidate(provider=provider, data_set=None, reason=f"next by seed {seed}"))
        else:
            reason = f"already has data set {data_set.data_set_id}"
            known.append(Candidate(provider=provider, data_set=data_set, reason=reason))
    fresh.sort(key=lambda candidate: _turn(seed, candidate.provider.provider_id))
    known.sort(key=lambda candidate: _seniority(candidate.data_set) if candidate.data_set else (True, 0))
    return (*known, *fresh), tuple(passed_over)


def _turn(seed: str, provider_id: int) -> bytes:
    """Return where a provider stands: the others' order stays the same when one comes or goes."""
    return hashlib.sha256(f"{seed} {provider_id}".encode()).digest()


def _problem(provider: ProviderRecord, market: Market, terms: Terms) -> str | None:
    if provider.provider_id in terms.exclude:
        return "is excluded"
    if provider.provider_id not in market.approved:
        return "is not approved by the storage service"
    where = provider.location or "nowhere it says"
    if not Location.parse(provider.location).is_in(terms.countries, terms.regions):
        return f"is in {where}"
    if terms.spread is not None and _part(provider, terms.spread) is None:
        return f"does not say in which {terms.spread} it is"
    return provider.problem or _size_problem(provider, terms.largest_piece)


def _part(provider: ProviderRecord, spread: str) -> tuple[str, ...] | None:
    return Location.parse(provider.location).part(spread)


def _size_problem(provider: ProviderRecord, largest_piece: int) -> str | None:
    if 0 < provider.max_piece_size < largest_piece:
        return f"takes pieces of at most {provider.max_piece_size} bytes"
    return None


def _seniority(data_set: DataSet) -> tuple[bool, int]:
    return data_set.leaf_count == 0, data_set.data_set_id


def _provider(market: Market, provider_id: int) -> ProviderRecord:
    found = next((p for p in market.providers if p.provider_id == provider_id), None)
    if found is None:
        raise NotFound(
            f"there is no active provider {provider_id}",
            hint="fpin provider ls shows the ones there are",
            provider_id=provider_id,
        )
    return found


def _check_data_set(data_set: DataSet) -> None:
    number = data_set.data_set_id
    if data_set.terminated:
        raise UsageError(
            f"data set {number} was terminated: it takes no more pieces",
            hint="leave it out: another one is found, or made",
            data_set_id=number,
        )
    if not data_set.live:
        raise UsageError(f"data set {number} was deleted or is being deleted", data_set_id=number)
    if not data_set.managed:
        raise UsageError(f"data set {number} belongs to another service", data_set_id=number)


def _distinct(ids: Sequence[int], copies: int | None, what: str) -> list[int]:
    distinct = list(dict.fromkeys(ids))
    if copies is not None and copies != len(distinct):
        raise UsageError(
            f"{copies} copies were asked for and {len(distinct)} {what}{'s' * (len(distinct) != 1)} named",
            hint=f"leave out --copies, or name as many {what}s",
        )
    return distinct


def _too_few(
    copies: int, selection: Selection, ranked: Sequence[Candidate], anyone_first: bool
) -> ProviderError:
    reasons = "; ".join(f"provider {entry.provider_id} {entry.reason}" for entry in selection.passed_over)
    if not anyone_first and ranked:
        message = "no endorsed provider is left for the first copy"
    elif selection.terms.spread is not None and len(ranked) >= copies:
        message = f"{copies} copies in as many {_PLURALS[selection.terms.spread]} cannot be had"
    else:
        wanted = "a copy needs a provider" if copies == 1 else f"{copies} copies need as many providers"
        message = f"{wanted}, and {len(ranked) or 'none'} can be used"
    located = selection.terms.countries or selection.terms.regions or selection.terms.spread
    return ProviderError(
        f"{message} ({reasons})" if reasons else message,
        hint="ask for fewer copies, or "
        + ("less of --country, --region and --spread" if located else "name providers with --provider"),
        usable=len(ranked),
        copies=copies,
    )
