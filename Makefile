# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
#
# make demo    from a fresh Debian 12 to a container and a virtual machine, both servers of one cloud
# make test    everything, on a real cloud; installs what it needs
# make fast    lint, types, unit tests and the contracts of the fakes: no cloud, a minute
# make up      the cloud alone
# make down    remove the cloud
# make docs-reference  write the pages of docs/reference that come out of the code
# make lock    compile requirements/*.in again
# make clean   remove the environment and what was built

SHELL := /bin/bash
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
BIN := .venv/bin
STEP := make/step
PYTEST := $(BIN)/python -m pytest -q

.PHONY: help demo test fast up down lint types unit contract contract-fakes functional integration e2e e2e-ovs \
	docs-reference environment developer packages python wheels lock clean

help:
	@sed -n 's/^# make/make/p' Makefile

demo: up
	@$(STEP) --show story "The article's story" "$(BIN)/nova-docker status; run it again with make demo" \
		$(BIN)/python demo/story.py

up: environment
	@$(STEP) --show up "The cloud comes up" "$(BIN)/nova-docker up goes on where this ended" $(BIN)/nova-docker up -v

down:
	@[[ ! -x $(BIN)/nova-docker ]] || $(BIN)/nova-docker down

# -- What everything stands on ---------------------------------------------------------------------------------------

# Debian's packages are unpacked by one processor while another brings the Python environment.
environment: python
	@$(MAKE) -j2 packages wheels
	@$(STEP) compiled "Python packages built here" "packages/install brings compiler and headers; then run this again" \
		make/environment compiled
	@$(STEP) ours "nova-docker's own wheel, beside Nova" "look at pyproject.toml and src" make/environment ours

python:
	@packages/install --list packages/python.txt --check >/dev/null || $(STEP) python "Debian's Python" \
		"apt-get update, and look at /etc/apt/sources.list.d" packages/install --list packages/python.txt

packages:
	@$(STEP) packages "Debian packages" "apt-get update, and look at /etc/apt/sources.list.d" packages/install

wheels:
	@$(STEP) wheels "Python environment" "is the package index reachable? pip and uv settings are honoured" \
		make/environment wheels

developer: environment
	@$(STEP) dev "What tests and checks need" "is the package index reachable?" make/environment dev

# -- Checks ----------------------------------------------------------------------------------------------------------

test: developer
	@for each in lint types unit contract functional integration e2e-ovs e2e; do $(MAKE) $$each READY=1 || exit; done

fast: developer
	@for each in lint types unit contract-fakes; do $(MAKE) $$each READY=1 || exit; done

# Each check can be asked for alone; within `test` and `fast` the environment is looked at once.
NEEDS := $(if $(READY),,developer)

lint: $(NEEDS)
	@$(STEP) ruff "Lint: style" "$(BIN)/ruff check --fix; $(BIN)/ruff format" \
		bash -c '$(BIN)/ruff check src tests tools $(wildcard demo) && $(BIN)/ruff format --check src tests tools $(wildcard demo)'
	@$(STEP) imports "Lint: who may import whom" "the contracts are in pyproject.toml" $(BIN)/lint-imports
	@$(STEP) shell "Lint: shell scripts" "bash -n on the named file" bash -c 'for each in packages/install make/* .ci/run; \
		do bash -n "$$each" || exit; done'

types: $(NEEDS)
	@$(STEP) types "Types" "$(BIN)/mypy says where" $(BIN)/mypy

unit: $(NEEDS)
	@$(STEP) --show unit "Unit tests" "$(PYTEST) tests/unit -k NAME" $(PYTEST) tests/unit

contract-fakes: $(NEEDS)
	@$(STEP) --show contract-fakes "Contracts of the doors, on the fakes" "$(PYTEST) tests/contract -k NAME" \
		$(PYTEST) tests/contract -m "not functional"

contract: $(NEEDS)
	@$(STEP) --show contract "Contracts of the doors, on fakes and real ones" "$(PYTEST) tests/contract -k NAME" \
		$(PYTEST) tests/contract

functional: $(NEEDS)
	@$(STEP) --show functional "Functional tests: one real thing each" "$(PYTEST) tests/functional -k NAME" \
		$(PYTEST) tests/functional

integration: $(NEEDS)
	@$(STEP) --show integration "Integration tests: Nova in one process" "$(PYTEST) tests/integration -k NAME" \
		$(PYTEST) tests/integration

e2e: $(NEEDS)
	@$(STEP) --show e2e "End to end: a real cloud" "$(BIN)/nova-docker status; $(PYTEST) tests/e2e -k NAME" \
		$(PYTEST) --reruns 1 -rR tests/e2e

# The story once more, on a cloud with ML2/OVS.
e2e-ovs: $(NEEDS)
	@$(STEP) --show e2e-ovs "End to end: the story with ML2/OVS" \
		"$(BIN)/nova-docker status; NOVA_DOCKER_BACKEND=ovs $(PYTEST) tests/e2e -k NAME" \
		env NOVA_DOCKER_BACKEND=ovs $(PYTEST) --reruns 1 -rR tests/e2e

# -- Upkeep ----------------------------------------------------------------------------------------------------------

docs-reference: $(NEEDS)
	@PYTHONPATH=src $(BIN)/python -W ignore -m tools.reference

lock: environment
	@cd requirements && for each in host uv dev build keys plain; do \
		PATH="$(CURDIR)/$(BIN):$$PATH" uv pip compile -q --generate-hashes --no-header --no-annotate \
			--no-emit-index-url --python-version 3.11 $(UPGRADE) $$each.in -o $$each.lock || exit; done

clean:
	@make/environment clean
	@rm -rf build dist .stamps .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	@find src tests tools $(wildcard demo) -name __pycache__ -type d -prune -exec rm -rf {} +
