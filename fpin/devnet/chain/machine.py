"""The machine that runs contracts: calls, reverts, logs, balances of FIL.

Knows no contract by name. Contracts are Python objects; a call between two of them is a Python call that
goes through `Machine.enter`, so that msg.sender, revert and event order are those of the EVM.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from fpin.devnet.chain import abi
from fpin.devnet.chain.storage import Mapping, OutOfRange, Record, Storage
from fpin.values import dataclass

ZERO = "0x" + "00" * 20
# f099, where Filecoin sends what is burnt: the masked id address of actor 99.
BURN = "0xff00000000000000000000000000000000000063"
PANIC_ARITHMETIC, PANIC_INDEX = 0x11, 0x32
MAX_EVENT_SIZE = 8192  # bytes of topics and data; the FVM's limit, which ends an add of more than 41 pieces

P = ParamSpec("P")
R = TypeVar("R")


class Revert(Exception):
    """A call was undone; *data* is what it says about the reason, ABI-encoded (empty: it says nothing)."""

    def __init__(self, data: bytes = b"") -> None:
        super().__init__(describe_revert(data))
        self.data = data

    @classmethod
    def text(cls, message: str) -> Revert:
        """What ``require(false, message)`` reverts with."""
        return cls(bytes.fromhex("08c379a0") + abi.encode(["string"], [message]))

    @classmethod
    def panic(cls, code: int) -> Revert:
        return cls(bytes.fromhex("4e487b71") + abi.encode(["uint256"], [code]))


def describe_revert(data: bytes) -> str:
    """Return revert bytes as a node prints them: ``Error(text)``, ``Panic(0x11)``, ``0x…`` or ``none``."""
    try:
        if data[:4] == bytes.fromhex("08c379a0"):
            return f"Error({abi.decode(['string'], data[4:])[0]})"
        if data[:4] == bytes.fromhex("4e487b71"):
            return f"Panic(0x{int.from_bytes(data[4:36], 'big'):02x})"
    except abi.Malformed:
        pass
    return "0x" + data.hex() if data else "none"


@dataclass(frozen=True, slots=True)
class Log:
    address: str
    topics: tuple[bytes, ...]
    data: bytes


@dataclass(frozen=True, slots=True)
class Frame:
    """One level of the call stack."""

    sender: str
    address: str
    value: int  # attoFIL sent along


@dataclass(frozen=True, slots=True)
class Moment:
    """Where in chain time a call runs."""

    number: int  # the epoch
    timestamp: int  # unix seconds


def external(signature: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a method callable from outside; *signature* as in the ABI, or only the name where it is unique."""

    def mark(method: Callable[P, R]) -> Callable[P, R]:
        method.__dict__["external"] = signature
        return method

    return mark


