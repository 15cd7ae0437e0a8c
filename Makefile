# Two commands do everything: `make demo` and `make test`. Both set the project up first.
.PHONY: help setup demo test test-long lint compiled bench docs clean
.DEFAULT_GOAL := help
# Byte code is kept, whatever the environment says: a suite starts hundreds of processes.
unexport PYTHONDONTWRITEBYTECODE

help: ## what each command does
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 16

setup: ## .venv with every pinned package and the fairlead command (nothing to do twice)
	@.ci/setup

demo: setup ## trade a simulated OceanEx live, record it, backtest the recording, compare
	@.venv/bin/fairlead demo

test: setup ## every promise, in its short form (lint beside it); many tests wait, so 6 at once
	@$(MAKE) --no-print-directory -j 2 lint compiled
	@.venv/bin/python -m pytest -n 6 --dist worksteal

test-long: setup ## hours: the whole suite, matrices of deaths, mutants, seeds, markets; times are told
	@.ci/long

lint: setup ## ruff, mypy strict, who imports whom
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports --no-cache --no-logo

compiled: setup # by one process, beside the lint, what each worker of the suite would compile else
	@.venv/bin/python -m pytest --collect-only -qq --no-summary >/dev/null || true

bench: setup ## every promised ratio, ours beside others', in one interleaved run; kept as JSON
	@.venv/bin/python -m benchmarks

docs: setup ## docs/ as pages with a search, in out/docs; a link that leads nowhere is an error
	@.venv/bin/python -m sphinx -W -E -a --keep-going -q docs out/docs
	@echo "out/docs/index.html"

clean: ## remove what the commands made here
	rm -rf .venv .venv-uv .mypy_cache .ruff_cache .pytest_cache .hypothesis out
