"""What became of a step, as Markdown for its summary and the pull request, and as its outputs."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fpin.units import format_size, parse_token, round_token
from fpin.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """*status*: stored, already-stored, partial, dry-run, fork or failed. *result* is what was printed."""

    path: str
    status: str
    network: str
    result: Mapping[str, Any]
    piece_cids: Sequence[str] = ()  # where the result has none, as after a dry run
    why: str | None = None


def outputs(report: Report) -> dict[str, str]:
    """Return the outputs of the step; several values are a JSON array."""
    result = report.result
    pieces = result.get("pieces") or ()
    copies = [copy for piece in pieces for copy in piece.get("copies", ())]
    data_sets = dict.fromkeys(copy["data_set_id"] for copy in copies if copy["data_set_id"] is not None)
    cost = result.get("cost") or {}
    per_month = "0" if report.status == "already-stored" else cost.get("per_month", "")
    return {
        "root-cid": result.get("root_cid") or "",
        "piece-cids": json.dumps(list(report.piece_cids) or [piece["piece_cid"] for piece in pieces]),
        "urls": json.dumps(list(result.get("urls") or ())),
        "data-set-ids": json.dumps(list(data_sets)),
        "cost": per_month,
        "status": report.status,
        "json": json.dumps(result, ensure_ascii=False),
    }


_SENTENCES = {
    "stored": "Stored on {network}, and IPFS finds it.",
    "already-stored": "It was stored on {network} already: nothing was uploaded and nothing paid.",
    "partial": "Stored in part on {network}; running the job again continues.",
    "dry-run": "A dry run on {network}: nothing was signed or sent.",
    "fork": "Packed only: {why}, so no key was touched.",
    "failed": "It failed: {why}",
}


def markdown(report: Report) -> str:
    """Return the report for people. Everything that came from elsewhere is escaped."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    result = report.result
    yield f"### fpin: {_safe(report.path)}"
    yield ""
    yield _SENTENCES[report.status].format(network=_safe(report.network), why=_safe(report.why or ""))
    yield ""
    if result.get("root_cid"):
        yield f"**Root CID** `{result['root_cid']}`"
        if "size" in result:
            files = f" in {result['files']} files" if result.get("files", 1) != 1 else ""
            yield f"<br>{format_size(result['size'])}{files}"
        yield ""
    for cid in report.piece_cids:
        yield f"* Piece `{cid}`"
    copies = [(piece, copy) for piece in result.get("pieces") or () for copy in piece.get("copies", ())]
    if copies:
        yield "| Piece | Provider | Data set | State |"
        yield "| --- | --- | --- | --- |"
        for piece, copy in copies:
            number = "" if copy["data_set_id"] is None else copy["data_set_id"]
            state = ": ".join(_safe(part) for part in (copy["state"], copy["reason"]) if part)
            yield f"| `{piece['piece_cid']}` | {copy['provider_id']} | {number} | {state} |"
        yield ""
    for url in result.get("urls") or ():
        if url.startswith(("https://", "http://")):
            yield f"* <{_safe(url)}>"
    cost = result.get("cost")
    if cost and report.status != "already-stored":
        yield ""
        yield f"{_short(cost['per_month'])} {_safe(cost['token'])} a month, {_short(cost['fees'])} once."


def _safe(text: str) -> str:
    """Return *text* so that it cannot be Markdown or HTML, nor end a table's cell."""
    escaped = html.escape(" ".join(str(text).split()), quote=False)
    return "".join("\\" + one if one in "\\`*_{}[]|" else one for one in escaped)


def _short(amount: str) -> str:
    return round_token(parse_token(amount))
