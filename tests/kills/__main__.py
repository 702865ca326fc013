"""`make faults`: kills at every transition and at random moments, one line a case, and a summary."""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.kills.arena import COPIES, PIECES, Arena, Tenant
from tests.kills.cases import Reference, kill_at, kill_at_random, transitions

# What differs where the data sets are there already.
_ADDING = re.compile("mark_(signed|submitted|confirmed) ")


@dataclass(frozen=True)
class Result:
    """How one case ended. *failure* is None where everything was as it should be."""

    name: str
    tenant: Tenant | None
    failure: str | None

    def __str__(self) -> str:
        deaths = self.tenant.deaths if self.tenant else []
        told = "; then ".join(f"{death.moment} [{death.state or 'nothing planned'}]" for death in deaths)
        return f"{'FAILED' if self.failure else 'ok':6}  {self.name:9}  {told or 'it was done first'}"


def attempt(name: str, case: Callable[[], Tenant]) -> Result:
    try:
        result = Result(name, case(), None)
    except Exception as exc:  # noqa: BLE001  (every case is told, and the next one runs)
        result = Result(name, None, f"{type(exc).__name__}: {exc}")
    print(result, flush=True)  # noqa: T201  (this is a program)
    if result.failure:
        print(result.failure, flush=True)  # noqa: T201
    return result


def run(seeds: range, jobs: int) -> int:
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, Arena.open(Path(folder), len(seeds) + 300) as arena:
        reference = Reference(arena)
        orders = transitions(reference.first.points)
        later = [order for order in transitions(reference.after_another.points) if _ADDING.match(order.point)]
        cases: list[tuple[str, Callable[[], Tenant]]] = [
            *(("first add", partial(kill_at, arena, reference, order)) for order in orders),
            *(("next add", partial(kill_at, arena, reference, order, before=True)) for order in later),
            *((f"seed {seed}", partial(kill_at_random, arena, reference, seed)) for seed in seeds),
        ]
        with ThreadPoolExecutor(jobs) as pool:
            results = list(pool.map(lambda case: attempt(*case), cases))
    _summarize(results, len(results) - len(seeds), time.monotonic() - started)
    return 1 if any(result.failure for result in results) else 0


def _summarize(results: list[Result], orders: int, seconds: float) -> None:
    deaths = [death for result in results if result.tenant for death in result.tenant.deaths]
    told = f"{orders} transitions and {len(results) - orders} seeds, {len(deaths)} kills, {seconds:.0f} s"
    lines = ["", f"adds of {PIECES} pieces to {COPIES} providers: {told}"]
    for title, found in (
        ("last seen", Counter(death.moment for death in deaths)),
        ("state of the store", Counter(death.state or "nothing planned" for death in deaths)),
    ):
        lines += ["", title]
        lines += [f"{count:5}  {name}" for name, count in found.most_common()]
    failed = [result.name for result in results if result.failure]
    lines += ["", f"failed: {', '.join(failed)}" if failed else "none failed"]
    print("\n".join(lines))  # noqa: T201


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.kills", description=__doc__)
    parser.add_argument("--seeds", type=int, default=300, help="how many random adds")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--jobs", type=int, default=2, help="how many at a time")
    options = parser.parse_args()
    return run(range(options.first, options.first + options.seeds), options.jobs)


if __name__ == "__main__":
    sys.exit(main())
