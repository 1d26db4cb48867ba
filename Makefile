# `make help` lists the targets. PYTHON=… chooses the interpreter, ARGS=… adds to a command.

PYTHON ?= python3
TORCH := 2.13.0
EXTRAS := executorch litert ncnn openvino ray
LITERT_TORCH := 0.10.0
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input --quiet

.PHONY: help setup search lint types pytest test test-all bench litert-torch lock clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## */\1\t/' | expand -t 14

setup: $(VENV)/.ready  ## create .venv with the locked dependencies and this package

search: setup  ## find the best networks under 300 MFLOPs for this machine, write the report
	@$(BIN)/gnv2-nas search --budget 300MFLOPs $(ARGS)

lint: setup  ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup  ## mypy, strict on the package
	$(BIN)/mypy

test: lint  ## lint, types and tests; ARGS="tests/space -k axis" for some of them
	@# Side by side: tests wait for processes that end, for timers and for disks.
	@$(MAKE) --no-print-directory --jobs 2 pytest types

pytest: setup
	@# A crashed test process ends the run: xdist may wait for ever for one that takes its place.
	$(BIN)/python -m pytest -n 2 --dist loadfile --max-worker-restart 0 --durations 15 $(ARGS)

test-all:  ## the same with the slow tests: every command of the documentation
	@$(MAKE) test ARGS="-m 'slow or not slow' $(ARGS)"

bench: setup  ## the project's own speed, measured and printed as a table
	@$(BIN)/python -m benchmarks $(ARGS)

litert-torch: .venv-litert-torch/.ready  ## Google's TFLite converter, for `make bench ARGS=litert_files`

lock: setup  ## renew requirements.lock from pyproject.toml; ARGS=--upgrade for newer versions
	$(BIN)/python -c 'import tomllib; project = tomllib.load(open("pyproject.toml", "rb")); \
	  print(*project["dependency-groups"]["dev"], "torch==$(TORCH)", sep="\n")' \
	| $(BIN)/pip-compile --quiet --allow-unsafe --strip-extras --no-emit-options --no-annotate \
	  --no-header $(EXTRAS:%=--extra %) --output-file requirements.lock $(ARGS) pyproject.toml -
	@# Any build of PyTorch will do: no local version, none of the packages of its CUDA builds.
	sed -E -i.old -e '/^(nvidia|cuda|triton)[a-z0-9-]*==/d' -e 's/^(torch==[^+]*)\+.*/\1/' \
	  -e '/^(#|$$)/d' -e '1i # Written by `make lock` from pyproject.toml.' requirements.lock
	@rm requirements.lock.old

clean:  ## remove .venv, caches and builds; studies and reports stay
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.ready: $(VENV)/.locked pyproject.toml
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.locked: requirements.lock
	@command -v "$(PYTHON)" >/dev/null || { echo "error: $(PYTHON) not found: install Python >= 3.11" \
	  "or name one: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "error: Python >= 3.11 is needed, but $(PYTHON) is $$("$(PYTHON)" --version 2>&1):" \
	  "name another: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "Installing the locked dependencies into $(VENV) (1.6 GB with PyTorch; this takes minutes)."
	@"$(PYTHON)" -m venv $(VENV)
	@$(PIP) install --no-compile --requirement requirements.lock
	@# On every core, where pip has one. Some packages ship templates that are no Python. A third is
	@# never imported: tests of packages, the compilers that ExecuTorch brings, Ray's libraries.
	@$(BIN)/python -m compileall -qq -j 0 -x '/tests?/|/(executorch|coremltools|rllib|ray/(data|llm|serve|train|tune))/' $(VENV)/lib || true
	@touch $@

# Its packages do not go together with ours: see docs/runtimes.md.
.venv-litert-torch/.ready:
	@echo "Installing litert-torch into .venv-litert-torch (this takes minutes)."
	@"$(PYTHON)" -m venv .venv-litert-torch
	@.venv-litert-torch/bin/python -m pip --disable-pip-version-check --no-input --quiet install \
	  litert-torch==$(LITERT_TORCH) torch==$(TORCH) msgspec
	@touch $@
