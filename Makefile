# Wraps pip and lnscore; docs/install.md has the same steps for Windows.
#   make demo    a phantom cohort in DICOM -> scores -> report, in a fresh environment
#   make test    lint, types, import contracts, tests
#   make quick   the same for what the change touches, without the slow tests
#   make docs    docs/cli.md, from the commands
#   make bench   speed and memory, side by side with the usual way
#   make gpu     builds, verifies and times every back end that is here; docs/gpu.md
# VENV= names another environment, PYTHON= another interpreter (3.11 or newer).

VENV ?= .venv
PYTHON ?= $(firstword $(shell command -v python3.11 python3.12 python3.13 python3 2>/dev/null))
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
DEMO ?= demo-out
JOBS ?= 2

.PHONY: demo test quick env env-dev system lint unit docs bench gpu clean help

help:
	@sed -n '2,8s/^# *//p' Makefile

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "lnscore needs Python 3.11 or newer on the PATH"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "lnscore needs Python 3.11 or newer; $(PYTHON) is older (PYTHON= names another)"; exit 1; }
	$(PYTHON) -m venv $(VENV)

# A stamp per environment: pip runs again only when what it installs from has changed.
$(VENV)/.base: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) install --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.dev: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) install --constraint constraints.txt --editable '.[dev]'
	@touch $@ $(VENV)/.base

env: $(VENV)/.base
env-dev: $(VENV)/.dev

# What the tests run beside lnscore: a browser that opens the report, a PostgreSQL server.
system:
	@missing=""; \
	command -v chromium >/dev/null || missing="$$missing chromium fonts-dejavu-core"; \
	ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing="$$missing postgresql"; \
	test -z "$$missing" && exit 0; \
	if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
	  echo "installing$$missing"; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
	    --no-install-recommends $$missing >/dev/null; \
	else \
	  echo "not installed:$$missing; the tests that need them will skip"; \
	fi

lint: env-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports

# Two processes, a file of tests each, in the order of tests/conftest.py; torch's threads in them
# would wait for one another. What was compiled is kept: it is half of the time to collect tests.
TESTERS ?= 2
unit quick: export OMP_NUM_THREADS = 1
unit quick: export PYTHONDONTWRITEBYTECODE =
unit: env-dev system
	$(BIN)/pytest -n $(TESTERS) --dist loadfile --no-loadscope-reorder --durations 25

test: lint unit

quick: env-dev
	$(BIN)/python scripts/quick.py

demo: env
	rm -rf $(DEMO)
	mkdir -p $(DEMO)
	$(BIN)/lnscore phantom --patients 6 --seed 1 --jobs $(JOBS) --out $(DEMO)/scans
	$(BIN)/lnscore ingest $(DEMO)/scans --db $(DEMO)/lnscore.db --jobs $(JOBS)
	$(BIN)/lnscore score --pending --db $(DEMO)/lnscore.db
	$(BIN)/lnscore report --out $(DEMO)/report --db $(DEMO)/lnscore.db
	@echo
	@echo "Open $(CURDIR)/$(DEMO)/report/index.html in a browser."

docs: env-dev
	$(BIN)/python -P -m lnscore.cli.reference docs/cli.md

bench: env-dev
	$(BIN)/python -m benchmarks

gpu: env-dev
	PYTHON=$(BIN)/python scripts/gpu.sh

clean:
	rm -rf $(VENV) $(DEMO) bench-out build *.egg-info
