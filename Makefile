# Everything that a person does with a checkout. `make run` and `make test` need python3 with venv, and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# One more than processors: half of the time of the tests is waiting for processes.
WORKERS = $(shell $(PYTHON) -c 'import os; print((os.cpu_count() or 1) + 1)')
# In the order of their folders: what takes long comes first, and the many quick ones fill the end.
PYTEST = $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile
# What pip does one file after the other, on all processors, and without the packages' own tests; some packages ship
# files that are no Python of this version.
COMPILE = $(BIN)/python -m compileall -qq -j 0 -x '/tests/' $(VENV)/lib >/dev/null 2>&1 || true

.PHONY: run test check ui e2e chromium chaos bench clean lock help

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/.run ## Render data/manifest.csv on the local server: videos, tables and a gallery in output/
	@$(BIN)/kf2v weights --try
	$(BIN)/kf2v run

ui: $(VENV)/.run ## Open Dagster's web UI on the same instance: http://127.0.0.1:3000
	$(BIN)/kf2v ui

test: $(VENV)/.dev ## Run the tests; E2E=1 adds the browser's proof: each waits while the other works
	$(PYTEST)$(if $(E2E), -m "not chaos")

check: $(VENV)/.dev ## Lint, format, types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

e2e: chromium $(VENV)/.dev ## Work with Dagster's web UI in a real browser; Debian's chromium is installed where there is none
	$(BIN)/python -m pytest -m e2e -n 2 --dist loadfile --no-loadscope-reorder tests/e2e

chromium:
	command -v chromium >/dev/null || { $(AS_ROOT) apt-get update -q && $(AS_ROOT) apt-get install -y -q --no-install-recommends chromium; }

chaos: $(VENV)/.dev ## Kill drives at every point, with every fault, and 200 times at random: takes half an hour
	$(BIN)/python -m pytest -m "chaos and not e2e"
	PYTHONPATH=tests $(BIN)/python -m chaos.campaign --kills 200 --seed 1

bench: $(VENV)/.dev ## Print the benchmarks' tables
	$(BIN)/python -m bench

lock: ## Resolve the locks anew (needs uv)
	printf 'hatchling\neditables\n' | uv pip compile pyproject.toml - --extra ui $(UV_COMPILE) -o requirements.lock
	printf 'hatchling\neditables\n' | uv pip compile pyproject.toml - --extra dev -c requirements.lock $(UV_COMPILE) -o requirements-dev.lock

AS_ROOT := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

UV_COMPILE := --universal --python-version 3.10 --generate-hashes --no-emit-index-url --no-emit-find-links \
	--no-strip-extras --no-annotate --no-header --no-emit-package kf2v-pipeline --quiet

clean: ## Remove what runs and checks left behind; the virtual environment stays
	rm -rf output .kf2v build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: requirements.lock pyproject.toml | $(BIN)/python
	$(INSTALL) --require-hashes -r requirements.lock
	$(INSTALL) --no-deps --no-build-isolation --editable .
	$(COMPILE)
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.run
	$(INSTALL) --require-hashes -r requirements-dev.lock
	$(COMPILE)
	@touch $@
