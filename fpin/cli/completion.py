"""What the Tab key offers: names of pins, providers and data sets from the store.

Goes by what a parameter is called, so a new command that takes a pin completes pins. Asks no network, and
offers nothing rather than fail.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from fpin import config
from fpin.settings import DEFAULT_NETWORK, folders

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from fpin.store import Pin

SHELLS = ("bash", "zsh", "fish")
Word = tuple[str, str | None]  # and what is said of it


def _pins(ctx: click.Context) -> Iterator[Word]:
    from fpin.ipld.cid import format_cid

    for pin in _stored(ctx):
        root = format_cid(pin.root_cid)
        if pin.name:
            yield pin.name, root
        yield root, pin.name


def _providers(ctx: click.Context) -> Iterator[Word]:
    for copy in (copy for pin in _stored(ctx) for copy in pin.copies):
        yield str(copy.provider_id), copy.provider_url


def _data_sets(ctx: click.Context) -> Iterator[Word]:
    for copy in (copy for pin in _stored(ctx) for copy in pin.copies if copy.data_set_id is not None):
        yield str(copy.data_set_id), f"at provider {copy.provider_id}"


def _networks(_ctx: click.Context) -> Iterator[Word]:
    from fpin.chain.networks import network_names

    yield from ((name, None) for name in network_names())


def _goals(_ctx: click.Context) -> Iterator[Word]:
    from fpin.flows.add import GOALS

    yield from ((name, None) for name in GOALS)


def _unixfs(_ctx: click.Context) -> Iterator[Word]:
    from fpin.pack.profiles import PROFILES

    yield from ((name, None) for name in PROFILES)


def _settings(_ctx: click.Context) -> Iterator[Word]:
    yield from ((name, None) for name in config.read().profiles)


def _shells(_ctx: click.Context) -> Iterator[Word]:
    yield from ((name, None) for name in SHELLS)


WORDS: dict[str, Callable[[click.Context], Iterable[Word]]] = {
    "what": _pins,
    "provider": _providers,
    "provider_id": _providers,
    "provider_ids": _providers,
    "exclude_provider": _providers,
    "data_set": _data_sets,
    "data_set_id": _data_sets,
    "network": _networks,
    "wait_for": _goals,
    "profile": _unixfs,
    "use": _settings,
    "shell": _shells,
}
FILES = frozenset({"paths", "file", "files", "output"})


def is_completed(name: str) -> bool:
    """Tell whether there is anything to offer for a parameter of that name."""
    return name in WORDS or name in FILES


def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return what *param* may go on with after *incomplete*."""
    from click.shell_completion import CompletionItem

    if param.name in FILES:
        return [CompletionItem(incomplete, type="file")]
    try:
        words = dict(WORDS[param.name or ""](ctx))
    except Exception:  # noqa: BLE001  (a message here would end up on the line that is being typed)
        return []
    return [CompletionItem(word, help=said) for word, said in words.items() if word.startswith(incomplete)]


def _stored(ctx: click.Context) -> list[Pin]:
    from fpin.chain.networks import DEVNET, DEVNET_CHAIN_ID, load_network
    from fpin.store import Store

    network = ctx.params.get("network")
    if ctx.get_parameter_source("network") in (None, ParameterSource.DEFAULT):
        network = config.setting("network") or network or DEFAULT_NETWORK
    chain_id = DEVNET_CHAIN_ID if network == DEVNET else load_network(str(network)).chain_id
    path = folders().store
    if not path.exists():
        return []
    with Store(path) as store:
        return [pin for pin in store.pins(chain_id) if pin.state != "removed"]
