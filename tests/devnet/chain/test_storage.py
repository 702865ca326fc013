"""What a failed call leaves in storage: nothing."""

from __future__ import annotations

import pytest

from fpin.devnet.chain.machine import Frame, Machine, Revert
from fpin.devnet.chain.storage import Field, Key, Mapping, OutOfRange, Record, Storage


class Purse(Record):
    coins = Field(0, bits=8)
    label = Field("")


def test_revert_takes_back_new_changed_and_deleted_values() -> None:
    storage = Storage([(("kept",), 1), (("gone",), 2)])
    mark = storage.checkpoint()
    storage.put(("kept",), 5)
    storage.put(("gone",), None)
    storage.put(("new",), 7)
    storage.put(("kept",), 6)
    storage.revert(mark)
    assert [storage.get((k,)) for k in ("kept", "gone", "new")] == [1, 2, None]


def test_nested_checkpoints_revert_only_what_came_after_them() -> None:
    storage = Storage()
    outer = storage.checkpoint()
    storage.put(("a",), 1)
    inner = storage.checkpoint()
    storage.put(("a",), 2)
    storage.put(("b",), 2)
    storage.revert(inner)
    assert (storage.get(("a",)), storage.get(("b",))) == (1, None)
    storage.revert(outer)
    assert storage.get(("a",)) is None


def test_zero_values_are_not_kept() -> None:
    storage = Storage()
    purse = Purse(storage, "purse")
    purse.coins, purse.label = 3, "x"
    purse.coins, purse.label = 0, ""
    assert (purse.coins, purse.label) == (0, "")
    assert [change[1] for change in storage.changes()] == [None, None]


def test_changes_name_each_key_once_with_its_first_and_last_value() -> None:
    key: Key = ("k",)
    storage = Storage([(key, 1)])
    storage.put(key, 2)
    storage.put(key, 3)
    assert storage.changes() == [(key, 3, 1)]
    storage.seal()
    assert storage.changes() == []


@pytest.mark.parametrize("value", [-1, 256])
def test_a_number_that_does_not_fit_its_field_is_refused(value: int) -> None:
    with pytest.raises(OutOfRange):
        Purse(Storage(), "purse").coins = value


def test_a_number_that_does_not_fit_a_mapping_is_refused() -> None:
    balances: Mapping[int] = Mapping(Storage(), ("balance",), 0)
    with pytest.raises(OutOfRange):
        balances["a"] = 2**256


def test_arithmetic_that_leaves_its_range_panics_and_undoes_the_call() -> None:
    machine = Machine(Storage())
    purse = Purse(machine.storage, "purse")

    def spend() -> None:
        purse.label = "spent"
        purse.coins -= 1

    with pytest.raises(Revert) as caught:
        machine.enter(Frame("0xa", "0xb", 0), spend)
    assert caught.value.data.hex() == "4e487b71" + f"{0x11:064x}"
    assert purse.label == ""
    assert machine.frames == []


def test_an_unexpected_exception_undoes_the_call_too() -> None:
    machine = Machine(Storage())
    purse = Purse(machine.storage, "purse")

    def broken() -> None:
        purse.coins = 9
        raise RuntimeError("bug")

    with pytest.raises(RuntimeError):
        machine.enter(Frame("0xa", "0xb", 0), broken)
    assert purse.coins == 0
