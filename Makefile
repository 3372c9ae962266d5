# Every target makes its own virtual environment first; nothing but Python 3.11 to 3.14 and make is needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help

.PHONY: help
help: ## Say what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] < (3, 15) else "ringwatch needs Python 3.11 to 3.14; name one with make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(READY)

.PHONY: setup
setup: $(READY) ## Make .venv with the locked dependencies

.PHONY: demo
demo: $(READY) ## Run the main job on the embedded log with simulated traffic (DEMO_SECONDS=60 ends by itself)
	$(BIN)/ringwatch demo

.PHONY: test
test: $(READY) ## Run all tests with branch coverage
	$(BIN)/coverage erase
	$(BIN)/python -m pytest --numprocesses 3 --dist loadgroup --cov --cov-report=
	$(BIN)/coverage report

.PHONY: lint
lint: $(READY) ## Check style, types and the walls between packages
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: bench
bench: $(READY) ## Measure speed and size; prints a table and writes bench/results.json
	$(BIN)/python -m bench

.PHONY: quality
quality: $(READY) ## Measure how good the detectors are; writes bench/quality.json and renews docs/quality.md
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m bench.quality

.PHONY: drill
drill: $(READY) ## Break real processes on a real Apache Kafka under load, and print what was lost (FAULT="zombie")
	$(BIN)/python -m bench.drill $(if $(FAULT),"$(FAULT)")

.PHONY: ci
ci: lint test ## What CI runs

.PHONY: lock
lock: $(READY) ## Renew requirements.lock from pyproject.toml
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--group dev --group build --output-file requirements.lock pyproject.toml

.PHONY: clean
clean: ## Remove the virtual environment and what tools left
	rm -rf $(VENV) .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
