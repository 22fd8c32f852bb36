# Every target sets itself up: it makes .venv and installs what it needs, and does so again only when setup.cfg, setup.py,
# pyproject.toml or csrc/ change. `make demo` needs no development tools and installs none.

VENV ?= .venv
PYTHON ?= python3
TORCH ?= torch==2.13.0
JOBS ?= 2
DATA ?= data
RUNS ?= runs
BENCHES ?= scatter neighbours small_dense edge_sum growth relative_attention large mpm

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
CORE := $(VENV)/.core
DEV := $(VENV)/.dev
CPP := $(filter %.h %.cpp %.cu %.cuh,$(wildcard csrc/* csrc/*/*))
PEERS := build/peers
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest

.PHONY: help venv dev demo test test-fast conformance peers format bench bench-giorom docs wheel wheel-check clean
.PHONY: lint lint-python lint-format lint-cpp lint-words lint-docstrings lint-imports lint-types

help:
	@echo "make demo      train for three minutes, super-resolve, draw"
	@echo "make test      all tests and notebooks, with coverage (test-fast: without slow tests, notebooks and coverage)"
	@echo "make conformance  geoops.compat against torch-scatter and torch-cluster, which are compiled into build/peers first"
	@echo "make lint      style, types, import rules, spelling (format: repair what can be repaired)"
	@echo "make bench     benchmarks of the ops beside torch-scatter, torch-cluster, scipy and torch, written to benchmarks/results"
	@echo "make bench-giorom  motions, trainings and benchmarks of steppers and decoders, nine hours"
	@echo "make docs      documentation, in docs/_build/html"
	@echo "make wheel     one wheel for every Python, in dist (wheel-check: tested under another Python and torch)"
	@echo "make venv|dev  only install: for use | with the tools of development; make clean removes what was made"
	@echo "TORCH='$(TORCH)' is installed first; give another requirement to change it, for instance TORCH=torch"

venv: $(CORE)
dev: $(DEV)

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(CORE): setup.cfg setup.py pyproject.toml $(CPP) | $(BIN)/python
	@echo "== installing $(TORCH) and geoops into $(VENV)"
	$(PIP) "$(TORCH)" "setuptools>=77"
	GEOOPS_WERROR=1 $(PIP) --no-build-isolation --editable ".[all]"
	@$(BIN)/python -c "import geoops.ops as ops; print(ops.info())"
	@$(BIN)/python -c "import gmsh" 2>/dev/null || echo "hint: gmsh, which makes the unit cells, does not import;" \
	  "on Debian: apt-get install libglu1-mesa libxcursor1 libxft2 libxinerama1"
	@touch $@

# The extras of the installed package: nothing is compiled a second time.
$(DEV): $(CORE)
	@echo "== installing the tools of development into $(VENV)"
	$(PIP) "geoops[test,docs,lint]"
	@touch $@

demo: $(CORE)
	$(BIN)/python examples/demo.py $(DEMO)

test: $(DEV)
	@rm -f .coverage .coverage.*
	$(PYTEST) -n $(JOBS) --doctest-modules tests geoops --cov --cov-report= --cov-fail-under=0
	JAXTYPING_DISABLE=1 $(PYTEST) -m compile --cov --cov-append --cov-report= --cov-fail-under=0
	$(PYTEST) -o addopts= -n $(JOBS) --dist loadfile --nbval-lax --nbval-current-env notebooks
	$(BIN)/coverage report

test-fast: $(DEV)
	$(PYTEST) -n $(JOBS) -m "not slow"

conformance: $(DEV) $(PEERS)
	PYTHONPATH=$(PEERS) $(BIN)/python -c "import torch_scatter, torch_cluster"
	PYTHONPATH=$(PEERS) $(PYTEST) tests/conformance

peers: $(PEERS)

$(PEERS): | $(DEV)
	@echo "== compiling torch-scatter and torch-cluster into $(PEERS), which takes about half an hour"
	$(PIP) --no-build-isolation --no-deps --target $@ torch-scatter==2.1.2 torch-cluster==1.6.3 || { rm -rf $@; exit 1; }

# `make -k lint` goes on after a finding.
lint: lint-python lint-format lint-cpp lint-words lint-docstrings lint-imports lint-types

lint-python: $(DEV)
	$(BIN)/ruff check .

lint-format: $(DEV)
	$(BIN)/ruff format --check .

lint-cpp: $(DEV)
	$(BIN)/clang-format --dry-run --Werror $(CPP)

lint-words: $(DEV)
	$(BIN)/codespell

lint-docstrings: $(DEV)
	$(BIN)/interrogate --quiet geoops

lint-imports: $(DEV)
	$(BIN)/lint-imports --config setup.cfg

lint-types: $(DEV)
	$(BIN)/pyright --pythonpath $(BIN)/python

format: $(DEV)
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(CPP)

bench: $(CORE) peers
	for name in $(BENCHES); do $(BIN)/python benchmarks/$$name.py || exit 1; done

# Motions, trainings and benchmarks; what is there in DATA, RUNS and benchmarks/results is kept.
bench-giorom: $(CORE)
	$(BIN)/python benchmarks/giorom_all.py --data $(DATA) --runs $(RUNS)

# Python 3.12 and torch 2.14.1 unless CHECK says otherwise; installs several gigabytes below build/.
wheel-check: wheel
	$(BIN)/python benchmarks/wheel_check.py $(CHECK)

docs: $(DEV)
	$(BIN)/sphinx-build -W --keep-going -b html docs docs/_build/html

wheel: $(CORE)
	$(PIP) wheel
	$(BIN)/python -m pip wheel --quiet --no-build-isolation --no-deps --wheel-dir dist .
	@ls dist/*.whl

clean:
	rm -rf $(VENV) build dist docs/_build *.egg-info .coverage .coverage.* .pytest_cache .ruff_cache .hypothesis geoops/_native
