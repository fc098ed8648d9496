# Everything sets itself up: a virtual environment in .venv, with locked and hashed packages.

PYTHON ?= python3
USERS ?=

UV_VERSION := 0.13.9
VENV := .venv
BIN := $(VENV)/bin
# -qq: errors only.
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input -qq

# A stamp belongs to this place and this Python: a moved tree or another Python starts afresh.
ID := $(shell { pwd; $(PYTHON) -c 'import sys; print(sys.base_prefix, sys.version)'; } | cksum | cut -d' ' -f1)
MADE := $(VENV)/.made-$(ID)
RUN := $(VENV)/.run-$(ID)
DEV := $(VENV)/.dev-$(ID)

COVERAGE := $(BIN)/python -m coverage

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test check lint unit lock clean

help: ## Show this help
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' Makefile

demo: $(RUN) ## Sync a built-in demo directory; USERS=500 sets its size
	@$(BIN)/syncd demo $(if $(USERS),--users $(USERS))

test: lint ## Everything: lint, types, layers, all tests, the coverage gate
	@echo "==> all tests"
	@rm -rf .cache/coverage && mkdir -p .cache/coverage
	@$(COVERAGE) run -m pytest
	@$(COVERAGE) combine --quiet
	@$(COVERAGE) json --quiet -o .cache/coverage/report.json
	@$(BIN)/python scripts/check_coverage.py .cache/coverage/report.json

check: lint unit ## What a commit needs: lint, types, layers, the quick tests

lint: $(DEV)
	@echo "==> ruff"
	@$(BIN)/ruff check --quiet --output-format concise
	@$(BIN)/ruff format --check --quiet --diff
	@echo "==> mypy --strict"
	@$(BIN)/python -m mypy
	@echo "==> layers"
	@$(BIN)/python scripts/check_layers.py

unit: $(DEV)
	@echo "==> quick tests"
	@$(BIN)/python -m pytest -m "not slow and not system"

lock: ## Lock the dependencies anew; UPGRADE=1 takes newer ones
	@echo "==> locking with uv $(UV_VERSION)"
	@set -e; tools=$$(mktemp -d); trap 'rm -rf "$$tools"' EXIT; \
	$(PYTHON) -m venv "$$tools"; \
	"$$tools/bin/python" -m pip --disable-pip-version-check -qq install uv==$(UV_VERSION); \
	compile="$$tools/bin/uv pip compile --quiet --universal --python-version 3.11 \
	    --generate-hashes --no-emit-index-url --no-emit-find-links \
	    $(if $(UPGRADE),--upgrade)"; \
	export UV_CUSTOM_COMPILE_COMMAND="make lock"; \
	$$compile pyproject.toml requirements/build.in -o requirements/run.txt; \
	$$compile pyproject.toml requirements/build.in --extra dev \
	    -c requirements/run.txt -o requirements/dev.txt

clean: ## Remove what was built, .venv too
	rm -rf $(VENV) .cache .hypothesis build dist *.egg-info
	find syncd scripts tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(MADE):
	@echo "==> making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(RUN): $(MADE) requirements/run.txt pyproject.toml syncd/__init__.py
	@echo "==> installing the locked packages of requirements/run.txt"
	@$(PIP) install --require-hashes -r requirements/run.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(DEV): $(RUN) requirements/dev.txt
	@echo "==> installing the locked packages of requirements/dev.txt"
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@touch $@
