"""The wallet's own transactions: one at a time, each written down before it is sent, looked for afterwards.

Knows how a run that was killed is continued without paying twice: the hash and the number of a transaction
are in the store before it is sent, a number is executed once, and a deposit's permit is good for one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from fpin import events
from fpin.backends.base import Paid
from fpin.backends.filecoin.account import Account, why_failed
from fpin.backends.filecoin.confirming import Confirming
from fpin.chain.account import standing
from fpin.chain.node import Receipt
from fpin.chain.sessions import SCOPES
from fpin.chain.wallet import Replaced, Wallet, Watch
from fpin.errors import FpinError, Unaffordable, Unavailable
from fpin.events import OnEvent
from fpin.store import OPEN, UNTOLD, Payment, PaymentState
from fpin.units import floor_token, format_token, round_token, short_token
from fpin.values import dataclass

TOKEN = "USDFC"

_WORDS = {
    "setup": "a deposit of {amount} USDFC with the storage service's approval",
    "deposit": "a deposit of {amount} USDFC",
    "approve": "the storage service's approval",
    "withdraw": "a withdrawal of {amount} USDFC",
    "authorize": "the permissions of session key {subject}",
    "revoke": "the end of the permissions of session key {subject}",
    "terminate": "the termination of data set {subject}",
}


@dataclass(kw_only=True)
class Paying:
    """What one wallet sends itself: payments, and who may act for it. Send inside a `turn`."""

    account: Account
    on_event: OnEvent
    own: set[int]  # rows of payments that this run sent or has heard of: what it asks for next is new

    @contextmanager
    def turn(self) -> Iterator[tuple[Payment, ...]]:
        """Be alone with the wallet; hand back payments of earlier runs that were executed and not told."""
        chain_id, wallet = self.account.chain.network.chain_id, self.account.payer

        def waiting(holder: str) -> None:
            self.on_event(events.Waiting(what=f"{holder}, which moves money of this wallet"))

        with self.account.store.alone_with_wallet(chain_id, wallet, on_wait=waiting):
            for payment in self.account.store.payments(chain_id, wallet, [PaymentState.EXECUTED]):
                if payment.payment in self.own:
                    self.tell(payment.tx)
            earlier = [self._find(old) for old in self.account.store.payments(chain_id, wallet, UNTOLD)]
            executed = tuple(payment for payment in earlier if payment.state is PaymentState.EXECUTED)
            yield executed
            self.own.update(payment.payment for payment in executed)

    def tell(self, tx: str) -> None:
        """Write down that the user knows that *tx* was executed."""
        chain_id, wallet = self.account.chain.network.chain_id, self.account.payer
        for payment in self.account.store.payments(chain_id, wallet, [PaymentState.EXECUTED]):
            if payment.tx == tx:
                self.account.store.mark_payment(payment.payment, PaymentState.DONE)

    def deposit(self, amount: int, *, approve: bool, ticket: int | None = None) -> Paid | None:
        if approve:
            chain = self.account.chain
            period = chain.price_list().lockup_period
            approve = not chain.approval(self.account.owner.address).is_maximal(period)
        if not amount:
            return self._pay("approve", 0, Wallet.approve_service) if approve else None
        return self._pay(
            "setup" if approve else "deposit",
            amount,
            lambda wallet: wallet.deposit(amount, approve=approve, permit_nonce=ticket),
        )

    def withdraw(self, amount: int) -> Paid:
        state = self.account.chain.payer_state(self.account.owner.address)
        now = standing(state.account, state.epoch)
        if amount > now.available or now.debt:
            free = 0 if now.debt else now.available
            locked = state.account.funds - free
            raise Unaffordable(
                f"{short_token(amount)} {TOKEN} asked for, {floor_token(free)} {TOKEN} of "
                f"{floor_token(state.account.funds)} are free: {round_token(locked)} are locked for what is "
                f"stored",
                hint="what is locked comes free when data sets end; "
                "fpin payments withdraw --all takes what is free now",
                amount=format_token(amount),
                available=format_token(free),
                locked=format_token(locked),
                debt=format_token(now.debt),
            )
        return self._pay("withdraw", amount, lambda wallet: wallet.withdraw(amount))

    def authorize(self, session: str, expiry: int, scopes: Sequence[str]) -> Paid:
        names = [SCOPES[scope] for scope in scopes]
        return self._pay(
            "authorize", 0, lambda wallet: wallet.authorize_session(session, expiry, names), subject=session
        )

    def revoke(self, session: str, scopes: Sequence[str]) -> Paid:
        names = [SCOPES[scope] for scope in scopes]
        return self._pay("revoke", 0, lambda wallet: wallet.revoke_session(session, names), subject=session)

    def terminate(self, data_set_id: int) -> Paid:
        return self._pay(
            "terminate", 0, lambda wallet: wallet.terminate(data_set_id), subject=str(data_set_id)
        )

    def _pay(
        self, doing: events.Doing, amount: int, send: Callable[[Wallet], Receipt], *, subject: str = ""
    ) -> Paid:
        payment: Payment | None = None
        confirming: Confirming | None = None

        def on_signed(tx: str, nonce: int) -> None:
            nonlocal payment, confirming
            confirming = Confirming(_words(doing, amount, subject), tx, self.on_event)
            payment = self.account.store.record_payment(
                chain_id=self.account.chain.network.chain_id,
                wallet=self.account.owner.address,
                doing=doing,
                amount=amount,
                nonce=nonce,
                tx=tx,
                subject=subject,
            )
            self.on_event(
                events.PaymentSent(
                    doing=doing,
                    amount=format_token(amount),
                    token=TOKEN,
                    wallet=payment.wallet,
                    tx=tx,
                    subject=subject,
                )
            )

        def on_wait(_seconds: float) -> None:
            if confirming is not None:
                self._tell(confirming)

        wallet = Wallet(self.account.chain, self.account.owner, on_signed=on_signed, on_wait=on_wait)
        try:
            receipt = send(wallet)
        except Unavailable:
            raise  # it may be executed all the same, so it stays the one to ask for
        except FpinError:
            if payment is not None:
                with suppress(Unavailable):  # then the next run asks
                    self._see(payment)
            raise
        assert payment is not None  # there is no receipt of what was not signed
        self.account.store.mark_payment(payment.payment, PaymentState.EXECUTED)
        self.own.add(payment.payment)
        gas = None if receipt.fee is None else format_token(receipt.fee)
        self.on_event(events.PaymentEnded(doing=doing, tx=receipt.tx_hash, gas=gas))
        return Paid(tx=receipt.tx_hash, gas=gas)

    # what became of earlier ones

    def _find(self, old: Payment) -> Payment:
        """Wait for *old* if it is under way, and say what became of it."""
        what = f"{_words(old.doing, old.amount, old.subject)} in transaction {old.tx}"
        self.account.chain.connect()  # never conclude anything from another chain
        now = self._see(old) if old.state in OPEN else old
        if now.state is PaymentState.SIGNED:
            self.on_event(events.Waiting(what=f"{what}, which an earlier run sent"))
            confirming = Confirming(_words(old.doing, old.amount, old.subject), old.tx, self.on_event)
            watch = Watch(
                self.account.chain, self.account.payer, on_wait=lambda _seconds: self._tell(confirming)
            )
            with suppress(Replaced):  # which is told below
                watch.wait_for(old.tx, old.nonce, old.doing)
            now = self._see(old)
        if now.state is PaymentState.LOST:
            self._check_number(now, what)
        if now.state != old.state or now.state is PaymentState.EXECUTED:
            self.on_event(events.Noted(text=f"{what}, which an earlier run signed, {_ending(now)}"))
        return now

    def _tell(self, confirming: Confirming) -> None:
        """Tell how far the chain is; where the node does not say, nothing is told."""
        with suppress(Unavailable):
            latest = self.account.chain.node.block()
            if latest is not None:
                confirming.not_yet(latest.epoch)

    def _see(self, payment: Payment) -> Payment:
        """Ask the chain what became of *payment* and write the answer down."""
        found = Watch(self.account.chain, self.account.payer).outcome(payment.tx, payment.nonce)
        state, reason = PaymentState.SIGNED, None
        if isinstance(found, Receipt):
            state = PaymentState.EXECUTED if found.succeeded else PaymentState.FAILED
            reason = None if found.succeeded else why_failed(self.account.chain, payment.tx)
        elif found != "pending":
            state = PaymentState(found)
        if state == payment.state:
            return payment
        return self.account.store.mark_payment(payment.payment, state, reason=reason)

    def _check_number(self, lost: Payment, what: str) -> None:
        """Raise Unavailable unless the next transaction takes the number of *lost*: one of them counts."""
        following = self.account.chain.node.next_nonce(lost.wallet)
        if following > lost.nonce:
            raise Unavailable(
                f"{what} was lost, and another transaction of the wallet waits under its number {lost.nonce}",
                hint="run it again when that one is executed",
                tx=lost.tx,
            )


def _words(doing: str, amount: int, subject: str) -> str:
    return _WORDS[doing].format(amount=round_token(amount), subject=subject)


def _ending(payment: Payment) -> str:
    return {
        PaymentState.EXECUTED: "was executed",
        PaymentState.DONE: "was executed",
        PaymentState.FAILED: f"failed: {payment.reason}",
        PaymentState.LOST: "never reached the chain",
        PaymentState.REPLACED: f"was replaced by another transaction of the wallet's number {payment.nonce}",
        PaymentState.SIGNED: "is still under way",
    }[payment.state]
