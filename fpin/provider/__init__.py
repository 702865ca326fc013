"""A storage provider's HTTP API, as a client sees it (Curio PDP; spec storage-provider §1–§5).

Knows routes, bodies, what an answer means and how long to wait. Refuses to know contracts: signed
``extraData`` goes in as bytes, a chain error comes out as the node's text.
"""

from fpin.provider.answers import ChainRefused, MaybeSent, SessionGone, asked_to_wait
from fpin.provider.api import ProviderApi
from fpin.provider.results import (
    AddStatus,
    CreationStatus,
    DataSetPiece,
    DataSetView,
    PieceStatus,
    PulledPiece,
    PullStatus,
)
from fpin.provider.waiting import CONFIRMING, PARKING, PULLING, SILENCE, Clock, delays, poll

__all__ = [
    "CONFIRMING",
    "PARKING",
    "PULLING",
    "SILENCE",
    "AddStatus",
    "ChainRefused",
    "Clock",
    "CreationStatus",
    "DataSetPiece",
    "DataSetView",
    "MaybeSent",
    "PieceStatus",
    "ProviderApi",
    "PullStatus",
    "PulledPiece",
    "SessionGone",
    "asked_to_wait",
    "delays",
    "poll",
]
