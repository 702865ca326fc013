"""Keys that somebody typed as an argument: told from CIDs and names, and not repeated in answers."""

from __future__ import annotations

import re
from collections.abc import Iterable

HIDDEN = "[what looks like a key]"
# A key is 64 hexadecimal digits; one with a slip of the finger is one too.
_LONG = re.compile(r"[0-9A-Za-z]{60,70}")
_SLIPS = 4


def keys_among(words: Iterable[str]) -> list[str]:
    """Return what looks like a key in *words*: of their letters and digits nearly all are hexadecimal.

    >>> cid = "bafybeidtybo5no6ftz2rq7ispq4zk5gzxpjqpl5waskihggwkxhfaz3vpa"
    >>> [len(key) for key in keys_among(["add", "--key=0x" + "5f" * 32, cid])]
    [64]
    """
    runs = [run.removeprefix("0x").removeprefix("0X") for word in words for run in _LONG.findall(word)]
    return [run for run in runs if sum(letter not in "0123456789abcdefABCDEF" for letter in run) <= _SLIPS]
