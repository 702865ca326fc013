"""FilecoinWarmStorageServiceStateView 1.3.1: reads what the service keeps, changes nothing.

Follows filecoin-services a16aea49, FilecoinWarmStorageServiceStateInternalLibrary.sol.
"""

from __future__ import annotations

from fpin.devnet.chain.fwss import WarmStorage
from fpin.devnet.chain.fwss_state import CHALLENGES_PER_PROOF
from fpin.devnet.chain.machine import ZERO, Contract, Machine, Revert, external
from fpin.devnet.chain.pieces import raw_size
from fpin.devnet.chain.prices import COMMISSION_BPS

InfoView = tuple[int, int, int, str, str, str, int, int, int, int, int, int, int]
Texts = tuple[str, ...]
PriceView = tuple[str, tuple[int, ...], tuple[int, ...], tuple[int, ...]]


class StateView(Contract):
    name = "fwss_view"
    groups = ("FilecoinWarmStorageServiceStateView",)

    def __init__(
        self, machine: Machine, address: str, service: WarmStorage, *, piece_metadata_getters: bool
    ) -> None:
        super().__init__(machine, address)
        self.service = service
        self.state = service.state
        self.piece_metadata_getters = piece_metadata_getters

    # Data sets

    @external("getDataSet")
    def get_data_set(self, data_set_id: int) -> InfoView:
        info = self.state.info(data_set_id)
        rails = info.pdp_rail_id, info.cache_miss_rail_id, info.cdn_rail_id
        parties = info.payer, info.payee, info.provider
        terms = info.commission_bps, info.client_data_set_id, info.pdp_end_epoch, info.provider_id
        return *rails, *parties, *terms, info.pending_payments, info.reserve, data_set_id

    @external("getDataSetStatus")
    def get_data_set_status(self, data_set_id: int) -> int:
        """0 inactive, 1 active."""
        exists = self.state.info(data_set_id).pdp_rail_id != 0
        return int(exists and self.state.activation[data_set_id] != 0)

    @external("clientDataSets(address)")
    def client_data_sets(self, payer: str) -> tuple[int, ...]:
        return self.state.client_data_sets[payer]

    @external("clientDataSets(address,uint256,uint256)")
    def client_data_sets_page(self, payer: str, offset: int, limit: int) -> tuple[int, ...]:
        return _page(self.state.client_data_sets[payer], offset, limit)

    @external("getClientDataSets(address)")
    def get_client_data_sets(self, payer: str) -> list[InfoView]:
        return [self.get_data_set(n) for n in self.client_data_sets(payer)]

    @external("getClientDataSets(address,uint256,uint256)")
    def get_client_data_sets_page(self, payer: str, offset: int, limit: int) -> list[InfoView]:
        return [self.get_data_set(n) for n in self.client_data_sets_page(payer, offset, limit)]

    @external("getClientDataSetsLength")
    def get_client_data_sets_length(self, payer: str) -> int:
        return len(self.state.client_data_sets[payer])

    @external("clientNonces")
    def client_nonces(self, payer: str, nonce: int) -> int:
        return self.state.nonces[payer, nonce]

    @external("railToDataSet")
    def rail_to_data_set(self, rail_id: int) -> int:
        return self.state.rail_to_data_set[rail_id]

    @external("getDataSetSizeInBytes")
    def get_data_set_size_in_bytes(self, leaf_count: int) -> int:
        return raw_size(leaf_count)

    # Metadata

    @external("getAllDataSetMetadata")
    def get_all_data_set_metadata(self, data_set_id: int) -> tuple[Texts, Texts]:
        return self.state.data_set_metadata.all((data_set_id,))

    @external("getDataSetMetadata")
    def get_data_set_metadata(self, data_set_id: int, key: str) -> tuple[bool, str]:
        return self.state.data_set_metadata.find((data_set_id,), key)

    @external("getAllPieceMetadata")
    def get_all_piece_metadata(self, data_set_id: int, piece_id: int) -> tuple[Texts, Texts]:
        self._check_getters()
        return self.state.piece_metadata.all((data_set_id, piece_id))

    @external("getPieceMetadata")
    def get_piece_metadata(self, data_set_id: int, piece_id: int, key: str) -> tuple[bool, str]:
        self._check_getters()
        return self.state.piece_metadata.find((data_set_id, piece_id), key)

    def _check_getters(self) -> None:
        if not self.piece_metadata_getters:  # contracts 1.4.0 have no such functions
            raise Revert

    # Providers

    @external("getApprovedProviders")
    def get_approved_providers(self, offset: int, limit: int) -> tuple[int, ...]:
        return _page(self.state.settings.approved_providers, offset, limit)

    @external("getApprovedProvidersLength")
    def get_approved_providers_length(self) -> int:
        return len(self.state.settings.approved_providers)

    @external("isProviderApproved")
    def is_provider_approved(self, provider_id: int) -> bool:
        return provider_id in self.state.settings.approved_providers

    # Proving

    @external("getPDPConfig")
    def get_pdp_config(self) -> tuple[int, int, int, int]:
        period, window = self.state.settings.max_proving_period, self.state.settings.challenge_window
        return period, window, CHALLENGES_PER_PROOF, self.epoch + period - window

    @external("provingActivationEpoch")
    def proving_activation_epoch(self, data_set_id: int) -> int:
        return self.state.activation[data_set_id]

    @external("provingDeadline")
    def proving_deadline(self, data_set_id: int) -> int:
        return self.state.deadlines[data_set_id]

    @external("provenThisPeriod")
    def proven_this_period(self, data_set_id: int) -> bool:
        return self.state.proven_now[data_set_id]

    @external("provenPeriods")
    def proven_periods(self, data_set_id: int, period: int) -> bool:
        return self.state.proven[data_set_id, period]

    @external("nextPDPChallengeWindowStart")
    def next_pdp_challenge_window_start(self, data_set_id: int) -> int:
        settings = self.state.settings
        period, deadline = settings.max_proving_period, self.state.deadlines[data_set_id]
        if deadline == 0:
            activation = self.state.activation[data_set_id]
            if activation == 0:
                raise self.service.error("ProvingPeriodNotInitialized", data_set_id)
            # A full period of headroom, then the end of the period that falls into.
            periods = -(-(self.epoch + period - activation) // period)
            deadline = activation + periods * period
        elif self.epoch <= deadline:
            deadline += period
        else:
            deadline += period * (1 + (self.epoch - deadline - 1) // period)
        return deadline - settings.challenge_window

    # The rest

    @external("getPriceList")
    def get_price_list(self) -> PriceView:
        words = self.service.prices.words()
        return self.service.token, words[:4], words[4:9], words[9:]

    @external("getCurrentPricingRates")
    def get_current_pricing_rates(self) -> tuple[int, int]:
        return self.service.prices.storage_per_tib_per_month, self.service.prices.data_set_fee_per_month

    @external("serviceCommissionBps")
    def service_commission_bps(self) -> int:
        return COMMISSION_BPS

    @external("filBeamControllerAddress")
    def filbeam_controller_address(self) -> str:
        return self.state.settings.filbeam_controller

    @external("service")
    def get_service(self) -> str:
        return self.service.address

    @external("nextUpgrade")
    def next_upgrade(self) -> tuple[str, int]:
        return ZERO, 0


def _page(values: tuple[int, ...], offset: int, limit: int) -> tuple[int, ...]:
    return values[offset:] if limit == 0 else values[offset : offset + limit]
