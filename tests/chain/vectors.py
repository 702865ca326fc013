"""Vectors of this room, read from `tests/vectors`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fpin.chain.records import PriceList

FOLDER = Path(__file__).parents[1] / "vectors"


def load(name: str) -> Any:
    return json.loads((FOLDER / name).read_text("utf-8"))


def price_list(**changes: int) -> PriceList:
    """The price list of storage service 1.3, from `costs.json`."""
    numbers: dict[str, Any] = {key: int(value) for key, value in load("costs.json")["price_list"].items()}
    return PriceList(**{**numbers, **changes})
