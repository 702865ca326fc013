"""`Secret`: a text that nothing prints, pickles or formats by accident."""

from __future__ import annotations

from typing import NoReturn


class Secret:
    """A secret and where it came from. It never shows itself: `reveal` is the only way to the text."""

    __slots__ = ("_text", "origin")

    def __init__(self, text: str, origin: str) -> None:
        self._text = text.strip()
        self.origin = origin

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"Secret(from {self.origin})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not pickled: that would write it somewhere")
