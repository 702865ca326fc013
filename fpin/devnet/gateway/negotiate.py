"""What a trustless request asks for, read from its path, query and headers as frisbii reads them.

Knows the parameters and their errors; touches no block. Source: ipld/go-trustless-utils http/parse.go,
ipld/frisbii httpipfs.go.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import unquote

from fpin.devnet.gateway.traverse import ByteRange, Request, Scope
from fpin.ipld.cid import format_cid, parse_cid
from fpin.values import dataclass

CAR, RAW = "application/vnd.ipld.car", "application/vnd.ipld.raw"
_SCOPES: dict[str, Scope] = {"all": "all", "entity": "entity", "block": "block"}
_RANGE = re.compile(r"(-?\d{1,18}):(-?\d{1,18}|\*)")
_SUFFIXES = {"car": ".car", "raw": ".bin"}


class BadRequest(Exception):
    """The request is answered with *status* and this text."""

    def __init__(self, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """The form of the answer: one raw block, or a CAR with these parameters."""

    raw: bool = False
    order: str = "dfs"
    duplicates: bool = True

    @property
    def content_type(self) -> str:
        dups = "y" if self.duplicates else "n"
        return RAW if self.raw else f"{CAR};version=1;order={self.order};dups={dups}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request that makes sense."""

    root_text: str  # the CID as written in the URL
    request: Request
    form: Form
    filename: str


def read_request(path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> Asked:
    """Read a request for *path* (percent-encoded, from ``/ipfs/`` on); BadRequest if it makes no sense."""
    segments = [unquote(part) for part in path.split("/") if part][1:]
    if not segments:
        raise BadRequest("not found", 404)
    form = _form(query, headers.get("accept", ""))
    try:
        root = parse_cid(segments[0])
    except ValueError:
        raise BadRequest("failed to parse CID path parameter") from None
    if form.raw and len(segments) > 1:
        raise BadRequest("path not supported for raw requests")
    request = Request(root=root, path=tuple(segments[1:]), duplicates=form.duplicates)
    if not form.raw:
        request = replace(request, scope=_scope(query), byte_range=_byte_range(query))
    filename = _filename(query, form) or format_cid(root) + _SUFFIXES["raw" if form.raw else "car"]
    return Asked(root_text=segments[0], request=request, form=form, filename=filename)


def _form(query: Mapping[str, str], accept: str) -> Form:
    """The query wins over the header, but a CAR asked for by query keeps the header's CAR parameters."""
    wanted = query.get("format", "")
    if wanted not in ("", "car", "raw"):
        raise BadRequest(f'invalid format parameter; unsupported: "{wanted[:80]}"')
    for name, allowed in (("car-order", ("dfs", "unk")), ("car-dups", ("y", "n")), ("car-version", ("1",))):
        if query.get(name, "") not in ("", *allowed):
            raise BadRequest(f'invalid {name} parameter; unsupported: "{query[name][:80]}"')
    accepted = _accepted(accept)
    if wanted == "raw":
        return Form(raw=True)
    if wanted == "car":
        form = next((form for form, exact in accepted if exact and not form.raw), Form())
    elif accepted:
        form = accepted[0][0]
    elif accept:
        raise BadRequest(f'invalid Accept header; unsupported: "{accept[:80]}"')
    else:
        raise BadRequest("neither a valid Accept header nor format parameter were provided")
    if form.raw:
        return form
    duplicates = query.get("car-dups") == "y" if query.get("car-dups") else form.duplicates
    return replace(form, order=query.get("car-order") or form.order, duplicates=duplicates)


def _accepted(header: str) -> list[tuple[Form, bool]]:
    """(form, whether its type was named exactly) of each part that can be served, best first."""
    found = []
    for part in header.split(","):
        media_type, *parameters = (item.strip() for item in part.split(";"))
        if media_type not in (CAR, RAW, "*/*", "application/*"):
            continue
        pairs = dict(item.split("=", 1) for item in parameters if item.count("=") == 1)
        named = {name.strip(): value.strip() for name, value in pairs.items()}
        form = _form_of(media_type, named)
        quality = _quality(named.get("q", "1"))
        if form is not None and quality is not None:
            found.append((quality, form, media_type in (CAR, RAW)))
    return [(form, exact) for _, form, exact in sorted(found, key=lambda item: -item[0])]


def _form_of(media_type: str, named: Mapping[str, str]) -> Form | None:
    if media_type != CAR:
        return Form(raw=media_type == RAW)
    order, dups = named.get("order", "dfs"), named.get("dups", "y")
    if order not in ("dfs", "unk") or dups not in ("y", "n") or named.get("version", "1") != "1":
        return None
    return Form(order=order, duplicates=dups == "y")


def _quality(text: str) -> float | None:
    try:
        quality = float(text)
    except ValueError:
        return None
    return quality if 0 <= quality <= 1 else None


def _scope(query: Mapping[str, str]) -> Scope:
    text = query.get("dag-scope", "all")
    if text not in _SCOPES:
        raise BadRequest("invalid dag-scope parameter")
    return _SCOPES[text]


def _byte_range(query: Mapping[str, str]) -> ByteRange | None:
    text = query.get("entity-bytes")
    if text is None:
        return None
    match = _RANGE.fullmatch(text)
    if match is None:
        raise BadRequest("invalid entity-bytes parameter")
    first, last = int(match[1]), None if match[2] == "*" else int(match[2])
    if last is not None and (first < 0) == (last < 0) and last < first:
        raise BadRequest("invalid entity-bytes parameter")
    return ByteRange(first, last)


def _filename(query: Mapping[str, str], form: Form) -> str | None:
    name = query.get("filename")
    if name is None:
        return None
    suffix = _SUFFIXES["raw" if form.raw else "car"]
    if not name.endswith(suffix):
        raise BadRequest(f"invalid filename parameter; this response needs the extension {suffix}")
    return re.sub(r'[^\x20-\x7e]|["\\]', "_", name)
