"""Our dataclasses against the standard library's: the same classes made by both behave alike."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
from collections.abc import Callable
from dataclasses import field
from functools import cached_property
from typing import Any, ClassVar

import pytest

from fpin import values

Decorator = Callable[..., Any]
FLAGS = [
    {},
    {"frozen": True},
    {"slots": True},
    {"frozen": True, "slots": True},
    {"frozen": True, "slots": True, "kw_only": True},
    {"kw_only": True},
]


def sample(decorator: Decorator, **flags: bool) -> Any:
    """Return a class with every kind of field, and one that inherits from it."""

    @decorator(**flags)
    class Base:
        """What is here first."""

        unit: ClassVar[str] = "bytes"
        size: int
        secret: str = field(repr=False)
        label: str = "none"
        notes: list[str] = field(default_factory=list, compare=False)

    @decorator(**flags)
    class Sample(Base):
        tail: tuple[int, ...] = ()
        later: int = field(default=7, init=False)

        @property
        def double(self) -> int:
            return self.size * 2

    return Sample


@pytest.fixture(params=FLAGS, ids=lambda flags: " ".join(flags) or "plain")
def flags(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(params=["new", "used"])
def pair(request: pytest.FixtureRequest, flags: dict[str, bool]) -> tuple[Any, Any]:
    """The class made by ours and by theirs; of one that is *used* there is a compiled ``__init__``."""
    ours = sample(values.dataclass, **flags)
    if request.param == "used":
        assert inspect.isfunction(ours.__init__)
    return ours, sample(dataclasses.dataclass, **flags)


def test_the_parameters_and_their_types_are_the_same(pair: tuple[Any, Any]) -> None:
    ours, theirs = map(inspect.signature, pair)
    assert list(ours.parameters) == list(theirs.parameters)
    for name, one in ours.parameters.items():
        other = theirs.parameters[name]
        assert (one.kind, one.annotation) == (other.kind, other.annotation)
        assert (one.default is one.empty) == (other.default is other.empty)


def test_instances_look_and_compare_the_same(pair: tuple[Any, Any]) -> None:
    shown = set()
    for kind in pair:
        one, same = kind(size=1, secret="s", notes=["a"]), kind(size=1, secret="s", notes=["b"])
        assert one == same
        assert one != kind(size=2, secret="s")
        assert one != (1, "s")
        assert (one.double, one.later, one.tail, one.unit) == (2, 7, (), "bytes")
        assert kind(size=1, secret="s").notes is not kind(size=1, secret="s").notes
        assert dataclasses.asdict(one)["notes"] == ["a"]
        assert dataclasses.replace(one, size=3).size == 3
        assert copy.deepcopy(one) == copy.copy(one) == one
        shown.add(repr(one))
    [text] = shown
    assert "secret" not in text


def test_only_frozen_ones_can_be_hashed_and_none_of_them_changed(pair: tuple[Any, Any]) -> None:
    ours, theirs = (kind(size=1, secret="s") for kind in pair)
    if pair[1].__hash__ is None:
        assert pair[0].__hash__ is None
        ours.size = theirs.size = 9
        assert ours.size == theirs.size
        return
    assert hash(ours) == hash(pair[0](size=1, secret="s", notes=["other"])) == hash(theirs)
    for one in (ours, theirs):
        with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'size'"):
            one.size = 2
        with pytest.raises(dataclasses.FrozenInstanceError, match="cannot delete field 'size'"):
            del one.size


WRONG: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    ((), {"size": 1}),
    ((), {"size": 1, "secret": "s", "later": 2}),
    ((1, "s"), {"size": 2}),
    ((1, "s", "label", [], (), 7), {}),
]


@pytest.mark.parametrize(("args", "named"), WRONG)
def test_wrong_arguments_are_refused_in_the_same_words(
    pair: tuple[Any, Any], args: tuple[Any, ...], named: dict[str, Any]
) -> None:
    words = []
    for kind in pair:
        with pytest.raises(TypeError) as caught:
            kind(*args, **named)
        words.append(str(caught.value))
    assert words[0] == words[1]


def test_many_instances_are_made_alike(flags: dict[str, bool]) -> None:
    kind = sample(values.dataclass, **flags)
    made = [kind(size=number, secret="s", tail=(number,)) for number in range(20)]
    assert [(one.size, one.label, one.tail, one.later) for one in made] == [
        (number, "none", (number,), 7) for number in range(20)
    ]


@values.dataclass(frozen=True, slots=True)
class Sent:
    number: int
    text: str = "text"


@values.dataclass(frozen=True)
class Written:
    number: int

    def __post_init__(self) -> None:
        if self.number < 0:
            raise ValueError("negative")

    @cached_property
    def square(self) -> int:
        return self.number**2

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Written)

    __hash__ = object.__hash__


def test_a_frozen_one_with_slots_goes_to_another_process_and_back() -> None:
    assert pickle.loads(pickle.dumps(Sent(1))) == Sent(1)
    assert not hasattr(Sent(1), "__dict__")


def test_what_a_class_defines_itself_stays(pair: tuple[Any, Any]) -> None:
    assert pair[0].__mro__[1].__doc__ == pair[1].__mro__[1].__doc__ == "What is here first."
    assert pair[0].__doc__ is None
    assert Written(1) == Written(2)
    assert Written(3).square == 9
    with pytest.raises(ValueError, match="negative"):
        Written(-1)
    match Sent(4):
        case Sent(number, text):
            assert (number, text) == (4, "text")


def test_one_that_inherits_without_fields_of_its_own_is_made_as_its_base_is() -> None:
    class Plain(Written):
        pass

    assert Plain(number=2).square == 4
    assert list(inspect.signature(Plain).parameters) == ["number"]
    assert Written.__init__ is vars(Written)["__init__"]
