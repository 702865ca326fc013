"""`verify`: does all of some content come back, and right, from each provider that holds it."""

from __future__ import annotations

import contextlib
import random
import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import field

from fpin.errors import GatewayUnavailable, NotFound, UsageError, VerificationFailed
from fpin.events import Fetching, OnEvent, ignore
from fpin.flows.get import located, routed
from fpin.flows.services import Services
from fpin.ipld import cid as cids
from fpin.ipld import dagpb, unixfs
from fpin.ipld.cid import format_cid, multihash_of, parse_cid
from fpin.retrieve import Blocks, Content, Gateway, Limits, split_path
from fpin.retrieve.verify import links_of
from fpin.store import THERE, Pin
from fpin.values import dataclass

_NAMED = 10  # blocks that are missing are named, up to this many
_REMEMBERED = 2**18  # blocks met last, which are not asked for again when they occur again
_DRAWS = 8  # attempts for each block of a sample: content may have fewer blocks than were asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderVerdict:
    """What one provider gave, each block hashed. *provider_id* None: not in the store, routing names it."""

    provider_id: int | None
    provider_url: str
    blocks: int  # right ones
    bytes: int  # of these
    missing: int  # that it should have
    missing_cids: tuple[str, ...]  # the first of them
    elsewhere: int  # blocks of pieces that it need not hold, and does not
    wrong: str | None  # what it sent that is not what it claims to be; nothing was asked of it afterwards
    unavailable: str | None  # why it could not be asked any further
    good: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyResult:
    """*complete*: every block looked for is right at one provider, and at each that should have it.

    *sample* and *seed* None: every block was looked for. *lost* names blocks that nobody gave.
    """

    network: str
    root_cid: str
    path: str  # inside the content; "" for all of it
    sample: int | None
    seed: int | None
    blocks: int  # looked for, those that occur again not counted
    providers: tuple[ProviderVerdict, ...]
    lost: tuple[str, ...]  # the first of them
    complete: bool


@dataclass(slots=True)
class _Place:
    """A provider while it is looked at. *due*: it must have a block of this multihash."""

    provider_id: int | None
    gateway: Gateway
    due: Callable[[bytes], bool]
    reader: Blocks | None = None
    blocks: int = 0
    size: int = 0
    missing: int = 0
    missing_cids: list[str] = field(default_factory=list)
    elsewhere: int = 0
    wrong: str | None = None
    unavailable: str | None = None

    @property
    def ended(self) -> bool:
        return self.wrong is not None or self.unavailable is not None

    def ask(self, cid: bytes) -> bytes | None:
        """Return the block of *cid*, if this provider gives it, and write down what it did."""
        assert self.reader is not None
        try:
            data = self.reader.get(cid)
        except VerificationFailed as exc:
            self.wrong = exc.message
        except NotFound:
            if self.due(multihash_of(cid)):
                self.missing += 1
                self.missing_cids += [format_cid(cid)][: _NAMED - len(self.missing_cids)]
            else:
                self.elsewhere += 1
        except GatewayUnavailable as exc:
            self.unavailable = exc.message
        else:
            self.blocks += 1
            self.size += len(data)
            return data
        return None

    def verdict(self) -> ProviderVerdict:
        return ProviderVerdict(
            provider_id=self.provider_id,
            provider_url=self.gateway.url,
            blocks=self.blocks,
            bytes=self.size,
            missing=self.missing,
            missing_cids=tuple(self.missing_cids),
            elsewhere=self.elsewhere,
            wrong=self.wrong,
            unavailable=self.unavailable,
            good=not (self.missing or self.ended),
        )


def verify(
    services: Services,
    what: str,
    *,
    sample: int | None = None,
    seed: int | None = None,
    on_event: OnEvent = ignore,
) -> VerifyResult:
    """Fetch every block of *what* from each provider that has it, or *sample* blocks, and hash them.

    *what* is as for `get`. All of it is fetched once from each provider, and nothing is written. *seed*
    repeats a sample; without one it is drawn anew. Raises NotFound where nobody is known to have it.
    """
    if sample is not None and sample < 1:
        raise UsageError("a sample is of one block at least")
    root_cid, inside, pin = located(services, what)
    places = _places(services, root_cid, pin)
    if not places:
        raise NotFound(
            f"nobody is known to have {format_cid(root_cid)}",
            hint="fpin check says what the indexer knows of a pin; fpin add stores it again",
        )
    with _singly(root_cid, places) as blocks:
        target = Content(root_cid, blocks.get).resolve(split_path(inside))
        if sample is None:
            wanted = None
        else:
            seed = secrets.randbelow(2**32) if seed is None else seed
            known = [parse_cid(cid) for piece in pin.pieces for cid in piece.sample] if pin else []
            wanted = _drawn(target, blocks, sample, random.Random(seed), () if inside else known)
    with contextlib.ExitStack() as stack:
        for place in places:
            place.reader = stack.enter_context(Blocks(target, (), [place.gateway]))
            if wanted is None:
                place.reader.resolved()
            else:
                place.reader.skip()
        looked_for, lost = _look(target, wanted, places, on_event)
    verdicts = tuple(place.verdict() for place in places)
    return VerifyResult(
        network=services.backend.network,
        root_cid=format_cid(root_cid),
        path=inside,
        sample=sample,
        seed=seed if sample is not None else None,
        blocks=looked_for,
        providers=verdicts,
        lost=tuple(map(format_cid, lost)),
        complete=not lost and all(verdict.good for verdict in verdicts),
    )


