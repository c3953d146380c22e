# Everything runs from a virtual environment inside the checkout.
# The only thing needed beforehand is Python 3.11, 3.12 or 3.13.

VENV ?= .venv
BIN = $(VENV)/bin
LLAMACPP = .venv-llamacpp
PYTHON ?=
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes
COMPILE = $(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet
export TZ = UTC
export PYTHONUTF8 = 1
# onnxruntime reports usage to its maker otherwise.
export ORT_DISABLE_TELEMETRY = 1

# One file or folder given as DOCS=PATH, spaces allowed; otherwise Parley's own documentation.
DOCUMENTS = $(if $(filter command line environment,$(origin DOCS)),"$(DOCS)",README.md CHANGELOG.md docs)

# An environment whose interpreter is gone (moved or upgraded since) is made anew, with its packages.
$(shell test -e $(BIN)/python || rm -f $(VENV)/.run $(VENV)/.dev)

.DELETE_ON_ERROR:
.PHONY: help run test test-llamacpp faults check studio lock env clean

help:
	@echo "make run              start Parley on http://127.0.0.1:8080, having read its own documentation"
	@echo "make run DOCS=PATH    the same, having read your documents instead"
	@echo "make test             install the tools, run every check and test (ARGS=... goes to pytest)"
	@echo "make test-llamacpp    build llama.cpp's server and test the client on it (needs a C++ compiler and CMake)"
	@echo "make faults           kill workers a few hundred times at random; no action may happen twice (ARGS=... for more)"
	@echo "make check            only the checks: format, lint, types, import order"
	@echo "make studio           serve the graph to LangGraph Studio on http://127.0.0.1:2024"
	@echo "make lock             renew requirements.lock and requirements-dev.lock from pyproject.toml"
	@echo "make env              write .env with fresh passwords, for docker compose"
	@echo "make clean            remove the virtual environment and caches; your data stays in .parley/"

run: $(VENV)/.run
	@$(BIN)/python -m api run $(DOCUMENTS)

test: check
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile $(ARGS)

# The client on a server that others wrote. Building it takes about ten minutes, once.
test-llamacpp: $(VENV)/.dev $(LLAMACPP)/.done
	$(BIN)/python -m pytest tests/tgi/llamacpp $(ARGS)

# Half an hour or less; `make faults ARGS="--seed 7 --kills 1000"` repeats a storm, or a longer one.
faults: $(VENV)/.dev
	$(BIN)/python -m tests.faults $(ARGS)

check: $(VENV)/.dev
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy
	$(BIN)/lint-imports

# The tool reports its use, asks for newer versions of itself and sends traces unless told not to.
studio: $(VENV)/.dev
	@LANGSMITH_TRACING=false LANGGRAPH_CLI_NO_ANALYTICS=1 LANGGRAPH_NO_VERSION_CHECK=1 \
	    $(BIN)/python -m langgraph_cli dev --no-browser --no-reload $(ARGS)

# What is locked stays as it is where it still fits; `make lock UPGRADE=--upgrade` takes the newest.
lock: $(VENV)/.dev
	$(COMPILE) --group dev -o requirements-dev.lock $(UPGRADE)
	$(COMPILE) -c requirements-dev.lock -o requirements.lock $(UPGRADE)

env:
	@sh deploy/env.sh

clean:
	rm -rf $(VENV) $(LLAMACPP) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .langgraph_api
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.run: requirements.lock | $(BIN)/python
	@echo "Installing the packages of requirements.lock into $(VENV): once, for one to three minutes."
	@start=$$(date +%s); $(PIP) -r requirements.lock && echo "Set up in $$(( $$(date +%s) - start )) s."
	@touch $@

$(VENV)/.dev: requirements-dev.lock | $(BIN)/python
	@echo "Installing the packages of requirements-dev.lock into $(VENV): once, for one to three minutes."
	@start=$$(date +%s); $(PIP) -r requirements-dev.lock && echo "Set up in $$(( $$(date +%s) - start )) s."
	@touch $@ $(VENV)/.run

# In an environment of its own: it is no part of Parley, and nothing of it may be imported.
$(LLAMACPP)/.done: tests/tgi/llamacpp/requirements.lock | $(BIN)/python
	@command -v c++ >/dev/null && command -v cmake >/dev/null || \
	    { echo "A C++ compiler and CMake are needed (Debian, Ubuntu: apt install g++ cmake)." >&2; exit 1; }
	@echo "Building llama.cpp's server into $(LLAMACPP): once, for about ten minutes."
	@$(BIN)/python -m venv $(LLAMACPP)
	@$(LLAMACPP)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $<
	@touch $@

# The first interpreter that answers, has the right version and can make environments.
# A name on the PATH is not enough: shims of version managers answer for versions that are not there.
$(BIN)/python:
	@version='import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))'; right=; \
	for name in "$(PYTHON)" python3.13 python3.12 python3.11 python3 python; do \
	    command -v "$$name" >/dev/null 2>&1 && "$$name" -c "$$version" >/dev/null 2>&1 || continue; \
	    right="$$name"; \
	    "$$name" -c 'import ensurepip, venv' >/dev/null 2>&1 || continue; \
	    rm -rf "$(VENV)"; "$$name" -m venv "$(VENV)"; exit; \
	done; \
	if [ -n "$$right" ]; then \
	    echo "$$right cannot make virtual environments: install its venv package (Debian, Ubuntu: apt install python3-venv)." >&2; \
	else \
	    echo "Parley needs Python 3.11, 3.12 or 3.13 on the PATH, or make PYTHON=/path/to/python3." >&2; \
	fi; exit 1
