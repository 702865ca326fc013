"""`docs/reference/licences.md`: everything that is installed with fpin, and under which licence.

``python -m reference.licences`` writes it from what is installed here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution, requires
from pathlib import Path

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "licences.md"
_NAME = re.compile(r"[A-Za-z0-9._-]+")
# Where the metadata have a whole text, or nothing that is a name.
_KNOWN = {"MIT License": "MIT", "BSD License": "BSD", "Apache Software License": "Apache-2.0"}


def direct() -> list[str]:
    """Return what fpin itself asks for."""
    return sorted({_canonical(line) for line in requires("fpin") or () if "extra ==" not in line})


def everything() -> list[str]:
    """Return what is installed with fpin, on this system and this Python."""
    found: set[str] = set()
    waiting = direct()
    while waiting:
        name = waiting.pop()
        try:
            lines = distribution(name).requires or ()
        except PackageNotFoundError:
            continue  # for another system, or another Python
        if name not in found:
            found.add(name)
            waiting += [_canonical(line) for line in lines if "extra ==" not in line]
    return sorted(found)


def licence(name: str) -> str:
    """Return the licence of an installed package, as its metadata have it."""
    metadata = distribution(name).metadata
    if "License-Expression" in metadata:
        return str(metadata["License-Expression"])
    classified = [
        line.rpartition(" :: ")[2]
        for line in metadata.get_all("Classifier") or ()
        if line.startswith("License :: OSI Approved :: ")
    ]
    if classified:
        return " or ".join(_KNOWN.get(one, one) for one in classified)
    said = str(metadata.json.get("license") or _first_line(name))
    return _KNOWN.get(said.splitlines()[0], said.splitlines()[0])


def _first_line(name: str) -> str:
    """Return how the text of the licence begins, which is its name."""
    for file in distribution(name).files or ():
        if file.name.upper().startswith("LICEN"):
            return file.read_text().strip()
    return "not said"


def page() -> str:
    """Return the page."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    asked = set(direct())
    yield "# Licences"
    yield ""
    yield "<!-- Written by `make licences` from the metadata of what is installed. -->"
    yield ""
    yield "fpin is licensed under Apache-2.0 or MIT, as you like."
    yield "These are installed with it; names in bold are what fpin itself asks for."
    yield ""
    yield "| Package | Licence |"
    yield "| --- | --- |"
    for name in everything():
        yield f"| {f'**{name}**' if name in asked else name} | {licence(name)} |"


def _canonical(requirement: str) -> str:
    found = _NAME.match(requirement)
    assert found is not None
    return re.sub(r"[-_.]+", "-", found[0]).lower()


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
