# Needs Python 3.11 and make. Every target does its own set-up.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
PORT ?= 8000
DATA ?= $(CURDIR)/.data
NAME ?=
ARGS ?=
WORKERS ?= 2
BIN := .venv/bin
CODE := src tenants shared_apps tenant_apps tests
SETUP = $(if $(PYTHON),"$(PYTHON)",$(error Kameng needs Python 3.11, and there is no python3 on the PATH)) \
  src/kameng/local/environment.py
LOCK := uv pip compile --quiet --python-version 3.11 --generate-hashes --no-annotate --no-header pyproject.toml
# Checks need the settings and no server.
DJANGO := DJANGO_SETTINGS_MODULE=kameng.settings_test $(BIN)/python -W ignore::RuntimeWarning -m django

.PHONY: help setup product run test check format bench browser pooler assets messages lock
.DEFAULT_GOAL := help

help: ## Say what there is.
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/make \1\t\2/' | expand -t 16

setup: ## Make the environment in .venv, with the tools for tests and checks; nothing to do when it is there.
	@$(SETUP) tools

product:
	@$(SETUP) product

run: product ## Start everything: PORT=8000, DATA=.data (two copies side by side: other values).
	@exec $(BIN)/kameng --data "$(DATA)" run --port "$(PORT)" --with-parent

test: browser setup pooler ## Run the tests; ARGS="tests/kameng -k words" for some of them.
	@exec $(BIN)/python -m pytest -n $(WORKERS) $(ARGS)

browser:
	@$(SETUP) browser

pooler: setup
	@$(SETUP) pooler

check: setup ## Lint, format, types, import contracts, templates, migrations, translations.
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/lint-imports --no-cache
	$(BIN)/djlint --lint --quiet src tenants shared_apps tenant_apps
	$(BIN)/mypy
	$(DJANGO) makemigrations --check --dry-run
	$(BIN)/kameng messages --check
	$(BIN)/kameng migrate --lint

format: setup ## Put the code into its format.
	$(BIN)/ruff check --fix $(CODE)
	$(BIN)/ruff format $(CODE)

messages: setup ## Merge and compile the translations.
	$(BIN)/kameng messages

bench: setup ## Measure: all, or NAME=provisioning|sync|ledger|sale|page|migrate|tenants|request|memory.
	@exec $(BIN)/kameng bench --with-parent $(NAME) $(ARGS)

assets: ## Build the style sheet again (developers; needs node).
	cd src/kameng/ui/assets && npm ci && npm run build

lock: setup ## Resolve pyproject.toml again: requirements.lock is the product's, requirements-dev.lock adds the tools.
	$(BIN)/$(LOCK) -o requirements.lock
	$(BIN)/$(LOCK) --extra dev -c requirements.lock -o requirements-dev.lock \
	  $$(sed -nE 's/^([A-Za-z0-9._-]+)==.*/--no-emit-package \1/p' requirements.lock)
