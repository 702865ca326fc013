"""`zensical.toml`: how the site is built, and the order of its pages. A new page is in it by being there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

# What a reader meets first; other pages of a section follow by name.
SECTIONS = {
    "How-to": ("how-to", ("github-actions", "gitlab-ci", "shell", "python", "from-filecoin-pin")),
    "Reference": (
        "reference",
        ("commands", "configuration", "environment", "exit-codes", "json", "glossary"),
    ),
    "Explanation": ("explanation", ("design",)),
}
SITE = """\
# Written by `make reference`: the pages that there are, in the order of reference/navigation.py.
[project]
site_name = "fpin"
site_description = "Put files on Filecoin so that all of IPFS can fetch them."
docs_dir = "docs"
site_dir = "build/site"
nav = [
{nav}]

[project.theme]
font = false  # nothing is fetched from elsewhere
features = ["navigation.sections", "navigation.top", "content.code.copy"]

[project.markdown_extensions.attr_list]
[project.markdown_extensions.def_list]
[project.markdown_extensions.tables]
[project.markdown_extensions.toc]
permalink = true
[project.markdown_extensions."pymdownx.superfences"]
"""


def site(docs: Path) -> str:
    """Return the configuration of the site for the pages below *docs*."""
    return SITE.format(nav="".join(f"  {line}\n" for line in _navigation(docs)))


def _navigation(docs: Path) -> Iterator[str]:
    yield '{ "fpin" = "index.md" },'
    yield '{ "Tutorial" = "tutorial.md" },'
    for title, (folder, first) in SECTIONS.items():
        yield f'{{ "{title}" = ['
        # One a line, so that two changes that add a page each do not meet.
        yield from (f'  "{page.relative_to(docs).as_posix()}",' for page in _ordered(docs / folder, first))
        yield "] },"
    yield '{ "Benchmarks" = "benchmarks.md" },'


def _ordered(folder: Path, first: tuple[str, ...]) -> Iterator[Path]:
    pages = {page.stem: page for page in sorted(folder.glob("*.md"))}
    yield from (pages.pop(name) for name in first if name in pages)
    yield from pages.values()
