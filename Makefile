# Each target sets up .venv if it is missing or pyproject.toml changed, then runs one line.
PARAMS ?= params/demo.yaml
PYTHON ?= python3
BIN := .venv/bin
# Bytecode is kept also where the environment says otherwise: tests start some hundred Pythons.
TESTING := OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=

.PHONY: report test test-slow lint bench bench-quick bench-verdict clean
.DELETE_ON_ERROR:

report: .venv/installed
	$(BIN)/headstart report $(PARAMS) $(OPTIONS)

test: .venv/installed-dev .tools/installed
	$(TESTING) $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not slow" $(OPTIONS)

test-slow: .venv/installed-dev .tools/installed
	$(TESTING) $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder -m slow $(OPTIONS)

lint: .venv/installed-dev
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

bench: .venv/installed-bench
	$(BIN)/python -m bench $(OPTIONS)

bench-quick: .venv/installed-bench
	$(BIN)/python -m bench --quick $(OPTIONS)

bench-verdict: .venv/installed
	OMP_NUM_THREADS=1 $(BIN)/python -m bench.verdict $(OPTIONS)

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=python3.12")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	echo 'QUARTO_PYTHON="$(CURDIR)/$(BIN)/python"' > _environment.local  # so that bare quarto render finds it
	touch $@

.venv/installed-dev: .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

.venv/installed-bench: .venv/installed-dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[bench]'
	touch $@

# Chromium and axe-core for the browser tests: where they cannot be installed, those tests skip by name.
.tools/installed:
	mkdir -p .tools
	tests/install-browser.sh .tools
	touch $@

clean:
	rm -rf .venv .tools reports cache _environment.local
