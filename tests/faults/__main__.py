"""``python -m tests.faults`` writes `docs/reference/faults.md`."""

from __future__ import annotations

from tests.faults.page import PAGE, page

PAGE.write_text(page(), encoding="utf-8")
