"""Can it be found by CID: indexers, providers' advertisement chains, and the gate before public routers.

Knows IPNI (spec routing-and-retrieval §1, §3, §4). Refuses to know the chain, uploads and retrieval: who
should have what comes in as `Copy` and `Subject`.
"""

from fpin.routing.announce import Announced, announce, chain_address
from fpin.routing.checker import Peers, Subject, check_added
from fpin.routing.confirm import Confirmation, confirm
from fpin.routing.delegated import Router
from fpin.routing.gate import Gate, GatewayClosed
from fpin.routing.indexer import Indexer
from fpin.routing.match import Copy, Strength
from fpin.routing.pace import ASK_ONCE, LOCAL, LOOK_ONCE, PUBLIC, AddPace, Clock, Pace, RemovalPace
from fpin.routing.publisher import Publisher
from fpin.routing.removal import Removal, check_removed, present
from fpin.routing.results import (
    Asked,
    AskedState,
    Evidence,
    Finding,
    Holder,
    PairState,
    RemovalLook,
    RemovalResult,
    RemovalState,
    RoutingAttempt,
    RoutingResult,
    RoutingState,
)

__all__ = [
    "ASK_ONCE",
    "LOCAL",
    "LOOK_ONCE",
    "PUBLIC",
    "AddPace",
    "Announced",
    "Asked",
    "AskedState",
    "Clock",
    "Confirmation",
    "Copy",
    "Evidence",
    "Finding",
    "Gate",
    "GatewayClosed",
    "Holder",
    "Indexer",
    "Pace",
    "PairState",
    "Peers",
    "Publisher",
    "Removal",
    "RemovalLook",
    "RemovalPace",
    "RemovalResult",
    "RemovalState",
    "Router",
    "RoutingAttempt",
    "RoutingResult",
    "RoutingState",
    "Strength",
    "Subject",
    "announce",
    "chain_address",
    "check_added",
    "check_removed",
    "confirm",
    "present",
]
