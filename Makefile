# Each target does its own set-up: a machine with Python 3.11+ and make is enough.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test lint types unit slow faults interop bench sanitize reference transcripts licences docs package format clean

$(BIN)/.installed: pyproject.toml $(wildcard setup.py) $(wildcard fpin/*/*.c fpin/*/*.h)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -qq --disable-pip-version-check --editable '.[dev]'
	touch $@

demo: $(BIN)/.installed
	$(BIN)/python -m tests.demo

test: lint types unit

lint: $(BIN)/.installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(BIN)/.installed
	$(BIN)/mypy

unit: $(BIN)/.installed
	$(BIN)/pytest -n auto -m 'not interop'

# Gibibytes, hashed and sent: a few minutes, and 8 GiB of disk.
slow: $(BIN)/.installed
	FPIN_LARGE=1 $(BIN)/pytest -m slow

# Adds are killed at every transition of the store and at 300 random moments, and run again: 15 minutes.
faults: $(BIN)/.installed
	$(BIN)/python -m tests.kills

# Against programs that others wrote, installed into .interop with Go and npm; docs/reference/compatibility.md.
interop: $(BIN)/.installed
	$(BIN)/python -m tests.interop.programs
	$(BIN)/pytest tests/interop -n auto --dist loadfile

# Prints Markdown; docs/benchmarks.md says what PEERS is.
bench: $(BIN)/.installed
	$(PYTHON) -m venv --clear build/bench
	build/bench/bin/python -m pip install -qq --disable-pip-version-check .
	FPIN_BENCH_PEERS=$(PEERS) FPIN_BENCH_COMMAND=$(CURDIR)/build/bench/bin/fpin $(BIN)/python -m benchmarks

# The native code under the address and undefined-behaviour sanitizers; needs GCC or Clang.
sanitize: $(BIN)/.installed
	$(BIN)/python -m tests.piece.sanitize

# The pages and JSON schemas of docs/reference/ that the program itself decides.
reference: $(BIN)/.installed
	$(BIN)/python -m tests.faults
	$(BIN)/python -m reference

# The sessions that README and tutorial show, run again.
transcripts: $(BIN)/.installed
	$(BIN)/python -m reference.transcripts

# The licences of everything that is installed with fpin.
licences: $(BIN)/.installed
	$(BIN)/python -m reference.licences

# Builds wheel and sdist, installs each where nothing else is, and uses it.
package: $(BIN)/.installed
	FPIN_PACKAGE=1 $(BIN)/pytest -m package

# The site, into build/site; warnings are errors.
docs: $(BIN)/.docs
	$(BIN)/zensical build --strict

$(BIN)/.docs: $(BIN)/.installed
	$(BIN)/python -m pip install -qq --disable-pip-version-check --editable '.[docs]'
	touch $@

format: $(BIN)/.installed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