class Contract:
    """Base of the emulated contracts: dispatch, errors, events, calls to others.

    Subclasses name their ABI groups and mark methods with `external`. Argument and return values are those of
    eth_abi: int, bool, bytes, str, lower-case addresses, tuples for structs and lists.
    """

    groups: tuple[str, ...] = ()
    name = ""

    def __init__(self, machine: Machine, address: str) -> None:
        self.machine = machine
        self.address = address
        self._interfaces = [abi.load(group) for group in self.groups]
        self._table = self._bind()
        machine.contracts[address] = self

    def _bind(self) -> dict[bytes, tuple[abi.Function, Callable[..., Any]]]:
        known = {sig: f for interface in self._interfaces for sig, f in interface.functions.items()}
        table: dict[bytes, tuple[abi.Function, Callable[..., Any]]] = {}
        for _, member in inspect.getmembers(type(self), inspect.isfunction):
            wanted = member.__dict__.get("external")
            if wanted is None:
                continue
            matches = [f for sig, f in known.items() if wanted in (sig, sig.partition("(")[0])]
            if len(matches) != 1:
                raise TypeError(f"{type(self).__name__}: {len(matches)} functions answer to {wanted}")
            table[matches[0].selector] = (matches[0], getattr(self, member.__name__))
        return table

    def answers(self, selector: bytes) -> bool:
        """Tell whether a function with that selector exists."""
        return selector in self._table

    def dispatch(self, data: bytes) -> bytes:
        """Run the function that *data* names; raises `Revert`."""
        entry = self._table.get(data[:4])
        if entry is None:
            raise Revert
        function, method = entry
        if self.value and not function.payable:
            raise Revert
        try:
            arguments = abi.decode(function.inputs, data[4:])
        except abi.Malformed:
            raise Revert from None
        result = method(*arguments)
        if not function.outputs:
            return b""
        return abi.encode(function.outputs, result if len(function.outputs) > 1 else (result,))

    # What contract code says in Solidity with msg.*, block.*, emit, revert, and a call.

    @property
    def sender(self) -> str:
        return self.machine.frames[-1].sender

    @property
    def value(self) -> int:
        return self.machine.frames[-1].value

    @property
    def epoch(self) -> int:
        return self.machine.moment.number

    @property
    def timestamp(self) -> int:
        return self.machine.moment.timestamp

    @property
    def storage(self) -> Storage:
        return self.machine.storage

    def error(self, name: str, *values: abi.Word) -> Revert:
        """Return the custom error *name* of this contract's ABI, to be raised."""
        for interface in self._interfaces:
            if name in interface.errors:
                error = interface.errors[name]
                return Revert(error.selector + abi.encode(error.inputs, values))
        raise KeyError(name)

    def emit(self, name: str, *values: abi.Word) -> None:
        for interface in self._interfaces:
            if name in interface.events:
                topics, data = abi.encode_event(interface.events[name], values)
                if 32 * len(topics) + len(data) > MAX_EVENT_SIZE:
                    raise Revert
                self.machine.logs.append(Log(self.address, topics, data))
                return
        raise KeyError(name)

    def call(self, method: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call another contract's *method* as this contract; what it did is undone if it reverts."""
        target: Contract = method.__self__  # type: ignore[attr-defined]  # a bound method
        return self.machine.enter(Frame(self.address, target.address, 0), lambda: method(*args, **kwargs))


class Accounts(Record):
    """The chain's own state beside the contracts': FIL balances and transaction counts."""

    def __init__(self, storage: Storage) -> None:
        super().__init__(storage, "account")
        self.balances: Mapping[int] = Mapping(storage, ("account", "balance"), 0)
        self.nonces: Mapping[int] = Mapping(storage, ("account", "nonce"), 0)


class Machine:
    """Runs calls against one storage at one moment of chain time. Not thread-safe; its owner holds a lock."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.accounts = Accounts(storage)
        self.contracts: dict[str, Contract] = {}
        self.moment = Moment(0, 0)
        self.frames: list[Frame] = []
        self.logs: list[Log] = []

    def enter(self, frame: Frame, body: Callable[[], R]) -> R:
        """Run *body* in *frame*; if it raises, its writes and logs are gone. Arithmetic errors panic."""
        mark, log_mark = self.storage.checkpoint(), len(self.logs)
        self.frames.append(frame)
        try:
            return body()
        except BaseException as exc:
            self.storage.revert(mark)
            del self.logs[log_mark:]
            if isinstance(exc, OutOfRange):
                raise Revert.panic(PANIC_ARITHMETIC) from exc
            raise
        finally:
            self.frames.pop()

    def call(self, *, sender: str, to: str, data: bytes = b"", value: int = 0) -> bytes:
        """Send a message: move *value*, run the contract at *to* if there is one. Raises `Revert`."""

        def body() -> bytes:
            if value:
                self.transfer(sender, to, value)
            contract = self.contracts.get(to)
            return contract.dispatch(data) if contract else b""

        return self.enter(Frame(sender, to, value), body)

    def invoke(
        self,
        sender: str,
        value: int,
        method: Callable[P, R],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        """Call a contract's Python *method* as the account *sender*, as genesis does without transactions."""
        target: Contract = method.__self__  # type: ignore[attr-defined]  # a bound method

        def body() -> R:
            self.transfer(sender, target.address, value)
            return method(*args, **kwargs)

        return self.enter(Frame(sender, target.address, value), body)

    def transfer(self, source: str, target: str, amount: int) -> None:
        """Move *amount* attoFIL; raises `Revert` when *source* has less."""
        if self.accounts.balances[source] < amount:
            raise Revert
        self.accounts.balances[source] -= amount
        self.accounts.balances[target] += amount
