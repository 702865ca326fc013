"""A CAR file that exists already, as content that `add` can store."""

from __future__ import annotations

from pathlib import Path

from fpin.errors import UsageError, VerificationFailed
from fpin.events import Hashing, Noted, OnEvent, Planned, ignore
from fpin.flows.packing import check_exists, spelled
from fpin.flows.sources import Hashed
from fpin.ipld.cid import format_cid, multihash_of
from fpin.pack.imported import CarPlan, Imported, digest_car, plan_car
from fpin.piece import MAX_PIECE_SIZE
from fpin.store import Packing
from fpin.values import dataclass

_TOLD = 10  # CIDs in a sentence
_LISTED = 1000  # CIDs for programs


@dataclass(frozen=True, slots=True, kw_only=True)
class CarContent:
    """A CAR file. *root_cid* says which of several roots the pin has; *spooled* as in `Content`."""

    path: Path
    root_cid: bytes | None = None
    allow_missing: bool = False
    spooled: bool = False
    piece_limit: int = MAX_PIECE_SIZE  # bytes

    @property
    def stored_path(self) -> str | None:
        return None if self.spooled else spelled(self.path)

    @property
    def default_name(self) -> str | None:
        return Path(self.stored_path).stem if self.stored_path else None

    @property
    def profile(self) -> str:
        return "car"

    @property
    def packing(self) -> Packing:
        return Packing()

    def lay_out(self, *, on_event: OnEvent = ignore) -> LaidOutCar:
        """Read the header. Raises UsageError when there is no such file, or its root has to be chosen."""
        check_exists(self.path)
        plan = plan_car(self.path, piece_limit=self.piece_limit)
        laid_out = LaidOutCar(content=self, plan=plan, root_cid=_choose(plan, self.root_cid))
        on_event(Planned(pieces=len(plan.spans), car_size=sum(laid_out.piece_sizes)))
        return laid_out


@dataclass(frozen=True, slots=True, kw_only=True)
class LaidOutCar:
    """A CAR file that `add` can store. What its blocks mean is known when they have been read."""

    content: CarContent
    plan: CarPlan
    root_cid: bytes

    @property
    def size(self) -> int:
        return self.plan.size

    @property
    def files(self) -> int:
        return 0

    @property
    def piece_sizes(self) -> list[int]:
        return [span.max_size for span in self.plan.spans]

    def hash(self, *, on_event: OnEvent = ignore) -> Hashed:
        """Hash every block.

        Raises VerificationFailed for a damaged file and, unless it is allowed, for a DAG with gaps.
        """

        def moved(done: int) -> None:
            on_event(Hashing(done=done, total=self.plan.size))

        imported = digest_car(self.plan, self.root_cid, progress=moved)
        self._check_whole(imported, on_event)
        return Hashed(
            root_cid=imported.root_cid, size=imported.size, files=imported.files, pieces=imported.pieces
        )

    def _check_whole(self, imported: Imported, on_event: OnEvent) -> None:
        path, root = str(self.content.path), format_cid(self.root_cid)
        if not imported.has_root:
            raise VerificationFailed(
                f"{path!r} does not hold the block of its root {root}",
                hint="nothing in it could be reached by that root; use a CAR that has it",
                root_cid=root,
            )
        if not imported.missing:
            return
        count = f"{len(imported.missing)} block" + ("s" if len(imported.missing) > 1 else "")
        lacks = f"{path!r} lacks {count} that its root {root} leads to"
        if not self.content.allow_missing:
            raise VerificationFailed(
                f"{lacks}: {_listed(imported.missing)}",
                hint="use a CAR with the whole DAG, or --allow-missing to store it with its gaps",
                root_cid=root,
                missing_count=len(imported.missing),
                missing=[format_cid(cid) for cid in imported.missing[:_LISTED]],
            )
        on_event(Noted(text=f"{lacks}; they stay missing: {_listed(imported.missing)}"))


def _choose(plan: CarPlan, wanted: bytes | None) -> bytes:
    if wanted is None and len(plan.roots) == 1:
        return plan.roots[0]
    roots = [format_cid(root) for root in plan.roots]
    if wanted is None:
        raise UsageError(
            f"{str(plan.path)!r} has {len(roots)} roots: {_listed(plan.roots)}",
            hint="choose the one to pin with --root",
            roots=roots[:_LISTED],
        )
    for root in (wanted, *plan.roots):
        if root in plan.roots and multihash_of(root) == multihash_of(wanted):
            return root
    raise UsageError(
        f"{format_cid(wanted)} is no root of {str(plan.path)!r}",
        hint=f"it has: {_listed(plan.roots)}",
        roots=roots[:_LISTED],
    )


def _listed(cids: tuple[bytes, ...]) -> str:
    more = f" and {len(cids) - _TOLD} more" if len(cids) > _TOLD else ""
    return ", ".join(map(format_cid, cids[:_TOLD])) + more
