# Every target prepares what it needs. A bare machine needs Python 3.11 or newer and make.
#   make demo PYTHON=python3.12 VENV=/tmp/kalla-venv    another interpreter, another place

VENV ?= .venv
SIZE ?= 5m
# Workers wait for the processes that they start about a quarter of their time.
TEST_WORKERS ?= 5
SECONDS ?= 60
SEED ?=

# The first Python new enough, unless PYTHON names one.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

BIN := $(VENV)/bin
RUNTIME := $(VENV)/.kalla-runtime
DEV := $(VENV)/.kalla-dev
PIP_INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo ui test test-full soak lint format types bench docs manual release-check proto requirements clean

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(RUNTIME) ## reconcile a few thousand invoices and payments, from nothing
	@$(BIN)/kalla demo demo-output --cluster

ui: $(RUNTIME) ## Kalla in a browser: everything on this machine, with samples
	@$(BIN)/kalla ui

test: lint $(DEV) ## everything a change has to pass: format, lint, types, walls, tests
	$(call WITH_TYPES,$(BIN)/python -m pytest -n $(TEST_WORKERS) -m "not full")

test-full: lint $(DEV) ## the same with the long suites
	$(call WITH_TYPES,$(BIN)/python -m pytest -n $(TEST_WORKERS))

soak: $(DEV) ## faults by chance on a real cluster; SECONDS=600 for so long, SEED=... to repeat one
	SOAK_SECONDS=$(SECONDS) SOAK_SEED=$(SEED) $(BIN)/python -m pytest -x tests/chaos/test_soak.py

lint: $(DEV) ## format and style, and who may import whom
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports

format: $(DEV) ## rewrite the code in the house format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

types: $(DEV) ## mypy, strict
	$(BIN)/mypy

bench: $(DEV) ## measure what benchmarks/README.md shows, and write it; SIZE=500k to try it
	$(BIN)/python -m benchmarks.page --size $(SIZE)

docs: $(DEV) ## write the pages of the manual that say what the code says, and draw its pictures
	@$(BIN)/python -m tests.support.reference
	@$(BIN)/python -m tests.support.pictures

manual: $(DEV) ## build the manual as a site, into build/manual
	@$(BIN)/zensical build --strict --clean

release-check: $(DEV) ## wheel and sdist, each installed alone into a clean environment, and the demo from it
	@deploy/release-check $(BIN)/python

proto: $(DEV) ## generate the code of the wire messages from proto/
	$(BIN)/python -m tests.support.protobuf libs

requirements: ## write the pinned requirements (needs uv); UPGRADE=--upgrade for newer versions
	@command -v uv >/dev/null || { echo "make requirements needs uv: https://docs.astral.sh/uv/"; exit 1; }
	$(COMPILE) pyproject.toml --group build --extra dev -o requirements-dev.txt
	$(COMPILE) pyproject.toml --group build -c requirements-dev.txt --extra demo -o requirements.txt
	$(COMPILE) pyproject.toml --group image -c requirements-dev.txt -o deploy/requirements.txt
	$(COMPILE) --group image-build -c requirements-dev.txt -o deploy/requirements-build.txt

clean: ## remove the environment and every cache
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache demo-output
	find libs services tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

# Types take a core for a minute on a fresh checkout, and tests leave one to them: what is wrong
# with types is told behind the tests, and fails the whole as it would before them.
define WITH_TYPES
@$(BIN)/mypy > $(VENV)/types.txt 2>&1 & types=$$!; \
	$(1); tests=$$?; \
	wait $$types; types=$$?; cat $(VENV)/types.txt; \
	exit $$((tests ? tests : types))
endef

COMPILE = uv pip compile --universal --python-version 3.11 \
	--generate-hashes --no-annotate --no-header --no-emit-index-url --no-emit-find-links --quiet $(UPGRADE)

# The environment, made once and brought up to date when the requirements or pyproject.toml change.
$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "Kalla needs Python 3.11 or newer; name one: make $(MAKECMDGOALS) PYTHON=..."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Kalla needs Python 3.11 or newer, and $(PYTHON) is not"; exit 1; }
	@echo "Preparing $(VENV) with $$($(PYTHON) --version) ..."
	@$(PYTHON) -m venv --clear $(VENV) || { rm -rf $(VENV); \
		echo "Python cannot make environments here (on Debian and Ubuntu: apt install python3-venv)"; exit 1; }

$(RUNTIME): requirements.txt pyproject.toml | $(VENV)/bin/python
	@echo "Installing what Kalla runs on ..."
	@$(PIP_INSTALL) --require-hashes -r requirements.txt
	@$(PIP_INSTALL) --no-build-isolation --no-deps --editable .
	@touch $@

$(DEV): requirements-dev.txt $(RUNTIME)
	@echo "Installing what its tests and checks run on ..."
	@$(PIP_INSTALL) --require-hashes -r requirements-dev.txt
	@touch $@
