"""`provider ls` and `data-set ls`: what a backend says of the places where pins live. Only looks."""

from __future__ import annotations

from fpin.backends.base import DataSetReport, ProviderReport
from fpin.flows.services import Services


def providers(services: Services) -> tuple[ProviderReport, ...]:
    """Return the active providers, those that cannot be used with the reason."""
    return services.backend.providers()


def data_sets(services: Services) -> tuple[DataSetReport, ...]:
    """Return the data sets that the account pays for, oldest first."""
    return services.backend.data_sets()
