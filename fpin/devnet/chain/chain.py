"""The devnet's chain: blocks, chain time, transactions and calls over the emulated contracts.

A block a transaction, mined at once. An epoch is 30 s of chain time and moves when somebody says so
(`DevChain.mine`) or a transaction arrives; epochs skipped over are null rounds, as on Filecoin. All state is
in one SQLite file and in step with it: what a caller was told has happened is on disk.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path

from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from starlette.applications import Starlette

from fpin.devnet.chain.blocks import Block, BlockStore, Receipt
from fpin.devnet.chain.contracts import ADDRESSES, ContractAddresses, DeployedContracts, deploy
from fpin.devnet.chain.faults import ChainFaults
from fpin.devnet.chain.genesis import ChainConfig, Genesis, bootstrap
from fpin.devnet.chain.machine import BURN, Machine, Moment, Revert
from fpin.devnet.chain.rpc import make_app
from fpin.devnet.chain.storage import Storage
from fpin.devnet.chain.transactions import Transaction, parse
from fpin.units import EPOCH_SECONDS
from fpin.values import dataclass

BASE_FEE = 100  # attoFIL a unit of gas: the network's minimum
BLOCK_GAS_LIMIT = 10**10
# Gas is made up, of the size Filecoin's is: a call costs millions, every byte and every write some more.
GAS_BASE, GAS_BYTE, GAS_WRITE, GAS_LOG = 1_500_000, 1_300, 150_000, 60_000


class Refused(Exception):
    """A transaction the node does not take into a block; nothing has changed."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """A message to run without a transaction."""

    sender: str
    to: str
    data: bytes
    value: int = 0


class DevChain:
    """An emulated Filecoin chain in one SQLite file. Every method may be called from any thread.

    `app` is its JSON-RPC node (ASGI; POST on ``/`` and ``/rpc/v1``), `contracts` are the addresses.
    """

    contracts: ContractAddresses
    app: Starlette

    def __init__(
        self,
        store: BlockStore,
        machine: Machine,
        deployed: DeployedContracts,
        head: Block,
        wall: Callable[[], float],
    ) -> None:
        self._lock = threading.RLock()
        self._store = store
        self._machine = machine
        self._head = head
        self._config = ChainConfig(machine.storage, "config")
        self._wall = wall
        self.deployed = deployed
        self.chain_id = self._config.chain_id
        self.base_fee, self.gas_limit = BASE_FEE, BLOCK_GAS_LIMIT
        self.faults = ChainFaults()
        checksummed = {f.name: to_checksum_address(getattr(ADDRESSES, f.name)) for f in fields(ADDRESSES)}
        self.contracts = ContractAddresses(**checksummed)
        self.app = make_app(self)

    @classmethod
    def open(cls, path: Path, genesis: Genesis, *, wall: Callable[[], float] = time.time) -> DevChain:
        """Open the chain in the file *path*, or make one from *genesis*; an existing chain keeps its own.

        *wall* gives unix seconds: no block is dated later. Raises LocalError when the file cannot be used,
        for one because another process has it open.
        """
        store = BlockStore(path)
        try:
            head = store.head()
            if head is None:
                _create(store, genesis, wall)
                head = store.head()
            assert head is not None
            machine = Machine(Storage(store.state()))
            deployed = _deploy(machine)
        except BaseException:
            store.close()
            raise
        chain = cls(store, machine, deployed, head, wall)
        if head.number == 0:
            chain.mine()  # so that nobody ever sees an epoch 0, which contracts read as "never"
        return chain

    def close(self) -> None:
        with self._lock:
            self._store.close()

    # Time

    @property
    def epoch(self) -> int:
        """The head's epoch, which is its block number."""
        with self._lock:
            return self._head.number

    @property
    def head(self) -> Block:
        with self._lock:
            return self._head

    def mine(self, epochs: int = 1) -> int:
        """Let *epochs* pass, null rounds but for the last with its empty block; return the new epoch."""
        if epochs < 1:
            raise ValueError(f"cannot mine {epochs} epochs")
        with self._lock:
            self._append(self._next_block(epochs))
            return self._head.number

    def reorganise(self, number: int, *, lose: bool = False) -> None:
        """Put other blocks in the place of those after *number*, as when a heavier fork comes up.

        Their transactions are run again, in blocks that end where the old ones ended or later; with *lose*
        they are gone as if they had never been sent.
        """
        with self._lock:
            replaced, height = self._store.transactions_after(number), self._head.number
            for key, before in [*self._store.undo_after(number)]:
                self._machine.storage.put(key, before)
            self._store.cut(number, self._machine.storage.changes())
            self._machine.storage.seal()
            head = self._store.head()
            assert head is not None
            self._head = head
            # Another block than the one that was there: its hash differs.
            first = self._next_block(content=b"".join(replaced) + height.to_bytes(8, "big"))
            self._append(first)
            for raw in [] if lose else replaced:
                self.submit(parse(raw))
            if self._head.number < height:
                self.mine(height - self._head.number)

    def _next_block(self, epochs: int = 1, content: bytes = b"") -> Block:
        parent = self._head
        number = parent.number + epochs
        # Never in the future: callers date permits and session keys by the real clock, and a chain that is
        # hurried through its epochs must not let those expire.
        due = self._config.genesis_timestamp + number * EPOCH_SECONDS
        timestamp = max(parent.timestamp, min(due, int(self._wall())))
        digest = keccak(parent.hash + number.to_bytes(8, "big") + timestamp.to_bytes(8, "big") + content)
        return Block(number=number, hash=digest, parent=parent.hash, timestamp=timestamp)

    def _append(self, block: Block, receipt: Receipt | None = None) -> None:
        logs = self._machine.logs if receipt else []
        self._store.append(block, self._machine.storage.changes(), receipt, logs)
        self._machine.storage.seal()
        self._head = block

    # Transactions

    def submit(self, transaction: Transaction) -> Receipt:
        """Run *transaction* in a block of its own, whether it reverts or not. Raises `Refused` instead."""
        self.faults.begins(transaction.data)
        with self._lock:
            self._admit(transaction)
            block = self._next_block(1 + self.faults.null_rounds, content=transaction.hash)
            try:
                receipt = self._execute(transaction, block)
                self._append(block, receipt)
            except BaseException:
                self._machine.storage.revert(0)
                raise
            return receipt

    def _admit(self, tx: Transaction) -> None:
        accounts = self._machine.accounts
        if tx.chain_id not in (self.chain_id, None):
            raise Refused(f"invalid chain id: transaction is for {tx.chain_id}, this is {self.chain_id}")
        if tx.to is None:
            raise Refused("this chain has its contracts built in: contract creation is not possible")
        expected = accounts.nonces[tx.sender]
        if tx.nonce != expected:
            side = "low" if tx.nonce < expected else "high"
            raise Refused(f"nonce too {side}: transaction has {tx.nonce}, next is {expected}")
        if tx.gas < (least := GAS_BASE + GAS_BYTE * len(tx.data)):
            raise Refused(f"intrinsic gas too low: gas limit {tx.gas} is below {least}")
        if tx.gas > BLOCK_GAS_LIMIT:
            raise Refused(f"gas limit {tx.gas} exceeds the block's {BLOCK_GAS_LIMIT}")
        if tx.premium(BASE_FEE) < 0:
            raise Refused(f"max fee per gas less than block base fee: {tx.max_fee} < {BASE_FEE}")
        cost, balance = tx.gas * tx.max_fee + tx.value, accounts.balances[tx.sender]
        if balance < cost:
            raise Refused(f"insufficient funds for gas * price + value: have {balance}, need {cost}")

    def _execute(self, tx: Transaction, block: Block) -> Receipt:
        machine = self._machine
        machine.moment, machine.logs = Moment(block.number, block.timestamp), []
        machine.accounts.nonces[tx.sender] += 1
        mark = machine.storage.checkpoint()
        assert tx.to is not None
        try:
            machine.call(sender=tx.sender, to=tx.to, data=tx.data, value=tx.value)
            succeeded = True
        except Revert:
            succeeded = False
        gas = self._gas(tx.data, mark)
        if gas > tx.gas or self.faults.starves(tx.data):  # out of gas: all of it is spent, nothing is kept
            machine.storage.revert(mark)
            machine.logs.clear()
            succeeded, gas = False, tx.gas
        # Filecoin burns the base fee of the gas used; the miner's premium is on the gas limit.
        fee = gas * BASE_FEE + tx.gas * tx.premium(BASE_FEE)
        machine.transfer(tx.sender, BURN, fee)
        return Receipt(
            hash=tx.hash, block=block.number, raw=tx.raw, succeeded=succeeded, gas_used=gas, fee=fee
        )

    def _gas(self, data: bytes, mark: int) -> int:
        machine = self._machine
        writes = machine.storage.checkpoint() - mark
        return GAS_BASE + GAS_BYTE * len(data) + GAS_WRITE * writes + GAS_LOG * len(machine.logs)

    # Looking

    def call(self, call: Call, number: int | None = None) -> bytes:
        """Run *call* on the state after block *number* (None: the head) and forget it; raises `Revert`."""
        with self.state_at(number) as machine:
            return machine.call(sender=call.sender, to=call.to, data=call.data, value=call.value)

    def gas_of(self, call: Call) -> int:
        """Return the gas *call* would use in the next block; raises `Revert`."""
        with self.state_at(None) as machine:
            following = self._next_block()
            machine.moment = Moment(following.number, following.timestamp)
            mark = machine.storage.checkpoint()
            machine.call(sender=call.sender, to=call.to, data=call.data, value=call.value)
            return self._gas(call.data, mark)

    @contextmanager
    def state_at(self, number: int | None) -> Iterator[Machine]:
        """Give the machine as it stood after block *number*; what the body does to it is undone.

        At a null round that is the block before it. Raises LookupError for an epoch without any block yet.
        """
        with self._lock:
            block = self._head if number is None else self._store.block_at_or_before(number)
            if block is None or (number or 0) > self._head.number:
                raise LookupError(number)
            machine = self._machine
            try:
                if block.number < self._head.number:
                    for key, before in self._store.undo_after(block.number):
                        machine.storage.put(key, before)
                machine.moment, machine.logs = Moment(block.number, block.timestamp), []
                yield machine
            finally:
                machine.storage.revert(0)

    @contextmanager
    def reading(self) -> Iterator[BlockStore]:
        """Give the block store, with nothing being written meanwhile."""
        with self._lock:
            yield self._store


def _create(store: BlockStore, genesis: Genesis, wall: Callable[[], float]) -> None:
    machine = Machine(Storage())
    config = ChainConfig(machine.storage, "config")
    config.chain_id = genesis.chain_id
    config.genesis_timestamp = int(wall())
    config.seed = secrets.token_bytes(32)
    config.prices = genesis.prices.words()
    config.challenge_finality = genesis.challenge_finality
    config.piece_metadata_getters = genesis.piece_metadata_getters
    machine.moment = Moment(0, config.genesis_timestamp)
    bootstrap(machine, _deploy(machine), genesis)
    digest = keccak(config.seed)
    block = Block(number=0, hash=digest, parent=b"\0" * 32, timestamp=config.genesis_timestamp)
    store.append(block, machine.storage.changes())


def _deploy(machine: Machine) -> DeployedContracts:
    config = ChainConfig(machine.storage, "config")
    return deploy(
        machine,
        chain_id=config.chain_id,
        prices=config.price_list(),
        challenge_finality=config.challenge_finality,
        seed=config.seed,
        piece_metadata_getters=config.piece_metadata_getters,
    )
