# `make tables` sets everything up and does the main job on simulated data; `make test` sets
# everything up and runs the tests.  Both only need Python 3.11 or newer; the second call does
# nothing slow.  What stands behind ## is what `make help` says.

.DEFAULT_GOAL := help
PYTHON ?= python3
CORES ?= all
BIN := .venv/bin
MADE_WITH = $(or $(wildcard results/config.yaml),config/quick.yaml)

.PHONY: help tables all answer report test check test-browser test-cluster audit lint format docs bench bench-data bench-peers compare-peers time-to-quality lock clean

help: ## lists these targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | awk -F'\t' '{printf "%-20s %s\n", $$1, $$2}'

tables: .venv/.installed ## simulated data, quick: a table and a figure, in minutes
	$(BIN)/snakemake --cores $(CORES) --configfile config/quick.yaml -- results/tables/hr_ndcg.csv results/figures/hit_rates.svg results/provenance.json
	@echo "Open results/tables/hr_ndcg.html and results/figures/hit_rates.svg; make report packs everything to read in a browser."

all: .venv/.installed ## every model and variant, all tables and figures, up to an hour
	$(BIN)/snakemake --cores $(CORES)

# The study of docs/answer: a run for each data set and five more, each in its own folder below
# results/answer and each for itself: `make answer-ml100k`.  The same command goes on where it
# stopped; Snakemake says how many steps of a run are done.  If a use of skips gains that has no
# control, the second call of Snakemake adds it.  WITH=more.yaml adds overlays, such as
# where MovieLens lies on this machine.
STUDY = $(BIN)/snakemake --cores $(CORES) --configfile
results_in = $(foreach table,$(2),results/answer/$(1)/tables/$(table).csv) $(foreach figure,$(3),results/answer/$(1)/figures/$(figure).svg)
answer_in = $(STUDY) config/methods.yaml $(if $(filter %-sim,$(1)),config/answer_worlds.yaml) \
	$$(ls results/answer/$(1)/controls-*.yaml 2> /dev/null) $(WITH) \
	--config "datasets=[$(1)]" "pathvars={results: results/answer/$(1), logs: logs/answer/$(1), benchmarks: benchmarks/answer/$(1)}" \
	-- $(call results_in,$(1),$(OF_WAYS),$(DRAWN))
OF_WAYS := methods answer findings headroom power slices responsiveness tuning
DRAWN := gains headroom_bars power accuracy_and_skips funnel
WAYS_IN := ml100k explorer-sim moods-sim coinflip-sim near-sim drift-sim biased-sim

.PHONY: $(WAYS_IN:%=answer-%) answer-encoders answer-sizes answer-sparse answer-audit answer-splits
answer: $(WAYS_IN:%=answer-%) answer-encoders answer-sizes answer-sparse answer-audit answer-splits ## what a skip is worth: the study of all ways, hours

$(WAYS_IN:%=answer-%): answer-%: .venv/.installed
	$(call answer_in,$*)
	./skipwise controls results/answer/$* --out results/answer/$*/asked.yaml
	if grep -q model_registry results/answer/$*/asked.yaml; then \
		mv results/answer/$*/asked.yaml results/answer/$*/controls-$$(date +%s).yaml; \
		$(call answer_in,$*); fi
	$(BIN)/python tools/collect_answer.py

answer-encoders: .venv/.installed
	$(STUDY) config/methods.yaml config/answer_encoders.yaml $(WITH) -- $(call results_in,encoders,methods responsiveness tuning,gains)
	$(BIN)/python tools/collect_answer.py

answer-sizes: .venv/.installed
	$(STUDY) config/answer_sizes.yaml -- $(call results_in,sizes,methods responsiveness,gains)
	$(BIN)/python tools/collect_answer.py

answer-sparse: .venv/.installed
	$(STUDY) config/answer_sparse.yaml -- $(call results_in,sparse,methods answer headroom tuning slices skip_downranking,gains)
	$(BIN)/python tools/collect_answer.py

answer-audit: .venv/.installed
	$(STUDY) config/audit.yaml config/answer_audit.yaml $(WITH) -- $(call results_in,audit,loss_audit evaluation_audit)
	$(BIN)/python tools/collect_answer.py

answer-splits: .venv/.installed
	$(STUDY) config/answer_splits.yaml $(WITH) -- $(call results_in,splits,split_agreement,rank_agreement)
	$(BIN)/python tools/collect_answer.py

# Completes the last run with the same configuration and packs its report; without a last run, that
# of the quick run.
report: .venv/.installed ## the last run as one folder for a browser
	$(BIN)/snakemake --cores $(CORES) --configfile $(MADE_WITH)
	$(BIN)/snakemake --configfile $(MADE_WITH) --report results/report.zip --report-stylesheet workflow/report/report.css
	rm -rf results/report && $(BIN)/python -m zipfile --extract results/report.zip results
	@echo "Open results/report/report.html, or pass on results/report.zip."

