# Needs Python 3.11 and make. Every target does its own set-up.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
PORT ?= 8000
DATA ?= $(CURDIR)/.data
NAME ?=
ARGS ?=
WORKERS ?= 2
BIN := .venv/bin
CODE := src tenants shared_apps tenant_apps tests
# Checks need the settings and no server.
DJANGO := DJANGO_SETTINGS_MODULE=kameng.settings_test $(BIN)/python -W ignore::RuntimeWarning -m django

.PHONY: help setup run test check format bench browser assets messages
.DEFAULT_GOAL := help

help: ## Say what there is.
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/make \1\t\2/' | expand -t 16

setup: ## Make the environment in .venv; nothing to do when it is there.
	@"$(PYTHON)" src/kameng/local/environment.py venv

run: setup ## Start everything: PORT=8000, DATA=.data (two copies side by side: other values).
	@exec $(BIN)/kameng --data "$(DATA)" run --port "$(PORT)" --with-parent

test: setup browser ## Run the tests; ARGS="tests/kameng -k words" for some of them.
	@exec $(BIN)/python -m pytest -n $(WORKERS) $(ARGS)

browser:
	@"$(PYTHON)" src/kameng/local/environment.py browser

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

bench: setup ## Measure: all, or NAME=provisioning|sync|ledger|sale|page|migrate.
	@exec $(BIN)/kameng bench $(NAME) $(ARGS)

assets: ## Build the style sheet again (developers; needs node).
	cd src/kameng/ui/assets && npm ci && npm run build
