# `make` alone lists what there is. Everything happens in .venv, made on first use.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
INTERPRETER := $(addprefix ampelstream/codecs/avro/interpreter.,py pxd)

# Tests on Kafka wait more than they compute, so there may be more processes than cores; who has done
# his part takes over tests of the others.
PROCESSES ?= 3
PYTEST = $(BIN)/python -m pytest -n $(PROCESSES) --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help demo test test-all docs lint format bench bench-kafka soak clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

# $(call install,ARGUMENTS): pip install, of whose output a line for each package and for each large
# file is shown. The exit code of a pipe is that of its last command, so pip's goes around it, through
# descriptor 3. What pip says of errors goes to standard error, past all this.
define install
@code=$$({ { PYTHONUNBUFFERED=1 $(BIN)/python -m pip install --progress-bar off $(1) 3>&-; \
    echo $$? >&3; } | while read -r does what more; do \
      case "$$does $$what $$more" in \
        Collecting*) echo "  $$what" ;; \
        Downloading*.metadata*) ;; \
        Downloading*MB\)) what=$${what##*/}; echo "    fetching $${what%-*-*-*} $$more" ;; \
        Installing\ collected*,*) set -- $$more; echo "  installing $$(($$# - 1)) packages" ;; \
      esac; \
    done >&2; } 3>&1); exit $${code:-1}
endef

$(READY): pyproject.toml hatch_build.py $(INTERPRETER)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "ampelstream needs Python 3.11 or later; name one: make PYTHON=python3.11 ..." >&2; exit 1; }
	@echo "Setting up $(VENV), once: some 80 packages, 170 MB. With a fast connection that takes a" >&2
	@echo "minute or two; each package is named as it comes." >&2
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "cannot make a virtual environment; on Debian: apt install python3-venv" >&2; exit 1; }
	$(call install,--upgrade 'pip>=25.1')
	$(call install,--editable . --group dev)
	@touch $(READY)
	@echo "$(VENV) is ready." >&2

demo: $(READY) ## simulate a night with a neutron-star merger and find its kilonova
	$(BIN)/ampelstream demo --out demo-output

test: $(READY) ## run the tests that every change must pass: some minutes
	$(PYTEST)

test-all: test ## run those, and then the long ones
	$(PYTEST) --full only

docs: $(READY) ## build the site of the documents in site/; a warning is an error
	$(call install,--group docs)
	$(BIN)/python -m sphinx -q -W --keep-going docs site
	@echo "site/index.html is ready." >&2

lint: $(READY) ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY) ## put the code into the project's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY) ## measure the cost per alert as ratios to bare fastavro, AMPEL's beside it
	cd benchmarks && ../$(BIN)/python decode.py && ../$(BIN)/python replay.py \
		&& ../$(BIN)/python ampel_t0.py && ../$(BIN)/python plot.py

bench-kafka: $(READY) ## measure speed, restore and sweeps on a Kafka of its own
	cd benchmarks && ../$(BIN)/python kafka_floor.py && ../$(BIN)/python kafka_speed.py --workers 2 \
		&& ../$(BIN)/python kafka_state.py && ../$(BIN)/python kafka_ingest.py \
		&& ../$(BIN)/python kafka_change.py && ../$(BIN)/python pool_speed.py \
		&& ../$(BIN)/python kafka_pace.py && ../$(BIN)/python plot.py

soak: $(READY) ## rounds of faults on Kafka brokers of its own; takes hours, writes soak.md
	$(BIN)/python -m tests.kafka.soak --out soak.md

clean: ## remove everything that was made
	rm -rf $(VENV) demo-output site docs/reference docs/operations.md .mypy_cache .ruff_cache .pytest_cache .hypothesis
