"""Contract storage: keys and values that a failed call can take back.

Knows nothing of contracts, blocks or SQLite; it hands out what changed and lets others write it down.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar, overload

Part = int | str
Key = tuple[Part, ...]
# Only immutable values: what was read can then never change under a reader or a checkpoint.
Value = int | str | bytes | bool | tuple["Value", ...]

T = TypeVar("T", bound=Value)


class OutOfRange(ArithmeticError):
    """A number does not fit its slot; Solidity's checked arithmetic panics here (code 0x11)."""


class Storage:
    """A dictionary with an undo log.

    Zero values (0, "", b"", False, ()) are not kept, as in the EVM: a slot never written reads as its zero.
    `checkpoint` and `revert` nest; `seal` closes the log when a block is done.
    """

    def __init__(self, values: Iterable[tuple[Key, Value]] = ()) -> None:
        self._values: dict[Key, Value] = dict(values)
        self._log: list[tuple[Key, Value | None]] = []  # what each written key held before, None: nothing

    def get(self, key: Key) -> Value | None:
        return self._values.get(key)

    def put(self, key: Key, value: Value | None) -> None:
        """Set *key*; None or a zero value removes it."""
        old = self._values.get(key)
        if value:
            if value == old:
                return
            self._values[key] = value
        else:
            if old is None:
                return
            del self._values[key]
        self._log.append((key, old))

    def checkpoint(self) -> int:
        """Return a mark to `revert` to; marks taken later are void after that."""
        return len(self._log)

    def revert(self, mark: int) -> None:
        """Take back every write since *mark*, newest first."""
        while len(self._log) > mark:
            key, old = self._log.pop()
            if old is None:
                self._values.pop(key, None)
            else:
                self._values[key] = old

    def changes(self) -> list[tuple[Key, Value | None, Value | None]]:
        """Return (key, value now, value before) for every key written since the last `seal`."""
        before: dict[Key, Value | None] = {}
        for key, old in self._log:
            before.setdefault(key, old)
        return [(key, self._values.get(key), old) for key, old in before.items()]

    def seal(self) -> None:
        """Make all writes final: they can no longer be reverted."""
        self._log.clear()


class Mapping(Generic[T]):
    """A Solidity mapping: ``balances[owner]``, ``nonces[payer, n]``; a missing entry reads as *zero*."""

    def __init__(self, storage: Storage, prefix: Key, zero: T) -> None:
        self._storage = storage
        self._prefix = prefix
        self._zero = zero

    def __getitem__(self, key: Part | Key) -> T:
        value = self._storage.get(self._path(key))
        return self._zero if value is None else value  # type: ignore[return-value]  # one type a mapping

    def __setitem__(self, key: Part | Key, value: T) -> None:
        if isinstance(value, int):
            check_uint(value, 256)
        self._storage.put(self._path(key), value)

    def __delitem__(self, key: Part | Key) -> None:
        self._storage.put(self._path(key), None)

    def _path(self, key: Part | Key) -> Key:
        return (*self._prefix, *key) if isinstance(key, tuple) else (*self._prefix, key)


class Field(Generic[T]):
    """One slot of a `Record`; integers are unsigned, *bits* wide, and refuse to leave that range."""

    def __init__(self, zero: T, *, bits: int = 256) -> None:
        self.zero = zero
        self.bits = bits

    def __set_name__(self, owner: type[Record], name: str) -> None:
        self.name = name

    @overload
    def __get__(self, record: None, owner: type[Record]) -> Field[T]: ...
    @overload
    def __get__(self, record: Record, owner: type[Record]) -> T: ...
    def __get__(self, record: Record | None, owner: type[Record]) -> T | Field[T]:
        if record is None:
            return self
        value = record.storage.get((*record.key, self.name))
        return self.zero if value is None else value  # type: ignore[return-value]  # one type a field

    def __set__(self, record: Record, value: T) -> None:
        if isinstance(value, int):
            check_uint(value, self.bits)
        record.storage.put((*record.key, self.name), value)


class Record:
    """A Solidity struct in storage: reading and writing an attribute reads and writes its slot."""

    def __init__(self, storage: Storage, *key: Part) -> None:
        self.storage = storage
        self.key: Key = key

    def clear(self) -> None:
        """Solidity's ``delete``."""
        for name, field in vars(type(self)).items():
            if isinstance(field, Field):
                self.storage.put((*self.key, name), None)


def check_uint(value: int, bits: int) -> None:
    if value < 0 or value >> bits:
        raise OutOfRange(f"{value} is not a uint{bits}")
