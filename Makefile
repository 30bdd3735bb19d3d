# `make run` and `make test` need only Python 3.11 or newer (with venv) and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT := 2222

.PHONY: run test features bench soak format pictures snapshots clean

run: $(VENV)/.installed ## Start the server on 127.0.0.1 with its state in .twofold/. PORT=2300 for another port
	@$(BIN)/twofold --home .twofold serve --init --host 127.0.0.1 --port $(PORT)

test: $(VENV)/.installed-dev ## Check format, lint, types and import contracts, then run all tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	@# The workers share the compiled tests, which are made beside the check of types: each would make its own.
	PYTHONDONTWRITEBYTECODE= $(BIN)/pytest --quiet --collect-only >/dev/null & $(BIN)/mypy && wait
	$(BIN)/lint-imports
	PYTHONDONTWRITEBYTECODE= $(BIN)/pytest -n 5 --dist worksteal

features: $(VENV)/.installed-dev ## List what it does, feature by feature, with the tests that show each
	@$(BIN)/pytest --quiet --features

format: $(VENV)/.installed-dev ## Rewrite the code in the project's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.installed-dev ## Measure the speed and compare it with others; as root also with sshd. ARGS=--quick to try
	PYTHONPATH=.:tests $(BIN)/python -m bench $(ARGS)

soak: $(VENV)/.installed-dev ## Run the long forms of the tests
	$(BIN)/pytest -v -m soak --durations=0

pictures: $(VENV)/.installed ## Draw the README's pictures from the running app
	$(BIN)/python .pictures/make.py

snapshots: $(VENV)/.installed-dev ## Accept the screens as they are now; look at the differences first
	$(BIN)/pytest tests/tui --snapshot-update

$(VENV)/bin/python:
	@echo "Making a Python environment in $(VENV)/."
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	@echo "Installing Twofold and what it needs into $(VENV)/. This takes a minute or two, once."
	@$(BIN)/python -m pip install --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@echo "Installing what the tests need into $(VENV)/. This takes a minute or two, once."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	@$(BIN)/python -m pip install --disable-pip-version-check --group dev
	@touch $@

clean: ## Remove what was built; keep .twofold/
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
