"""Which class each JSON object of the command line is made from; a test finds those that are missing here."""

from __future__ import annotations

from dataclasses import dataclass

from fpin.backends.base import DataSetState, ProviderReport
from fpin.cli.configuration import ConfigReport
from fpin.cli.shells import CompletionScript
from fpin.devnet.info import Urls
from fpin.flows.add import AddResult, CostResult
from fpin.flows.cars import CarListing, CarVerdict, Extracted
from fpin.flows.doctor import DoctorResult
from fpin.flows.ending import EndingResult
from fpin.flows.get import GetResult
from fpin.flows.inspect import DataSetResult, PingResult, ProviderResult
from fpin.flows.keys import KeptKey, KeysResult
from fpin.flows.packing import CidResult, PackResult
from fpin.flows.payments import PaymentResult
from fpin.flows.remove import RemoveResult
from fpin.flows.repair import RepairResult
from fpin.flows.report import PinReport
from fpin.flows.sessions import SessionResult, SessionsResult
from fpin.flows.status import CheckResult, StatusResult
from fpin.flows.verify import VerifyResult


@dataclass
class Listing:
    """What the store has; nothing was asked of the network."""

    network: str
    pins: tuple[PinReport, ...]


@dataclass
class Providers:
    network: str
    providers: tuple[ProviderReport, ...]


@dataclass
class DataSet:
    """A data set that the account pays for."""

    data_set_id: int
    provider_id: int
    state: DataSetState
    size: int  # raw bytes, as they are billed
    metadata: dict[str, str]
    ends: int | None  # epoch up to which it is stored; None: it goes on


@dataclass
class DataSets:
    network: str
    data_sets: tuple[DataSet, ...]


@dataclass
class DevnetInfo:
    up: bool
    info: str  # path of devnet-info.json
    urls: Urls | None  # None: not up


@dataclass
class DevnetMine:
    epoch: int  # the newest


@dataclass
class DevnetReset:
    folder: str
    forgotten: int  # pins of the devnet that the store had


RESULTS: dict[str, type] = {
    "fpin.add/1": AddResult,
    "fpin.car.extract/1": Extracted,
    "fpin.car.ls/1": CarListing,
    "fpin.car.verify/1": CarVerdict,
    "fpin.check/1": CheckResult,
    "fpin.cid/1": CidResult,
    "fpin.completion/1": CompletionScript,
    "fpin.config.show/1": ConfigReport,
    "fpin.cost/1": CostResult,
    "fpin.data-set.ls/1": DataSets,
    "fpin.data-set.show/1": DataSetResult,
    "fpin.data-set.terminate/1": EndingResult,
    "fpin.devnet.info/1": DevnetInfo,
    "fpin.devnet.mine/1": DevnetMine,
    "fpin.devnet.reset/1": DevnetReset,
    "fpin.doctor/1": DoctorResult,
    "fpin.get/1": GetResult,
    "fpin.key.rm/1": KeptKey,
    "fpin.key.set/1": KeptKey,
    "fpin.key.show/1": KeysResult,
    "fpin.ls/1": Listing,
    "fpin.pack/1": PackResult,
    "fpin.payments/1": PaymentResult,
    "fpin.provider.ls/1": Providers,
    "fpin.provider.ping/1": PingResult,
    "fpin.provider.show/1": ProviderResult,
    "fpin.repair/1": RepairResult,
    "fpin.rm/1": RemoveResult,
    "fpin.session.create/1": SessionResult,
    "fpin.session.ls/1": SessionsResult,
    "fpin.session.revoke/1": SessionResult,
    "fpin.status/1": StatusResult,
    "fpin.verify/1": VerifyResult,
}