test: lint ## lint, format checks, types and all tests
	$(BIN)/python -m pytest --numprocesses logical --maxprocesses 8 --dist loadgroup

check: lint ## before every commit: lint, types and the fast unit tests, a minute
	$(BIN)/python -m pytest tests/unit --quiet --numprocesses logical --maxprocesses 8 -m "not long and not slow and not gpu and not realdata"

# The report in a real browser, which must be installed.
test-browser: .venv/.installed-test ## the report in a real browser
	@command -v chromium > /dev/null && command -v chromedriver > /dev/null || \
		{ echo "The browser tests need a browser and its driver: apt-get install chromium chromium-driver"; exit 1; }
	$(BIN)/python -m pytest -m browser

# Starts a real Slurm of two nodes on this machine from Debian's packages; needs root and takes
# minutes.
test-cluster: .venv/.installed-test ## the workflow on a real Slurm
	$(BIN)/python -m pytest -m cluster

# Asks a service for known vulnerabilities of the locked versions; needs the network.
audit: .venv/audit/.installed ## known vulnerabilities of the locked versions
	.venv/audit/bin/python tools/audit.py

.venv/audit/.installed: envs/requirements-audit.txt | .venv/bin/python
	$(PYTHON) -m venv .venv/audit
	.venv/audit/bin/python -m pip install --quiet --requirement envs/requirements-audit.txt
	touch $@

lint: .venv/.installed-test ## lint, types and format
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint

format: .venv/.installed-test ## formats everything
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile workflow

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "skipwise needs Python 3.11 or newer; set PYTHON=…")'
	$(PYTHON) -m venv .venv

.venv/.installed: envs/requirements.txt | .venv/bin/python
	@echo "Installing what stands in envs/requirements.txt into .venv: about 2 GB, some minutes."
	$(BIN)/python -m pip install --quiet --requirement envs/requirements.txt
	touch $@

.venv/.installed-test: envs/requirements-test.txt .venv/.installed
	$(BIN)/python -m pip install --quiet --requirement envs/requirements-test.txt
	touch $@

# The reference of the configuration, and all pages in site/; a broken link is an error.
docs: .venv/.installed-test ## the documentation in site/
	$(BIN)/python tools/document_config.py
	$(BIN)/zensical build --strict --clean

bench: .venv/.installed ## speed of training and ranking
	$(BIN)/python tools/bench_training.py
	$(BIN)/python tools/bench_ranking.py

bench-data: .venv/.installed ## speed of the data stage
	$(BIN)/python tools/bench_data.py

# Each peer has its own environment of about 1.5 GB; the run takes about twenty minutes.
PEERS := replay rectools recbole cornac

bench-peers: .venv/.installed $(PEERS:%=.venv-peers/%/.installed) ## speed of other libraries
	$(BIN)/python tools/bench_peers.py

# Hours on simulated data; a job that is done is not run again.  For MovieLens 100K make its split
# with config/real.yaml and run the tool with `--datasets ml100k`.
COMPARED := rectools replay cornac

compare-peers: .venv/.installed $(COMPARED:%=.venv-peers/%/.installed) ## quality of other libraries
	$(BIN)/snakemake --cores $(CORES) -- results/splits/dataset=mssd-sim/split=paper/test.parquet
	$(BIN)/python tools/compare_peers.py --datasets mssd-sim

time-to-quality: compare-peers ## how long other libraries and ours take to be as good
	$(BIN)/snakemake --cores $(CORES) -- $(foreach model,sasrec gru4rec,results/models/dataset=mssd-sim/split=paper/model=$(model)/variant=blind/seed=1/run.json)
	$(BIN)/python tools/time_to_quality.py --datasets mssd-sim

.venv-peers/%/.installed: envs/peers/%.txt
	$(PYTHON) -m venv .venv-peers/$*
	.venv-peers/$*/bin/python -m pip install --quiet --requirement $<
	touch $@

# Locks the requirements of envs/*.in.  The local build tag of torch is removed, because an index
# serves the version without it.
lock: ## locks the requirements
	rm -rf .venv/lock && $(PYTHON) -m venv .venv/lock
	.venv/lock/bin/python -m pip install --quiet --requirement envs/requirements.in
	(echo "# Made by \`make lock\` from requirements.in. Exact versions of everything that the workflow needs."; \
		.venv/lock/bin/python -m pip freeze | sed 's/+cpu$$//') > envs/requirements.txt
	.venv/lock/bin/python -m pip install --quiet --requirement envs/requirements-test.in
	(echo "# Made by \`make lock\` from requirements-test.in. What the tests and checks need beside requirements.txt."; \
		.venv/lock/bin/python -m pip freeze | sed 's/+cpu$$//' | grep -vxFf envs/requirements.txt) > envs/requirements-test.txt
	rm -rf .venv/lock

clean: ## removes all results
	rm -rf results logs benchmarks .snakemake
