"""Where fpin keeps its files: below one folder, or where each system wants them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from fpin.settings import folders


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="XDG's folders are Linux's")
def test_the_folders_of_xdg_are_used_and_each_has_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FPIN_HOME", raising=False)
    for kind in ("CONFIG", "DATA", "CACHE"):
        monkeypatch.setenv(f"XDG_{kind}_HOME", f"/x/{kind.lower()}")
    found = folders()
    assert (found.config, found.cache) == (Path("/x/config/fpin"), Path("/x/cache/fpin"))
    assert (found.data, found.devnet) == (Path("/x/data/fpin"), Path("/x/data/fpin/devnet"))


def test_all_of_it_is_below_the_home_that_is_named() -> None:
    found = folders({"FPIN_HOME": "/h"})
    assert (found.config, found.data, found.cache) == (Path("/h"), Path("/h/data"), Path("/h/cache"))
