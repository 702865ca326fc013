"""USDFC: an ERC-20 with ERC-2612 permits and a `version()`, minted by its owner.

Errors are OpenZeppelin v5's; the deployed token's own are not known (spec chain §2.8).
"""

from __future__ import annotations

from fpin.devnet.chain import eip712
from fpin.devnet.chain.machine import ZERO, Contract, Machine, external
from fpin.devnet.chain.storage import Field, Mapping, Record

NAME, SYMBOL, VERSION, DECIMALS = "USDFC", "USDFC", "1", 18
UNLIMITED = 2**256 - 1
# Signatures with s in the upper half are refused, as OpenZeppelin's ECDSA does.
_HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
PERMIT = eip712.type_hash(
    "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"
)


class State(Record):
    owner = Field(ZERO)
    total_supply = Field(0)


class Token(Contract):
    name = "token"
    groups = ("ERC20Permit",)

    def __init__(self, machine: Machine, address: str, chain_id: int) -> None:
        super().__init__(machine, address)
        self.state = State(self.storage, self.name)
        self.balances: Mapping[int] = Mapping(self.storage, (self.name, "balance"), 0)
        self.allowances: Mapping[int] = Mapping(self.storage, (self.name, "allowance"), 0)
        self.permit_nonces: Mapping[int] = Mapping(self.storage, (self.name, "nonce"), 0)
        self.separator = eip712.domain_separator(NAME, VERSION, chain_id, address)

    @external("name")
    def get_name(self) -> str:
        return NAME

    @external("symbol")
    def symbol(self) -> str:
        return SYMBOL

    @external("version")
    def version(self) -> str:
        return VERSION

    @external("decimals")
    def decimals(self) -> int:
        return DECIMALS

    @external("totalSupply")
    def total_supply(self) -> int:
        return self.state.total_supply

    @external("owner")
    def owner(self) -> str:
        return self.state.owner

    @external("balanceOf")
    def balance_of(self, account: str) -> int:
        return self.balances[account]

    @external("allowance")
    def allowance(self, owner: str, spender: str) -> int:
        return self.allowances[owner, spender]

    @external("nonces")
    def nonces(self, owner: str) -> int:
        return self.permit_nonces[owner]

    @external("DOMAIN_SEPARATOR")
    def domain_separator(self) -> bytes:
        return self.separator

    @external("mint")
    def mint(self, to: str, amount: int) -> None:
        if self.sender != self.state.owner:
            raise self.error("OwnableUnauthorizedAccount", self.sender)
        if to == ZERO:
            raise self.error("ERC20InvalidReceiver", to)
        self.state.total_supply += amount
        self.balances[to] += amount
        self.emit("Transfer", ZERO, to, amount)

    @external("approve")
    def approve(self, spender: str, amount: int) -> bool:
        self._approve(self.sender, spender, amount)
        return True

    @external("transfer")
    def transfer(self, to: str, amount: int) -> bool:
        self._move(self.sender, to, amount)
        return True

    @external("transferFrom")
    def transfer_from(self, owner: str, to: str, amount: int) -> bool:
        allowed = self.allowances[owner, self.sender]
        if allowed < amount:
            raise self.error("ERC20InsufficientAllowance", self.sender, allowed, amount)
        if allowed != UNLIMITED:
            self.allowances[owner, self.sender] = allowed - amount
        self._move(owner, to, amount)
        return True

    @external("permit")
    def permit(
        self, owner: str, spender: str, amount: int, deadline: int, v: int, r: bytes, s: bytes
    ) -> None:
        if self.timestamp > deadline:
            raise self.error("ERC2612ExpiredSignature", deadline)
        nonce = self.permit_nonces[owner]
        self.permit_nonces[owner] = nonce + 1
        kinds = "address,address,uint256,uint256,uint256"
        message = eip712.struct_hash(PERMIT, kinds, owner, spender, amount, nonce, deadline)
        signer = self._recover(eip712.digest(self.separator, message), v, r, s)
        if signer != owner:
            raise self.error("ERC2612InvalidSigner", signer, owner)
        self._approve(owner, spender, amount)

    def _recover(self, digest: bytes, v: int, r: bytes, s: bytes) -> str:
        if int.from_bytes(s, "big") > _HALF_ORDER:
            raise self.error("ECDSAInvalidSignatureS", s)
        if v not in (27, 28):
            raise self.error("ECDSAInvalidSignature")
        signer = eip712.recover(digest, v, int.from_bytes(r, "big"), int.from_bytes(s, "big"))
        if signer == ZERO:
            raise self.error("ECDSAInvalidSignature")
        return signer

    def _approve(self, owner: str, spender: str, amount: int) -> None:
        if spender == ZERO:
            raise self.error("ERC20InvalidSpender", spender)
        self.allowances[owner, spender] = amount
        self.emit("Approval", owner, spender, amount)

    def _move(self, source: str, to: str, amount: int) -> None:
        if to == ZERO:
            raise self.error("ERC20InvalidReceiver", to)
        balance = self.balances[source]
        if balance < amount:
            raise self.error("ERC20InsufficientBalance", source, balance, amount)
        self.balances[source] = balance - amount
        self.balances[to] += amount
        self.emit("Transfer", source, to, amount)
