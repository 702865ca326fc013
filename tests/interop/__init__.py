"""fpin against programs that others wrote; `programs` has them, `make interop` runs everything here."""
