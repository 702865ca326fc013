"""What fpin remembers: pins, pieces, copies, a journal of their transitions, and payments, in SQLite.

Knows nothing of chains, providers or how a state is proved; callers do, and say so by calling the
function named after the transition. Each function is one SQLite transaction that is on disk when it
returns.
"""

from fpin.store.db import NewAdd, NewPiece, Store
from fpin.store.model import (
    LEAVING,
    ON_CHAIN,
    OPEN,
    THERE,
    UNDER_WAY,
    UNFINISHED,
    UNTOLD,
    WAITING,
    Copy,
    CopyState,
    Packing,
    Payment,
    PaymentState,
    Piece,
    Pin,
    PinState,
    SessionKey,
    Submission,
)

__all__ = [
    "LEAVING",
    "ON_CHAIN",
    "OPEN",
    "THERE",
    "UNDER_WAY",
    "UNFINISHED",
    "UNTOLD",
    "WAITING",
    "Copy",
    "CopyState",
    "NewAdd",
    "NewPiece",
    "Packing",
    "Payment",
    "PaymentState",
    "Piece",
    "Pin",
    "PinState",
    "SessionKey",
    "Store",
    "Submission",
]
