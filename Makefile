# `make demo` and `make test` each set up everything they need, then do their one thing.
SHELL := /bin/bash
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
RUN := tools/with-screen
# Processes that share the tests out, each with a screen of its own; 0: none but the one. One more than there are cores,
# since tests often wait for a process or a window.
WORKERS ?= $(shell echo $$(($$(nproc 2>/dev/null || echo 1) + 1)))
# Tests start hundreds of processes: none compiles what another one has.
unexport PYTHONDONTWRITEBYTECODE
SHARED := --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder
# Commands and code that README and docs show: run by `make docs`.
SHOWN := tests/test_docs_blocks.py

.PHONY: demo test test-fast test-unit test-pool test-gui test-pyside6 coverage lint docs notebooks dist bench screenshots clean help

help:
	@echo "make demo   evolve networks on a simulated movie and show the defects of later frames (about 6 minutes)"
	@echo "make test   the test suite, shared out among processes: 10 to 15 minutes on two cores; WORKERS=0 uses one"
	@echo "make test-fast   what needs no window, cluster or patience: a minute and a half on two cores"
	@echo "make test-unit, test-pool, test-gui   the three parts of the suite; together they are the whole"
	@echo "make coverage    test-unit and test-pool, and which lines of src they reach"
	@echo "make test-pyside6   the tests of the windows with the other Qt binding"
	@echo "make lint   ruff, mypy --strict, import-linter"
	@echo "make docs   the documentation as a site, in docs/_build; warnings are errors. Runs what the pages show: two minutes"
	@echo "make notebooks   every notebook from a fresh kernel, on small budgets: five minutes on two cores"
	@echo "make dist   wheel and source archive of what is committed, checked and installed in an empty environment"
	@echo "make bench  every benchmark; cells that are done are skipped"
	@echo "make screenshots   the pictures of the documentation, from the running plugin"

$(VENV)/bin/python:
	tools/system-packages python
	@test -n "$(PYTHON)" || { echo "Expected Python 3.11 or newer; found none. Install one, or say make PYTHON=/path/to/python3." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(VENV)/bin/python pyproject.toml constraints.txt
	tools/system-packages window
	$(BIN)/python -m pip install --quiet -c constraints.txt torch
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[all]'
	@touch $@

$(VENV)/.dev: $(VENV)/bin/python pyproject.toml constraints.txt
	tools/system-packages window screen ssh
	$(BIN)/python -m pip install --quiet -c constraints.txt torch
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	# Without imagecodecs, which it asks for and does not need here: tests say what is missing without it.
	$(BIN)/python -m pip install --quiet --no-deps 'bioimageio.core>=0.11'
	@touch $@

demo: $(VENV)/.demo
	$(BIN)/napari-menndl demo --out demo-output

test: $(VENV)/.dev
	$(BIN)/python -m pytest $(SHARED) --ignore $(SHOWN)

# Tests of windows and of pools are not even imported.
test-fast: $(VENV)/.dev
	$(BIN)/python -m pytest $(SHARED) -m "not slow and not cluster" --ignore tests/widgets --ignore tests/pool

test-unit: $(VENV)/.dev
	$(BIN)/python -m pytest $(SHARED) -m "not cluster" --ignore tests/widgets --ignore tests/pool

test-pool: $(VENV)/.dev
	$(BIN)/python -m pytest $(SHARED) -m cluster --ignore tests/widgets --ignore $(SHOWN)

test-gui: $(VENV)/.dev
	$(BIN)/python -m pytest $(SHARED) tests/widgets

coverage: $(VENV)/.dev
	$(BIN)/python -m pytest $(SHARED) --ignore tests/widgets --ignore $(SHOWN) --cov --cov-report term

test-pyside6: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[pyside6]'
	QT_API=pyside6 PYTEST_QT_API=pyside6 $(BIN)/python -m pytest -o qt_api=pyside6 tests/widgets

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/.dev
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist load $(SHOWN)

notebooks: $(VENV)/.dev
	$(BIN)/python tools/notebooks.py

dist: $(VENV)/.dev
	$(BIN)/python tools/dist.py

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks

screenshots: $(VENV)/.dev
	$(RUN) $(BIN)/python tools/screenshots.py

clean:
	rm -rf $(VENV) build dist src/*.egg-info demo-output docs/_build
