# `make demo` and `make test` need Python 3.11 or newer; they set up the rest.
# Everything is installed into .venv, and again when pyproject.toml changes.

# The first of these that is new enough. Choose another with `make PYTHON=...`.
CANDIDATES = python3 python3.14 python3.13 python3.12 python3.11
IS_SUITABLE = -c 'import sys; sys.exit(sys.version_info < (3, 11))'
FIND_PYTHON = for python in $(CANDIDATES); do \
	if $$python $(IS_SUITABLE) 2>/dev/null; then echo $$python; break; fi; done
PYTHON ?= $(shell $(FIND_PYTHON))

VENV ?= .venv
INSTALLED = $(VENV)/installed
IN_VENV = . $(VENV)/bin/activate &&
PYTEST = $(IN_VENV) python -m pytest
IN_PARALLEL = -n 2
TESTS ?=
# `make test-slow ONE_IN=3` runs a third of the tests of each file; which one depends on the
# commit. So do `make test-cluster` and `make test-pythons`.
ONE_IN ?= 1
# `make docs` runs the others.
ALL_BUT_DOCS = --ignore=tests/test_docs.py --ignore=tests/test_guide.py

# What differs between Pythons: syntax trees and the source of functions (fingerprints),
# pickles, signatures, tracebacks, what is printed, arguments of commands, how processes
# start and end. All else is the same code on any of them.
OF_PYTHON = $(addprefix tests/, tasks steps pspace utils mapper test_guide.py \
	cli/test_main.py cli/test_debug.py store/test_contract.py store/test_pickle.py \
	workdir/test_journal.py run/test_bad_assignments.py)
# The part of it that most depends on the version, for all but the newest of the others.
MOST_OF_PYTHON = $(addprefix tests/, tasks/fingerprint steps/test_forkserver.py \
	pspace/test_digest.py pspace/test_replicates.py mapper/test_mapper.py \
	utils/test_tracebacks.py test_guide.py cli/test_main.py)

CLUSTER = tests/cluster/slurm_cluster.py
DEMO = build/demo
BENCHMARKS = $(sort $(wildcard tests/benchmarks/bench_*.py))

.PHONY: help setup demo test test-slow test-cluster test-browser test-packaging \
	test-pythons chaos bench lint types docs pictures format clean

help:
	@echo 'make demo            run two parameter sweeps and show their results'
	@echo 'make test            run the tests (a few minutes)'
	@echo 'make test-slow       run the tests that take longer'
	@echo 'make test-cluster    run the tests that need Slurm, on a cluster set up for them'
	@echo 'make test-browser    open reports in Chromium, which is installed for it'
	@echo 'make test-packaging  build, install and try the package in each way'
	@echo 'make test-pythons    run what differs between Pythons with each one found here'
	@echo 'make chaos           kill, suspend, damage and cut off runs, fail system calls (hours)'
	@echo 'make bench           run the benchmarks'
	@echo 'make lint            check style'
	@echo 'make types           check types'
	@echo 'make docs            run every example of the documentation'
	@echo 'make pictures        make the pictures of the documentation anew'
	@echo 'make format          format the code'
	@echo 'make clean           remove all that was installed and built'

setup: $(INSTALLED)

$(INSTALLED): pyproject.toml
	@test -n "$(PYTHON)" && $(PYTHON) $(IS_SUITABLE) || { \
		echo 'psyrun needs Python 3.11 or newer, and none was found.' \
			'Install one, or name one: make PYTHON=/path/to/python3'; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(IN_VENV) python -m pip install --quiet --editable '.[browser,demo,dev]'
	@# Else each of the many processes does it where PYTHONDONTWRITEBYTECODE is set.
	$(IN_VENV) python -m compileall -q psyrun workflow/plugins
	touch $@

demo: $(INSTALLED)
	mkdir -p $(DEMO)
	cp -r docs/demo/. $(DEMO)
	$(IN_VENV) cd $(DEMO) && psy run -j 2 && python report.py

test: $(INSTALLED)
	$(PYTEST) $(IN_PARALLEL) -m 'not slow and not cluster and not browser' $(or $(TESTS),$(ALL_BUT_DOCS))

test-slow: $(INSTALLED)
	$(PYTEST) $(IN_PARALLEL) -m 'slow and not cluster and not browser' --ignore=tests/packaging \
		--one-in=$(ONE_IN) $(ALL_BUT_DOCS)

# One at a time: some of these tests stop parts of the cluster. Two can be larger: with
# PSYRUN_JOBS=2500 instead of 250 jobs, and PSYRUN_KILLS=100 instead of 6 kills.
test-cluster: $(INSTALLED)
	@$(IN_VENV) trap 'python $(CLUSTER) stop' EXIT; trap 'exit 130' INT TERM; \
		python -m pytest tests/cluster -m cluster --one-in=$(ONE_IN)

# Screenshots are in build/screenshots afterwards.
test-browser: $(INSTALLED)
	$(IN_VENV) python tests/helpers/browser.py && \
		python -m pytest tests/report/page -m browser

test-packaging: $(INSTALLED)
	$(PYTEST) tests/packaging

test-pythons: $(INSTALLED)
	@status=0; pythons=$$($(VENV)/bin/python .ci/pythons.py); for python in $$pythons; do \
		echo "== $$python"; tests='$(MOST_OF_PYTHON)'; \
		[ $$python = "$${pythons##*[[:space:]]}" ] && tests='$(OF_PYTHON)'; \
		$(MAKE) test PYTHON=$$python VENV=build/venv-$${python##*python} \
			TESTS="$$tests --one-in=$(ONE_IN)" || status=1; \
	done; exit $$status

chaos: $(INSTALLED)
	$(IN_VENV) export PYTHONPATH=tests/helpers; python tests/chaos/chaos.py && \
		python tests/chaos/takeovers.py --runs 60 && python tests/chaos/namespaces.py && \
		python tests/chaos/faults.py && python tests/chaos/faults.py --steps && \
		python tests/chaos/powercuts.py && python tests/chaos/fuzz.py && \
		python tests/chaos/advice.py --runs 300

# `make bench QUICK=1` takes small sizes, to show that they work.
bench: $(INSTALLED)
	$(IN_VENV) for benchmark in $(BENCHMARKS); do python $$benchmark || exit 1; done

lint: $(INSTALLED)
	$(IN_VENV) ruff check . && ruff format --check . && \
		snakefmt --check workflow/Snakefile

types: $(INSTALLED)
	$(IN_VENV) mypy

# Also checks that the examples make the pictures that are there.
docs: $(INSTALLED)
	$(PYTEST) $(IN_PARALLEL) tests/test_docs.py tests/test_guide.py

# From what the examples of the documentation run; screenshots where Chromium is.
pictures: $(INSTALLED)
	$(IN_VENV) python tests/helpers/pictures.py

format: $(INSTALLED)
	$(IN_VENV) ruff check --fix . && ruff format .

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
