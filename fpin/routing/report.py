"""What to tell people about the end of a wait for routing (spec routing-and-retrieval §4.9).

Sentences from results; asks an indexer at most for what it knows of a provider, and decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from fpin.ipld.cid import format_cid
from fpin.routing.indexer import Indexer, Record
from fpin.routing.results import Asked, AskedState, Finding, RoutingResult

NO_INDEXER = "Routing was not checked: no indexer is configured."
NOTHING_EXPECTED = "Routing was not checked: nothing of this upload is advertised to indexers."
WITHDRAWN = (
    "its newest advertisement for this piece is a removal; a provider may never advertise the same piece "
    "again, and storing the content in another form (another --profile) gets round that"
)

FLAPPING = (
    "a later answer lacked the record again: an indexer that asks several others leaves out those that are "
    "slow, so one answer without a record proves nothing"
)


def with_sentences(result: RoutingResult, poll: Sequence[Indexer]) -> RoutingResult:
    """Return *result* with what people should read."""
    return replace(result, sentences=tuple(_sentences(result, poll)))


def _sentences(result: RoutingResult, poll: Sequence[Indexer]) -> Iterator[str]:
    if result.state == "found":
        yield _found(result)
        for finding in result.findings:
            yield from (f"{_who(finding)}: {note}." for note in finding.notes)
        return
    if result.state == "unreachable":
        yield f"The data is stored; whether it can be found by CID is not known: {_trouble(result)}."
    elif result.state == "partial":
        yield (
            "The data is stored and can be found by CID at some of its providers. "
            "A public gateway opened now may keep a list without the others for hours."
        )
    else:
        yield "The data is stored; lookup by CID through public IPFS is not possible yet."
    if result.foreign and result.state != "partial":  # gotcha G2
        yield (
            "Others have this CID already: whoever looks it up publicly now makes caches keep a list without "
            "these copies for hours. The providers' own URLs work now."
        )
    for finding in result.findings:
        if finding.state not in ("found", "not_expected"):
            yield from _missing(finding, poll)
    if result.state != "unreachable":
        yield from (_asked(one, result.elapsed) for one in result.asked if one.role == "poll")
    for record in result.foreign[:5]:
        yield _foreign(record)
    root = format_cid(result.findings[0].cid)
    # Gotchas G1 and G12: an early question is remembered, and a printed link is followed by programs too.
    yield (
        "An early look makes public routers answer 'nothing there' to everybody for 20 minutes, and link "
        "previews and monitors follow what is printed: their URLs are held back until this succeeds."
    )
    yield f"Public gateways should not be opened before this succeeds: fpin check {root}"


def _found(result: RoutingResult) -> str:
    """Return what "found" rests on: of all copies the weakest."""
    if result.evidence == "synced":
        return "Not seen at an indexer, but its providers say that one has processed their advertisements."
    if result.evidence == "processed":
        who = _named(result, "confirm", "processed")
        return f"No record of it was seen, but {who} has processed its providers' advertisements."
    return f"Found by CID at {_named(result, 'poll', 'found')}."


def _named(result: RoutingResult, role: str, state: AskedState) -> str:
    """Return the indexers that said so of everything, else the one behind most of it."""
    who = [one.indexer for one in result.asked if (one.role, one.state) == (role, state)]
    return " and ".join(who) or result.indexer or "an indexer"


def _trouble(result: RoutingResult) -> str:
    tried = [one for one in result.asked if one.state == "inconclusive"]
    words = [f"{one.indexer} gave no usable answer ({one.reason or 'none at all'})" for one in tried]
    return "; ".join(words) or "no indexer gave a usable answer"


def _who(finding: Finding) -> str:
    return f"Provider {finding.copy.provider_id} ({finding.copy.service_url})"


def _missing(finding: Finding, poll: Sequence[Indexer]) -> Iterator[str]:
    words = f"{_who(finding)}: no record of {format_cid(finding.cid)}"
    if finding.provider_status:
        words += f"; the provider's own status is {finding.provider_status!r}"
    if finding.ad_cid:
        words += f"; advertised as {format_cid(finding.ad_cid)}"
    yield words + "."
    for note in finding.notes:
        yield f"{_who(finding)}: {note}."
    # At those that were polled, which keep no negative answers; never at cid.contact (spec §1.6).
    for indexer in poll if finding.copy.peer_id else ():
        yield from _as_provider(
            finding, indexer, f"the indexer {indexer.url}" if len(poll) > 1 else "the indexer"
        )


def _as_provider(finding: Finding, indexer: Indexer, name: str) -> Iterator[str]:
    """Say what an indexer knows of the provider of a copy that it does not list."""
    info = indexer.provider(finding.copy.peer_id) if finding.copy.peer_id else None
    if info is None:
        return
    who = _who(finding)
    if info.last_error:  # gotcha G9
        yield (
            f"{who}: {name} failed to read its advertisements the last time: {info.last_error}; an "
            "error on one of them holds up all that come after it."
        )
    if info.inactive:
        yield f"{who}: {name} cannot reach it and hides its records."
    if info.lag:
        yield f"{who}: {name} has {info.lag} of its advertisements still to process."
    if info.last_advertisement_time:
        yield f"{who}: the newest advertisement that {name} has is of {info.last_advertisement_time}."


def _asked(one: Asked, elapsed: float) -> str:
    often = "once" if one.questions == 1 else f"{one.questions} times"
    words = f"Asked {one.indexer} {often} in {elapsed:.0f} s; "
    words += f"last answer: HTTP {one.status}" if one.status else f"last answer: {one.reason or 'none'}"
    return words + (f", {one.age} s old." if one.age else ".")


def _foreign(record: Record) -> str:
    places = ", ".join(record.addresses) or "no address"
    # Gotcha G3: indexers do not know chains, so calibration's and mainnet's providers stand side by side.
    return (
        f"Another provider, perhaps of another network, lists this CID, which does not help: "
        f"{record.provider} ({places})."
    )
