# The README's two commands are `make demo` and `make test`; each target sets up what it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test check bench soak clean
.DEFAULT_GOAL := demo

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; run: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable '.[cli,endpoint]' --group dev
	@touch $@

demo: $(VENV)/.installed ## real text from a real model and two adapters of it, through the whole way
	$(BIN)/python examples/demo.py

test: $(VENV)/.installed ## every test, the reference comparisons too
	$(BIN)/python -m pytest

check: $(VENV)/.installed ## lint, format, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.installed ## the side-by-side tables
	$(BIN)/python -m bench

soak: $(VENV)/.installed ## what the endpoint promises under load, faults and attack, in full: about an hour
	$(BIN)/python -m bench.endurance

clean:
	rm -rf $(VENV) .reference build dist
