"""Keys that stand where none belongs: told from CIDs and names, and not repeated in answers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

HIDDEN = "[what looks like a key]"
# A key is 64 hexadecimal digits; one with a slip of the finger is one too.
_LONG = re.compile(r"[0-9A-Za-z]{60,70}")
_SLIPS = 4


# Variables that fpin reads, besides those of its own.
_OTHERS = ("PRIVATE_KEY", "SESSION_KEY", "WALLET_ADDRESS", "DEVNET_INFO_PATH")


def settings_in(env: Mapping[str, str]) -> Iterator[str]:
    """Yield what the variables say that fpin reads: the key itself too, which no answer repeats either."""
    return (value for name, value in env.items() if name.startswith("FPIN_") or name in _OTHERS)


def without_keys(text: str) -> str:
    """Return *text* with everything hidden in it that looks like a key."""
    for key in keys_among([text]):
        text = text.replace(key, HIDDEN)
    return text


def keys_among(words: Iterable[str]) -> list[str]:
    """Return what looks like a key in *words*: of their letters and digits nearly all are hexadecimal.

    >>> cid = "bafybeidtybo5no6ftz2rq7ispq4zk5gzxpjqpl5waskihggwkxhfaz3vpa"
    >>> [len(key) for key in keys_among(["add", "--key=0x" + "5f" * 32, cid])]
    [64]
    """
    runs = [run.removeprefix("0x").removeprefix("0X") for word in words for run in _LONG.findall(word)]
    return [run for run in runs if sum(letter not in "0123456789abcdefABCDEF" for letter in run) <= _SLIPS]
