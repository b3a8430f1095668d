# What a newcomer types: `make quickstart`, then `make test`. Everything runs in .venv, which set-up makes when missing.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup quickstart test lint types unit coverage services services-stop test-services mlflow-server format notebooks lab lock wheel \
  clean
BIN := .venv/bin
MAKEFLAGS += --no-print-directory

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## The environment in .venv (EXTRAS=all for every extra; quick when nothing changed)
	@requirements/setup.sh

quickstart: setup ## The whole product once, on MovieLens-100K: from events to served recommendations
	@$(BIN)/python -m pipelines.quickstart

test: setup ## Lint, types and the whole test-suite
	@$(MAKE) lint
	@$(MAKE) types
	@$(MAKE) unit

lint: setup ## Style, formatting and the direction of imports
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports --no-logo

types: setup ## mypy, strict, on recsys/
	$(BIN)/mypy

unit: setup ## The test-suite alone (ARGS="-m 'not slow'" for the fast part)
	$(BIN)/pytest $(ARGS)

coverage: setup ## The test-suite, and which lines of recsys/ it did not run
	$(BIN)/pytest --cov --cov-report=term $(ARGS)

services: ## Redis and PostgreSQL for this checkout, on loopback; installed from the system's packages when missing
	@services/start.sh

services-stop: ## Stops them; their data stay in build/services
	@services/stop.sh

test-services: setup ## The feature store's tests on Redis and PostgreSQL (starts and stops them when they do not run)
	@services/test.sh $(ARGS)

mlflow-server: setup ## A tracking server for a team, on loopback, with PostgreSQL and passwords (Ctrl-C stops it)
	@services/mlflow-server.sh

format: setup ## Formats the code and mends what ruff can mend
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

notebooks: setup ## Both halves of each notebook in step, without outputs; then run into build/notebooks/
	$(BIN)/jupytext --quiet --sync notebooks/*.ipynb
	$(BIN)/jupyter nbconvert --log-level=ERROR --clear-output --inplace notebooks/*.ipynb
	$(BIN)/jupyter nbconvert --log-level=ERROR --to html --execute --output-dir build/notebooks notebooks/*.ipynb
	@ls build/notebooks/*.html

lab: setup ## Opens the notebooks in JupyterLab, on this machine only
	$(BIN)/jupyter lab --ip=127.0.0.1 $(ARGS) notebooks/01_quickstart.ipynb

lock: setup ## Resolves pyproject.toml into requirements/*.txt again (needs the network)
	$(BIN)/uv pip compile -q pyproject.toml requirements/lock.in --python-version 3.11 --no-header \
	  --all-extras -o requirements/all.txt $(ARGS)
	$(BIN)/uv pip compile -q pyproject.toml requirements/lock.in --python-version 3.11 --no-header \
	  --extra dev --extra notebooks --extra large --extra redis --extra postgres --extra mlflow-server -c requirements/all.txt -o requirements/lock.txt $(ARGS)

wheel: setup ## dist/recsys-*.whl
	$(BIN)/python -m build --wheel --no-isolation

clean: ## Removes caches and builds; keeps .venv and workspaces
	rm -rf dist build htmlcov coverage.xml .coverage .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -path ./.venv -prune -o -name __pycache__ -type d -exec rm -rf {} +
