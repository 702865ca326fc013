"""``python -m reference`` writes the pages and schemas into `docs/reference/`, and the site's navigation."""

from __future__ import annotations

import json
from pathlib import Path

from reference.navigation import site
from reference.pages import all_pages
from reference.schemas import all_schemas

FOLDER = Path(__file__).parent.parent / "docs" / "reference"


def files() -> dict[Path, str]:
    """Return the text of every generated file."""
    pages = {FOLDER / name: text for name, text in all_pages().items()}
    schemas = {
        FOLDER / "json" / name: json.dumps(schema, indent=1, ensure_ascii=False) + "\n"
        for name, schema in all_schemas().items()
    }
    return pages | schemas | {FOLDER.parent.parent / "zensical.toml": site(FOLDER.parent)}


def main() -> None:
    """Write what the program says, and delete schemas of what it no longer says."""
    wanted = files()
    for path in (FOLDER / "json").glob("*.json"):
        if path not in wanted:
            path.unlink()
    for path, text in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
