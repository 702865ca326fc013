"""What fpin remembers: pins, pieces, copies and a journal of their transitions, in one SQLite file.

Knows nothing of chains, providers or how a state is proved; callers do, and say so by calling the
function named after the transition. Each function is one SQLite transaction that is on disk when it
returns.
"""

from fpin.store.db import NewPiece, Store
from fpin.store.model import (
    LEAVING,
    ON_CHAIN,
    THERE,
    UNDER_WAY,
    UNFINISHED,
    WAITING,
    Copy,
    CopyState,
    Piece,
    Pin,
    Submission,
)

__all__ = [
    "LEAVING",
    "ON_CHAIN",
    "THERE",
    "UNDER_WAY",
    "UNFINISHED",
    "WAITING",
    "Copy",
    "CopyState",
    "NewPiece",
    "Piece",
    "Pin",
    "Store",
    "Submission",
]
