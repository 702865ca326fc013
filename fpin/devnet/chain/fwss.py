"""FilecoinWarmStorageService 1.3.1: data sets a client pays for, on the word of the client's signature.

Follows filecoin-services a16aea49, FilecoinWarmStorageService.sol, in the order of its checks; proving is in
`fwss_proving`, money in `fwss_rails`, signatures in `fwss_signatures`. Upgrades are left out.
"""

from __future__ import annotations

from fpin.devnet.chain import abi, eip712
from fpin.devnet.chain import fwss_signatures as signed
from fpin.devnet.chain.fwss_proving import ProvingSchedule
from fpin.devnet.chain.fwss_signatures import Signatures, Texts
from fpin.devnet.chain.fwss_state import DataSetInfo, Metadata
from fpin.devnet.chain.machine import PANIC_INDEX, ZERO, Machine, Revert, external
from fpin.devnet.chain.pay import FilecoinPay
from fpin.devnet.chain.pdp_sets import INACTIVITY_WINDOW, Cid
from fpin.devnet.chain.pdp_verifier import PDPVerifier
from fpin.devnet.chain.prices import COMMISSION_BPS, PriceList
from fpin.devnet.chain.provider_registry import ServiceProviderRegistry
from fpin.devnet.chain.session_keys import SessionKeyRegistry
from fpin.units import EPOCHS_PER_MONTH

VERSION = "1.3.1"
DOMAIN_NAME, DOMAIN_VERSION = "FilecoinWarmStorageService", "1"
MAX_CREATE_EXTRA_DATA, MAX_OTHER_EXTRA_DATA = 4096, 256
MAX_KEY_LENGTH, MAX_VALUE_LENGTH = 32, 96
MAX_KEYS_PER_DATA_SET, MAX_KEYS_PER_PIECE = 10, 3
WITH_CDN = "withCDN"
# Numbers of the Solidity enum AddressField, in ZeroAddress(field).
FIELD_FILBEAM_CONTROLLER, FIELD_SERVICE_PROVIDER, FIELD_PAYER = 3, 5, 6


