"""One at a time, and who waits is told for whom."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

import pytest

from fpin.errors import LocalError
from fpin.store import Store
from fpin.store.lock import hold


def test_who_waits_is_told_who_has_the_lock_and_gets_it_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/bin/fpin", "add", "--rpc-url", "https://node/token"])
    path, said = tmp_path / "locks" / "pin-1", list[str]()
    first = contextlib.ExitStack()
    first.enter_context(hold(path, on_wait=said.append))
    with hold(path, on_wait=said.append, sleep=lambda _seconds: first.close()):
        pass
    [holder] = said
    assert holder.startswith(f"fpin add (process {os.getpid()}, since ")
    assert "token" not in path.read_text()


def test_a_lock_is_free_again_whatever_happened_under_it(tmp_path: Path) -> None:
    path, said = tmp_path / "lock", list[str]()
    with pytest.raises(KeyboardInterrupt), hold(path, on_wait=said.append):
        raise KeyboardInterrupt
    with hold(path, on_wait=said.append):
        pass
    assert said == []


def test_a_data_set_is_made_by_one_at_a_time_for_a_wallet_and_a_provider(tmp_path: Path) -> None:
    said = list[str]()
    with (
        Store(tmp_path / "store.db") as store,
        Store(tmp_path / "store.db") as other,
        contextlib.ExitStack() as at,
    ):
        at.enter_context(store.making_data_set(1, "0xAB", 7, on_wait=said.append, sleep=lambda _: None))
        with other.making_data_set(1, "0xAB", 8, on_wait=said.append, sleep=lambda _: None):
            pass
        assert said == []
        with other.making_data_set(1, "0xab", 7, on_wait=said.append, sleep=lambda _: at.close()):
            pass
        assert len(said) == 1


def test_a_store_that_is_retired_reads_on_and_writes_nothing_more(tmp_path: Path) -> None:
    with Store(tmp_path / "store.db") as store, store.another() as left:
        left.retire()
        assert left.pins(1) == []
        with pytest.raises(LocalError, match="this run was ended"):
            left.forget(1)
        store.forget(1)