def _places(services: Services, root_cid: bytes, pin: Pin | None) -> list[_Place]:
    """Return the providers in the store, then those that routing names on top."""
    places: dict[str, _Place] = {}
    for copy in pin.copies if pin else ():
        if copy.state in THERE and copy.provider_url not in places:
            assert pin is not None
            due = _due(pin, copy.provider_id)
            places[copy.provider_url] = _Place(
                copy.provider_id, Gateway(copy.provider_url, services.http), due
            )
    for url in routed(services, root_cid, pin, urgent=not places):
        places.setdefault(url, _Place(None, Gateway(url, services.http), lambda _multihash: False))
    return list(places.values())


def _due(pin: Pin, provider_id: int) -> Callable[[bytes], bool]:
    """Return what tells whether a provider must have a block: all of them, or of some pieces a few."""
    held = [
        piece
        for piece in pin.pieces
        if any(copy.provider_id == provider_id and copy.state in THERE for copy in piece.copies)
    ]
    if len(held) == len(pin.pieces):
        return lambda _multihash: True
    known = {multihash_of(parse_cid(cid)) for piece in held for cid in piece.sample}
    return known.__contains__


@contextlib.contextmanager
def _singly(root_cid: bytes, places: Sequence[_Place]) -> Iterator[Blocks]:
    """Give blocks from whoever has them, asked for one by one."""
    with Blocks(root_cid, (), [place.gateway for place in places]) as blocks:
        blocks.skip()
        yield blocks


def _look(
    root_cid: bytes, wanted: Sequence[bytes] | None, places: Sequence[_Place], on_event: OnEvent
) -> tuple[int, list[bytes]]:
    """Ask every place for every block below *root_cid*, or for those that are *wanted*.

    Returns how many that were, and the first that nobody gave.
    """
    stack = [(root_cid, 0)] if wanted is None else [(cid, 0) for cid in reversed(wanted)]
    met: OrderedDict[bytes, None] = OrderedDict()
    limits, count, lost = Limits(), 0, list[bytes]()
    while stack and not all(place.ended for place in places):
        cid, depth = stack.pop()
        data = cids.identity_data(cid)
        if data is None:
            if (multihash := multihash_of(cid)) in met:
                continue
            met[multihash] = None
            if len(met) > _REMEMBERED:
                met.popitem(last=False)
            count += 1
            data = _ask_all(cid, places, on_event)
            if data is None:
                lost += [cid][: _NAMED - len(lost)]
                continue
        if wanted is None:
            stack += [(link, depth + 1) for link in reversed(links_of(cid, data))]
        if depth > limits.depth or len(stack) > limits.pending or count > limits.blocks:
            raise VerificationFailed("the content is nested too deep or branches too much to be followed")
    return count, lost


def _ask_all(cid: bytes, places: Sequence[_Place], on_event: OnEvent) -> bytes | None:
    found = None
    for place in places:
        if not place.ended and (data := place.ask(cid)) is not None:
            found = data
            on_event(Fetching(source=place.gateway.name, done=place.size))
    return found


def _drawn(
    root_cid: bytes, blocks: Blocks, count: int, chance: random.Random, known: Sequence[bytes]
) -> list[bytes]:
    """Return *count* blocks, or all there are if they are fewer: the root, *known* ones, others by chance.

    Others are found by going down from the root, in turn with each link as likely as it says it is large,
    and with all alike: so neither large files nor many small ones are passed over.
    """
    chosen = dict.fromkeys([root_cid, *chance.sample(known, len(known))][:count])
    for draw in range(_DRAWS * count):
        if len(chosen) == count:
            break
        cid = root_cid
        while links := _weighed(cid, blocks):
            weights = [size if draw % 2 else 1 for _, size in links]
            cid = chance.choices([link for link, _ in links], weights)[0]
        chosen.setdefault(cid)
    return [cid for cid in chosen if cids.identity_data(cid) is None]


def _weighed(cid: bytes, blocks: Blocks) -> list[tuple[bytes, int]]:
    """Return the links of a block, each with the size that the block gives for it."""
    if cids.codec_of(cid) != cids.DAG_PB:
        return []
    data = cids.identity_data(cid)
    try:
        node = dagpb.decode(blocks.get(cid) if data is None else data)
        sizes = unixfs.decode(node.data or b"").blocksizes
    except ValueError as exc:
        raise VerificationFailed(f"block {format_cid(cid)} does not decode: {exc}") from exc
    if len(sizes) != len(node.links):
        sizes = tuple(link.tsize for link in node.links)
    return [(link.cid, size + 1) for link, size in zip(node.links, sizes, strict=True)]
