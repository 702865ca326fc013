"""Blocks, transactions, receipts and events in the words of the Ethereum JSON-RPC API."""

from __future__ import annotations

from collections.abc import Iterable

from eth_utils.crypto import keccak

from fpin.devnet.chain.blocks import Block, LogEntry, Receipt
from fpin.devnet.chain.machine import ZERO
from fpin.devnet.chain.transactions import DYNAMIC_FEE, Transaction, parse

Json = dict[str, object]

_EMPTY_UNCLES = "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347"
_NO_HASH = "0x" + "00" * 32


def to_hex(data: bytes) -> str:
    return "0x" + data.hex()


def number_to_hex(number: int) -> str:
    return hex(number)


def bloom(entries: Iterable[LogEntry]) -> str:
    """Return the logs' 2048-bit bloom filter (Yellow Paper, 4.3.1)."""
    bits = 0
    for entry in entries:
        for item in (bytes.fromhex(entry.log.address[2:]), *entry.log.topics):
            digest = keccak(item)
            for offset in (0, 2, 4):
                bits |= 1 << (int.from_bytes(digest[offset : offset + 2], "big") & 2047)
    return to_hex(bits.to_bytes(256, "big"))


def render_block(
    block: Block,
    receipt: Receipt | None,
    entries: list[LogEntry],
    *,
    full: bool,
    base_fee: int,
    gas_limit: int,
) -> Json:
    transactions: list[object] = []
    if receipt:
        transaction = render_transaction(receipt, block, base_fee)
        transactions = [transaction if full else to_hex(receipt.hash)]
    return {
        "number": number_to_hex(block.number),
        "hash": to_hex(block.hash),
        "parentHash": to_hex(block.parent),
        "nonce": "0x0000000000000000",
        "mixHash": _NO_HASH,
        "sha3Uncles": _EMPTY_UNCLES,
        "logsBloom": bloom(entries),
        "transactionsRoot": _NO_HASH,
        "stateRoot": to_hex(block.hash),
        "receiptsRoot": _NO_HASH,
        "miner": ZERO,
        "difficulty": "0x0",
        "totalDifficulty": "0x0",
        "extraData": "0x",
        "size": "0x0",
        "gasLimit": number_to_hex(gas_limit),
        "gasUsed": number_to_hex(receipt.gas_used if receipt else 0),
        "baseFeePerGas": number_to_hex(base_fee),
        "timestamp": number_to_hex(block.timestamp),
        "transactions": transactions,
        "uncles": [],
    }


def render_transaction(receipt: Receipt, block: Block, base_fee: int) -> Json:
    tx = parse(receipt.raw)
    rendered: Json = {
        "hash": to_hex(tx.hash),
        "type": number_to_hex(tx.kind),
        "blockHash": to_hex(block.hash),
        "blockNumber": number_to_hex(block.number),
        "transactionIndex": "0x0",
        "nonce": number_to_hex(tx.nonce),
        "from": tx.sender,
        "to": tx.to,
        "value": number_to_hex(tx.value),
        "input": to_hex(tx.data),
        "gas": number_to_hex(tx.gas),
        "gasPrice": number_to_hex(base_fee + tx.premium(base_fee)),
        "v": number_to_hex(tx.v),
        "r": number_to_hex(tx.r),
        "s": number_to_hex(tx.s),
    }
    if tx.chain_id is not None:
        rendered["chainId"] = number_to_hex(tx.chain_id)
    if tx.kind == DYNAMIC_FEE:
        rendered["maxFeePerGas"] = number_to_hex(tx.max_fee)
        rendered["maxPriorityFeePerGas"] = number_to_hex(tx.max_priority_fee)
        rendered["yParity"] = number_to_hex(tx.v)
        rendered["accessList"] = []
    return rendered


def render_receipt(receipt: Receipt, block: Block, entries: list[LogEntry]) -> Json:
    tx: Transaction = parse(receipt.raw)
    return {
        "transactionHash": to_hex(receipt.hash),
        "transactionIndex": "0x0",
        "blockHash": to_hex(block.hash),
        "blockNumber": number_to_hex(block.number),
        "from": tx.sender,
        "to": tx.to,
        "contractAddress": None,
        "type": number_to_hex(tx.kind),
        "status": number_to_hex(int(receipt.succeeded)),
        "gasUsed": number_to_hex(receipt.gas_used),
        "cumulativeGasUsed": number_to_hex(receipt.gas_used),
        "effectiveGasPrice": number_to_hex(receipt.fee // receipt.gas_used),
        "logsBloom": bloom(entries),
        "logs": [render_log(entry, block, receipt.hash) for entry in entries],
    }


def render_log(entry: LogEntry, block: Block, transaction_hash: bytes) -> Json:
    return {
        "address": entry.log.address,
        "topics": [to_hex(topic) for topic in entry.log.topics],
        "data": to_hex(entry.log.data),
        "blockNumber": number_to_hex(block.number),
        "blockHash": to_hex(block.hash),
        "transactionHash": to_hex(transaction_hash),
        "transactionIndex": "0x0",
        "logIndex": number_to_hex(entry.position),
        "removed": False,
    }
