"""Identity: whose account is meant, and which key signs for it.

The wallet's own key signs everything. A session key signs adds and removals where there is one, and nothing
that moves money. An address alone looks. Keys are read when they are needed first, and once.
"""

from __future__ import annotations

import threading
from functools import cached_property

from fpin.chain.keccak import checksum_address
from fpin.chain.signer import Signer
from fpin.errors import NoKey, UsageError
from fpin.keys import Credentials

HOW_TO_GIVE_A_KEY = (
    "fpin key set keeps one in the keyring; or set FPIN_PRIVATE_KEY, or FPIN_PRIVATE_KEY_FILE to a file that "
    "only you can read"
)


class Identity:
    """Who acts on *network*, by what the user gave. Safe to use from several threads."""

    def __init__(self, credentials: Credentials, network: str) -> None:
        self._given = credentials
        self._network = network
        self._lock = threading.RLock()
        self._own: Signer | None = None
        self._session: Signer | None = None

    def __repr__(self) -> str:
        return f"Identity({self.origin})"

    @property
    def origin(self) -> str:
        """Where the keys come from, in words; nothing is read for it."""
        sources = [source.origin for source in (self._given.session, self._given.key) if source is not None]
        return " and ".join(sources) or ("an address only" if self._given.wallet else "nothing")

    @cached_property
    def wallet(self) -> str | None:
        """The address that was named; None where it is that of the key."""
        if self._given.wallet is None:
            return None
        try:
            return checksum_address(self._given.wallet.strip())
        except ValueError:
            # Not repeated: somebody may have given a key where an address is asked for.
            raise UsageError(
                "the wallet's address is not an address, or has a wrong checksum",
                hint="0x and 40 hexadecimal digits, as wallets show it",
                option="wallet-address",
            ) from None

    @property
    def address(self) -> str | None:
        """Whose account it is, as far as that is known without asking anybody; None: it is not."""
        if self.wallet is not None:
            return self.wallet
        if self._given.key is not None:
            return self._given.key.address or self.own.address
        if self._own is not None:
            return self._own.address
        if self._given.session is not None:
            raise NoKey(
                f"{self._given.session.origin} is a session key, and whose it is has to be said as well",
                hint="set FPIN_WALLET_ADDRESS to the address of the wallet that allowed it",
            )
        return None

    @property
    def payer(self) -> str:
        """Whose account it is; raises NoKey when nobody says."""
        address = self.address
        if address is not None:
            return address
        if self._given.prompt is not None:
            return self.own.address
        raise NoKey(
            f"there is no key for {self._network}",
            hint=f"{HOW_TO_GIVE_A_KEY}; --wallet ADDRESS is enough to look",
        )

    @property
    def own(self) -> Signer:
        """The wallet's own key; raises NoKey when there is none, or it is another wallet's."""
        with self._lock:
            if self._own is None:
                self._own = self._read_own()
            return self._own

    @property
    def session(self) -> Signer | None:
        """The session key; None where there is none."""
        with self._lock:
            if self._session is None and self._given.session is not None:
                self._session = Signer.from_secret(self._given.session.read())
            return self._session

    @property
    def key(self) -> Signer:
        """What signs adds and removals; raises NoKey when nothing does."""
        return self.session or self.own

    def _read_own(self) -> Signer:
        expected = self.wallet
        if self._given.key is not None:
            secret = self._given.key.read()
            expected = expected or self._given.key.address
        elif self._given.session is not None:
            raise NoKey(
                f"this takes the own key of the wallet {self.payer}: a session key adds and removes, and "
                "moves no money",
                hint=HOW_TO_GIVE_A_KEY,
                wallet=self.payer,
            )
        elif self._given.prompt is not None:
            secret = self._given.prompt()
        else:
            whose = f" of {self.wallet}" if self.wallet else ""
            raise NoKey(f"there is no key{whose} to sign with on {self._network}", hint=HOW_TO_GIVE_A_KEY)
        signer = Signer.from_secret(secret)
        if expected not in (None, signer.address):
            raise NoKey(
                f"the key from {secret.origin} is that of {signer.address}, and the wallet is {expected}",
                hint="give the key of that wallet, or leave the address out",
                wallet=expected,
                address=signer.address,
            )
        return signer
