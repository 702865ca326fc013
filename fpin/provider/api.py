"""The routes of one storage provider: upload, find, status, data sets, add, delete, pull.

One method a route, and `ProviderApi.upload` for the three that always go together. Repeats nothing that might
send a transaction twice; `fpin.provider.waiting.poll` rides out what is only "not yet".
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from fpin.errors import PieceMismatch, ProviderError, ProviderUnavailable, SourceChanged
from fpin.http import Http, Reply, Timeout, was_never_sent
from fpin.piece import PieceCid
from fpin.provider import results
from fpin.provider.answers import (
    MaybeSent,
    SessionGone,
    asked_to_wait,
    json_object,
    refusal,
    session_in_location,
    tx_in_location,
)
from fpin.provider.waiting import Clock

OpenPiece = Callable[[int], Iterable[bytes]]
"""Opens the piece's bytes from an offset; can be called again, which reads again."""

PING = Timeout(connect=5, io=8)
READ = Timeout(connect=10, io=30)
# The provider estimates gas and waits for its send queue while we wait for the answer (spec §3.10, §5.2).
SEND = Timeout(connect=10, io=300)
# One read or write may take this long; the whole body is bounded by the server, at 30 minutes (spec §1.9).
UPLOAD = Timeout(connect=10, io=600)

UPLOAD_ATTEMPTS = 3
MAX_JSON = 256 * 2**20  # a data set of a million pieces, listed without paging


