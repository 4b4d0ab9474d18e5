# `make` alone lists what there is. Everything happens in .venv, made on first use.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help demo test lint format bench bench-kafka soak clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "ampelstream needs Python 3.11 or later; name one: make PYTHON=python3.11 ..." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "cannot make a virtual environment; on Debian: apt install python3-venv" >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --editable . --group dev
	@touch $(READY)

demo: $(READY) ## simulate a night with a neutron-star merger and find its kilonova
	$(BIN)/ampelstream demo --out demo-output

test: $(READY) ## run the tests
	$(BIN)/python -m pytest -n 2 --dist loadfile

lint: $(READY) ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY) ## put the code into the project's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY) ## measure the cost per alert as ratios to bare fastavro
	cd benchmarks && ../$(BIN)/python decode.py && ../$(BIN)/python replay.py

bench-kafka: $(READY) ## measure speed, restore and sweeps on a Kafka of its own
	cd benchmarks && ../$(BIN)/python kafka_speed.py && ../$(BIN)/python kafka_state.py

soak: $(READY) ## rounds of faults on Kafka brokers of its own; takes hours, writes soak.md
	$(BIN)/python -m tests.kafka.soak --out soak.md

clean: ## remove everything that was made
	rm -rf $(VENV) demo-output .mypy_cache .ruff_cache .pytest_cache .hypothesis
