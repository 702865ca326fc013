"""Records: what the contracts know, as immutable values with units, made from decoded ABI structs.

Pure; knows no node. Amounts are base units (10**18 to the token), rates base units per epoch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Literal

from fpin.chain.provider_record import ProviderRecord, Struct
from fpin.units import Epoch, Epochs, UsdfcUnits
from fpin.values import dataclass

MAX_UINT256 = 2**256 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The chain's present: the executed epoch and its Unix time."""

    epoch: Epoch
    timestamp: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceList:
    """What the storage service charges; always read from the chain, never assumed."""

    storage_per_tib_month: UsdfcUnits
    data_set_fee_month: UsdfcUnits  # flat, while a data set holds anything
    create_data_set_fee: UsdfcUnits
    add_pieces_fee: UsdfcUnits  # per call …
    add_piece_fee: UsdfcUnits  # … and per piece in it
    schedule_removals_fee: UsdfcUnits
    terminate_fee: UsdfcUnits
    reserve_target: UsdfcUnits  # kept locked for each data set; fees are taken from it
    replenish_threshold: UsdfcUnits
    lockup_period: Epochs
    cdn_lockup: UsdfcUnits
    cache_miss_lockup: UsdfcUnits

    @classmethod
    def from_abi(cls, struct: Struct) -> PriceList:
        rates, fees, lockups = struct["rates"], struct["fees"], struct["lockups"]
        return cls(
            storage_per_tib_month=UsdfcUnits(rates["storagePerTibPerMonth"]),
            data_set_fee_month=UsdfcUnits(rates["datasetFeePerMonth"]),
            create_data_set_fee=UsdfcUnits(fees["createDataSetFee"]),
            add_pieces_fee=UsdfcUnits(fees["addPiecesBaseFee"]),
            add_piece_fee=UsdfcUnits(fees["addPiecesPerPieceFee"]),
            schedule_removals_fee=UsdfcUnits(fees["schedulePieceRemovalsFee"]),
            terminate_fee=UsdfcUnits(fees["terminateFee"]),
            reserve_target=UsdfcUnits(lockups["lifecycleReserveTarget"]),
            replenish_threshold=UsdfcUnits(lockups["replenishThreshold"]),
            lockup_period=Epochs(lockups["defaultLockupPeriod"]),
            cdn_lockup=UsdfcUnits(lockups["cdnLockupAmount"]),
            cache_miss_lockup=UsdfcUnits(lockups["cacheMissLockupAmount"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A payment account as of *settled_at*, as it is stored; `account.standing` brings it to the present."""

    funds: UsdfcUnits
    lockup_current: UsdfcUnits
    lockup_rate: UsdfcUnits  # per epoch
    settled_at: Epoch

    @classmethod
    def from_abi(cls, values: tuple[int, int, int, int]) -> Account:
        funds, current, rate, settled_at = values
        return cls(
            funds=UsdfcUnits(funds),
            lockup_current=UsdfcUnits(current),
            lockup_rate=UsdfcUnits(rate),
            settled_at=Epoch(settled_at),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """What the storage service may spend and lock for an account."""

    approved: bool
    rate_allowance: int
    lockup_allowance: int
    rate_usage: int
    lockup_usage: int
    max_lockup_period: int

    @classmethod
    def from_abi(cls, values: tuple[bool, int, int, int, int, int]) -> Approval:
        approved, rate_allowance, lockup_allowance, rate_usage, lockup_usage, period = values
        return cls(
            approved=approved,
            rate_allowance=rate_allowance,
            lockup_allowance=lockup_allowance,
            rate_usage=rate_usage,
            lockup_usage=lockup_usage,
            max_lockup_period=period,
        )

    def is_maximal(self, lockup_period: int) -> bool:
        """True for an approval that was given without limits.

        Every fee lowers the lockup allowance for good, so half of the maximum counts as the maximum.
        """
        return (
            self.approved
            and self.rate_allowance == MAX_UINT256
            and self.lockup_allowance >= 2**255
            and self.max_lockup_period >= lockup_period
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Balances:
    """What the wallet itself holds, outside the payment account. *fil* is in attoFIL."""

    fil: int
    usdfc: UsdfcUnits


@dataclass(frozen=True, slots=True, kw_only=True)
class PayerState:
    """All that a quote needs, read at one height.

    *timestamp* is the Unix time of that epoch. *permit_nonce* numbers the next deposit: a deposit uses it up,
    so of several that were decided on by the same state one succeeds.
    """

    epoch: Epoch
    timestamp: int
    prices: PriceList
    account: Account
    approval: Approval
    balances: Balances
    permit_nonce: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rail:
    """A payment rail as its payer sees it. *rate* is per epoch, fees are taken from *lockup_fixed*."""

    rail_id: int
    payee: str
    operator: str
    rate: UsdfcUnits
    lockup_period: Epochs
    lockup_fixed: UsdfcUnits
    settled_up_to: Epoch
    end_epoch: int  # 0: not terminated

    @property
    def terminated(self) -> bool:
        return self.end_epoch != 0

    def lockup(self, epoch: int) -> UsdfcUnits:
        """Return what is held back for the time after *epoch*; what was streamed until then comes on top."""
        ahead = max(0, self.end_epoch - epoch) if self.terminated else self.lockup_period
        return UsdfcUnits(self.lockup_fixed + self.rate * ahead)

    @classmethod
    def from_abi(cls, rail_id: int, struct: Struct) -> Rail:
        return cls(
            rail_id=rail_id,
            payee=struct["to"],
            operator=struct["operator"],
            rate=UsdfcUnits(struct["paymentRate"]),
            lockup_period=Epochs(struct["lockupPeriod"]),
            lockup_fixed=UsdfcUnits(struct["lockupFixed"]),
            settled_up_to=Epoch(struct["settledUpTo"]),
            end_epoch=struct["endEpoch"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A payer's state and every rail it pays for that is not fully settled and over, all of one height."""

    payer: PayerState
    rails: tuple[Rail, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSet:
    """A data set and what is needed to decide about it.

    *client_data_set_id* is signed, *data_set_id* names it on chain. *managed*: the storage service is its
    listener. *pending_fees* and *reserve* are None where the view contract is too old to tell.
    """

    data_set_id: int
    client_data_set_id: int
    provider_id: int
    payer: str
    payee: str
    service_provider: str
    pdp_rail_id: int
    cdn: bool
    pdp_end_epoch: int  # 0: not terminated
    pending_fees: UsdfcUnits | None
    reserve: UsdfcUnits | None
    metadata: Mapping[str, str]
    live: bool
    managed: bool
    leaf_count: int  # 32-byte leaves, those of pieces scheduled for removal included
    cdn_rail_ids: tuple[int, ...] = ()  # cache misses and CDN; empty without CDN

    @property
    def terminated(self) -> bool:
        return self.pdp_end_epoch != 0

    @property
    def accepts_pieces(self) -> bool:
        return self.live and self.managed and not self.terminated

    @classmethod
    def from_abi(
        cls,
        info: Struct,
        *,
        metadata: Mapping[str, str],
        live: bool,
        managed: bool,
        leaf_count: int,
    ) -> DataSet:
        return cls(
            data_set_id=info["dataSetId"],
            client_data_set_id=info["clientDataSetId"],
            provider_id=info["providerId"],
            payer=info["payer"],
            payee=info["payee"],
            service_provider=info["serviceProvider"],
            pdp_rail_id=info["pdpRailId"],
            cdn=info["cdnRailId"] != 0,
            pdp_end_epoch=info["pdpEndEpoch"],
            pending_fees=info.get("pendingOneTimePayments"),
            reserve=info.get("lifecycleReserveBalance"),
            metadata=metadata,
            live=live,
            managed=managed,
            leaf_count=leaf_count,
            cdn_rail_ids=tuple(rail for rail in (info["cacheMissRailId"], info["cdnRailId"]) if rail),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """All that choosing providers needs: who is registered and active, and what *owner* already has."""

    providers: tuple[ProviderRecord, ...]  # in registry order
    approved: frozenset[int]
    endorsed: frozenset[int]
    data_sets: tuple[DataSet, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PieceEntry:
    """A piece of a data set; *piece_cid* is a binary PieceCIDv2."""

    piece_id: int
    piece_cid: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """Whether a piece is in its data set, and goes at the next proving period (*leaving*)."""

    live: bool
    leaving: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NonceUse:
    """What became of a signed creation or add: it is on chain, in *data_set_id*.

    *next_piece_id* is the id after the last piece of an add; None for a creation. *epoch* is the height at
    which that was seen, None where nobody asked.
    """

    data_set_id: int
    next_piece_id: int | None
    epoch: Epoch | None = field(default=None, compare=False)

    def first_piece_id(self, count: int) -> int:
        """Return the id of the first of *count* pieces that the add brought."""
        if self.next_piece_id is None:
            raise ValueError("the number was used to create a data set, not to add pieces")
        return self.next_piece_id - count

    @classmethod
    def from_word(cls, word: int, epoch: Epoch | None = None) -> NonceUse | None:
        """Read the word of `clientNonces`; None for zero, an unused number."""
        if word == 0:
            return None
        return cls(data_set_id=word & (2**128 - 1), next_piece_id=word >> 128 or None, epoch=epoch)


ProvingState = Literal["not started", "waiting", "window open", "overdue"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvingStatus:
    """Where a data set stands between two proofs. Epochs are None while there is no such point yet."""

    epoch: Epoch  # now
    state: ProvingState
    window_start: Epoch | None
    deadline: Epoch | None
    last_proven: Epoch | None
    proven_this_period: bool
    proving_period: Epochs

    @classmethod
    def of(
        cls,
        *,
        epoch: int,
        challenge: int,
        deadline: int,
        activation: int,
        last_active: int,
        proven: bool,
        period: int,
    ) -> ProvingStatus:
        """Make one of the contracts' numbers.

        *challenge* is 0 before the first period and 2**256-1 while the data set is cleared away.
        *last_active* is the creation's epoch until there is a proof; no proof comes before *activation*.
        """
        started = 0 < challenge < MAX_UINT256 and 0 < deadline < MAX_UINT256
        state: ProvingState = "not started"
        if started:
            late = epoch > deadline and not proven
            state = "overdue" if late else "waiting" if epoch < challenge or proven else "window open"
        return cls(
            epoch=Epoch(epoch),
            state=state,
            window_start=Epoch(challenge) if started else None,
            deadline=Epoch(deadline) if started else None,
            last_proven=Epoch(last_active) if last_active > activation > 0 else None,
            proven_this_period=proven,
            proving_period=Epochs(period),
        )
