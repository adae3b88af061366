.DEFAULT_GOAL := help
SHELL := /bin/sh
PY := .venv/bin/python
JOBS ?= logical
# What the caller's shell has activated must not decide which code runs, nor how fast it starts.
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo demo-github demo-survey check fmt test soak bench lock clean

help: ## say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## make .venv and install what is missing (every other verb does this first)
	@scripts/setup

demo: setup ## run a whole line on a sample repository: no key, no network
	@$(PY) -m factory demo

demo-github: setup ## let an issue become a pull request on a GitHub of this machine: no key, no network
	@PYTHONPATH=. $(PY) examples/github/demo.py

demo-survey: setup ## let twelve issues become one pull request on a GitHub of this machine, the model scripted
	@PYTHONPATH=. $(PY) examples/survey/demo.py

check: setup ## format, lint, types, import layers, workflows
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy
	.venv/bin/lint-imports
	@scripts/lint-workflows

fmt: setup ## put the code into shape
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix-only .

test: setup ## the whole suite, without the long runs
	@scripts/browser --try & scripts/agents --try; wait
	@$(PY) -m compileall -q factory stations worktrees
	$(PY) -m pytest -n $(JOBS) --dist worksteal -q

soak: setup ## the long suites: kill storms, fuzzed worlds, real agents
	@scripts/agents || echo "without them the tests of real agents are skipped" >&2
	$(PY) -m pytest -m soak -n $(JOBS) --timeout=1800

bench: setup ## run every benchmark and print its figures
	@set -e; for file in benchmarks/*.py; do echo "== $$file"; PYTHONPATH=. $(PY) "$$file"; done

lock: setup ## pin requirements/*.txt anew from pyproject.toml
	@scripts/lock

clean: ## remove what the other verbs made, .venv included
	rm -rf .venv .agents .lint dist build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage .coverage.* benchmarks/out examples/projects/work
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
