"""Multicall3: many calls in one, each allowed to fail or not."""

from __future__ import annotations

from fpin.devnet.chain.machine import Contract, Machine, Revert, external


class Multicall3(Contract):
    name = "multicall"
    groups = ("Multicall3",)

    def __init__(self, machine: Machine, address: str, chain_id: int) -> None:
        super().__init__(machine, address)
        self.chain_id = chain_id

    @external("aggregate3")
    def aggregate3(self, calls: tuple[tuple[str, bool, bytes], ...]) -> list[tuple[bool, bytes]]:
        return [self._one(*call) for call in calls]

    def _one(self, target: str, allow_failure: bool, data: bytes) -> tuple[bool, bytes]:
        try:
            return True, self.machine.call(sender=self.address, to=target, data=data)
        except Revert as exc:
            if not allow_failure:
                raise Revert.text("Multicall3: call failed") from exc
            return False, exc.data

    @external("getBlockNumber")
    def get_block_number(self) -> int:
        return self.epoch

    @external("getChainId")
    def get_chain_id(self) -> int:
        return self.chain_id

    @external("getCurrentBlockTimestamp")
    def get_current_block_timestamp(self) -> int:
        return self.timestamp

    @external("getEthBalance")
    def get_eth_balance(self, address: str) -> int:
        return self.machine.accounts.balances[address]
