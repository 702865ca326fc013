"""Where a provider says it is, as it was registered: ``C=US;ST=California;L=Los Angeles``.

Pure. Nobody checks it; it is what the provider claims.
"""

from __future__ import annotations

import re

from fpin.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """*country* is upper case; "" is what was not said."""

    country: str
    regions: tuple[str, ...]  # state and place, as they are written

    @classmethod
    def parse(cls, text: str) -> Location:
        """Read the attributes C, ST and L, in whatever order and with any of the usual separators.

        >>> Location.parse("C=us;ST=California;L=Los Angeles")
        Location(country='US', regions=('California', 'Los Angeles'))
        >>> Location.parse("somewhere")
        Location(country='', regions=())
        """
        found = dict(re.findall(r"(?:^|[;,/])\s*(C|ST|L)\s*=\s*([^;,/]+)", text.strip(), re.IGNORECASE))
        fields = {key.upper(): value.strip() for key, value in found.items()}
        regions = tuple(fields[key] for key in ("ST", "L") if fields.get(key))
        return cls(country=fields.get("C", "").upper(), regions=regions)

    def part(self, spread: str) -> tuple[str, ...] | None:
        """Return what two copies in different places must not share; None where it was not said."""
        if not self.country:
            return None
        if spread == "country":
            return (self.country,)
        return (self.country, self.regions[0].casefold()) if self.regions else None

    def is_in(self, countries: tuple[str, ...], regions: tuple[str, ...]) -> bool:
        """Tell whether it is in one of *countries* and one of *regions*; none given is any."""
        in_country = not countries or self.country in {one.upper() for one in countries}
        names = {one.casefold() for one in self.regions}
        return in_country and (not regions or bool(names & {one.casefold() for one in regions}))
