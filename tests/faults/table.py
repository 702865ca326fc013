"""What goes wrong, what fpin says and returns then, what it has stored, and what the next run makes of it.

`docs/reference/faults.md` is written from this table, and `test_matrix` makes every row happen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.faults import scene
from tests.faults.scene import ALWAYS, HANGS_UP, Fault, Run

NOTE = "{note}"  # the file that is stored
ONE = ("add", NOTE, "--copies", "1", "--provider", "1")
TWO = ("add", NOTE, "--copies", "2")
KILLED = -9  # of a process; a shell says 137


@dataclass(frozen=True, kw_only=True)
class Row:
    """One fault. A … in a sentence stands for what differs between runs.

    *state* is that of the pin, "" when nothing was written down and None where that depends; *copies* are by
    provider. *then* is done before the command is run *again*, when the fault itself is over.
    """

    id: str
    what: str
    make: Fault
    args: tuple[str, ...] = ONE
    run: Run = scene.here
    code: int = 0
    says: tuple[str, ...] = ()  # lines on standard error
    state: str | None = "pinned"
    copies: Mapping[int, str] = field(default_factory=lambda: {1: "advertised"})
    then: Fault = scene.nothing
    remedy: str = ""  # what *then* is, for the reader
    again: tuple[str, ...] = ()  # empty: the same command
    copies_again: Mapping[int, str] = field(default_factory=lambda: {1: "advertised"})


@dataclass(frozen=True, kw_only=True)
class Part:
    title: str
    rows: tuple[Row, ...]


LATER = "→ nothing is lost; run it again later"
NODE_LATER = (
    "→ nothing is lost; check the network of this machine and run it again later, "
    "or choose another node with --rpc-url"
)
HTTP_503 = "fpin: provider 1 (…): HTTP 503: Service Unavailable"
UNREACHABLE = "fpin: provider 1 (…) cannot be reached: …"
DEPOSIT = "fpin payments deposit"
LACKING = "the payment account has … USDFC free and … USDFC must be locked: deposit at least … USDFC"

PROVIDERS = Part(
    title="A storage provider",
    rows=(
        Row(
            id="down-before",
            what="It is down when providers are chosen.",
            make=scene.provider(1, "ping"),
            args=TWO,
            says=("provider 1: failed: provider 1 (…): HTTP 503: Service Unavailable",),
            copies={2: "advertised", 3: "advertised"},
            copies_again={2: "advertised", 3: "advertised"},
        ),
        Row(
            id="hangs-up-before",
            what="It hangs up when providers are chosen.",
            make=scene.provider(1, "ping", status=HANGS_UP),
            args=TWO,
            says=("provider 1: failed: provider 1 (…) cannot be reached: …",),
            copies={2: "advertised", 3: "advertised"},
            copies_again={2: "advertised", 3: "advertised"},
        ),
        Row(
            id="named-and-down",
            what="It was named with `--provider`, and is down.",
            make=scene.provider(1, "ping"),
            code=5,
            says=(HTTP_503, LATER),
            state="",
            copies={},
        ),
        Row(
            id="all-down",
            what="All of them are down.",
            make=scene.every_provider("ping"),
            args=TWO,
            code=5,
            says=(HTTP_503, LATER),
            state="",
            copies={},
            copies_again={1: "advertised", 2: "advertised"},
        ),
        Row(
            id="500-for-a-moment",
            what="It fails once each when an upload is opened, sent and ended.",
            make=scene.provider(1, "open", "upload", "finalize", status=500, times=1),
        ),
        Row(
            id="500-during",
            what="It answers each upload with 500.",
            make=scene.provider(1, "upload", status=500),
            code=5,
            says=("fpin: provider 1 (…): HTTP 500: Service Unavailable", LATER),
            state="pending",
            copies={1: "planned"},
        ),
        *(
            Row(
                id=f"down-during-{route}",
                what=f"It goes down {when}.",
                make=scene.provider(1, route),
                code=5,
                says=(HTTP_503, LATER),
                state="pending",
                copies={1: state},
            )
            for route, when, state in (
                ("find", "before the upload", "planned"),
                ("finalize", "at the end of the upload", "planned"),
                ("create-and-add", "after the upload", "signed"),
            )
        ),
        Row(
            id="hangs-up-during",
            what="It hangs up during the upload.",
            make=scene.provider(1, "upload", status=HANGS_UP),
            code=5,
            says=(UNREACHABLE, LATER),
            state="pending",
            copies={1: "planned"},
        ),
        Row(
            id="down-after",
            what="It goes down when the chain has the add.",
            make=scene.provider(1, "created", "added", "status"),
        ),
        Row(
            id="one-of-two-goes-down",
            what="One of two goes down during the upload.",
            make=scene.provider(1, "upload"),
            args=TWO,
            says=(
                "provider 1: failed: provider 1 (…): HTTP 503: Service Unavailable",
                "provider 3 takes the place of provider 1",
            ),
            copies={1: "failed", 2: "advertised", 3: "advertised"},
            copies_again={1: "failed", 2: "advertised", 3: "advertised"},
        ),
        Row(
            id="nobody-instead",
            what="One of two goes down during the upload, and so does every other.",
            make=scene.together(scene.provider(1, "upload"), scene.provider(3, "ping")),
            args=TWO,
            code=3,
            says=(
                "provider 1: failed: provider 1 (…): HTTP 503: Service Unavailable",
                "note: nobody takes the place of provider 1: provider 3 (…): HTTP 503: Service Unavailable",
            ),
            state="degraded",
            copies={1: "planned", 2: "advertised"},
            copies_again={1: "advertised", 2: "advertised"},
        ),
        Row(
            id="pull-refused",
            what="It refuses to fetch a piece from another provider.",
            make=scene.provider(2, "pull", status=400),
            args=TWO,
            says=("note: provider 2 did not fetch 1 of 1 pieces from other providers (…HTTP 400…): …",),
            copies={1: "advertised", 2: "advertised"},
            copies_again={1: "advertised", 2: "advertised"},
        ),
        Row(
            id="pull-fails",
            what="It cannot fetch a piece from another provider, and takes no upload.",
            make=scene.provider(2, "pull", "open"),
            args=TWO,
            says=(
                "note: provider 2 did not fetch 1 of 1 pieces from other providers (…HTTP 503…): …",
                "provider 2: failed: provider 2 (…): HTTP 503: Service Unavailable",
                "provider 3 takes the place of provider 2",
                "provider 3: fetched from provider 1: …",
            ),
            copies={1: "advertised", 2: "failed", 3: "advertised"},
            copies_again={1: "advertised", 2: "failed", 3: "advertised"},
        ),
        Row(id="slow", what="It is slow.", make=scene.provider_switch(1, "slow", 0.02)),
        *(
            Row(
                id=f"lost-answer-{route}",
                what=f"It does what was asked, and its answer to {asked} is lost.",
                make=scene.loses_answer(1, route),
            )
            for route, asked in (
                ("open", "the opening of an upload"),
                ("upload", "the upload"),
                ("finalize", "the end of the upload"),
                ("create-and-add", "the add"),
            )
        ),
        Row(
            id="lies",
            what="It says that it received other bytes.",
            make=scene.provider_switch(1, "lie_about_piece", True),
            code=6,
            says=(
                "fpin: provider 1 (…) received other bytes than those of piece …",
                "→ check the data with `fpin cid`, then send it again or use another provider",
            ),
            state="failed",
            copies={1: "failed"},
            again=("add", NOTE, "--copies", "1", "--exclude-provider", "1"),
            copies_again={1: "failed", 2: "advertised"},
        ),
        Row(
            id="never-advertises",
            what="It never advertises what it stores.",
            make=scene.together(scene.gives_up_routing, scene.provider_switch(1, "never_advertise", True)),
            code=3,
            says=("routing: timeout at …",),
            copies={1: "confirmed"},
        ),
    ),
)

CHAIN = Part(
    title="The chain and its node",
    rows=(
        Row(
            id="reverts",
            what="The account is emptied while the add is on its way, so that its transaction reverts.",
            make=scene.before_the_add(scene.withdrawn),
            code=1,
            says=(
                f"fpin: provider 1 (…): transaction … failed: {LACKING}",
                "→ nothing was stored by it and nothing charged; run it again",
            ),
            state="failed",
            copies={1: "failed"},
            then=scene.deposited,
            remedy=DEPOSIT,
            copies_again={1: "advertised"},
        ),
        Row(
            id="no-funds",
            what="The account is emptied after the upload.",
            make=scene.when_uploaded(scene.withdrawn),
            code=4,
            says=(
                f"fpin: adding to provider 1: {LACKING}",
                "→ deposit USDFC into the payment account: fpin payments deposit",
            ),
            state="pending",
            copies={1: "parked"},
            then=scene.deposited,
            remedy=DEPOSIT,
        ),
        Row(
            id="no-approval",
            what="The storage service's approval is taken away after the upload.",
            make=scene.when_uploaded(scene.revoked),
            code=4,
            says=(
                "fpin: adding to provider 1: the storage service … may not spend for this account",
                "→ approve the storage service as operator: fpin payments setup",
            ),
            state="pending",
            copies={1: "parked"},
            then=scene.approved,
            remedy="fpin payments setup",
        ),
        Row(
            id="prices-rise",
            what="The storage service raises its prices after the upload.",
            make=scene.when_uploaded(scene.dearer),
            code=5,
            says=(
                "fpin: the storage service changed its prices since they were told: nothing was added",
                "→ run it again: it tells the new price first, and what was uploaded is there",
            ),
            state="pending",
            copies={1: "parked"},
        ),
        Row(
            id="dropped-once",
            what="The add's transaction is dropped, and the provider sends it again.",
            make=scene.together(scene.resends_at_once, scene.chain_switch("drop", 1)),
        ),
        Row(
            id="dropped",
            what="The add's transaction is dropped for good.",
            make=scene.together(scene.gives_up_confirming, scene.chain_switch("drop", ALWAYS)),
            code=5,
            says=(
                "fpin: provider 1 (…): the add is not confirmed after … minutes",
                "→ run it again: it asks the chain before it does anything",
            ),
            state="pending",
            copies={1: "signed"},
        ),
        Row(
            id="out-of-gas",
            what="The add's transaction runs out of gas.",
            make=scene.chain_switch("starve", 1),
            code=1,
            says=(
                "fpin: provider 1 (…): transaction … failed: it ran out of gas, all … units of it",
                "→ nothing was stored by it and nothing charged; run it again",
            ),
            state="failed",
            copies={1: "failed"},
        ),
        Row(
            id="null-rounds",
            what="Epochs without a block come before each transaction.",
            make=scene.chain_switch("null_rounds", 3),
        ),
        Row(
            id="node-flaps",
            what="The node fails every third question.",
            make=scene.chain_switch("flaps", 3),
        ),
        Row(
            id="node-down",
            what="The node is down.",
            make=scene.node("eth_call"),
            code=5,
            says=("fpin: node …: HTTP 503", NODE_LATER),
            state="",
            copies={},
        ),
        Row(
            id="node-hangs-up",
            what="The node hangs up.",
            make=scene.node("eth_chainId", status=HANGS_UP),
            code=5,
            says=("fpin: node … cannot be reached: …", NODE_LATER),
            state="",
            copies={},
        ),
        Row(
            id="node-lost",
            what="The node goes down while the add is on its way.",
            make=scene.node_after("eth_call", "create-and-add"),
            code=5,
            says=("fpin: node …: HTTP 503", NODE_LATER),
            state="pending",
            copies={1: "submitted"},
        ),
    ),
)

INDEXER = Part(
    title="The indexer",
    rows=(
        *(
            Row(
                id=f"indexer-{name}",
                what=what,
                # Nothing else may say that the advertisement was processed, or that is evidence enough.
                make=scene.together(
                    scene.gives_up_routing, scene.indexer(**{"hold_ingest": True, name: value})
                ),
                code=3,
                says=(said,),
                copies={1: "confirmed"},
            )
            for name, value, what, said in (
                ("stopped", True, "It is silent.", "routing: unreachable at …"),
                ("nonsense", True, "It answers with a web page.", "routing: unreachable at …"),
                ("hold_ingest", True, "It does not read the advertisement.", "routing: timeout at …"),
            )
        ),
        Row(id="indexer-moment", what="It fails for a moment.", make=scene.indexer(failing=3)),
    ),
)

MACHINE = Part(
    title="This machine",
    rows=(
        Row(
            id="no-room-for-the-store",
            what="The disk is full when the store is written.",
            make=scene.nothing,
            run=scene.on_full_disk(90_000),
            code=1,
            says=(
                "fpin: the store … cannot be used: …",
                "→ free some space, correct its permissions, or set FPIN_HOME to another folder",
            ),
            state=None,
            copies={},
        ),
        Row(
            id="no-room-for-standard-input",
            what="The disk is full when standard input is kept.",
            make=scene.nothing,
            args=("add", "-", "--copies", "1", "--provider", "1"),
            run=scene.on_full_disk(140_000),
            code=1,
            says=(
                "fpin: the input cannot be kept in …: …",
                "→ make room, or set FPIN_HOME to a folder with more",
            ),
            state="",
            copies={},
        ),
        Row(
            id="killed",
            what="fpin is killed while the add is on its way.",
            make=scene.nothing,
            run=scene.killed_at("mark_submitted before its commit"),
            code=KILLED,
            state="pending",
            copies={1: "signed"},
        ),
    ),
)

TABLE = (PROVIDERS, CHAIN, INDEXER, MACHINE)