class ProviderApi:
    """The HTTP API at *service_url*, for messages called "provider *provider_id*".

    Every method raises `ProviderUnavailable` when there is no usable answer (``values["retry_after"]`` in
    seconds, if the provider named a time) and `ProviderError` with the provider's own words when it refuses.
    Methods that ask it to send a transaction raise `MaybeSent` where it may have done so unseen, and
    `ChainRefused` where a contract turned it down. Safe to share between threads.
    """

    def __init__(self, service_url: str, http: Http, *, provider_id: int) -> None:
        self.provider_id = provider_id
        self.service_url = service_url.rstrip("/")
        host = urllib.parse.urlsplit(self.service_url).netloc or self.service_url
        self.name = f"provider {provider_id} ({host})"
        self._http = http

    def __repr__(self) -> str:
        return f"ProviderApi({self.service_url!r}, provider_id={self.provider_id})"

    # -- health ------------------------------------------------------------------------------------

    def ping(self) -> None:
        """Return if the provider says it is well."""
        self._expect(self._ask("GET", "pdp/ping", timeout=PING), 200)

    def version(self) -> str:
        """Return the server's own version text, such as ``1.28.4+mainnet+git_…``."""
        reply = self._ask("GET", "version", timeout=PING)
        self._expect(reply, 200)
        return reply.text.strip()[:200]

    # -- upload ------------------------------------------------------------------------------------

    def open_upload(self) -> str:
        """Open an upload session and return its id."""
        reply = self._ask("POST", "pdp/piece/uploads", timeout=SEND)
        self._expect(reply, 201)
        session = session_in_location(reply)
        if session is None:
            raise ProviderError(
                f"{self.name}: opened an upload at a place that makes no sense: "
                f"{reply.headers.get('location')!r}"
            )
        return session

    def put(
        self,
        session: str,
        size: int,
        chunks: Iterable[bytes],
        *,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        """Send all *size* bytes of a piece. *progress* is told how many were handed to the network so far.

        A session that failed may be used again, from byte 0 (spec §3.2). Raises `SourceChanged` when *chunks*
        holds more or less than *size* bytes, and `SessionGone`.
        """
        headers = {"Content-Length": str(size), "Content-Type": "application/octet-stream"}
        body = _exactly(size, chunks, progress)
        path = f"pdp/piece/uploads/{session}"
        reply = self._ask("PUT", path, headers=headers, content=body, timeout=UPLOAD)
        if reply.status == 404:
            raise SessionGone(f"{self.name}: upload session {session} is gone", status=404)
        self._expect(reply, 204, 200)

    def finalize(self, session: str, piece_cid: PieceCid) -> None:
        """Say which piece the bytes of *session* are; the provider compares with what it computed.

        Success is not "stored": only `find_piece` is (trap 5). Raises `PieceMismatch` when the provider
        computed something else, `SessionGone` when the session is unknown — or finalized already.
        """
        path = f"pdp/piece/uploads/{session}"
        reply = self._ask("POST", path, json={"pieceCid": str(piece_cid)}, timeout=SEND)
        if reply.status == 404:
            raise SessionGone(f"{self.name}: upload session {session} is gone", status=404)
        if reply.status == 400:
            # The request holds nothing but a well-formed piece CID: it is the bytes that differ.
            refused = refusal(self.name, reply, sends=False)
            raise PieceMismatch(
                f"{self.name} received other bytes than those of piece {piece_cid}: {refused.message}",
                hint="check the data with `fpin cid`, then send it again or use another provider",
                piece_cid=str(piece_cid),
            )
        self._expect(reply, 200)

    def upload(
        self,
        piece_cid: PieceCid,
        open_piece: OpenPiece,
        *,
        progress: Callable[[int], None] | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Open a session, send the piece, finalize. Then wait for `find_piece` before adding it.

        Starts over, reading the piece again, when the provider or the connection fails on the way; *progress*
        then counts from 0 again.
        """
        clock = clock or Clock()
        session = ""

        def send() -> None:
            nonlocal session
            session = self.open_upload()
            self.put(session, piece_cid.payload_size, open_piece(0), progress=progress)

        self._insist(send, clock)
        unanswered = False

        def settle() -> None:
            nonlocal unanswered
            try:
                self.finalize(session, piece_cid)
            except ProviderUnavailable:
                unanswered = True
                raise
            except SessionGone:
                # A finalize that was carried out and its answer lost makes the next one a 404 (spec §3.2).
                if not unanswered:
                    raise

        self._insist(settle, clock)

    def find_piece(self, piece_cid: PieceCid) -> bool:
        """Tell whether the piece is parked, so that it can be added and fetched; its size is not compared."""
        reply = self._ask("GET", f"pdp/piece?pieceCid={piece_cid}")
        if reply.status in (404, 202):
            return False
        self._expect(reply, 200)
        return True

    def piece_status(self, piece_cid: PieceCid) -> results.PieceStatus | None:
        """Return how far indexing and advertising are; None when the provider does not have the piece."""
        reply = self._ask("GET", f"pdp/piece/{piece_cid}/status")
        if reply.status == 404:
            return None
        return results.piece_status(self.name, self._object(reply))

    def head_piece(self, piece_cid: PieceCid) -> int | None:
        """Return the size of the piece as it is served; None when it is not."""
        reply = self._ask("HEAD", f"piece/{piece_cid}")
        if reply.status == 404:
            return None
        self._expect(reply, 200)
        length = reply.headers.get("content-length", "")
        if not length.isdecimal():
            raise ProviderError(f"{self.name}: does not say how large piece {piece_cid} is")
        return int(length)

    # -- data sets ---------------------------------------------------------------------------------

    def create_data_set(self, *, record_keeper: str, extra_data: bytes) -> str:
        """Ask for an empty data set; return the transaction's hash for `creation_status`."""
        return self._send("pdp/data-sets", {"recordKeeper": record_keeper, "extraData": _hex(extra_data)})

    def create_and_add(self, piece_cids: Sequence[PieceCid], *, record_keeper: str, extra_data: bytes) -> str:
        """Ask for a new data set with pieces in it; return the transaction's hash for `creation_status`."""
        body = {"recordKeeper": record_keeper, "extraData": _hex(extra_data), "pieces": _pieces(piece_cids)}
        return self._send("pdp/data-sets/create-and-add", body)

    def creation_status(self, tx_hash: str) -> results.CreationStatus | None:
        """Return what became of a creation; None when the provider does not know the transaction."""
        reply = self._ask("GET", f"pdp/data-sets/created/{tx_hash}")
        if reply.status == 404:
            return None
        return results.creation_status(self.name, self._object(reply))

    def add_pieces(self, data_set_id: int, piece_cids: Sequence[PieceCid], *, extra_data: bytes) -> str:
        """Ask for pieces to be added; return the transaction's hash for `add_status`.

        All of them must be parked. A wrong *data_set_id* makes the provider drop them again (trap 6).
        """
        body = {"pieces": _pieces(piece_cids), "extraData": _hex(extra_data)}
        return self._send(f"pdp/data-sets/{data_set_id}/pieces", body)

    def add_status(self, data_set_id: int, tx_hash: str) -> results.AddStatus | None:
        """Return what became of an add; None when the provider does not know it (yet).

        After `create_and_add` that is normal until the provider has recorded the pieces (spec §3.11).
        """
        reply = self._ask("GET", f"pdp/data-sets/{data_set_id}/pieces/added/{tx_hash}")
        if reply.status == 404:
            return None
        return results.add_status(self.name, self._object(reply))

    def data_set(self, data_set_id: int) -> results.DataSetView | None:
        """Return the provider's list of the pieces in a data set; None when it has no such data set."""
        reply = self._ask("GET", f"pdp/data-sets/{data_set_id}", max_body=MAX_JSON)
        if reply.status == 404:
            return None
        return results.data_set_view(self.name, self._object(reply))

    def delete_pieces(self, data_set_id: int, piece_ids: Sequence[int], *, extra_data: bytes) -> str:
        """Ask for pieces to be scheduled for removal; return the transaction's hash, not mined yet.

        *piece_ids* are in the order they were signed in, without repeats. There is no status route: watch
        the chain.
        """
        if not piece_ids or len(set(piece_ids)) != len(piece_ids):
            raise ValueError("piece ids must be given once each, in the order they were signed")
        path = f"pdp/data-sets/{data_set_id}/pieces/{piece_ids[0]}"
        body = {"extraData": _hex(extra_data), "pieceIds": list(piece_ids)}
        reply = self._ask("DELETE", path, json=body, timeout=SEND, sends=True)
        if reply.status != 200:
            raise refusal(self.name, reply, sends=True)
        try:
            tx_hash = json_object(self.name, reply).get("txHash")
        except ProviderError as exc:
            raise MaybeSent(exc.message, status=200) from exc
        if not isinstance(tx_hash, str):
            raise MaybeSent(f"{self.name}: accepted the removal without naming a transaction", status=200)
        return tx_hash.lower()

    def pull(
        self,
        sources: Sequence[tuple[PieceCid, str]],
        *,
        record_keeper: str,
        extra_data: bytes,
        data_set_id: int | None = None,
    ) -> results.PullStatus:
        """Ask the provider to fetch pieces from the URLs given; repeat the very same call to see how it goes.

        *extra_data* is what the later add will use; *data_set_id* None means a new data set. The provider
        tells jobs apart by *extra_data*, *data_set_id* and *record_keeper* alone, so use fresh *extra_data*
        for other pieces (trap 15). Nothing is sent to the chain.
        """
        body: dict[str, object] = {
            "extraData": _hex(extra_data),
            "recordKeeper": record_keeper,
            "pieces": [{"pieceCid": str(cid), "sourceUrl": url} for cid, url in sources],
        }
        if data_set_id is not None:
            body["dataSetId"] = data_set_id
        reply = self._ask("POST", "pdp/piece/pull", json=body, timeout=SEND)
        return results.pull_status(self.name, self._object(reply))

    # -- one request -------------------------------------------------------------------------------

    def _url(self, path: str) -> str:
        return f"{self.service_url}/{path}"

    def _ask(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: Iterable[bytes] | None = None,
        json: object = None,
        timeout: Timeout = READ,
        sends: bool = False,
        max_body: int = 2**20,
    ) -> Reply:
        try:
            return self._http.request(
                method,
                self._url(path),
                headers=headers,
                content=content,
                json=json,
                timeout=timeout,
                peer=self.name,
                error=ProviderUnavailable,
                max_body=max_body,
            )
        except ProviderUnavailable as exc:
            if sends and not was_never_sent(exc):
                raise MaybeSent(exc.message) from exc
            raise

    def _expect(self, reply: Reply, *statuses: int) -> None:
        if reply.status not in statuses:
            raise refusal(self.name, reply, sends=False)

    def _object(self, reply: Reply) -> Mapping[str, object]:
        self._expect(reply, 200, 202)
        return json_object(self.name, reply)

    def _send(self, path: str, body: object) -> str:
        reply = self._ask("POST", path, json=body, timeout=SEND, sends=True)
        if reply.status != 201:
            raise refusal(self.name, reply, sends=True)
        tx_hash = tx_in_location(reply)
        if tx_hash is None:
            raise MaybeSent(f"{self.name}: accepted the request without naming a transaction", status=201)
        return tx_hash

    def _insist(self, step: Callable[[], None], clock: Clock) -> None:
        """Run *step*, which is safe to repeat, again when the provider is only unavailable."""
        for attempt in range(1, UPLOAD_ATTEMPTS + 1):
            try:
                return step()
            except ProviderUnavailable as exc:
                if attempt == UPLOAD_ATTEMPTS:
                    raise
                clock.sleep(max(0.25 * 2**attempt, min(asked_to_wait(exc) or 0.0, 60.0)))
        return None


def _exactly(size: int, chunks: Iterable[bytes], progress: Callable[[int], None] | None) -> Iterator[bytes]:
    sent = 0
    for chunk in chunks:
        sent += len(chunk)
        if sent > size:
            break
        yield chunk
        if progress is not None:
            progress(sent)
    if sent != size:
        relation = "more" if sent > size else f"{size - sent} bytes less"
        raise SourceChanged(f"the piece to send holds {relation} than its {size} bytes")


def _hex(data: bytes) -> str:
    return "0x" + data.hex()


def _pieces(piece_cids: Sequence[PieceCid]) -> list[object]:
    # One sub-piece, equal to the piece: several break the provider's bookkeeping (trap 9).
    return [{"pieceCid": str(cid), "subPieces": [{"subPieceCid": str(cid)}]} for cid in piece_cids]
