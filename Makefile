# Two commands do everything: `make demo` and `make test`. Both set the project up first.
.PHONY: help setup demo test test-long lint bench clean
.DEFAULT_GOAL := help

help: ## what each command does
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 16

setup: ## .venv with every pinned package and the fairlead command (nothing to do twice)
	@.ci/setup

demo: setup ## trade a simulated OceanEx live, record it, backtest the recording, compare
	@.venv/bin/fairlead demo

test: setup lint ## every promise, in its short form
	@.venv/bin/python -m pytest -n 3 --dist worksteal

test-long: setup ## hours: whole matrices of deaths, mutants, thousands of seeds, markets; times are told
	@.ci/long

lint: setup ## ruff, mypy strict, who imports whom
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports --no-cache --no-logo

bench: setup ## benchmarks, side by side, ratios printed
	@failed=0; for bench in benchmarks/*.py; do echo "== $$bench"; .venv/bin/python $$bench || failed=1; done; exit $$failed

clean: ## remove what the commands made here
	rm -rf .venv .venv-uv .mypy_cache .ruff_cache .pytest_cache .hypothesis out
