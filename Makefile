# Parley. The two commands you need are `make up` and `make test`; `make help` lists the rest.
#
# Settings, all optional:
#   PYTHON=python3.12        the interpreter for a new virtual environment (3.11 or newer)
#   VENV=.venv               where that environment lies
#   ARGS="--no-browser"      passed on: to `parley up` (make up), to pytest (make test), to the bench (make bench)
#   AT_ONCE=0                how many test files run at a time (make test); 0: one after the other, in one process
#   CMAKE_ARGS=...           how llama.cpp is compiled; empty means: for this very CPU, without a GPU and AMX
#   SKIP_COMPILER_CHECK=1    when pip finds a prebuilt llama-cpp-python (see docs/troubleshooting.md)

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
ARGS ?=

# Test files at a time, on 2 cores: half of them wait for speech, not for the processor. What wants the machine for
# itself is in ALONE; docs/testing.md says why.
AT_ONCE ?= 3
ALONE := tests/browser

.PHONY: help up install test check format bench clean compiler

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sort | sed -E 's/^([a-z]+):.*## (.*)/  make \1|\2/' | awk -F'|' '{printf "%-16s %s\n", $$1, $$2}'

up: $(VENV)/.installed ## install what is missing, then run Parley in the foreground (Ctrl-C stops it)
	@exec $(BIN)/parley up $(ARGS)

install: $(VENV)/.installed ## virtual environment and everything Parley needs, without starting it

test: check $(VENV)/.installed-js $(VENV)/.installed-engines ## check, then every test that can run on this machine (the others say why they are skipped)
ifeq ($(strip $(ARGS)),)
	$(BIN)/python -m pytest -n $(AT_ONCE) --dist loadfile --no-loadscope-reorder $(addprefix --ignore=,$(ALONE))
	$(BIN)/python -m pytest $(ALONE)
else
	$(BIN)/python -m pytest $(ARGS)
endif

check: $(VENV)/.installed-dev ## formatting, lint, layers and types, without running tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

format: $(VENV)/.installed-dev ## let ruff put the code into its format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.installed-dev ## measure this machine and write docs/performance.md (half an hour or so)
	$(BIN)/python -m tests.bench $(ARGS)

clean: ## remove the virtual environment, caches and build output (models and settings stay)
	rm -rf $(VENV) tests/clients/js/node_modules build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .coverage* out
	find models llm voice web tests -name __pycache__ -type d -prune -exec rm -rf {} +

# ---- how the environment is made ----------------------------------------------------------------------------------
# A stamp file remembers each finished step, so that a second `make up` starts at once.

$(VENV)/.made:
	@python=""; \
	for candidate in $${PYTHON:-} python3.13 python3.12 python3.11 python3 python; do \
	  if "$$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
	    python="$$candidate"; break; fi; \
	  if [ "$$candidate" = "$${PYTHON:-}" ]; then \
	    echo "PYTHON=$$candidate is not a Python 3.11 or newer with the venv module."; exit 1; fi; \
	done; \
	if [ -z "$$python" ]; then \
	  echo "Parley needs Python 3.11 or newer, with its venv module:"; \
	  echo "  Debian, Ubuntu   sudo apt install python3 python3-venv"; \
	  echo "  Fedora           sudo dnf install python3"; \
	  echo "  macOS            brew install python@3.13"; \
	  echo "or name one: make up PYTHON=/path/to/python3.12"; exit 1; fi; \
	echo "Virtual environment in $(VENV) with $$("$$python" --version)"; \
	"$$python" -m venv $(VENV)
	@touch $@

compiler:
	@if [ -n "$${SKIP_COMPILER_CHECK:-}" ] || $(BIN)/python -c 'import importlib.util as u; raise SystemExit(not u.find_spec("llama_cpp"))'; then exit 0; fi; \
	if ! command -v "$${CXX:-c++}" >/dev/null 2>&1 && ! command -v g++ >/dev/null 2>&1 && ! command -v clang++ >/dev/null 2>&1; then \
	  echo "llama-cpp-python, which runs the language model, is compiled on your machine and needs a C++ compiler:"; \
	  echo "  Debian, Ubuntu   sudo apt install build-essential"; \
	  echo "  Fedora           sudo dnf install gcc-c++ make"; \
	  echo "  macOS            xcode-select --install"; \
	  echo "Its authors also publish prebuilt files (plain CPU, Metal, CUDA): docs/troubleshooting.md says how to use them."; \
	  exit 1; fi

