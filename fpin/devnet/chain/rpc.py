"""The devnet chain's JSON-RPC node: requests in, the answers and errors of a Filecoin node out.

Speaks the Ethereum API at the depth clients and providers use it, single and in batches, and two calls of
its own (``devnet_mine``, ``devnet_epoch``). Knows nothing of contracts.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from fpin.devnet.chain.blocks import Block, BlockStore, LogEntry
from fpin.devnet.chain.machine import ZERO, Revert, describe_revert
from fpin.devnet.chain.render import (
    Json,
    number_to_hex,
    render_block,
    render_log,
    render_receipt,
    render_transaction,
    to_hex,
)
from fpin.devnet.chain.transactions import BadTransaction, parse
from fpin.devnet.silence import HangUp

if TYPE_CHECKING:
    from fpin.devnet.chain.chain import Call, DevChain

logger = logging.getLogger(__name__)

PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS = -32700, -32600, -32601, -32602
INTERNAL_ERROR = -32603
SERVER_ERROR, REVERTED, NULL_ROUND = 1, 11, 12  # Lotus' own codes
MIN_PREMIUM = 100_000  # attoFIL; Lotus never suggests less
OVERESTIMATION = 125  # per cent of the gas used that an estimate asks for, as Lotus does
MAX_LOG_RANGE, MAX_LOGS = 2880, 10_000  # Lotus' defaults
HEAD_TAGS = (None, "latest", "pending", "safe")

Params = list[Any]
T = TypeVar("T")


class RpcError(Exception):
    """An error object of JSON-RPC."""

    def __init__(self, code: int, message: str, data: object = None) -> None:
        super().__init__(message)
        self.error: Json = {"code": code, "message": message}
        if data is not None:
            self.error["data"] = data


def make_app(chain: DevChain) -> Starlette:
    """Return the ASGI app that answers for *chain*."""
    node = Node(chain)

    async def post(request: Request) -> Response:
        try:
            body = await request.body()
        except ClientDisconnect:  # killed while it was asking: there is nobody to answer
            return Response(status_code=400)
        if request.url.path != "/" and (status := chain.faults.refusal(_methods(body))) is not None:
            return Response("out of order\n", status) if status else HangUp()
        # In a thread: execution holds a lock, and recovering a signer takes milliseconds.
        answer = await run_in_threadpool(node.answer, body)
        return Response(answer, media_type="application/json")

    return Starlette(routes=[Route(path, post, methods=["POST"]) for path in ("/", "/rpc/v1")])


class Node:
    """Answers request bodies. Thread-safe, as far as its chain is."""

    def __init__(self, chain: DevChain) -> None:
        self._chain = chain
        self._methods: dict[str, Callable[[Params], object]] = {
            "eth_chainId": lambda _: number_to_hex(chain.chain_id),
            "net_version": lambda _: str(chain.chain_id),
            "net_listening": lambda _: True,
            "web3_clientVersion": lambda _: "fpin-devnet",
            "eth_syncing": lambda _: False,
            "eth_accounts": lambda _: [],
            "eth_protocolVersion": lambda _: "0x41",
            "eth_blockNumber": lambda _: number_to_hex(chain.epoch),
            "eth_gasPrice": lambda _: number_to_hex(chain.base_fee + MIN_PREMIUM),
            "eth_maxPriorityFeePerGas": lambda _: number_to_hex(MIN_PREMIUM),
            "eth_feeHistory": self._fee_history,
            "eth_getBalance": self._get_balance,
            "eth_getTransactionCount": self._get_transaction_count,
            "eth_getCode": self._get_code,
            "eth_call": self._call,
            "eth_estimateGas": self._estimate_gas,
            "eth_sendRawTransaction": self._send_raw_transaction,
            "eth_getTransactionByHash": self._get_transaction_by_hash,
            "eth_getTransactionReceipt": self._get_transaction_receipt,
            "eth_getBlockByNumber": self._get_block_by_number,
            "eth_getBlockByHash": self._get_block_by_hash,
            "eth_getLogs": self._get_logs,
            "devnet_mine": self._mine,
            "devnet_epoch": lambda _: number_to_hex(chain.epoch),
        }

    # The protocol

    def answer(self, body: bytes) -> bytes:
        """Return the response to a request or a batch; empty when nobody asked for one."""
        try:
            request = json.loads(body)
        except ValueError:
            return _dump(_failure(None, RpcError(PARSE_ERROR, "parse error")))
        if isinstance(request, list):
            if not request:
                return _dump(_failure(None, RpcError(INVALID_REQUEST, "empty batch")))
            answers = [answer for answer in map(self._answer_one, request) if answer is not None]
            return _dump(answers) if answers else b""
        answer = self._answer_one(request)
        return b"" if answer is None else _dump(answer)

    def _answer_one(self, request: object) -> Json | None:
        if not isinstance(request, dict) or not isinstance(request.get("method"), str):
            return _failure(None, RpcError(INVALID_REQUEST, "not a JSON-RPC request"))
        request_id = request.get("id")
        try:
            answer: Json = {"jsonrpc": "2.0", "id": request_id, "result": self._run(request)}
        except RpcError as exc:
            answer = _failure(request_id, exc)
        except Exception:
            logger.exception("%s failed", request["method"])
            answer = _failure(request_id, RpcError(INTERNAL_ERROR, "internal error"))
        return answer if "id" in request else None  # without an id it is a notification

    def _run(self, request: Json) -> object:
        method = self._methods.get(str(request["method"]))
        if method is None:
            raise RpcError(METHOD_NOT_FOUND, f"method '{request['method']}' not found")
        params = request.get("params", [])
        if not isinstance(params, list):
            raise RpcError(INVALID_PARAMS, "params must be a list")
        try:
            return method(params)
        except Revert as exc:
            raise _reverted(exc) from exc
        except (IndexError, KeyError, TypeError, ValueError) as exc:
            raise RpcError(INVALID_PARAMS, f"invalid params: {exc}") from exc

    # Accounts and calls

    def _get_balance(self, params: Params) -> str:
        with self._chain.state_at(self._number(_get(params, 1))) as machine:
            return number_to_hex(machine.accounts.balances[_address(params[0])])

    def _get_transaction_count(self, params: Params) -> str:
        with self._chain.state_at(self._number(_get(params, 1))) as machine:
            return number_to_hex(machine.accounts.nonces[_address(params[0])])

    def _get_code(self, params: Params) -> str:
        # No EVM here: one invalid opcode tells that there is a contract.
        with self._chain.state_at(None) as machine:
            return "0xfe" if _address(params[0]) in machine.contracts else "0x"

    def _call(self, params: Params) -> str:
        return to_hex(self._chain.call(self._message(params[0]), self._number(_get(params, 1))))

    def _estimate_gas(self, params: Params) -> str:
        return number_to_hex(self._chain.gas_of(self._message(params[0])) * OVERESTIMATION // 100)

    def _message(self, message: dict[str, Any]) -> Call:
        from fpin.devnet.chain.chain import Call  # chain makes this app, so it is imported later

        if message.get("to") is None:
            raise ValueError("a call needs a target: there is no contract creation")
        return Call(
            sender=_address(message.get("from") or ZERO),
            to=_address(message["to"]),
            data=_bytes(message.get("input") or message.get("data") or "0x"),
            value=_quantity(message.get("value") or "0x0"),
        )

    # Transactions

    def _send_raw_transaction(self, params: Params) -> str:
        from fpin.devnet.chain.chain import Refused

        try:
            transaction = parse(_bytes(params[0]))
            if self._chain.faults.drops(transaction.data):
                return to_hex(transaction.hash)
            return to_hex(self._chain.submit(transaction).hash)
        except (BadTransaction, Refused) as exc:
            raise RpcError(SERVER_ERROR, str(exc)) from exc

    def _get_transaction_by_hash(self, params: Params) -> Json | None:
        with self._chain.reading() as store:
            receipt = store.receipt(_bytes(params[0]))
            if receipt is None:
                return None
            return render_transaction(receipt, _there(store.block(receipt.block)), self._chain.base_fee)

    def _get_transaction_receipt(self, params: Params) -> Json | None:
        with self._chain.reading() as store:
            receipt = store.receipt(_bytes(params[0]))
            if receipt is None:
                return None
            entries = list(store.logs(receipt.block, receipt.block))
            return render_receipt(receipt, _there(store.block(receipt.block)), entries)

    # Blocks and logs

    def _get_block_by_number(self, params: Params) -> Json:
        number = self._number(params[0])
        with self._chain.reading() as store:
            block = self._chain.head if number is None else store.block(number)
            if block is None:
                message = f"requested epoch was a null round ({number})"
                raise RpcError(NULL_ROUND, message, number)
            return self._render_block(store, block, _get(params, 1))

    def _get_block_by_hash(self, params: Params) -> Json | None:
        with self._chain.reading() as store:
            block = store.block_by_hash(_bytes(params[0]))
            return self._render_block(store, block, _get(params, 1)) if block else None

    def _render_block(self, store: BlockStore, block: Block, full: object) -> Json:
        return render_block(
            block,
            store.receipt_in(block.number),
            list(store.logs(block.number, block.number)),
            full=bool(full),
            base_fee=self._chain.base_fee,
            gas_limit=self._chain.gas_limit,
        )

    def _get_logs(self, params: Params) -> list[Json]:
        wanted: dict[str, Any] = params[0]
        with self._chain.reading() as store:
            first, last = self._log_range(store, wanted)
            addresses = _addresses(wanted.get("address"))
            topics = wanted.get("topics") or []
            found = [
                entry
                for entry in store.logs(first, last)
                if (not addresses or entry.log.address in addresses) and _matches(entry, topics)
            ]
            if len(found) > MAX_LOGS:
                raise RpcError(SERVER_ERROR, f"too many events: over {MAX_LOGS}; ask for fewer epochs")
            return [self._render_log(store, entry) for entry in found]

    def _log_range(self, store: BlockStore, wanted: dict[str, Any]) -> tuple[int, int]:
        if "blockHash" in wanted:
            block = store.block_by_hash(_bytes(wanted["blockHash"]))
            if block is None:
                raise RpcError(SERVER_ERROR, "no block with that hash")
            return block.number, block.number
        first, last = (self._number(wanted.get(side)) for side in ("fromBlock", "toBlock"))
        head = self._chain.epoch
        first, last = head if first is None else first, head if last is None else last
        if last - first > MAX_LOG_RANGE:
            raise RpcError(SERVER_ERROR, f"block range too large: at most {MAX_LOG_RANGE} epochs")
        return first, last

    def _render_log(self, store: BlockStore, entry: LogEntry) -> Json:
        block, receipt = _there(store.block(entry.block)), _there(store.receipt_in(entry.block))
        return render_log(entry, block, receipt.hash)

    def _fee_history(self, params: Params) -> Json:
        head = self._chain.epoch
        count = min(max(_quantity(params[0]), 1), head + 1)
        return {
            "oldestBlock": number_to_hex(head - count + 1),
            "baseFeePerGas": [number_to_hex(self._chain.base_fee)] * (count + 1),
            "gasUsedRatio": [0.0] * count,
            "reward": [[number_to_hex(MIN_PREMIUM)] * len(_get(params, 2) or [])] * count,
        }

    # The devnet's own

    def _mine(self, params: Params) -> str:
        return number_to_hex(self._chain.mine(_quantity(params[0]) if params else 1))

    # Parameters

    def _number(self, block: object) -> int | None:
        """Return the epoch a block parameter names; None stands for the head."""
        if isinstance(block, dict):  # EIP-1898
            if "blockHash" in block:
                with self._chain.reading() as store:
                    found = store.block_by_hash(_bytes(block["blockHash"]))
                if found is None:
                    raise RpcError(SERVER_ERROR, "no block with that hash")
                return found.number
            block = block["blockNumber"]
        if block in HEAD_TAGS:
            return None
        if block == "finalized":
            with self._chain.reading() as store:
                final = store.block_at_or_before(max(0, self._chain.epoch - self._chain.faults.finality))
            return _there(final).number
        number = 0 if block == "earliest" else _quantity(block)
        if number > self._chain.epoch:
            raise RpcError(SERVER_ERROR, "requested a future epoch (beyond 'latest')")
        return number


def _methods(body: bytes) -> list[str]:
    """Return what a request or a batch asks for; nothing where it is neither."""
    try:
        asked = json.loads(body)
    except ValueError:
        return []
    requests = asked if isinstance(asked, list) else [asked]
    return [str(request.get("method")) for request in requests if isinstance(request, dict)]


def _reverted(exc: Revert) -> RpcError:
    reason = describe_revert(exc.data)
    message = f"message execution failed (exit=[33], revert reason=[{reason}], vm error=[{reason}])"
    return RpcError(REVERTED, message, to_hex(exc.data))


def _failure(request_id: object, exc: RpcError) -> Json:
    return {"jsonrpc": "2.0", "id": request_id, "error": exc.error}


def _dump(answer: object) -> bytes:
    return json.dumps(answer, separators=(",", ":")).encode()


def _there(value: T | None) -> T:
    assert value is not None  # rows of one block are written together
    return value


def _get(params: Params, index: int) -> Any:
    return params[index] if index < len(params) else None


def _quantity(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and value.startswith("0x"):
        return int(value, 16)
    raise ValueError(f"not a quantity: {value!r}")


def _bytes(value: object) -> bytes:
    if isinstance(value, str) and value.startswith("0x"):
        return bytes.fromhex(value[2:])
    raise ValueError(f"not hex data: {value!r}")


def _address(value: object) -> str:
    if len(_bytes(value)) != 20:
        raise ValueError(f"not an address: {value!r}")
    return str(value).lower()


def _addresses(value: object) -> set[str]:
    if value is None:
        return set()
    return set(map(_address, value)) if isinstance(value, list) else {_address(value)}


def _matches(entry: LogEntry, wanted: list[Any]) -> bool:
    """Tell whether a log has the topics of a filter: each None, one, or a list of alternatives."""
    if len(wanted) > len(entry.log.topics):
        return False
    for topic, choice in zip(entry.log.topics, wanted, strict=False):
        if choice is None:
            continue
        choices = choice if isinstance(choice, list) else [choice]
        if choices and topic not in map(_bytes, choices):
            return False
    return True
