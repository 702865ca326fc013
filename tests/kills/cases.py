"""What is done to an add: at which moments it is killed, and what must be the same afterwards."""

from __future__ import annotations

import signal
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from random import Random
from typing import Any

from tests.kills.arena import COPIES, PIECES, Arena, Tenant
from tests.kills.victim import Order

MOST_KILLS = 3  # in a row, of one add
MOST_CALLS = 400  # of functions, between a point and the kill
BY_THE_CLOCK = 0.2  # the part of all kills that come after some time and not at a point


@dataclass(frozen=True)
class Undisturbed:
    """An add that nobody killed: what it reached on its way, and what it left."""

    points: list[str]
    traces: dict[str, Any]


class Reference:
    """What the killed adds are compared with, made once for a devnet."""

    def __init__(self, arena: Arena) -> None:
        self._arena = arena

    def of(self, *, before: bool) -> Undisturbed:
        return self.after_another if before else self.first

    @cached_property
    def first(self) -> Undisturbed:
        """A wallet's first add, which makes its data sets."""
        return self._run(before=False)

    @cached_property
    def after_another(self) -> Undisturbed:
        """An add into data sets that are there."""
        return self._run(before=True)

    def _run(self, *, before: bool) -> Undisturbed:
        tenant = self._arena.tenant(0)
        if before:
            store_another(tenant)
        outcome = tenant.run()
        assert (outcome.code, outcome.json["complete"]) == (0, True), outcome.stderr
        traces = tenant.traces()
        sets = traces["chain"]
        assert len(sets) == COPIES, sets
        for pieces in sets:
            assert len(pieces) == PIECES * (1 + before), sets
        return Undisturbed(tenant.points, traces)


def store_another(tenant: Tenant) -> None:
    """Store something else first, so that the wallet has data sets and the home a store."""
    kept = tenant.folder
    tenant.folder = tenant.arena.content(kept.with_name("earlier"), f"before {tenant.wallet.name}")
    outcome = tenant.run()
    assert outcome.code == 0, outcome.stderr
    tenant.folder = kept


def finish(tenant: Tenant, reference: Undisturbed) -> None:
    """Run the killed add again and compare everything it leaves with the undisturbed one."""
    outcome = tenant.run()
    assert (outcome.code, outcome.json["complete"]) == (0, True), outcome.stderr
    traces = tenant.traces()
    for name, expected in reference.traces.items():
        assert traces[name] == expected, f"{name}: {traces[name]}\nundisturbed: {expected}"


def kill_at(arena: Arena, reference: Reference, order: Order, *, before: bool = False) -> Tenant:
    """Kill an add at *order*, and have it finished; *before*: not the wallet's first one."""
    tenant = arena.tenant(0)
    if before:
        store_another(tenant)
    tenant.run(order)
    assert tenant.deaths, "it was not killed"
    finish(tenant, reference.of(before=before))
    return tenant


def kill_at_random(arena: Arena, reference: Reference, seed: int) -> Tenant:
    """Kill an add at one to three moments that *seed* chooses, and have it finished."""
    random = Random(seed)
    tenant = arena.tenant(seed)
    before = random.random() < 0.3
    if before:
        store_another(tenant)
    undisturbed = reference.of(before=before)
    for kill in range(random.choice((1, 1, 1, 2, MOST_KILLS))):
        if random.random() < BY_THE_CLOCK:
            outcome = tenant.run(seconds=random.uniform(0.05, 1.5))
        elif kill == 0:
            outcome = tenant.run(random_order(random, undisturbed.points))
        else:  # it has less to do than the undisturbed one, and nobody knows what
            outcome = tenant.run(Order(time=random.randrange(1, len(undisturbed.points) // 2)))
        assert outcome.code in (-signal.SIGKILL, 0), outcome.stderr
    finish(tenant, undisturbed)
    return tenant


def random_order(random: Random, points: list[str]) -> Order:
    """A moment of an add that passes *points*.

    First what is done and then which time, so that the many moments of polling do not crowd out the rest.
    """
    counts = Counter(points)
    point = random.choice(sorted(counts))
    calls = random.choice((0, random.randrange(1, MOST_CALLS)))
    return Order(point=point, time=random.randrange(1, counts[point] + 1), calls=calls)


def transitions(points: list[str]) -> list[Order]:
    """Before and after each commit of a transition of the store, in the order of an undisturbed add."""
    seen: Counter[str] = Counter()
    orders = []
    for point in points:
        if point.endswith(" its commit"):
            seen[point] += 1
            orders.append(Order(point=point, time=seen[point]))
    return orders
