from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """An empty folder to fill with what is to be packed."""
    folder = tmp_path / "source"
    folder.mkdir()
    return folder
