"""URLs that are safe to open, opening one, and watching until nothing is pending."""

from __future__ import annotations

import urllib.request
from pathlib import Path

import pytest

from tests.cli.conftest import Tenant

ALWAYS = 10**9


@pytest.fixture
def note(tenant: Tenant, tmp_path: Path) -> Path:
    path = tmp_path / "note.txt"
    path.write_text(f"what {tenant.wallet} shows around\n")
    return path


@pytest.fixture
def browser(tmp_path: Path) -> Path:
    """A browser that writes down what it is to show."""
    script = tmp_path / "browser"
    script.write_text(f'#!/bin/sh\nprintf %s "$1" > {tmp_path / "shown"}\n')
    script.chmod(0o755)
    return script


def test_urls_are_one_a_line_best_first_and_every_one_works(tenant: Tenant, note: Path) -> None:
    root = tenant.here("add", note, "--copies", "2", "-q").stdout.strip()
    first, second, *pieces = tenant.here("status", note, "--urls").stdout.splitlines()
    own = tenant.world.urls.providers
    assert [first, second] == [f"{url}/ipfs/{root}?format=car" for url in own[:2]]
    assert [url.rpartition("/piece/")[0] for url in pieces] == list(own[:2])
    for url in (first, second, *pieces):
        with urllib.request.urlopen(url) as reply:
            assert note.read_bytes() in reply.read()
    assert tenant.here("status", root, "--json").json["urls"] == [first, second, *pieces]
    assert tenant.here("status", "--json").json["urls"] == []


@pytest.mark.parametrize("option", ["--urls", "--open"])
def test_urls_are_of_one_pin(tenant: Tenant, option: str) -> None:
    assert tenant.here("status", option).code == 2


def test_a_browser_is_opened_at_a_url_that_is_safe(
    tenant: Tenant, note: Path, browser: Path, tmp_path: Path
) -> None:
    root = tenant.here("add", note, "--copies", "1", "-q").stdout.strip()
    # In a process of its own: webbrowser looks at BROWSER once.
    opened = tenant.fpin("status", root, "--open", env={"BROWSER": f"{browser} %s"})
    assert opened.code == 0, opened.stderr
    assert (tmp_path / "shown").read_text() == f"{tenant.world.urls.providers[0]}/ipfs/{root}?format=car"
    none = tenant.fpin("status", root, "--open", env={"BROWSER": "/nowhere/at/all %s", "PATH": "/nowhere"})
    assert (none.code, "BROWSER" in none.stderr) == (1, True)


def test_what_is_gone_has_nothing_to_open(tenant: Tenant, note: Path) -> None:
    root = tenant.here("add", note, "--copies", "1", "-q").stdout.strip()
    assert tenant.here("rm", root, "--wait").code == 0
    assert tenant.here("status", root, "--urls").stdout == ""
    assert tenant.here("status", root, "--open").code == 1


def test_watching_ends_by_itself_when_nothing_is_pending(tenant: Tenant, note: Path) -> None:
    root = tenant.here("add", note, "--copies", "1", "-q").stdout.strip()
    assert tenant.here("rm", root).code == 0
    watched = tenant.fpin("status", root, "--watch", "1", "--refresh")
    assert watched.code == 0, watched.stderr
    assert "state     removed" in watched.stdout
    assert "\x1b" not in watched.stdout  # nobody watches a pipe
