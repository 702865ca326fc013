"""Writes `docs/reference/` from the program itself; `make reference` runs it, a test holds it in step."""
