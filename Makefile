# Needs Python >= 3.11, and Docker, or apt-get rights on Debian/Ubuntu, or rabbitmq-server and postgresql installed.
# `make demo` and `make test` need nothing else: `setup` installs what is missing.

PYTHON ?= python3
MINUTES ?= 5
BIN := .venv/bin
STACK := $(BIN)/python -m mts_stack
PACKAGES := libs/common libs/client services/gateway services/scheduler services/dialler services/results \
	services/metersim deploy/local deploy/compose deploy/check_manifests.py \
	$(filter-out tests/__pycache__,$(wildcard tests/*)) benchmarks conftest.py

.PHONY: help setup setup-tests demo up down seed test faults check bench capacity large readings soak lock
.PHONY: configuration contracts asyncapi dashboards compose-env

help:
	@echo "make demo   set up, start everything, test simulated meters, show the results, stop"
	@echo "make up     start everything and keep it in the foreground; Ctrl-C or make down ends it"
	@echo "make down   end what make up started"
	@echo "make seed FILE=path.json  load a registry into what make up started, in place of the one there"
	@echo "make test   set up, check and run all tests"
	@echo "make faults run the fault tests alone (tests/faults)"
	@echo "make check  formatting, lint, types and import rules"
	@echo "make bench  measure throughput on this machine and what calls cost"
	@echo "make large  release TESTS (100000) held tests by two schedulers and four diallers"
	@echo "make capacity  measure what one test costs each part"
	@echo "make readings  read and store among ROWS (1000000) readings of devices"
	@echo "make soak   random faults under load for MINUTES (5), seeded by MTS_FAULT_SEED"
	@echo "make configuration  write docs/configuration.md anew"
	@echo "make dashboards  write deploy/grafana/dashboards and deploy/k8s/base/rules.yaml anew"
	@echo "make contracts  write docs/openapi.json and docs/asyncapi.yaml anew"
	@echo "make compose-env  new secrets in .env, for docker compose up"
	@echo "make lock   resolve requirements/*.in anew into requirements/*.lock"

setup:
	@$(PYTHON) deploy/local/setup.py

demo: setup
	@$(STACK) demo

up: setup
	@$(STACK) up

down:
	@$(STACK) down

seed: setup
	@$(STACK) seed $(if $(FILE),"$(FILE)",$(error make seed FILE=path.json))

setup-tests:
	@$(PYTHON) deploy/local/setup.py --tests

test: setup-tests check
	$(BIN)/pytest --numprocesses 3 --dist loadfile --cov --cov-report=

faults: setup
	$(BIN)/pytest --numprocesses 2 --dist loadfile tests/faults

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@for package in $(PACKAGES); do echo "mypy $$package"; $(BIN)/mypy $$package || exit 1; done
	$(BIN)/lint-imports
	$(BIN)/python deploy/local/check_rules.py

bench: setup readings
	$(BIN)/python -m benchmarks

large: setup
	$(BIN)/python -m benchmarks.large $(TESTS)

capacity: setup
	$(BIN)/python -m benchmarks.capacity

readings: setup
	$(BIN)/python -m benchmarks.readings $(ROWS)

soak: setup
	PYTHONPATH=tests/faults $(BIN)/python -m fault_harness.soak $(MINUTES)

lock: setup
	$(BIN)/pip install --quiet pip-tools
	CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile --quiet --upgrade --output-file requirements/all.lock \
		requirements/all.in
	@for part in build runtime; do CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile --quiet --upgrade \
		--constraint requirements/all.lock --output-file requirements/$$part.lock requirements/$$part.in || exit 1; done

dashboards: setup
	@$(STACK).dashboards

compose-env:
	@$(PYTHON) deploy/compose/make_env.py

configuration: setup
	@$(STACK).configuration

contracts asyncapi: setup
	@$(STACK).contracts
