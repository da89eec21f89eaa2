# Two commands: `make tables` does all the set-up and the main job on simulated data, `make test` all the set-up and the tests.
# Both need Python 3.11 or newer and nothing else; the second time they do nothing slow.

PYTHON ?= python3
CORES ?= all
BIN := .venv/bin

.PHONY: tables all test lint format lock clean

tables: .venv/.installed
	$(BIN)/snakemake --cores $(CORES) results/tables/hr_ndcg.csv results/figures/hit_rates.svg

all: .venv/.installed
	$(BIN)/snakemake --cores $(CORES)

test: lint
	$(BIN)/python -m pytest

lint: .venv/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint

format: .venv/.installed-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile workflow

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "skipwise needs Python 3.11 or newer; set PYTHON=…")'
	$(PYTHON) -m venv .venv

.venv/.installed: envs/requirements.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --requirement envs/requirements.txt
	touch $@

.venv/.installed-test: envs/requirements-test.txt .venv/.installed
	$(BIN)/python -m pip install --quiet --requirement envs/requirements-test.txt
	touch $@

clean:
	rm -rf results logs benchmarks .snakemake
