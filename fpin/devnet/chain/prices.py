"""The warm storage service's price list: what a deployment charges, and the rate that follows from a size.

Amounts are USDFC base units (10**18 to the token); rates are a month of 86400 epochs.
"""

from __future__ import annotations

from dataclasses import astuple, fields, replace

from fpin.devnet.chain.pieces import raw_size
from fpin.units import EPOCHS_PER_DAY, EPOCHS_PER_MONTH, ONE_TOKEN, TIB
from fpin.values import dataclass

COMMISSION_BPS = 0


@dataclass(frozen=True, kw_only=True)
class PriceList:
    """Defaults are those of contracts 1.3.x (filecoin-services a16aea49, PriceListUSDFC.sol)."""

    storage_per_tib_per_month: int = ONE_TOKEN * 5 // 2
    data_set_fee_per_month: int = ONE_TOKEN * 24 // 1000
    cdn_egress_per_tib: int = ONE_TOKEN * 7
    cache_miss_egress_per_tib: int = ONE_TOKEN * 7
    create_data_set_fee: int = ONE_TOKEN * 25 // 1000
    add_pieces_base_fee: int = ONE_TOKEN * 5 // 10_000
    add_pieces_per_piece_fee: int = ONE_TOKEN * 3 // 10_000
    schedule_piece_removals_fee: int = ONE_TOKEN * 2 // 1000
    terminate_fee: int = ONE_TOKEN * 112 // 100_000
    lifecycle_reserve_target: int = ONE_TOKEN // 10
    replenish_threshold: int = ONE_TOKEN * 5 // 1000
    default_lockup_period: int = EPOCHS_PER_DAY * 30
    cdn_lockup_amount: int = ONE_TOKEN * 7 // 10
    cache_miss_lockup_amount: int = ONE_TOKEN * 3 // 10
    cdn_lockup_period: int = EPOCHS_PER_DAY * 5

    @property
    def data_set_fee_per_epoch(self) -> int:
        return self.data_set_fee_per_month // EPOCHS_PER_MONTH

    @property
    def required_lockup(self) -> int:
        """What a payer must have free before a data set without CDN is created."""
        month = self.data_set_fee_per_month * self.default_lockup_period // EPOCHS_PER_MONTH
        return month + self.lifecycle_reserve_target

    def rate_per_epoch(self, leaf_count: int) -> int:
        """Return what a data set of that many leaves pays each epoch; an empty one pays nothing."""
        if leaf_count == 0:
            return 0
        month = raw_size(leaf_count) * self.storage_per_tib_per_month
        return month // (TIB * EPOCHS_PER_MONTH) + self.data_set_fee_per_epoch

    def add_pieces_fee(self, pieces: int) -> int:
        return self.add_pieces_base_fee + pieces * self.add_pieces_per_piece_fee

    def words(self) -> tuple[int, ...]:
        """All amounts, in the order of the ABI's structs: four rates, five fees, six lockups."""
        words: tuple[int, ...] = astuple(self)
        return words

    @classmethod
    def from_words(cls, words: tuple[int, ...]) -> PriceList:
        """The inverse of `words`."""
        return cls(**dict(zip((field.name for field in fields(cls)), words, strict=True)))


PRICES_1_3 = PriceList()
# Contracts 1.4.0 as public threads report it; other amounts are taken to be unchanged.
PRICES_1_4 = replace(
    PRICES_1_3,
    data_set_fee_per_month=ONE_TOKEN * 12 // 100,
    lifecycle_reserve_target=ONE_TOKEN // 2,
)
PRICE_LISTS = {"1.3": PRICES_1_3, "1.4": PRICES_1_4}