# llama.cpp is compiled for this very CPU, but without AMX: quantised models crashed with it (llm/llamacpp/library.py).
# A compiler that does not know these options is one for another kind of CPU.
NO_AMX := -mno-amx-tile -mno-amx-int8 -mno-amx-bf16

# llama.cpp has some 200 files. pip is silent while they compile, so its verbose log is turned into one moving line.
$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/.made
	@$(MAKE) --no-print-directory compiler
	@set -o pipefail; \
	if ! $(BIN)/python -c 'import importlib.util as u; raise SystemExit(not u.find_spec("llama_cpp"))'; then \
	  echo "llama-cpp-python: fetching, and compiling unless pip has it in its cache."; \
	  echo "This takes about 5 minutes on 2 cores and happens once. Full log: $(VENV)/llama-cpp-build.log"; \
	  flags="$$(if echo | $${CC:-cc} $(NO_AMX) -E - >/dev/null 2>&1; then echo "$(NO_AMX)"; fi)"; \
	  if ! CFLAGS="$${CFLAGS:-} $$flags" CXXFLAGS="$${CXXFLAGS:-} $$flags" \
	    $(PIP) install -v -c constraints.txt llama-cpp-python 2>&1 | tee $(VENV)/llama-cpp-build.log \
	    | awk '/\[[0-9]+\/[0-9]+\]/ {match($$0, /[0-9]+\/[0-9]+/); s = substr($$0, RSTART, RLENGTH); split(s, n, "/"); \
	             if (int(n[1] * 20 / n[2]) != step) {step = int(n[1] * 20 / n[2]); printf "  compiled %3d %%  (%s files)\n", n[1] * 100 / n[2], s; fflush()}}'; then \
	    echo "It did not work. The end of the log:"; tail -n 40 $(VENV)/llama-cpp-build.log; \
	    echo "docs/troubleshooting.md has the usual causes."; exit 1; fi; \
	fi
	$(PIP) install -c constraints.txt -e .
	$(PIP) install -c constraints.txt --no-deps silero-vad
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(PIP) install -c constraints.txt -e ".[dev]"
	@touch $@

# The JavaScript clients that the tests drive Parley with. Without npm or a network their tests are skipped and say so.
$(VENV)/.installed-js: tests/clients/js/package.json | $(VENV)/.made
	@if ! command -v npm >/dev/null 2>&1; then \
	  echo "No npm: the tests with JavaScript clients will be skipped."; \
	elif npm install --prefix tests/clients/js --no-package-lock --no-audit --no-fund --loglevel=error; then touch $@; \
	else echo "The JavaScript clients could not be installed: their tests will be skipped."; fi

# The engines that are optional extras, and the Smart Turn model, which lies in a wheel of pipecat-ai; beside the
# environment, for Parley takes it where it is. On Linux torch often means gigabytes of CUDA: then its tests are skipped.
$(VENV)/.installed-engines: pyproject.toml constraints.txt | $(VENV)/.installed-dev
	@if ! $(PIP) install --quiet -c constraints.txt --no-deps --target $(VENV)/smart-turn pipecat-ai; then \
	  echo "The Smart Turn model could not be fetched: its test will be skipped."; fi; \
	if ! $(PIP) install --quiet -c constraints.txt -e ".[mlx]"; then \
	  echo "MLX could not be installed: the tests of its engine will be skipped."; fi; \
	report="$$($(PIP) install --quiet --dry-run --report - -c constraints.txt -e ".[transformers]" || true)"; \
	if grep -qi '"name": "nvidia' <<< "$$report"; then \
	  echo "torch would bring CUDA: the tests that need it will be skipped. To run them: $(BIN)/pip install -e \".[transformers]\""; \
	elif ! $(PIP) install --quiet -c constraints.txt -e ".[transformers]"; then \
	  echo "transformers could not be installed: the tests of its engine will be skipped."; fi
	@touch $@
