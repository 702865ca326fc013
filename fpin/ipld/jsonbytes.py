"""JSON from strangers: parsed only when its nesting is sane. Knows nothing of what it means."""

from __future__ import annotations

import itertools
import json
import re
from typing import Any

# Everything in JSON but brackets: strings first, since brackets inside them count for nothing.
_NO_BRACKETS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[^][{}"]+', re.DOTALL)
_MAX_NESTING = 100


def read_json(body: bytes) -> Any:
    """Return the JSON in *body*, from whomever it came; ValueError when it is none.

    The parser of the standard library recurses, and is stopped by the recursion limit alone. eth-account
    (through py_ecc) raises that limit beyond what the stack holds, and then 100 kB of ``[`` end the process.
    """
    if body.count(b"[") + body.count(b"{") > _MAX_NESTING:
        brackets = _NO_BRACKETS.sub(b"", body)
        depths = itertools.accumulate(1 if bracket in b"[{" else -1 for bracket in brackets)
        if max(depths, default=0) > _MAX_NESTING:
            raise ValueError(f"JSON is nested more than {_MAX_NESTING} levels deep")
    # Decoded here, because the parser would also take UTF-16 and 32, where a quote is not what it was above.
    return json.loads(body.decode("utf-8"))