class WarmStorage(ProvingSchedule):
    def __init__(
        self,
        machine: Machine,
        address: str,
        *,
        chain_id: int,
        pay: FilecoinPay,
        token: str,
        prices: PriceList,
        verifier: PDPVerifier,
        registry: ServiceProviderRegistry,
        sessions: SessionKeyRegistry,
        filbeam_beneficiary: str,
    ) -> None:
        super().__init__(machine, address, pay=pay, token=token, prices=prices)
        self.chain_id = chain_id
        self.verifier, self.verifier_address = verifier, verifier.address
        self.registry = registry
        self.sessions = sessions
        self.filbeam_beneficiary = filbeam_beneficiary
        separator = eip712.domain_separator(DOMAIN_NAME, DOMAIN_VERSION, chain_id, address)
        self.signatures = Signatures(contract=self, separator=separator, sessions=sessions)

    # What PDPVerifier reports

    @external("dataSetCreated")
    def data_set_created(self, data_set_id: int, provider: str, extra_data: bytes) -> None:
        self.only_verifier()
        self._check_extra_data(extra_data, MAX_CREATE_EXTRA_DATA)
        payer, client_id, keys, values, signature = _decode_create(extra_data)
        if payer == ZERO:
            raise self.error("ZeroAddress", FIELD_PAYER)
        if provider == ZERO:
            raise self.error("ZeroAddress", FIELD_SERVICE_PROVIDER)
        provider_id = self.registry.get_provider_id_by_address(provider)
        if provider_id == 0:
            raise self.error("ProviderNotRegistered", provider)
        payee = self.call(self.registry.get_provider_payee, provider_id)
        self._use_nonce(payer, client_id, data_set_id)
        self.state.client_data_sets[payer] = (*self.state.client_data_sets[payer], data_set_id)
        message = self.signatures.create_data_set(client_id, payee, keys, values)
        self.signatures.check(payer, signed.CREATE_DATA_SET, message, signature)

        info = self.state.info(data_set_id)
        info.payer, info.payee, info.provider = payer, payee, provider
        info.commission_bps = COMMISSION_BPS
        info.client_data_set_id, info.provider_id = client_id, provider_id
        self._store_metadata(
            self.state.data_set_metadata, (data_set_id,), keys, values, MAX_KEYS_PER_DATA_SET
        )

        cdn_beneficiary = self.filbeam_beneficiary if WITH_CDN in keys else ZERO
        rails = self.open_rails(data_set_id, payer, payee, cdn_beneficiary)
        info.pdp_rail_id, info.cache_miss_rail_id, info.cdn_rail_id = rails
        self.state.rail_to_data_set[rails[0]] = data_set_id
        info.reserve = self.prices.lifecycle_reserve_target
        info.pending_payments = self.prices.create_data_set_fee
        parties = payer, provider, payee
        self.emit("DataSetCreated", data_set_id, provider_id, *rails, *parties, keys, values)

    @external("piecesAdded")
    def pieces_added(
        self, data_set_id: int, first_added: int, pieces: tuple[Cid, ...], extra_data: bytes
    ) -> None:
        self.only_verifier()
        info = self._not_terminated(data_set_id)
        if not extra_data:
            raise self.error("ExtraDataRequired")
        nonce, keys, values, signature = _decode_add(extra_data)
        self._use_nonce(info.payer, nonce, (first_added + len(pieces)) << 128 | data_set_id)
        for texts in (keys, values):
            if len(texts) != len(pieces):
                raise self.error("MetadataArrayCountMismatch", len(texts), len(pieces))
        cids = [cid for (cid,) in pieces]
        message = self.signatures.add_pieces(info.client_data_set_id, nonce, cids, keys, values)
        self.signatures.check(info.payer, signed.ADD_PIECES, message, signature)

        pending = info.pending_payments + self.prices.add_pieces_fee(len(pieces))
        leaf_count = self.verifier.get_data_set_leaf_count(data_set_id)
        self.update_rate(data_set_id, info, leaf_count, pending)
        for index, piece in enumerate(pieces):
            owner = (data_set_id, first_added + index)
            metadata = self.state.piece_metadata
            self._store_metadata(metadata, owner, keys[index], values[index], MAX_KEYS_PER_PIECE)
            self.emit("PieceAdded", *owner, piece, keys[index], values[index])

    @external("piecesScheduledRemove")
    def pieces_scheduled_remove(
        self, data_set_id: int, piece_ids: tuple[int, ...], extra_data: bytes
    ) -> None:
        self.only_verifier()
        self.not_beyond_end(data_set_id)
        info = self._registered(data_set_id)
        self._check_extra_data(extra_data, MAX_OTHER_EXTRA_DATA)
        message = self.signatures.schedule_piece_removals(info.client_data_set_id, piece_ids)
        signature = _decode_signature(extra_data)
        self.signatures.check(info.payer, signed.SCHEDULE_PIECE_REMOVALS, message, signature)
        pending = info.pending_payments + self.prices.schedule_piece_removals_fee
        info.reserve = self.replenish(info, pending)
        info.pending_payments = pending
        self.state.removals[data_set_id] = (*self.state.removals[data_set_id], *piece_ids)

    @external("dataSetDeleted")
    def data_set_deleted(self, data_set_id: int, _leaf_count: int, _extra_data: bytes) -> None:
        self.only_verifier()
        info = self._registered(data_set_id)
        activation = self.state.activation[data_set_id]
        if info.pdp_end_epoch == 0:
            self._check_abandoned(data_set_id, activation)
            self.abandon_rails(data_set_id, info)
        else:
            self._check_paid_out(data_set_id, info)
            if info.cdn_rail_id:
                self.end_cdn_rails(data_set_id, info)
            del self.state.activation[data_set_id]
        self._forget(data_set_id, info, activation)

    @external("storageProviderChanged")
    def storage_provider_changed(self, _data_set_id: int, _old: str, _new: str, _extra_data: bytes) -> None:
        self.only_verifier()
        raise self.error("StorageProviderChangesNotSupported")

    def _check_abandoned(self, data_set_id: int, activation: int) -> None:
        if activation == 0:
            return
        last = self.verifier.get_data_set_last_proven_epoch(data_set_id) or activation
        if self.epoch <= last + INACTIVITY_WINDOW:
            raise self.error("DataSetNotAbandoned", data_set_id, last + INACTIVITY_WINDOW, self.epoch)

    def _check_paid_out(self, data_set_id: int, info: DataSetInfo) -> None:
        if self.epoch < info.pdp_end_epoch:
            raise self.error("PaymentRailsNotFinalized", data_set_id, info.pdp_end_epoch)
        rail = self.pay.rail(info.pdp_rail_id)
        # A finalized rail has no payer any more, and was settled in full.
        if rail.payer != ZERO and rail.settled_up_to < rail.end_epoch:
            settled = rail.settled_up_to, rail.end_epoch
            raise self.error("RailNotFullySettled", info.pdp_rail_id, *settled)

    def _forget(self, data_set_id: int, info: DataSetInfo, activation: int) -> None:
        """Delete everything about a data set except its nonce, which stays used for ever."""
        state = self.state
        ids = list(state.client_data_sets[info.payer])
        last = ids.pop()
        if last != data_set_id:  # the last one takes its place
            ids[ids.index(data_set_id)] = last
        state.client_data_sets[info.payer] = tuple(ids)
        del state.deadlines[data_set_id]
        del state.proven_now[data_set_id]
        if activation:
            periods = (self.epoch - activation) // state.settings.max_proving_period + 1
            for number in range(periods):
                del state.proven[data_set_id, number]
        del state.rail_to_data_set[info.pdp_rail_id]
        state.data_set_metadata.clear((data_set_id,))
        self.forget_removed_pieces(data_set_id)
        info.clear()

    # What FilecoinPay reports

    @external("railTerminated")
    def rail_terminated(self, rail_id: int, terminator: str, end_epoch: int) -> None:
        if self.sender != self.pay.address:
            raise self.error("CallerNotPayments", self.pay.address, self.sender)
        if terminator != self.address:
            raise self.error("ServiceContractMustTerminateRail")
        data_set_id = self.state.rail_to_data_set[rail_id]
        if data_set_id == 0:
            raise self.error("DataSetNotFoundForRail", rail_id)
        info = self.state.info(data_set_id)
        if info.pdp_end_epoch == 0 and rail_id == info.pdp_rail_id:
            info.pdp_end_epoch = end_epoch
            self.emit("PDPPaymentTerminated", data_set_id, end_epoch, rail_id)

    # Ending a service, adding money

    @external("terminateService(uint256)")
    def terminate_service(self, data_set_id: int) -> None:
        self._terminate(data_set_id, b"")

    @external("terminateService(uint256,bytes)")
    def terminate_service_with_consent(self, data_set_id: int, extra_data: bytes) -> None:
        self._terminate(data_set_id, extra_data)

    def _terminate(self, data_set_id: int, extra_data: bytes) -> None:
        info = self._not_terminated(data_set_id)
        if extra_data:
            approver = self._check_consent(data_set_id, info, extra_data)
            info.pending_payments += self.prices.terminate_fee
        else:
            approver = self.sender
            if approver not in (info.payer, info.provider):
                parties = info.payer, info.provider
                raise self.error("CallerNotPayerOrPayee", data_set_id, *parties, approver)
        pending = info.pending_payments
        if pending:
            leaf_count = self.call(self.verifier.get_data_set_leaf_count, data_set_id)
            self.update_rate(data_set_id, info, leaf_count, pending, at_once=bool(extra_data))
        self.call(self.pay.terminate_rail, info.pdp_rail_id)
        rails = info.pdp_rail_id, info.cache_miss_rail_id, info.cdn_rail_id
        self.emit("ServiceTerminated", approver, data_set_id, *rails)

    def _check_consent(self, data_set_id: int, info: DataSetInfo, extra_data: bytes) -> str:
        if self.sender != info.provider:
            raise self.error("CallerNotServiceProvider", data_set_id, info.provider, self.sender)
        self._check_extra_data(extra_data, MAX_OTHER_EXTRA_DATA)
        message = self.signatures.terminate_service(data_set_id)
        signature = _decode_signature(extra_data)
        return self.signatures.check(info.payer, signed.TERMINATE_SERVICE, message, signature)

    @external("topUpLifecycleReserve")
    def top_up_lifecycle_reserve(self, data_set_id: int, amount: int) -> None:
        info = self.state.info(data_set_id)
        if info.payer == ZERO:
            raise self.error("InvalidDataSetId", data_set_id)
        self._only_payer(data_set_id, info)
        if info.pdp_end_epoch:
            raise self.error("DataSetPaymentAlreadyTerminated", data_set_id)
        reserve = info.reserve + amount % 2**96
        info.reserve = reserve
        period = self.prices.default_lockup_period
        self.call(self.pay.modify_rail_lockup, info.pdp_rail_id, period, reserve)

    @external("topUpCDNPaymentRails")
    def top_up_cdn_payment_rails(self, data_set_id: int, cdn_amount: int, miss_amount: int) -> None:
        info = self.state.info(data_set_id)
        if info.pdp_rail_id == 0:
            raise self.error("InvalidDataSetId", data_set_id)
        self._only_payer(data_set_id, info)
        if WITH_CDN not in self.state.data_set_metadata.keys[data_set_id,]:
            raise self.error("FilBeamServiceNotConfigured", data_set_id)
        if not info.cache_miss_rail_id or not info.cdn_rail_id:
            raise self.error("InvalidDataSetId", data_set_id)
        self.top_up_cdn(data_set_id, info, cdn_amount, miss_amount)

    def _only_payer(self, data_set_id: int, info: DataSetInfo) -> None:
        if self.sender != info.payer:
            raise self.error("CallerNotPayer", data_set_id, info.payer, self.sender)

    # FilBeam, which bills CDN traffic

    @external("settleFilBeamPaymentRails")
    def settle_filbeam_payment_rails(self, data_set_id: int, cdn_amount: int, miss_amount: int) -> None:
        self._only_filbeam()
        info = self.state.info(data_set_id)
        if not info.cdn_rail_id or not info.cache_miss_rail_id:
            raise self.error("InvalidDataSetId", data_set_id)
        for rail_id, amount in ((info.cdn_rail_id, cdn_amount), (info.cache_miss_rail_id, miss_amount)):
            if amount:
                self.call(self.pay.modify_rail_payment, rail_id, 0, amount)

    @external("terminateCDNService")
    def terminate_cdn_service(self, data_set_id: int) -> None:
        self._only_filbeam()
        if not self.state.data_set_metadata.drop((data_set_id,), WITH_CDN):
            raise self.error("FilBeamServiceNotConfigured", data_set_id)
        info = self.state.info(data_set_id)
        if not info.cache_miss_rail_id or not info.cdn_rail_id:
            raise self.error("InvalidDataSetId", data_set_id)
        self.end_cdn_rails(data_set_id, info)

    @external("transferFilBeamController")
    def transfer_filbeam_controller(self, new_controller: str) -> None:
        self._only_filbeam()
        if new_controller == ZERO:
            raise self.error("ZeroAddress", FIELD_FILBEAM_CONTROLLER)
        self.emit("FilBeamControllerChanged", self.state.settings.filbeam_controller, new_controller)
        self.state.settings.filbeam_controller = new_controller

    def _only_filbeam(self) -> None:
        controller = self.state.settings.filbeam_controller
        if self.sender != controller:
            raise self.error("OnlyFilBeamControllerAllowed", controller, self.sender)

    # The owner's part

    @external("addApprovedProvider")
    def add_approved_provider(self, provider_id: int) -> None:
        self._only_owner()
        approved = self.state.settings.approved_providers
        if provider_id in approved:
            raise self.error("ProviderAlreadyApproved", provider_id)
        self.state.settings.approved_providers = (*approved, provider_id)
        self.emit("ProviderApproved", provider_id)

    @external("removeApprovedProvider")
    def remove_approved_provider(self, provider_id: int, index: int) -> None:
        self._only_owner()
        approved = list(self.state.settings.approved_providers)
        if provider_id not in approved:
            raise self.error("ProviderNotInApprovedList", provider_id)
        if index >= len(approved):
            raise Revert.panic(PANIC_INDEX)
        if approved[index] != provider_id:
            raise self.error("ProviderIdMismatchAtIndex", index, provider_id)
        last = approved.pop()
        if index < len(approved):
            approved[index] = last
        self.state.settings.approved_providers = tuple(approved)
        self.emit("ProviderUnapproved", provider_id)

    @external("configureProvingPeriod")
    def configure_proving_period(self, period: int, window: int) -> None:
        self._only_owner()
        if period == 0:
            raise self.error("MaxProvingPeriodZero")
        if not 0 < window < period:
            raise self.error("InvalidChallengeWindowSize", period, window)
        self.state.settings.max_proving_period = period
        self.state.settings.challenge_window = window

    def _only_owner(self) -> None:
        if self.sender != self.state.settings.owner:
            raise self.error("OwnableUnauthorizedAccount", self.sender)

    # Checks shared by the above

    def _registered(self, data_set_id: int) -> DataSetInfo:
        info = self.state.info(data_set_id)
        if info.pdp_rail_id == 0:
            raise self.error("DataSetNotRegistered", data_set_id)
        return info

    def _not_terminated(self, data_set_id: int) -> DataSetInfo:
        info = self.state.info(data_set_id)
        if info.pdp_rail_id == 0:
            raise self.error("InvalidDataSetId", data_set_id)
        if info.pdp_end_epoch:
            raise self.error("DataSetPaymentAlreadyTerminated", data_set_id)
        return info

    def _check_extra_data(self, extra_data: bytes, limit: int) -> None:
        if not extra_data:
            raise self.error("ExtraDataRequired")
        if len(extra_data) > limit:
            raise self.error("ExtraDataTooLarge", len(extra_data), limit)

    def _use_nonce(self, payer: str, nonce: int, outcome: int) -> None:
        if self.state.nonces[payer, nonce]:
            raise self.error("ClientDataSetAlreadyRegistered", nonce)
        self.state.nonces[payer, nonce] = outcome

    def _store_metadata(
        self, metadata: Metadata, owner: tuple[int, ...], keys: Texts, values: Texts, limit: int
    ) -> None:
        if len(keys) != len(values):
            raise self.error("MetadataKeyAndValueLengthMismatch", len(keys), len(values))
        if len(keys) > limit:
            raise self.error("TooManyMetadataKeys", limit, len(keys))
        for index, (key, value) in enumerate(zip(keys, values, strict=True)):
            if metadata.values[*owner, key]:
                raise self.error("DuplicateMetadataKey", owner[0], key)
            if (length := len(key.encode())) > MAX_KEY_LENGTH:
                raise self.error("MetadataKeyExceedsMaxLength", index, MAX_KEY_LENGTH, length)
            if (length := len(value.encode())) > MAX_VALUE_LENGTH:
                raise self.error("MetadataValueExceedsMaxLength", index, MAX_VALUE_LENGTH, length)
            metadata.put(owner, key, value)

    # Reading

    @external("getProvingPeriodForEpoch")
    def get_proving_period_for_epoch(self, data_set_id: int, epoch: int) -> int:
        return self.state.period_of(data_set_id, epoch)

    @external("getServicePrice")
    def get_service_price(self) -> tuple[int, int, int, str, int, int]:
        prices = self.prices
        egress = prices.cdn_egress_per_tib, prices.cache_miss_egress_per_tib
        fee = prices.data_set_fee_per_month
        return prices.storage_per_tib_per_month, *egress, self.token, EPOCHS_PER_MONTH, fee

    @external("getEffectiveRates")
    def get_effective_rates(self) -> tuple[int, int]:
        return 0, self.prices.storage_per_tib_per_month

    @external("eip712Domain")
    def eip712_domain(self) -> tuple[bytes, str, str, int, str, bytes, tuple[int, ...]]:
        fields = b"\x0f"  # name, version, chain id and contract are used
        return fields, DOMAIN_NAME, DOMAIN_VERSION, self.chain_id, self.address, b"\x00" * 32, ()

    @external("VERSION")
    def version(self) -> str:
        return VERSION

    @external("name")
    def get_name(self) -> str:
        return "Filecoin Warm Storage Service"

    @external("description")
    def description(self) -> str:
        return "Emulated warm storage service of a local development network."

    @external("homepage")
    def homepage(self) -> str:
        return "https://github.com/FilOzone/filecoin-services"

    @external("owner")
    def owner(self) -> str:
        return self.state.settings.owner

    @external("paymentsContractAddress")
    def payments_contract_address(self) -> str:
        return self.pay.address

    @external("viewContractAddress")
    def view_contract_address(self) -> str:
        return self.state.settings.view

    @external("pdpVerifierAddress")
    def pdp_verifier_address(self) -> str:
        return self.verifier.address

    @external("serviceProviderRegistry")
    def service_provider_registry(self) -> str:
        return self.registry.address

    @external("sessionKeyRegistry")
    def session_key_registry(self) -> str:
        return self.sessions.address

    @external("usdfcTokenAddress")
    def usdfc_token_address(self) -> str:
        return self.token

    @external("filBeamBeneficiaryAddress")
    def filbeam_beneficiary_address(self) -> str:
        return self.filbeam_beneficiary


def _decode(types: list[str], data: bytes) -> tuple[abi.Word, ...]:
    try:
        return abi.decode(types, data)
    except abi.Malformed:
        raise Revert from None


def _decode_create(extra_data: bytes) -> tuple[str, int, Texts, Texts, bytes]:
    types = ["address", "uint256", "string[]", "string[]", "bytes"]
    return _decode(types, extra_data)  # type: ignore[return-value]  # the types are those just named


def _decode_add(extra_data: bytes) -> tuple[int, tuple[Texts, ...], tuple[Texts, ...], bytes]:
    types = ["uint256", "string[][]", "string[][]", "bytes"]
    return _decode(types, extra_data)  # type: ignore[return-value]  # the types are those just named


def _decode_signature(extra_data: bytes) -> bytes:
    (signature,) = _decode(["bytes"], extra_data)
    assert isinstance(signature, bytes)
    return signature
