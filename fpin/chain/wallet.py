"""Wallet: the transactions a user's own key sends, from simulation to receipt.

Knows the payments contract, session keys and direct termination. Storage operations are not here: providers
send those. A transaction that would revert is not sent; one that reverts is told in words; one that the node
has forgotten is sent again, and one whose number another took is told as replaced.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Literal

from fpin.chain.abi import function
from fpin.chain.contracts import Chain
from fpin.chain.multicall import Call
from fpin.chain.node import Receipt
from fpin.chain.reader import FWSS, PAY, SESSIONS
from fpin.chain.records import MAX_UINT256
from fpin.chain.rpc import RpcError
from fpin.chain.signer import Signer, Transaction
from fpin.chain.typed_data import permission_hash, permit, split_signature
from fpin.errors import ChainError, FpinError, NodeUnavailable, Unaffordable, Unavailable
from fpin.units import floor_token, short_token

PERMIT_SECONDS = 3600
SESSION_ORIGIN = "fpin"

OnSigned = Callable[[str, int], None]
OnWait = Callable[[float], None]

Fate = Literal["pending", "replaced", "lost"]
"""What became of a transaction without a receipt.

The node has it; another one was executed under its number, so it never will be; the node does not know it
and its number is free: it was never sent or was dropped, and is executed if somebody sends it again.
"""


class Replaced(ChainError):
    """Another transaction of the same wallet was executed in the place of ours; ours never will be."""


class Watch:
    """Looks after transactions of the wallet *address*, which takes no key.

    *on_wait* hears the seconds waited for a receipt.
    """

    def __init__(self, chain: Chain, address: str, *, on_wait: OnWait | None = None) -> None:
        self.chain = chain
        self.address = address
        self._on_wait = on_wait

    def outcome(self, tx_hash: str, nonce: int) -> Receipt | Fate:
        """Return the receipt of a transaction that an earlier run sent, or what became of it without one."""
        found = self.chain.node.receipt(tx_hash)
        if found is not None:
            return found
        fate = self._fate(tx_hash, nonce)
        # Executed between the two questions, perhaps.
        return self.chain.node.receipt(tx_hash) or fate if fate == "replaced" else fate

    def wait_for(self, tx_hash: str, nonce: int, doing: str, *, raw: bytes | None = None) -> Receipt:
        """Wait for a receipt; without *raw* a transaction that the node has forgotten is not sent again.

        Raises Replaced, or NodeUnavailable when it takes too long.
        """
        looks = 0

        def look(waited: float) -> None:
            nonlocal looks
            if self._on_wait is not None:
                self._on_wait(waited)
            fate = self._fate(tx_hash, nonce)
            # Twice in a row: a node may count a transaction before it can show its receipt.
            looks = looks + 1 if fate == "replaced" else 0
            if looks > 1:
                raise Replaced(
                    f"{doing}: transaction {tx_hash} was replaced by another one of the wallet's, "
                    f"number {nonce}",
                    hint="run it again: it looks at the account anew",
                    tx=tx_hash,
                )
            if fate == "lost" and raw is not None:
                with contextlib.suppress(RpcError):  # a node that will not have it back says no more by that
                    self.chain.node.send_raw(raw)

        return self.chain.node.wait_for_receipt(tx_hash, on_wait=look)

    def _fate(self, tx_hash: str, nonce: int) -> Fate:
        node = self.chain.node
        if node.knows_transaction(tx_hash):
            return "pending"
        return "replaced" if node.executed_nonces(self.address) > nonce else "lost"


class Wallet(Watch):
    """Sends transactions of *signer*.

    *on_signed* hears each transaction's hash and number (nonce) before it is sent, so that they can be
    written down first; *on_wait* hears the seconds waited for a receipt. Every method raises `Unaffordable`
    or `PermissionMissing` before anything is sent, `NodeUnavailable`, or what a revert means.
    """

    def __init__(
        self,
        chain: Chain,
        signer: Signer,
        *,
        on_signed: OnSigned | None = None,
        on_wait: OnWait | None = None,
    ) -> None:
        super().__init__(chain, signer.address, on_wait=on_wait)
        self.signer = signer
        self._on_signed = on_signed

    def deposit(self, amount: int, *, approve: bool, permit_nonce: int | None = None) -> Receipt:
        """Move *amount* of the wallet's USDFC into its payment account; the transaction carries the permit.

        With *approve* the storage service also becomes operator without limits. *permit_nonce* is that of
        the state by which the amount was decided on: whichever deposit comes first uses it up, so that this
        one is not made on top of another. Raises Unavailable when that has happened.
        """
        held = self.chain.balances(self.signer.address).usdfc
        if held < amount:
            raise Unaffordable(
                f"the wallet {self.signer.address} holds {floor_token(held)} USDFC, "
                f"{short_token(amount)} USDFC is to be deposited",
                hint="send USDFC to the wallet first",
                held=str(held),
                amount=str(amount),
            )
        contracts = self.chain.network.contracts
        owner, deadline = self.signer.address, self.chain.head().timestamp + PERMIT_SECONDS
        args = (contracts.usdfc, owner, amount, deadline, *self._permit(amount, deadline, permit_nonce))
        if not approve:
            return self._send(PAY, "depositWithPermit", args, "depositing")
        approval = (contracts.fwss, MAX_UINT256, MAX_UINT256, self._lockup_period())
        return self._send(PAY, "depositWithPermitAndApproveOperator", (*args, *approval), "depositing")

    def approve_service(self) -> Receipt:
        """Make the storage service operator of the payment account, without limits."""
        return self._set_approval(True, MAX_UINT256, MAX_UINT256, self._lockup_period())

    def revoke_service(self) -> Receipt:
        """Take the approval away: no new data sets and no growth; what is stored goes on being paid for."""
        return self._set_approval(False, 0, 0, 0)

    def withdraw(self, amount: int) -> Receipt:
        """Move *amount* of free USDFC from the payment account back to the wallet."""
        return self._send(PAY, "withdraw", (self.chain.network.contracts.usdfc, amount), "withdrawing")

    def terminate(self, data_set_id: int) -> Receipt:
        """End a data set directly: paid for and stored until its lockup period is over, about 30 days."""
        doing = f"terminating data set {data_set_id}"
        return self._send(FWSS, "terminateService(uint256)", (data_set_id,), doing)

    def authorize_session(self, session: str, expiry: int, permissions: Sequence[str]) -> Receipt:
        """Let the key at address *session* sign *permissions* (`typed_data.PERMISSIONS`) until *expiry*.

        *expiry* is in Unix seconds; an earlier authorization is replaced.
        """
        hashes = [permission_hash(name) for name in permissions]
        args = (session, expiry, hashes, SESSION_ORIGIN)
        return self._send(SESSIONS, "login", args, "authorizing the session key")

    def revoke_session(self, session: str, permissions: Sequence[str]) -> Receipt:
        hashes = [permission_hash(name) for name in permissions]
        args = (session, hashes, SESSION_ORIGIN)
        return self._send(SESSIONS, "revoke", args, "revoking the session key")

    def _lockup_period(self) -> int:
        return self.chain.price_list().lockup_period

    def _permit(self, amount: int, deadline: int, expected: int | None) -> tuple[int, bytes, bytes]:
        domain, nonce = self.chain.permit_terms(self.signer.address)
        if expected is not None and nonce != expected:
            raise Unavailable(
                "another deposit from this wallet was made meanwhile; nothing was deposited on top of it",
                hint="run it again: it looks at the account anew",
            )
        message = permit(
            owner=self.signer.address,
            spender=self.chain.network.contracts.pay,
            value=amount,
            nonce=nonce,
            deadline=deadline,
        )
        return split_signature(self.signer.sign_digest(message.digest(domain)))

    def _set_approval(self, approved: bool, rate: int, lockup: int, period: int) -> Receipt:
        contracts = self.chain.network.contracts
        args = (contracts.usdfc, contracts.fwss, approved, rate, lockup, period)
        return self._send(PAY, "setOperatorApproval", args, "changing the storage service's approval")

    def _send(self, contract: str, name: str, args: tuple[object, ...], doing: str) -> Receipt:
        self.chain.connect()  # never sign for a chain that the node is not on
        call = Call(self.chain.call(contract, name).address, function(contract, name), args)
        data = call.function.encode(*args)
        transaction = self._prepare(call.address, data, doing)
        raw, tx_hash = self.signer.sign_transaction(transaction)
        if self._on_signed is not None:
            self._on_signed(tx_hash, transaction.nonce)
        self._submit(raw, tx_hash, doing)
        receipt = self.wait_for(tx_hash, transaction.nonce, doing, raw=raw)
        if not receipt.succeeded:
            if receipt.gas_used >= transaction.gas:
                raise ChainError(
                    f"{doing}: transaction {tx_hash} ran out of gas, all {receipt.gas_used} units of it",
                    hint="it changed nothing but the fee is paid; run it again, the need is estimated anew",
                    tx=tx_hash,
                )
            raise self._failure(call.address, data, receipt, doing)
        return receipt

    def _prepare(self, to: str, data: bytes, doing: str) -> Transaction:
        node, sender = self.chain.node, self.signer.address
        try:
            gas = node.estimate_gas(sender=sender, to=to, data=data)  # fails where the transaction would
        except RpcError as exc:
            raise self._refusal(exc, doing) from exc
        fees = node.fees()
        return Transaction(
            chain_id=self.chain.network.chain_id,
            nonce=node.next_nonce(sender),
            to=to,
            data=data,
            gas=gas,
            max_fee=fees.max_fee,
            max_priority_fee=fees.max_priority_fee,
        )

    def _submit(self, raw: bytes, tx_hash: str, doing: str) -> None:
        """Send *raw*. When the node refuses a transaction that it already has, only an answer was lost."""
        try:
            self.chain.node.send_raw(raw)
        except RpcError as exc:
            if not self.chain.node.knows_transaction(tx_hash):
                raise self._refusal(exc, doing) from exc
        except NodeUnavailable as exc:
            raise NodeUnavailable(
                f"{doing}: {exc.message}",
                hint=f"transaction {tx_hash} may be under way: the same command looks for it first",
                tx=tx_hash,
            ) from exc

    def _refusal(self, exc: RpcError, doing: str) -> FpinError:
        if exc.revert is not None:
            return exc.revert.error(doing)
        if exc.is_actor_missing or "insufficient funds" in exc.text or "not enough funds" in exc.text:
            return Unaffordable(
                f"{doing}: the wallet {self.signer.address} has no FIL to pay for gas",
                hint="send some FIL to the wallet; a fraction of one is enough",
                address=self.signer.address,
            )
        return ChainError(f"{doing}: {exc.message}")

    def _failure(self, to: str, data: bytes, receipt: Receipt, doing: str) -> FpinError:
        """Find out why a mined transaction failed by asking the same again at its height."""
        try:
            self.chain.node.eth_call(to, data, sender=self.signer.address, epoch=receipt.epoch)
        except RpcError as exc:
            if exc.revert is not None:
                return exc.revert.error(doing)
        except NodeUnavailable:
            pass  # the transaction failed all the same; only the reason stays unknown
        return ChainError(f"{doing}: transaction {receipt.tx_hash} failed", tx=receipt.tx_hash)
