"""Chain: typed reads of the storage service's contracts, many values to a request.

Knows which contract answers what and how contract versions differ. Signs and sends nothing.
A getter that a contract version lacks is a normal answer; a value that could not be read is never a zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from fpin.chain.multicall import Call
from fpin.chain.node import FINALIZED
from fpin.chain.provider_record import ProviderRecord
from fpin.chain.reader import (
    ENDORSED,
    MULTICALL,
    PAY,
    PDP,
    REGISTRY,
    SESSIONS,
    TOKEN,
    VIEW,
    Reader,
    unless_reverted,
)
from fpin.chain.records import (
    Account,
    Approval,
    Balances,
    DataSet,
    Head,
    Market,
    NonceUse,
    PayerState,
    PieceEntry,
    Presence,
    PriceList,
    ProvingStatus,
    Rail,
    Statement,
)
from fpin.chain.revert import Revert
from fpin.chain.sessions import SCOPES, Grants
from fpin.chain.typed_data import Domain, permission_hash
from fpin.errors import ChainError, NotFound
from fpin.units import Epoch, UsdfcUnits

PDP_PRODUCT = 0
DATA_SETS_PER_PAGE = 100
PROVIDERS_PER_PAGE = 50
PIECES_PER_PAGE = 100
RAILS_PER_PAGE = 100

_CLIENT_DATA_SETS = "getClientDataSets(address,uint256,uint256)"


class Chain(Reader):
    """The contracts of one network as seen through one node: ``Chain(network, JsonRpc(url, http))``."""

    # the chain and the payer

    def head(self) -> Head:
        epoch, timestamp = self.values(
            self.call(MULTICALL, "getBlockNumber"), self.call(MULTICALL, "getCurrentBlockTimestamp")
        )
        return Head(epoch=Epoch(epoch), timestamp=timestamp)

    def payer_state(self, owner: str) -> PayerState:
        """Return prices, account, approval and wallet of *owner*, all of one height."""
        return self._payer(self.values(*self._payer_calls(owner)))

    def statement(self, owner: str) -> Statement:
        """Return what `payer_state` does and every rail of *owner*, ended ones until all of them is paid."""
        rail_ids = self._rail_ids(owner)
        payer = self._payer_calls(owner)
        outcomes = self.outcomes([*payer, *(self.call(PAY, "getRail", rail_id) for rail_id in rail_ids)])
        values = [unless_reverted(outcome, "reading the account") for outcome in outcomes[: len(payer)]]
        rails = zip(rail_ids, outcomes[len(payer) :], strict=True)
        return Statement(
            payer=self._payer(values),
            rails=tuple(
                Rail.from_abi(rail_id, unless_reverted(found, f"reading rail {rail_id}"))
                for rail_id, found in rails
                # The last settlement of an ended rail erases it, perhaps since the list was read.
                if not (isinstance(found, Revert) and found.name == "RailInactiveOrSettled")
            ),
        )

    def _rail_ids(self, owner: str) -> list[int]:
        found: list[int] = []
        offset, total = 0, 1
        while offset < total:
            # Erased rails are skipped but counted: a short page is not the last one.
            call = self.call(
                PAY, "getRailsForPayerAndToken", owner, self.network.contracts.usdfc, offset, RAILS_PER_PAGE
            )
            rails, following, total = self.value(call)
            found.extend(rail["railId"] for rail in rails)
            if following <= offset < total:
                raise ChainError(f"the list of rails does not go on after {offset} of {total}")
            offset = following
        return found

    def price_list(self) -> PriceList:
        return PriceList.from_abi(self.value(self.call(VIEW, "getPriceList")))

    def account(self, owner: str) -> Account:
        """Return the payment account as stored; `account.standing` brings it to the present."""
        return Account.from_abi(self.value(self._account(owner)))

    def approval(self, owner: str) -> Approval:
        """Return what the storage service may do with *owner*'s account."""
        return Approval.from_abi(self.value(self._approval(owner)))

    def balances(self, owner: str) -> Balances:
        """Return what the wallet holds outside its payment account."""
        fil, usdfc = self.values(*self._balances(owner))
        return Balances(fil=fil, usdfc=UsdfcUnits(usdfc))

    def permit_terms(self, owner: str) -> tuple[Domain, int]:
        """Return the token's signing domain and *owner*'s next permit nonce.

        The token's own separator is compared, because a permit for another domain would only fail on chain.
        """
        name, version, nonce, separator = self.values(
            self.call(TOKEN, "name"),
            self.call(TOKEN, "version"),
            self.call(TOKEN, "nonces", owner),
            self.call(TOKEN, "DOMAIN_SEPARATOR"),
        )
        domain = Domain(
            name=name,
            version=version,
            chain_id=self.network.chain_id,
            verifying_contract=self.network.contracts.usdfc,
        )
        if domain.separator != separator:
            raise ChainError(f"the token {name} does not sign permits for name, version, chain and address")
        return domain, nonce

    def session_grants(self, wallet: str, session: str) -> Grants:
        """Return until when the key at address *session* may sign what for *wallet*."""
        now, *expiries = self.values(
            self.call(MULTICALL, "getCurrentBlockTimestamp"),
            *(
                self.call(SESSIONS, "authorizationExpiry", wallet, session, permission_hash(name))
                for name in SCOPES.values()
            ),
        )
        return Grants(
            wallet=wallet, session=session, now=now, expiries=dict(zip(SCOPES, expiries, strict=True))
        )

    # providers

    def market(self, owner: str) -> Market:
        """Return providers, their lists and *owner*'s data sets, in as few requests as there are."""
        approved, endorsed, providers, infos = self.values(
            self.call(VIEW, "getApprovedProviders", 0, 0),
            self.call(ENDORSED, "getProviderIds"),
            self._provider_page(0),
            self.call(VIEW, _CLIENT_DATA_SETS, owner, 0, DATA_SETS_PER_PAGE),
        )
        return Market(
            providers=tuple(self._providers(providers)),
            approved=frozenset(approved),
            endorsed=frozenset(endorsed),
            data_sets=self._complete(self._client_data_sets(owner, infos)),
        )

    def providers(self) -> tuple[ProviderRecord, ...]:
        """Return every active storage provider in registry order; look at `ProviderRecord.problem`."""
        return tuple(self._providers(self.value(self._provider_page(0))))

    def provider(self, provider_id: int) -> ProviderRecord:
        """Return one provider, active or not; raises NotFound for an id the registry does not have."""
        found = self.providers_by_id([provider_id]).get(provider_id)
        if found is None:
            raise NotFound(
                f"provider {provider_id} is not in the registry of {self.network.name}",
                hint="fpin provider ls shows the ones there are",
                provider_id=provider_id,
            )
        return found

    def providers_by_id(self, ids: Iterable[int]) -> dict[int, ProviderRecord]:
        """Return those of *ids* that the registry has, active or not."""
        rows = self._rows(
            {one: [self.call(REGISTRY, "getProviderWithProduct", one, PDP_PRODUCT)] for one in ids}
        )
        return {
            one: ProviderRecord.from_abi(found)
            for one, (found,) in rows.items()
            if not isinstance(found, Revert)
        }

    def approved_provider_ids(self) -> frozenset[int]:
        return frozenset(self.value(self.call(VIEW, "getApprovedProviders", 0, 0)))

    def endorsed_provider_ids(self) -> frozenset[int]:
        return frozenset(self.value(self.call(ENDORSED, "getProviderIds")))

    # data sets and pieces

    def client_data_sets(self, owner: str) -> tuple[DataSet, ...]:
        """Return every data set that *owner* pays for, terminated ones included, by ascending id."""
        first = self.value(self.call(VIEW, _CLIENT_DATA_SETS, owner, 0, DATA_SETS_PER_PAGE))
        return self._complete(self._client_data_sets(owner, first))

    def data_set(self, data_set_id: int) -> DataSet:
        """Return one data set; raises NotFound when there is none, or none any more."""
        found = self.data_sets([data_set_id]).get(data_set_id)
        if found is None:
            raise NotFound(
                f"there is no data set {data_set_id} on {self.network.name}",
                hint="fpin data-set ls shows yours",
                data_set_id=data_set_id,
            )
        return found

    def data_sets(self, ids: Iterable[int]) -> dict[int, DataSet]:
        """Return by id those of *ids* that there are."""
        rows = self._rows({one: [self.call(VIEW, "getDataSet", one), *self._details(one)] for one in ids})
        found = {}
        for one, (info, *details) in rows.items():
            info = unless_reverted(info, f"reading data set {one}")
            if info["pdpRailId"] != 0:
                found[one] = self._data_set(info, details)
        return found

    def pieces(self, data_set_id: int, *, start: int = 0) -> Iterator[PieceEntry]:
        """Yield the active pieces from id *start* on, by ascending id, page by page.

        Those scheduled for removal are among them.
        """
        by_cursor, offset, last = True, 0, -1
        while True:
            name = "getActivePiecesByCursor" if by_cursor else "getActivePieces"
            following = max(start, last + 1) if by_cursor else offset
            call = self.call(PDP, name, data_set_id, following, PIECES_PER_PAGE)
            (page,) = self.outcomes([call])
            if by_cursor and isinstance(page, Revert) and page.is_empty:
                by_cursor = False  # before 3.4 there was no cursor
                continue
            cids, ids, more = unless_reverted(page, f"listing the pieces of data set {data_set_id}")
            for piece_id, cid in zip(ids, cids, strict=True):
                if piece_id >= start:  # pages by offset begin with the first piece of all
                    yield PieceEntry(piece_id=piece_id, piece_cid=cid["data"])
            if not more:
                return
            if not ids or ids[-1] <= last:
                raise ChainError(f"the list of pieces of data set {data_set_id} does not go on")
            last, offset = ids[-1], offset + len(ids)

    def find_piece_ids(self, data_set_id: int, piece_cid: bytes) -> tuple[int, ...]:
        """Return the ids under which a piece (binary PieceCIDv2) is in the data set; usually none or one."""
        found: list[int] = []
        while True:
            start = found[-1] + 1 if found else 0
            page = self.value(
                self.call(PDP, "findPieceIdsByCid", data_set_id, (piece_cid,), start, PIECES_PER_PAGE)
            )
            if page and page[0] < start:
                raise ChainError(f"the search in data set {data_set_id} does not go on")
            found.extend(page)
            if len(page) < PIECES_PER_PAGE:
                return tuple(found)

    def find_pieces(self, data_set_id: int, piece_cids: Sequence[bytes]) -> list[tuple[int, ...]]:
        """Return for each piece (binary PieceCIDv2) the ids under which it is in the data set."""
        pages = self.values(
            *(
                self.call(PDP, "findPieceIdsByCid", data_set_id, (piece_cid,), 0, PIECES_PER_PAGE)
                for piece_cid in piece_cids
            )
        )
        return [
            tuple(page) if len(page) < PIECES_PER_PAGE else self.find_piece_ids(data_set_id, piece_cid)
            for piece_cid, page in zip(piece_cids, pages, strict=True)
        ]

    def scheduled_removals(self, data_set_id: int) -> frozenset[int]:
        """Return the ids of pieces that leave at the next proving period."""
        return frozenset(self.value(self.call(PDP, "getScheduledRemovals", data_set_id)))

    def presences(self, pieces: Sequence[tuple[int, int]]) -> list[Presence]:
        """Return for each ``(data set, piece id)`` whether it is there and leaving, all of one height."""
        sets = list(dict.fromkeys(data_set_id for data_set_id, _ in pieces))
        outcomes = self.outcomes(
            [
                *(self.call(PDP, "getScheduledRemovals", data_set_id) for data_set_id in sets),
                *(self.call(PDP, "pieceLive", data_set_id, piece_id) for data_set_id, piece_id in pieces),
            ]
        )
        queues = dict(zip(sets, outcomes[: len(sets)], strict=True))
        found = []
        for (data_set_id, piece_id), live in zip(pieces, outcomes[len(sets) :], strict=True):
            doing = f"looking for piece {piece_id} of data set {data_set_id}"
            if unless_reverted(live, doing):
                queue = unless_reverted(queues[data_set_id], doing)
                found.append(Presence(live=True, leaving=piece_id in queue))
            else:
                found.append(Presence(live=False, leaving=False))
        return found

    def piece_live(self, data_set_id: int, piece_id: int) -> bool:
        """True until the removal of the piece has been carried out."""
        live: bool = self.value(self.call(PDP, "pieceLive", data_set_id, piece_id))
        return live

    def nonce_use(self, payer: str, number: int) -> NonceUse | None:
        """Return what a signed creation or add with that number became; None while it is unused.

        This is how a lost answer is cleared up: the contract accepts each number of a payer once.
        """
        _, (use,) = self.nonce_uses([(payer, number)])
        return use

    def nonce_uses(
        self, numbers: Sequence[tuple[str, int]], *, final: bool = False
    ) -> tuple[Epoch, list[NonceUse | None]]:
        """Return a height and, for each ``(payer, number)``, what became of it by then.

        *final* asks at the newest height whose block cannot be replaced any more, and not at the newest.
        """
        epoch, *words = self.values(
            self.call(MULTICALL, "getBlockNumber"),
            *(self.call(VIEW, "clientNonces", payer, number) for payer, number in numbers),
            epoch=FINALIZED if final else None,
        )
        return Epoch(epoch), [NonceUse.from_word(word, Epoch(epoch)) for word in words]

    def provings(self, ids: Iterable[int]) -> dict[int, ProvingStatus]:
        """Return by id where each data set stands between two proofs; without those not live."""
        config, epoch = self.call(VIEW, "getPDPConfig"), self.call(MULTICALL, "getBlockNumber")
        rows = self._rows(
            {
                one: [
                    config,
                    epoch,
                    self.call(PDP, "getNextChallengeEpoch", one),
                    self.call(PDP, "getDataSetLastProvenEpoch", one),
                    self.call(VIEW, "provingDeadline", one),
                    self.call(VIEW, "provingActivationEpoch", one),
                    self.call(VIEW, "provenThisPeriod", one),
                ]
                for one in ids
            }
        )
        return {
            one: _proving(row)
            for one, row in rows.items()
            if not any(isinstance(outcome, Revert) for outcome in row)
        }

    # calls used in more than one place

    def _payer_calls(self, owner: str) -> list[Call]:
        return [
            self.call(MULTICALL, "getBlockNumber"),
            self.call(MULTICALL, "getCurrentBlockTimestamp"),
            self.call(VIEW, "getPriceList"),
            self._account(owner),
            self._approval(owner),
            *self._balances(owner),
            self.call(TOKEN, "nonces", owner),
        ]

    def _payer(self, values: Sequence[Any]) -> PayerState:
        epoch, timestamp, prices, account, approval, fil, usdfc, permit_nonce = values
        return PayerState(
            epoch=Epoch(epoch),
            timestamp=timestamp,
            prices=PriceList.from_abi(prices),
            account=Account.from_abi(account),
            approval=Approval.from_abi(approval),
            balances=Balances(fil=fil, usdfc=UsdfcUnits(usdfc)),
            permit_nonce=permit_nonce,
        )

    def _account(self, owner: str) -> Call:
        return self.call(PAY, "accounts", self.network.contracts.usdfc, owner)

    def _approval(self, owner: str) -> Call:
        contracts = self.network.contracts
        return self.call(PAY, "operatorApprovals", contracts.usdfc, owner, contracts.fwss)

    def _balances(self, owner: str) -> tuple[Call, Call]:
        return self.call(MULTICALL, "getEthBalance", owner), self.call(TOKEN, "balanceOf", owner)

    def _provider_page(self, offset: int) -> Call:
        return self.call(REGISTRY, "getProvidersByProductType", PDP_PRODUCT, True, offset, PROVIDERS_PER_PAGE)

    def _providers(self, page: Mapping[str, Any]) -> Iterator[ProviderRecord]:
        offset = 0
        while True:
            yield from map(ProviderRecord.from_abi, page["providers"])
            if not page["hasMore"]:
                return
            offset += PROVIDERS_PER_PAGE
            page = self.value(self._provider_page(offset))

    def _client_data_sets(self, owner: str, page: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        infos = list(page)
        while len(page) == DATA_SETS_PER_PAGE:
            call = self.call(VIEW, _CLIENT_DATA_SETS, owner, len(infos), DATA_SETS_PER_PAGE)
            page = self.value(call)
            infos.extend(page)
        return infos

    def _complete(self, infos: Sequence[Mapping[str, Any]]) -> tuple[DataSet, ...]:
        """Add to each data set what other contracts know of it."""
        by_id = {
            info["dataSetId"]: info for info in infos
        }  # pages can overlap when a set is deleted meanwhile
        rows = self._rows({data_set_id: self._details(data_set_id) for data_set_id in by_id})
        sets = [self._data_set(by_id[data_set_id], row) for data_set_id, row in rows.items()]
        return tuple(sorted(sets, key=lambda data_set: data_set.data_set_id))

    def _rows(self, calls: Mapping[int, Sequence[Call]]) -> dict[int, list[Any]]:
        """Return the outcomes of each row of *calls*, all asked together."""
        outcomes = iter(self.outcomes([call for row in calls.values() for call in row]))
        return {key: [next(outcomes) for _ in row] for key, row in calls.items()}

    def _details(self, data_set_id: int) -> list[Call]:
        return [
            self.call(VIEW, "getAllDataSetMetadata", data_set_id),
            self.call(PDP, "dataSetLive", data_set_id),
            self.call(PDP, "getDataSetListener", data_set_id),
            self.call(PDP, "getDataSetLeafCount", data_set_id),
        ]

    def _data_set(self, info: Mapping[str, Any], details: Sequence[Any]) -> DataSet:
        metadata, live, listener, leaves = details
        doing = f"reading data set {info['dataSetId']}"
        live = unless_reverted(live, doing)
        # The verifier refuses to speak of sets that are not live; that is the answer, not a failure.
        keys, values = unless_reverted(metadata, doing)
        return DataSet.from_abi(
            info,
            metadata=dict(zip(keys, values, strict=True)),
            live=live,
            managed=live and unless_reverted(listener, doing) == self.network.contracts.fwss,
            leaf_count=unless_reverted(leaves, doing) if live else 0,
        )


def _proving(row: Sequence[Any]) -> ProvingStatus:
    config, epoch, challenge, last, deadline, activation, proven = row
    return ProvingStatus.of(
        epoch=epoch,
        challenge=challenge,
        deadline=deadline,
        activation=activation,
        last_active=last,
        proven=proven,
        period=config[0],
    )
