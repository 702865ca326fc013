"""Indexers, providers and time that do as a test's script says; nothing of it waits or touches a socket."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from fpin.errors import FpinError
from fpin.http import Http
from fpin.ipld.cid import parse_cid
from fpin.piece import PieceCid
from fpin.routing import Clock, Copy, Gate, Indexer, Peers, Publisher
from fpin.routing.advertisement import Advertisement
from fpin.routing.indexer import AdState, Answer, ProviderInfo, Record
from fpin.routing.publisher import Published

PIECE = PieceCid.parse("bafkzcibcaabdomn3tgwgrh3g532zopskstnbrd2n3sxfqbze7rxt7vqn7veigmy")
OTHER_PIECE = PieceCid.parse("bafkzcibcaablqfyjsvd3rrmqmd7n4f7i73ybzuxfq4p4za6lft2jeaaaaguxefq")
ROOT = parse_cid("bafybeieecktzp2k4oovlx6cjpehx3qudnlxfn2mskaefjets5oyyxoxc3e")
LEAF = parse_cid("bafkreifwvggzz2nc3ekjfch2hx2c2n34hzbhg6x5zwxxctrtycqqbniqma")
AD = parse_cid("baguqeeratjpprecc65dibckocfgseich7ldoonayi2ibrp4p3g44qz7oqjrq")
REMOVAL_AD = parse_cid("baguqeera5jowrqsyjoxrw6jenldgg2wowo5iuc5uvnl3rsajw3zzcyyck6oq")


def copy_at(number: int, *, not_expected: str | None = None) -> Copy:
    return Copy(
        provider_id=number,
        service_url=f"https://sp{number}.example.com",
        piece_cid=PIECE,
        peer_id=b"\x00\x24" + bytes((number,)) * 36,
        not_expected=not_expected,
    )


def record_of(copy: Copy, *, context: bytes | None = None) -> Record:
    return Record(
        provider=f"peer-{copy.provider_id}",
        peer_id=copy.peer_id,
        addresses=(f"/dns/sp{copy.provider_id}.example.com/tcp/443/https",),
        context_id=copy.context_id if context is None else context,
        metadata=b"\xa0\x12\x00",
    )


ABSENT = Answer(state="absent", status=404)
EMPTY = Answer(state="absent", status=200)
BROKEN = Answer(state="inconclusive", status=502, reason="HTTP 502")
SILENT = Answer(state="inconclusive", reason="indexer https://poll.example did not answer in time")
REFUSED = Answer(state="inconclusive", status=400, reason="HTTP 400", refused=True)


def found(*records: Record) -> Answer:
    return Answer(state="found", status=200, records=records)


class FakeTime:
    """Time that passes only while somebody sleeps, and chance that never changes anything."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 3))
        self.time += seconds

    @property
    def clock(self) -> Clock:
        return Clock(now=lambda: self.time, sleep=self.sleep, chance=lambda: 0.5)


class FakeIndexer(Indexer):
    """Answers from a script; the last one is repeated."""

    def __init__(self, url: str, http: Http, *answers: Answer) -> None:
        super().__init__(url, http)
        self.answers = list(answers)
        self.states: list[AdState] = ["unknown"]
        self.info: ProviderInfo | None = None
        self.asked: list[bytes] = []
        self.asked_ads: list[bytes] = []

    def find(self, cid: bytes) -> Answer:
        self.asked.append(cid)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def ad_state(self, ad_cid: bytes) -> AdState:
        self.asked_ads.append(ad_cid)
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]

    def provider(self, peer: bytes) -> ProviderInfo | None:
        return self.info


def advertisement(cid: bytes, *, is_rm: bool) -> Advertisement:
    return Advertisement(
        cid=cid,
        previous=None,
        provider="peer",
        addresses=(),
        entries=b"",
        context_id=b"",
        metadata=b"",
        is_rm=is_rm,
        signature=b"",
    )


NEVER = Published(ad=None, complete=True)
ADVERTISED = Published(ad=advertisement(AD, is_rm=False), complete=False)
WITHDRAWN = Published(ad=advertisement(REMOVAL_AD, is_rm=True), complete=False)


class FakePublisher(Publisher):
    """Says what the script says; an error in it is raised."""

    def __init__(self, http: Http, *words: Published | FpinError) -> None:
        super().__init__("https://sp.example.com", b"\x00\x24" + bytes(36), http)
        self.words = list(words)
        self.questions = 0

    def newest(self, context_id: bytes) -> Published:
        self.questions += 1
        word = self.words.pop(0) if len(self.words) > 1 else self.words[0]
        if isinstance(word, FpinError):
            raise word
        return word


@dataclass(frozen=True)
class Status:
    """A provider's piece status."""

    status: str = "pending"
    advertised: bool = False
    synced: bool | None = None
    ad_cid: bytes | None = None


@dataclass
class World:
    http: Http
    time: FakeTime = field(default_factory=FakeTime)
    polled: list[FakeIndexer] = field(default_factory=list)
    confirming: list[FakeIndexer] = field(default_factory=list)
    gate: Gate = field(default_factory=Gate)
    chain: FakePublisher | None = None
    status: Callable[[Copy], Status | None] = lambda _copy: None

    def polls(self, *answers: Answer, url: str = "https://poll.example") -> FakeIndexer:
        """Add an indexer to poll."""
        self.polled.append(FakeIndexer(url, self.http, *answers))
        return self.polled[-1]

    def confirms(self, *states: AdState, url: str = "https://cid.contact") -> FakeIndexer:
        """Add an indexer that confirms."""
        self.confirming.append(FakeIndexer(url, self.http, BROKEN))
        self.confirming[-1].states = list(states)
        return self.confirming[-1]

    def says(self, *words: Published | FpinError) -> None:
        self.chain = FakePublisher(self.http, *words)

    def reports(self, statuses: Iterable[Status]) -> None:
        script = list(statuses)
        self.status = lambda _copy: script.pop(0) if len(script) > 1 else script[0]

    @property
    def peers(self) -> Peers:
        return Peers(
            poll=tuple(self.polled),
            confirm=tuple(self.confirming),
            gate=self.gate,
            publisher=lambda _copy: self.chain,
            piece_status=lambda copy: self.status(copy),
        )
