"""`dataclass`: the standard library's, with methods that all classes share instead of six compiled for each.

A command defines two hundred such classes when it starts and uses few of them, most only once or twice;
compiling all their methods took 0.1 s of every start. To `dataclasses`, its functions and type checkers they
are dataclasses like any others. Offered are the arguments that are used here; comparison by order is not.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import MISSING, Field, FrozenInstanceError, fields
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:
    import dataclasses

    def dataclass(cls=None, /, *, frozen=False, slots=False, kw_only=False):
        """Make a dataclass, as ``dataclasses.dataclass`` with the same arguments does."""

        def decorate(cls):
            return _dataclass(cls, frozen=frozen, slots=slots, kw_only=kw_only)

        return decorate if cls is None else decorate(cls)

    def _dataclass(cls, *, frozen, slots, kw_only):
        shared = {"__repr__": _repr, "__eq__": _eq, "__hash__": _hash if frozen else None}
        if frozen:
            shared |= {"__setattr__": _no_setting, "__delattr__": _no_deleting}
        if frozen and slots:
            shared |= {"__getstate__": _state, "__setstate__": _set_state}
        own = vars(cls)
        for name, value in shared.items():
            if name not in own:
                setattr(cls, name, value)
        doc = cls.__doc__
        cls.__doc__ = doc or "-"  # else it is made of the signature, which costs as much as all the rest
        made = dataclasses.dataclass(init=False, repr=False, eq=False, slots=slots, kw_only=kw_only)(cls)
        made.__doc__ = doc
        if "__init__" not in own:
            made.__init__ = _Later(made, frozen)
        return made


_FIRST = 8  # instances that are made without a compiled ``__init__``: of most classes there are no more


class _Later:
    """Stands for ``__init__`` until that is used often or looked at: then it is compiled and put there."""

    def __init__(self, cls: type, frozen: bool) -> None:
        self.cls, self.frozen, self.left = cls, frozen, _FIRST

    def __get__(self, instance: object, owner: type) -> Any:
        if instance is not None and self.left:
            self.left -= 1
            return partial(self._fill, instance)
        self.cls.__init__ = init = _initializer(self.cls, self.frozen)  # type: ignore[misc]
        return init.__get__(instance, owner)

    def _fill(self, instance: Any, /, *args: object, **named: object) -> None:
        values = self._values(args, named)
        if values is None:  # whose words about it are the ones that are expected
            _initializer(self.cls, self.frozen)(instance, *args, **named)
            return
        put = object.__setattr__ if self.frozen else setattr
        for name, value in values.items():
            put(instance, name, value)
        if hasattr(instance, "__post_init__"):
            instance.__post_init__()

    def _values(self, args: tuple[object, ...], named: dict[str, object]) -> dict[str, object] | None:
        """Return what to set the fields to; None where the arguments are wrong."""
        known = fields(self.cls)
        by_place = [one.name for one in known if one.init and not one.kw_only]
        given = dict(zip(by_place, args, strict=False)) | named
        if len(given) < len(args) + len(named):
            return None
        values: dict[str, object] = {}
        for one in known:
            if one.init and one.name in given:
                values[one.name] = given.pop(one.name)
            elif one.default_factory is not MISSING:
                values[one.name] = one.default_factory()
            elif one.default is not MISSING:
                values[one.name] = one.default
            elif one.init:
                return None
        return None if given else values


def _initializer(cls: type, frozen: bool) -> Any:
    """Compile what sets the fields, in order, from arguments and defaults, and calls ``__post_init__``."""
    scope: dict[str, object] = {"_set": object.__setattr__, "_missing": MISSING}
    by_place: list[str] = []
    by_name: list[str] = []
    body: list[str] = []
    for one in fields(cls):
        value, parameter = _value(one, scope)
        if one.init:
            (by_name if one.kw_only else by_place).append(parameter)
        if value:
            body.append(f"_set(self, {one.name!r}, {value})" if frozen else f"self.{one.name} = {value}")
    if hasattr(cls, "__post_init__"):
        body.append("self.__post_init__()")
    parameters = ", ".join(["self", *by_place, *(["*", *by_name] if by_name else [])])
    inner = "".join(f"\n  {line}" for line in body or ["pass"])
    text = f"def make({', '.join(scope)}):\n def __init__({parameters}):{inner}\n return __init__"
    made: dict[str, Any] = {}
    exec(text, vars(sys.modules[cls.__module__]), made)
    init = made["make"](**scope)
    init.__qualname__ = f"{cls.__qualname__}.__init__"
    init.__annotations__ = {one.name: one.type for one in fields(cls) if one.init} | {"return": None}
    return init


def _value(one: Field[Any], scope: dict[str, object]) -> tuple[str, str]:
    """Return what a field is set to, and its parameter; put what they name into *scope*."""
    default = f"_default_{one.name}"
    if one.default_factory is not MISSING:
        scope[default] = one.default_factory
        if not one.init:
            return f"{default}()", ""
        return f"{default}() if {one.name} is _missing else {one.name}", f"{one.name}=_missing"
    if one.default is not MISSING:
        scope[default] = one.default
        return (one.name if one.init else default), f"{one.name}={default}"
    return (one.name if one.init else ""), one.name


def _repr(self: Any) -> str:
    shown = ", ".join(f"{one.name}={getattr(self, one.name)!r}" for one in fields(self) if one.repr)
    return f"{type(self).__qualname__}({shown})"


_readers: dict[type, Callable[[Any], object]] = {}  # by class: what reads the fields that are compared


def _compared(self: Any) -> object:
    cls = type(self)
    read = _readers.get(cls)
    if read is None:
        names = [one.name for one in fields(cls) if one.compare]
        read = _readers[cls] = attrgetter(*names) if names else lambda _: ()
    return read(self)


def _eq(self: Any, other: object) -> Any:
    if other.__class__ is self.__class__:
        return _compared(self) == _compared(other)
    return NotImplemented


def _hash(self: Any) -> int:
    return hash(_compared(self))


def _no_setting(_: object, name: str, __: object) -> None:
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _no_deleting(_: object, name: str) -> None:
    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _state(self: Any) -> list[object]:
    return [getattr(self, one.name) for one in fields(self)]


def _set_state(self: Any, state: list[object]) -> None:
    for one, value in zip(fields(self), state, strict=True):
        object.__setattr__(self, one.name, value)
