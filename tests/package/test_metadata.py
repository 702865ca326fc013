"""What the package says of itself, in one place."""

from __future__ import annotations

import importlib.metadata
import re
import tomllib
from pathlib import Path

import fpin
from reference import licences
from tests.conftest import Fpin

TOP = Path(__file__).parent.parent.parent


def test_the_version_is_written_once(fpin: Fpin) -> None:
    version = importlib.metadata.version("fpin")
    assert fpin("--version").stdout == f"fpin {version}\n"
    holders = [
        path
        for path in (TOP / "fpin").rglob("*.py")
        if re.search(rf'"{re.escape(version)}"', path.read_text(encoding="utf-8"))
    ]
    assert [path.name for path in holders] == ["_version.py"]
    assert version in (TOP / "CHANGELOG.md").read_text(encoding="utf-8")


def test_everything_that_fpin_asks_for_is_on_the_page_of_licences() -> None:
    text = licences.PAGE.read_text(encoding="utf-8")
    for name in licences.direct():
        assert f"| **{name}** |" in text, "run `make licences`"
    assert "not said" not in text
    assert not re.search(r"\bA?GPL", text)


def test_what_the_container_copies_is_there() -> None:
    lines = (TOP / "Containerfile").read_text(encoding="utf-8").splitlines()
    copied = [line.split()[1:-1] for line in lines if line.startswith("COPY ") and "--from" not in line]
    assert all((TOP / name).exists() for names in copied for name in names)
    assert "USER fpin" in lines  # nothing runs as root


def test_the_types_ship() -> None:
    assert (Path(fpin.__file__).parent / "py.typed").exists()
    data = tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))
    assert "py.typed" in data["tool"]["setuptools"]["package-data"]["fpin"]
